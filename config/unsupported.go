package config

// Unsupported has the senders that sign with a private key and need more than a
// `public_key` line, with the reason.
var Unsupported = map[string]string{
	"alipay-antom":          "it wants an acknowledgement that is signed with the merchant's own private key, which a duplicate would not get from the guard",
	"aws-sns":               "the key is in a certificate that every message names and that has to be fetched, and an endpoint is confirmed by fetching a URL",
	"ebay":                  "the key has to be fetched by the ID that stands inside the signature header, and the signature is ECDSA over SHA-1",
	"fusionauth":            "the keys are a set that has to be fetched (JWKS) and changes without notice",
	"google-gemini-dynamic": "the keys are a set that has to be fetched (JWKS); static webhooks are google-gemini-static",
	"neon-auth":             "the signature is a detached token over a body that is encoded twice, with keys that have to be fetched (JWKS)",
	"paddle-classic":        "it signs the form's fields as PHP serialises them, with SHA-1; Paddle Billing is paddle",
	"paypal":                "the key is in a certificate that every request names and that has to be fetched, and the body is signed by its CRC-32",
	"plaid":                 "the key has to be fetched by the ID that stands in each token, with the client's own credentials",
	"shipengine":            "the keys are a set that has to be fetched (JWKS)",
	"shipstation-v2":        "the keys are a set that has to be fetched (JWKS)",
}

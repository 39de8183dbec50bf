package interop

const (
	// plainSecret is a secret for senders that take its text as the key.
	plainSecret = "interop-secret-0123456789-abcdef"
	// whsec is a secret in the form of Standard Webhooks.
	whsec = "whsec_" + base64Secret
	// base64Secret and hexSecret are decoded first; the latter is as long as any.
	base64Secret = "aW50ZXJvcC1zZWNyZXQtMDEyMzQ1Njc4OS1hYmM="
	hexSecret    = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
)

var smallRows = []row{
	{sdk: "stripe", provider: "stripe", ways: both, secret: "whsec_interop0123456789abcdef"},
	{sdk: "standardwebhooks", provider: "standard-webhooks", ways: both, secret: whsec},
	{sdk: "@octokit/webhooks-methods", provider: "github", ways: both},
}

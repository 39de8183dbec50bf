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

// smallRows run in every test.
var smallRows = []row{
	{sdk: "stripe", provider: "stripe", ways: both, secret: "whsec_interop0123456789abcdef"},
	{sdk: "standardwebhooks", provider: "standard-webhooks", ways: both, secret: whsec},
	{sdk: "@octokit/webhooks-methods", provider: "github", ways: both},
}

// awkwardPath is for senders that sign the URL.
const awkwardPath = "/hook/a%20b,c?a=1&b=%C3%BC+%2F"

// fullRows run with the build tag full.
var fullRows = []row{
	// The Standard Webhooks scheme and its family.
	{sdk: "@anthropic-ai/sdk", provider: "anthropic", secret: whsec},
	{sdk: "lithic", provider: "lithic", secret: whsec},
	{sdk: "openai", provider: "openai", secret: whsec},
	{sdk: "@polar-sh/sdk", provider: "polar"},
	{sdk: "replicate", provider: "replicate", secret: whsec},
	{sdk: "resend", provider: "resend", secret: whsec},
	{sdk: "svix", provider: "svix", ways: both, secret: whsec},
	{sdk: "svix", provider: "clerk", ways: both, secret: whsec},
	{sdk: "standardwebhooks", provider: "google-gemini-static", ways: both, secret: whsec},
	{sdk: "@tryfinch/finch-api", provider: "finch", ways: both, secret: base64Secret},

	// The body and a time.
	{sdk: "cloudinary", provider: "cloudinary", ways: both},
	{sdk: "crisp-api", provider: "crisp", compact: true},
	{sdk: "@elevenlabs/elevenlabs-js", provider: "elevenlabs"},
	{sdk: "@linear/sdk", provider: "linear"},
	{sdk: "@mux/mux-node", provider: "mux"},
	{sdk: "@paddle/paddle-node-sdk", provider: "paddle"},
	{sdk: "@sinch/sdk-core", provider: "sinch-conversation"},
	{sdk: "github.com/buildkite/go-buildkite", provider: "buildkite"},
	{sdk: "box-node-sdk", provider: "box"},
	{sdk: "orb-billing", provider: "orb", ways: both},
	{sdk: "retell-sdk", provider: "retell", ways: both},
	{sdk: "@sanity/webhook", provider: "sanity", ways: both},
	{sdk: "@slack/bolt", provider: "slack"},
	{sdk: "webflow-api", provider: "webflow"},
	{sdk: "@workos-inc/node", provider: "workos", ways: both, compact: true},

	// The body alone.
	{sdk: "@adyen/api-library", provider: "adyen-platform", ways: both, secret: hexSecret},
	{sdk: "coinbase-commerce-node", provider: "coinbase-commerce", ways: both},
	{sdk: "@easypost/api", provider: "easypost"},
	{sdk: "github.com/PagerDuty/go-pagerduty", provider: "pagerduty"},
	{sdk: "@hookdeck/sdk", provider: "hookdeck"},
	{sdk: "gocardless-nodejs", provider: "gocardless"},
	{sdk: "@line/bot-sdk", provider: "line", body: `{"destination": "U0", "events": [{"type": "message", "webhookEventId": "{id}"}]}`},
	{sdk: "mollie-api-typescript", provider: "mollie-next-gen", ways: both},
	{sdk: "modern-treasury", provider: "modern-treasury", ways: both},
	{sdk: "@notionhq/client", provider: "notion", ways: both},
	{sdk: "@octokit/webhooks", provider: "github", ways: both},
	{sdk: "pusher", provider: "pusher-channels", ways: both},
	{sdk: "razorpay", provider: "razorpay"},
	{sdk: "@shopify/shopify-api", provider: "shopify"},
	{sdk: "smartcar", provider: "smartcar", ways: both, compact: true},
	{sdk: "@unit-finance/unit-node-sdk", provider: "unit", compact: true, body: `{"data": [{"id": "{id}", "type": "x"}]}`},

	// The URL and more.
	{sdk: "@contentful/node-apps-toolkit", provider: "contentful", ways: both, secret: hexSecret, path: awkwardPath, body: `{"sys": {"id": "{id}"}}`},
	{sdk: "@hubspot/api-client v1", provider: "hubspot-v1", ways: both, body: `[{"eventId": "{id}", "subscriptionId": 1, "occurredAt": 1640995200000}]`},
	{sdk: "@hubspot/api-client v2", provider: "hubspot-v2", ways: both, path: awkwardPath},
	// HubSpot's documentation has escapes such as %2F decoded before the URL is
	// signed, and `send` does so; the SDK takes the URL as it is given.
	{sdk: "@hubspot/api-client v3", provider: "hubspot-v3", ways: both, path: "/hook/a%20b?a=1&b=%C3%BC"},
	{sdk: "messagebird", provider: "messagebird", path: awkwardPath},
	{sdk: "plivo", provider: "plivo-v2", path: awkwardPath, asIs: true, covered: "-"},
	{sdk: "square", provider: "square", path: awkwardPath},
	{sdk: "twilio", provider: "twilio", ways: both, path: awkwardPath, asIs: true, covered: "Sid="},

	// Signatures in the body, tokens, and private keys.
	{sdk: "@adyen/api-library standard", provider: "adyen-standard", ways: both, secret: hexSecret, covered: "merchantReference", asIs: true},
	{sdk: "braintree", provider: "braintree", ways: both, asIs: true, covered: "PG5v"},
	{sdk: "@dropbox/sign", provider: "dropbox-sign", asIs: true, covered: "event_type"},
	{sdk: "livekit-server-sdk", provider: "livekit", ways: both},
	{sdk: "discord-interactions", provider: "discord", keys: "ed25519 hex"},
	{sdk: "@sendgrid/eventwebhook", provider: "sendgrid", keys: "p256"},
	{sdk: "telnyx", provider: "telnyx", keys: "ed25519 base64"},
	{sdk: "@vonage/jwt", provider: "vonage"},
	{sdk: "@wix/sdk", provider: "wix", ways: both, keys: "rsa", asIs: true},

	// Keys that are fetched.
	{sdk: "@kinde/webhooks", provider: "kinde", keys: "rsa, set", asIs: true},
	{sdk: "jose kinde", provider: "kinde", ways: both, keys: "rsa, set", asIs: true},
	{sdk: "google-auth-library", provider: "google-pubsub", keys: "rsa, set", params: pubsubParams, covered: "token"},
	{sdk: "jose google-pubsub", provider: "google-pubsub", ways: both, keys: "rsa, set", params: pubsubParams, covered: "token"},
	{sdk: "jose fal", provider: "fal", ways: both, keys: "ed25519 hex, set"},
	{sdk: "jose fireblocks-v2", provider: "fireblocks-v2", ways: both, keys: "rsa, set"},
	{sdk: "jose fusionauth", provider: "fusionauth", ways: both, keys: "rsa, set"},
	{
		sdk: "event-notification-nodejs-sdk", provider: "ebay", keys: "p256, set", compact: true, lines: "keys_secret client secret",
		fetch: "keys api {url}/commerce/notification/v1/public_key/{key_id} key oauth {url}/identity/v1/oauth2/token https://api.ebay.com/oauth/api_scope",
	},
	{
		sdk: "jose circle", provider: "circle", ways: both, keys: "p256, set", lines: "keys_secret token",
		fetch: "keys api {url}/v2/notifications/publicKey/{key_id} data.publicKey bearer",
	},
	{
		sdk: "jose github-secret-scanning", provider: "github-secret-scanning", ways: both, keys: "p256, set",
		fetch: "keys list {url}/meta/public_keys/secret_scanning public_keys key_identifier key",
	},
	{
		sdk: "jose plaid", provider: "plaid", ways: both, keys: "p256, set", lines: "keys_secret client secret",
		fetch: "keys api {url}/webhook_verification_key/get key body key_id client_id secret unknown INVALID_WEBHOOK_VERIFICATION_KEY_ID",
	},
	{
		sdk: "sns-validator", provider: "aws-sns", keys: "rsa, certificate sns.amazonaws.com body SigningCertURL", covered: "Hello",
		lines: "allow body TopicArn arn:aws:sns:us-west-2:123456789012:MyTopic",
	},
	{
		sdk: "buffer-crc32", provider: "paypal", keys: "rsa, certificate messageverificationcerts.paypal.com header Paypal-Cert-Url",
		params: []string{"webhook_id=4JH86294D6297924G"},
	},
	{
		sdk: "@apple/app-store-server-library", provider: "apple-app-store", ways: both, keys: "p256, chain", asIs: true, body: "{}", covered: "eyJ",
		params: []string{"bundle_id=com.example", "app_apple_id=41234"},
	},
	{sdk: "jose azure-event-grid-entra", provider: "azure-event-grid-entra", ways: both, keys: "rsa, set", params: entraParams, covered: "token"},
	{
		sdk: "jose google-gemini-dynamic", provider: "google-gemini-dynamic", ways: both, keys: "rsa, set", params: []string{"audience=my-project"},
		covered: "token Webhook-Signature",
	},
	{sdk: "jose neon-auth", provider: "neon-auth", ways: both, keys: "ed25519 hex, set"},
	{sdk: "jose shipengine", provider: "shipengine", ways: both, keys: "rsa, set"},
	{sdk: "jose shipstation-v2", provider: "shipstation-v2", ways: both, keys: "rsa, set"},
}

// entraParams are what the owner of a tenant knows of it, and of Event Grid.
var entraParams = []string{
	"tenant=72f988bf-86f1-41af-91ab-2d7cd011db47", "audience=api://hooks.example.com", "application=4962773b-9cdb-44cf-a8bf-237846a00ab7",
}

// pubsubParams are what the owner of a subscription knows of it.
var pubsubParams = []string{"audience=https://hooks.example.com/push", "service_account=pusher@project.iam.gserviceaccount.com"}

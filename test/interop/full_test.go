//go:build full

package interop

import "slices"

// makeDeps installs what these tests need.
const makeDeps = "make deps-full"

var sdkArgs = []string{"full"}

// awkwardPath is for senders that sign the URL.
const awkwardPath = "/hook/a%20b,c?a=1&b=%C3%BC+%2F"

var rows = slices.Concat(smallRows, []row{
	// The Standard Webhooks scheme and its family.
	{sdk: "@anthropic-ai/sdk", provider: "anthropic", secret: whsec},
	{sdk: "lithic", provider: "lithic", secret: whsec},
	{sdk: "openai", provider: "openai", secret: whsec},
	{sdk: "@polar-sh/sdk", provider: "polar"},
	{sdk: "replicate", provider: "replicate", secret: whsec},
	{sdk: "resend", provider: "resend", secret: whsec},
	{sdk: "svix", provider: "svix", ways: both, secret: whsec},
	{sdk: "svix", provider: "clerk", ways: both, secret: whsec},
	{sdk: "@tryfinch/finch-api", provider: "finch", ways: both, secret: base64Secret},

	// The body and a time.
	{sdk: "cloudinary", provider: "cloudinary", ways: both},
	{sdk: "crisp-api", provider: "crisp", compact: true},
	{sdk: "@linear/sdk", provider: "linear"},
	{sdk: "@mux/mux-node", provider: "mux"},
	{sdk: "@paddle/paddle-node-sdk", provider: "paddle"},
	{sdk: "retell-sdk", provider: "retell", ways: both},
	{sdk: "@sanity/webhook", provider: "sanity", ways: both},
	{sdk: "@slack/bolt", provider: "slack"},
	{sdk: "@workos-inc/node", provider: "workos", ways: both, compact: true},

	// The body alone.
	{sdk: "@adyen/api-library", provider: "adyen-platform", ways: both, secret: hexSecret},
	{sdk: "coinbase-commerce-node", provider: "coinbase-commerce", ways: both},
	{sdk: "@easypost/api", provider: "easypost"},
	{sdk: "gocardless-nodejs", provider: "gocardless"},
	{sdk: "@line/bot-sdk", provider: "line", body: `{"destination": "U0", "events": [{"type": "message", "webhookEventId": "{id}"}]}`},
	{sdk: "modern-treasury", provider: "modern-treasury", ways: both},
	{sdk: "@notionhq/client", provider: "notion", ways: both},
	{sdk: "pusher", provider: "pusher-channels", ways: both},
	{sdk: "razorpay", provider: "razorpay"},
	{sdk: "@shopify/shopify-api", provider: "shopify"},
	{sdk: "@unit-finance/unit-node-sdk", provider: "unit", compact: true, body: `{"data": [{"id": "{id}", "type": "x"}]}`},

	// The URL and more.
	{sdk: "@contentful/node-apps-toolkit", provider: "contentful", ways: both, secret: hexSecret, path: awkwardPath, body: `{"sys": {"id": "{id}"}}`},
	{sdk: "@hubspot/api-client v1", provider: "hubspot-v1", ways: both, body: `[{"eventId": "{id}", "subscriptionId": 1, "occurredAt": 1640995200000}]`},
	{sdk: "@hubspot/api-client v2", provider: "hubspot-v2", ways: both, path: awkwardPath},
	// HubSpot's documentation has escapes such as %2F decoded before the URL is
	// signed, and `send` does so; the SDK takes the URL as it is given.
	{sdk: "@hubspot/api-client v3", provider: "hubspot-v3", ways: both, path: "/hook/a%20b?a=1&b=%C3%BC"},
	{sdk: "messagebird", provider: "messagebird", path: awkwardPath},
	{sdk: "plivo", provider: "plivo-v2", path: awkwardPath, covered: "-"},
	{sdk: "square", provider: "square", path: awkwardPath},
	{sdk: "twilio", provider: "twilio", ways: both, path: awkwardPath, asIs: true},

	// Signatures in the body, tokens, and private keys.
	{sdk: "@adyen/api-library standard", provider: "adyen-standard", ways: both, secret: hexSecret, covered: "merchantReference", asIs: true},
	{sdk: "braintree", provider: "braintree", ways: both, asIs: true, covered: "PG5v"},
	{sdk: "@dropbox/sign", provider: "dropbox-sign", asIs: true, covered: "event_type"},
	{sdk: "livekit-server-sdk", provider: "livekit", ways: both},
	{sdk: "discord-interactions", provider: "discord", keys: "ed25519 hex"},
	{sdk: "@sendgrid/eventwebhook", provider: "sendgrid", keys: "p256"},
	{sdk: "telnyx", provider: "telnyx", keys: "ed25519 base64"},
})

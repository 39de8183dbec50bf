// SDKs of senders that sign the body and nothing else.
export default {
  "@adyen/api-library": {
    async sign({ text, secret }) {
      const { hmacValidator: HmacValidator } = (await import("@adyen/api-library")).default;
      return { headers: { hmacsignature: new HmacValidator().calculateHmac(text, secret) } };
    },
    async verify({ text, headers, secret }) {
      const { hmacValidator: HmacValidator } = (await import("@adyen/api-library")).default;
      return new HmacValidator().validateHMACSignature(secret, headers.hmacsignature, text);
    },
  },

  "@easypost/api": {
    async verify({ raw, headers, secret }) {
      const { default: EasyPost } = await import("@easypost/api");
      const { Utils } = new EasyPost("unused");
      const event = Utils.validateWebhook(raw, headers, secret);
      return event && { id: event.id, type: event.description };
    },
  },

  "@hookdeck/sdk": {
    async verify({ text, headers, secret }) {
      const { verifyWebhookSignature } = (await import("@hookdeck/sdk/webhooks/helpers.js")).default;
      const result = await verifyWebhookSignature({ headers, rawBody: text, signingSecret: secret });
      return result.isValidSignature;
    },
  },

  "@line/bot-sdk": {
    async verify({ raw, headers, secret }) {
      const { validateSignature } = await import("@line/bot-sdk");
      return validateSignature(raw, secret, headers["x-line-signature"]);
    },
  },

  "@notionhq/client": {
    async sign({ raw, secret }) {
      const { signWebhookPayload } = await import("@notionhq/client");
      const signature = await signWebhookPayload({ body: raw, verificationToken: secret });
      return { headers: { "X-Notion-Signature": signature } };
    },
    async verify({ raw, headers, secret }) {
      const { verifyWebhookSignature } = await import("@notionhq/client");
      return verifyWebhookSignature({
        body: raw,
        signature: headers["x-notion-signature"],
        verificationToken: secret,
      });
    },
  },

  "@octokit/webhooks": {
    async sign({ text, secret, id }) {
      const { Webhooks } = await import("@octokit/webhooks");
      const signature = await new Webhooks({ secret }).sign(text);
      return {
        headers: { "X-GitHub-Delivery": id, "X-GitHub-Event": "push", "X-Hub-Signature-256": signature },
      };
    },
    async verify({ text, headers, secret }) {
      const { Webhooks } = await import("@octokit/webhooks");
      const webhooks = new Webhooks({ secret });
      let event;
      webhooks.onAny(({ id, name: type }) => (event = { id, type }));
      await webhooks.verifyAndReceive({
        id: headers["x-github-delivery"],
        name: headers["x-github-event"],
        payload: text,
        signature: headers["x-hub-signature-256"],
      });
      return event;
    },
  },

  "@shopify/shopify-api": {
    async verify({ text, headers, secret, url, method }) {
      await import("@shopify/shopify-api/adapters/node");
      const { shopifyApi, ApiVersion } = await import("@shopify/shopify-api");
      const shopify = shopifyApi({
        apiKey: "unused",
        apiSecretKey: secret,
        apiVersion: Object.values(ApiVersion).at(-1),
        hostName: new URL(url).host,
        isEmbeddedApp: false,
        logger: { level: 0 },
      });
      const result = await shopify.webhooks.validate({
        rawBody: text,
        rawRequest: { url, method, headers },
        rawResponse: {},
      });
      // Only the signature is of interest: it also wants headers that nobody signs.
      if (result.valid) {
        return { id: result.eventId, type: result.topic };
      }
      return result.reason === "missing_headers";
    },
  },

  "@unit-finance/unit-node-sdk": {
    async verify({ text, headers, secret }) {
      const { Unit } = await import("@unit-finance/unit-node-sdk");
      return new Unit("unused", "https://localhost").webhooks.verify(
        headers["x-unit-signature"],
        secret,
        JSON.parse(text), // it writes the JSON anew
      );
    },
  },

  "coinbase-commerce-node": {
    async sign({ text, secret }) {
      const { Webhook } = (await import("coinbase-commerce-node")).default;
      return { headers: { "X-CC-Webhook-Signature": Webhook.computeSignature(text, secret) } };
    },
    async verify({ text, headers, secret }) {
      const { Webhook } = (await import("coinbase-commerce-node")).default;
      const event = Webhook.verifyEventBody(text, headers["x-cc-webhook-signature"], secret);
      return { id: event.id, type: event.type };
    },
  },

  "gocardless-nodejs": {
    async verify({ raw, headers, secret }) {
      const { verifySignature } = await import("gocardless-nodejs/webhooks");
      verifySignature(raw, secret, headers["webhook-signature"]);
      return true;
    },
  },

  "modern-treasury": {
    async sign({ text, secret }) {
      const webhooks = await modernTreasury();
      return { headers: { "X-Signature": webhooks.getSignature(text, { key: secret }) } };
    },
    async verify({ text, headers, secret }) {
      const webhooks = await modernTreasury();
      return webhooks.validateSignature(text, headers, { key: secret });
    },
  },

  "mollie-api-typescript": {
    async sign({ text, secret }) {
      const { SignatureValidator } = await import("mollie-api-typescript");
      const { SIGNATURE_HEADER: name, SIGNATURE_PREFIX: prefix } = SignatureValidator;
      return { headers: { [name]: prefix + (await SignatureValidator.createSignature(text, secret)) } };
    },
    async verify({ text, headers, secret }) {
      const { SignatureValidator } = await import("mollie-api-typescript");
      return SignatureValidator.validate(text, secret, headers["x-mollie-signature"]);
    },
  },

  pusher: {
    async sign({ text, secret }) {
      const { default: Pusher } = await import("pusher");
      return {
        headers: {
          "X-Pusher-Key": "interop",
          "X-Pusher-Signature": new Pusher.Token("interop", secret).sign(text),
        },
      };
    },
    async verify({ text, headers, secret }) {
      const { default: Pusher } = await import("pusher");
      const pusher = new Pusher({ appId: "interop", key: "interop", secret, host: "localhost" });
      // The key is the app's public name: it is not signed, and the guard has no use for it.
      return pusher.webhook({ headers: { "x-pusher-key": "interop", ...headers }, rawBody: text }).isValid();
    },
  },

  razorpay: {
    async verify({ text, headers, secret }) {
      const { default: Razorpay } = await import("razorpay");
      return Razorpay.validateWebhookSignature(text, headers["x-razorpay-signature"], secret);
    },
  },

  smartcar: {
    async sign({ text, secret }) {
      const { default: smartcar } = await import("smartcar");
      return { headers: { "SC-Signature": smartcar.hashChallenge(secret, text) } };
    },
    async verify({ text, headers, secret }) {
      const { default: smartcar } = await import("smartcar");
      // It writes the JSON anew.
      return smartcar.verifyPayload(secret, headers["sc-signature"], JSON.parse(text));
    },
  },
};

async function modernTreasury() {
  const { default: ModernTreasury } = await import("modern-treasury");
  return new ModernTreasury({ apiKey: "unused", organizationID: "unused" }).webhooks;
}

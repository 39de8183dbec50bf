// The SDKs that `make test` runs.
//
// sign and verify get { raw, text, secret, url, method, id, time, headers }: the
// body as bytes and as text, and headers with lower-case names. sign returns the
// headers, and the body where the signature is part of that; verify whether the request
// is genuine, or its event { id, type } where the SDK reads that.
const seconds = (time) => Math.floor(time / 1000);

export default {
  stripe: {
    async sign({ text, secret, time }) {
      const { default: Stripe } = await import("stripe");
      const header = new Stripe("sk_test_unused").webhooks.generateTestHeaderString({
        payload: text,
        secret,
        timestamp: seconds(time),
      });
      return { headers: { "Stripe-Signature": header } };
    },
    async verify({ raw, headers, secret }) {
      const { default: Stripe } = await import("stripe");
      const { webhooks } = new Stripe("sk_test_unused");
      const { id, type } = webhooks.constructEvent(raw, headers["stripe-signature"], secret);
      return { id, type };
    },
  },

  standardwebhooks: {
    async sign({ text, secret, id, time }) {
      const { Webhook } = await import("standardwebhooks");
      return {
        headers: {
          "webhook-id": id,
          "webhook-timestamp": String(seconds(time)),
          "webhook-signature": new Webhook(secret).sign(id, time, text),
        },
      };
    },
    async verify({ raw, headers, secret }) {
      const { Webhook } = await import("standardwebhooks");
      const { type } = new Webhook(secret).verify(raw, headers);
      return { type };
    },
  },

  "@octokit/webhooks-methods": {
    async sign({ text, secret, id }) {
      const { sign } = await import("@octokit/webhooks-methods");
      return {
        headers: {
          "X-GitHub-Delivery": id,
          "X-GitHub-Event": "ping",
          "X-Hub-Signature-256": await sign(secret, text),
        },
      };
    },
    async verify({ text, headers, secret }) {
      const { verify } = await import("@octokit/webhooks-methods");
      return verify(secret, text, headers["x-hub-signature-256"]);
    },
  },
};

// SDKs of senders that sign a time with the body.
const seconds = (time) => Math.floor(time / 1000);

export default {
  "@linear/sdk": {
    async verify({ raw, headers, secret }) {
      const { LinearWebhookClient } = await import("@linear/sdk/webhooks");
      const { webhookTimestamp } = JSON.parse(raw);
      return new LinearWebhookClient(secret).verify(raw, headers["linear-signature"], webhookTimestamp);
    },
  },

  "@mux/mux-node": {
    async verify({ text, headers, secret }) {
      const { default: Mux } = await import("@mux/mux-node");
      const mux = new Mux({ tokenId: "unused", tokenSecret: "unused" });
      await mux.webhooks.verifySignature(text, headers, secret);
      return true;
    },
  },

  "@paddle/paddle-node-sdk": {
    async verify({ text, headers, secret }) {
      const { Paddle } = await import("@paddle/paddle-node-sdk");
      return new Paddle("unused").webhooks.isSignatureValid(text, secret, headers["paddle-signature"]);
    },
  },

  "@polar-sh/sdk": {
    async verify({ raw, headers, secret }) {
      const { validateEvent, WebhookVerificationError } = await import("@polar-sh/sdk/webhooks.js");
      try {
        validateEvent(raw, headers, secret);
      } catch (error) {
        // Past the signature it holds the event against a schema.
        return !(error instanceof WebhookVerificationError);
      }
      return true;
    },
  },

  "@sanity/webhook": {
    async sign({ text, secret, time }) {
      const { encodeSignatureHeader, SIGNATURE_HEADER_NAME } = await import("@sanity/webhook");
      return {
        headers: { [SIGNATURE_HEADER_NAME]: await encodeSignatureHeader(text, Number(time), secret) },
      };
    },
    async verify({ text, headers, secret }) {
      const { isValidSignature, SIGNATURE_HEADER_NAME } = await import("@sanity/webhook");
      return isValidSignature(text, headers[SIGNATURE_HEADER_NAME], secret);
    },
  },

  "@slack/bolt": {
    async verify({ text, headers, secret }) {
      const { verifySlackRequest } = (await import("@slack/bolt")).default;
      verifySlackRequest({ body: text, headers, signingSecret: secret });
      return true;
    },
  },

  "@tryfinch/finch-api": {
    async sign({ text, secret, id, time }) {
      const webhooks = await finch();
      const timestamp = new Date(seconds(time) * 1000);
      const signature = webhooks.signPayload(text, {
        eventId: id,
        timestamp,
        secret: Buffer.from(secret, "base64"),
      });
      return {
        headers: {
          "Finch-Event-Id": id,
          "Finch-Timestamp": String(seconds(time)),
          "Finch-Signature": signature,
        },
      };
    },
    async verify({ text, headers, secret }) {
      (await finch()).verifySignature(text, headers, secret);
      return true;
    },
  },

  "@workos-inc/node": {
    async sign({ text, secret, time }) {
      const webhooks = await workos();
      const signature = await webhooks.computeSignature(Number(time), JSON.parse(text), secret);
      return { headers: { "WorkOS-Signature": `t=${Number(time)}, v1=${signature}` } };
    },
    async verify({ text, headers, secret }) {
      return (await workos()).verifyHeader({
        payload: JSON.parse(text), // it writes the JSON anew
        sigHeader: headers["workos-signature"],
        secret,
      });
    },
  },

  cloudinary: {
    async sign({ text, secret, time }) {
      const { v2 } = (await import("cloudinary")).default;
      const signature = v2.utils.webhook_signature(text, seconds(time), { api_secret: secret });
      return { headers: { "X-Cld-Timestamp": String(seconds(time)), "X-Cld-Signature": signature } };
    },
    async verify({ text, headers, secret }) {
      const { v2 } = (await import("cloudinary")).default;
      v2.config({ api_secret: secret }); // used before anything else can run
      return v2.utils.verifyNotificationSignature(
        text,
        Number(headers["x-cld-timestamp"]),
        headers["x-cld-signature"],
      );
    },
  },

  lithic: {
    async verify({ text, headers, secret }) {
      const { default: Lithic } = await import("lithic");
      new Lithic({ apiKey: "unused" }).webhooks.verifySignature(text, headers, secret);
      return true;
    },
  },

  openai: {
    async verify({ text, headers, secret }) {
      const { default: OpenAI } = await import("openai");
      await new OpenAI({ apiKey: "unused" }).webhooks.verifySignature(text, headers, secret);
      return true;
    },
  },

  replicate: {
    async verify({ text, headers, secret }) {
      const { validateWebhook } = (await import("replicate")).default;
      const { webcrypto } = await import("node:crypto");
      return validateWebhook({ headers, body: text }, secret, webcrypto);
    },
  },

  resend: {
    async verify({ text, headers, secret }) {
      const { Resend } = await import("resend");
      new Resend("re_unused").webhooks.verify({
        payload: text,
        headers: {
          id: headers["svix-id"],
          timestamp: headers["svix-timestamp"],
          signature: headers["svix-signature"],
        },
        webhookSecret: secret,
      });
      return true;
    },
  },

  svix: {
    async sign({ text, secret, id, time }) {
      const { Webhook } = await import("svix");
      return {
        headers: {
          "svix-id": id,
          "svix-timestamp": String(seconds(time)),
          "svix-signature": new Webhook(secret).sign(id, time, text),
        },
      };
    },
    async verify({ raw, headers, secret }) {
      const { Webhook } = await import("svix");
      new Webhook(secret).verify(raw, headers);
      return true;
    },
  },

  "@anthropic-ai/sdk": {
    async verify({ text, headers, secret }) {
      const { default: Anthropic } = await import("@anthropic-ai/sdk");
      new Anthropic({ apiKey: "unused" }).beta.webhooks.unwrap(text, { headers, key: secret });
      return true;
    },
  },

  "crisp-api": {
    async verify({ text, headers, secret }) {
      const { Crisp } = await import("crisp-api");
      return new Crisp().verifyWidget(
        secret,
        JSON.parse(text),
        headers["x-crisp-request-timestamp"],
        headers["x-crisp-signature"],
      );
    },
  },

  "retell-sdk": {
    async sign({ text, secret, time }) {
      const { sign } = await import("retell-sdk");
      return { headers: { "X-Retell-Signature": await sign(text, secret, Number(time)) } };
    },
    async verify({ text, headers, secret }) {
      const { verify } = await import("retell-sdk");
      return verify(text, secret, headers["x-retell-signature"]);
    },
  },
};

async function finch() {
  const { default: Finch } = await import("@tryfinch/finch-api");
  return new Finch({ accessToken: "unused" }).webhooks;
}

async function workos() {
  const { WorkOS } = await import("@workos-inc/node");
  return new WorkOS("sk_unused").webhooks;
}

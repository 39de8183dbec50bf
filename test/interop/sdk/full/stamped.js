// SDKs of senders that sign a time with the body.
const seconds = (time) => Math.floor(time / 1000);

export default {
  "@linear/sdk": {
    async verify({ raw, headers, secret }) {
      const { LinearWebhookClient } = await import("@linear/sdk/webhooks");
      const { webhookTimestamp } = JSON.parse(raw);
      const client = new LinearWebhookClient(secret);
      const { type } = client.parseData(raw, headers["linear-signature"], webhookTimestamp);
      return { type };
    },
  },

  "@mux/mux-node": {
    async verify({ text, headers, secret }) {
      const { default: Mux } = await import("@mux/mux-node");
      const mux = new Mux({ tokenId: "unused", tokenSecret: "unused" });
      const { id, type } = await mux.webhooks.unwrap(text, headers, secret);
      return { id, type };
    },
  },

  "@paddle/paddle-node-sdk": {
    async verify({ text, headers, secret }) {
      const { Paddle } = await import("@paddle/paddle-node-sdk");
      const { webhooks } = new Paddle("unused");
      const event = await webhooks.unmarshal(text, secret, headers["paddle-signature"]);
      return { id: event.eventId, type: event.eventType };
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
      const { event_type: type } = (await finch()).unwrap(text, headers, secret);
      return { type };
    },
  },

  "@workos-inc/node": {
    async sign({ text, secret, time }) {
      const webhooks = await workos();
      const signature = await webhooks.computeSignature(Number(time), JSON.parse(text), secret);
      return { headers: { "WorkOS-Signature": `t=${Number(time)}, v1=${signature}` } };
    },
    async verify({ text, headers, secret }) {
      const { id, event: type } = await (await workos()).constructEvent({
        payload: JSON.parse(text), // it writes the JSON anew
        sigHeader: headers["workos-signature"],
        secret,
      });
      return { id, type };
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
      const event = new Lithic({ apiKey: "unused" }).webhooks.unwrap(text, headers, secret);
      return { type: event.event_type };
    },
  },

  openai: {
    async verify({ text, headers, secret }) {
      const { default: OpenAI } = await import("openai");
      const event = await new OpenAI({ apiKey: "unused" }).webhooks.unwrap(text, headers, secret);
      return { type: event.type };
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
      const { type } = new Resend("re_unused").webhooks.verify({
        payload: text,
        headers: {
          id: headers["svix-id"],
          timestamp: headers["svix-timestamp"],
          signature: headers["svix-signature"],
        },
        webhookSecret: secret,
      });
      return { type };
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
      const { type } = new Webhook(secret).verify(raw, headers);
      return { type };
    },
  },

  "@anthropic-ai/sdk": {
    async verify({ text, headers, secret }) {
      const { default: Anthropic } = await import("@anthropic-ai/sdk");
      const { webhooks } = new Anthropic({ apiKey: "unused" }).beta;
      const event = webhooks.unwrap(text, { headers, key: secret });
      return { type: event.data?.type };
    },
  },

  "@elevenlabs/elevenlabs-js": {
    async verify({ text, headers, secret }) {
      const { ElevenLabsClient } = await import("@elevenlabs/elevenlabs-js");
      const client = new ElevenLabsClient({ apiKey: "unused" });
      const event = await client.webhooks.constructEvent(text, headers["elevenlabs-signature"], secret);
      return { type: event.type };
    },
  },

  "@sinch/sdk-core": {
    async verify({ text, headers, secret }) {
      const { ConversationCallbackWebhooks } = (await import("@sinch/sdk-core")).default;
      return new ConversationCallbackWebhooks(secret).validateAuthenticationHeader(headers, text);
    },
  },

  "box-node-sdk": {
    async verify({ text, headers, secret }) {
      const { WebhooksManager } = await import("box-node-sdk/managers");
      // Box names version and algorithm; neither is signed, and the guard has no use for them.
      const named = { "box-signature-version": "1", "box-signature-algorithm": "HmacSHA256", ...headers };
      return WebhooksManager.validateMessage(text, named, secret);
    },
  },

  "orb-billing": {
    async sign({ text, secret, time }) {
      const webhooks = await orb(secret);
      const timestamp = new Date(time).toISOString().replace("Z", ""); // Orb's have no zone
      return {
        headers: {
          "X-Orb-Timestamp": timestamp,
          "X-Orb-Signature": webhooks.signPayload(text, { timestamp, secret }),
        },
      };
    },
    async verify({ text, headers, secret }) {
      const event = (await orb(secret)).unwrap(text, headers, secret);
      return { id: event.id, type: event.type };
    },
  },

  "webflow-api": {
    async verify({ text, headers, secret }) {
      const { WebflowClient } = await import("webflow-api");
      const client = new WebflowClient({ accessToken: "unused" });
      return client.webhooks.verifySignature({ headers, body: text, secret });
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

async function orb(webhookSecret) {
  const { default: Orb } = await import("orb-billing");
  return new Orb({ apiKey: "unused", webhookSecret }).webhooks;
}

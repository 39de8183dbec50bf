// SDKs of senders whose signature is part of the body, a token, or made with a
// private key.
export default {
  "@adyen/api-library standard": {
    async sign({ text, secret }) {
      const { hmacValidator: HmacValidator } = (await import("@adyen/api-library")).default;
      const notification = JSON.parse(text);
      for (const { NotificationRequestItem: item } of notification.notificationItems) {
        item.additionalData = {
          ...item.additionalData,
          hmacSignature: new HmacValidator().calculateHmac(item, secret),
        };
      }
      return { headers: {}, body: JSON.stringify(notification, null, "\t") };
    },
    async verify({ text, secret }) {
      const { hmacValidator: HmacValidator } = (await import("@adyen/api-library")).default;
      return JSON.parse(text).notificationItems.every(({ NotificationRequestItem: item }) =>
        new HmacValidator().validateHMAC(item, secret),
      );
    },
  },

  "@dropbox/sign": {
    async verify({ text, secret }) {
      const { EventCallbackHelper, EventCallbackRequest } = (await import("@dropbox/sign")).default;
      const request = EventCallbackRequest.init(JSON.parse(callback(text)));
      return EventCallbackHelper.isValid(secret, request) && { type: request.event.eventType };
    },
  },

  "@sendgrid/eventwebhook": {
    async verify({ raw, headers, secret }) {
      const { EventWebhook } = (await import("@sendgrid/eventwebhook")).default;
      const webhook = new EventWebhook();
      return webhook.verifySignature(
        webhook.convertPublicKeyToECDSA(secret),
        raw,
        headers["x-twilio-email-event-webhook-signature"],
        headers["x-twilio-email-event-webhook-timestamp"],
      );
    },
  },

  "@vonage/jwt": {
    async verify({ raw, headers, secret }) {
      const { verifySignature } = await import("@vonage/jwt");
      const token = headers.authorization.replace(/^Bearer /, "");
      if (!verifySignature(token, secret)) {
        return false;
      }
      const { createHash } = await import("node:crypto");
      const claims = JSON.parse(Buffer.from(token.split(".")[1], "base64url"));
      return claims.payload_hash === createHash("sha256").update(raw).digest("hex");
    },
  },

  "@wix/sdk": {
    async sign({ secret }) {
      const { SignJWT, importPKCS8 } = await import("jose");
      const data = { eventType: "interop", instanceId: "interop", data: JSON.stringify({ name: "ü 🐟" }) };
      const token = await new SignJWT({ data: JSON.stringify(data) })
        .setProtectedHeader({ alg: "RS256", typ: "JWT" })
        .setIssuedAt()
        .setJti(crypto.randomUUID())
        .setExpirationTime("5m")
        .sign(await importPKCS8(secret, "RS256"));
      return { headers: { "Content-Type": "text/plain" }, body: token };
    },
    async verify({ text, secret }) {
      const { AppStrategy } = await import("@wix/sdk");
      const app = AppStrategy({ appId: "interop", publicKey: secret });
      return (await app.decodeJWT(text)).valid;
    },
  },

  braintree: {
    async sign({ secret, id }) {
      const gateway = await braintree(secret);
      const sample = await gateway.webhookTesting.sampleNotification("subscription_canceled", id);
      return { headers: {}, body: new URLSearchParams(sample).toString() };
    },
    async verify({ text, secret }) {
      const form = new URLSearchParams(text);
      const signature = form.get("bt_signature");
      // The public key is a name that is not signed; the guard has no use for it.
      const gateway = await braintree(secret, signature.split("|")[0]);
      const { kind: type } = await gateway.webhookNotification.parse(signature, form.get("bt_payload"));
      return { type };
    },
  },

  "discord-interactions": {
    async verify({ raw, headers, secret }) {
      const { verifyKey } = await import("discord-interactions");
      return verifyKey(raw, headers["x-signature-ed25519"], headers["x-signature-timestamp"], secret);
    },
  },

  "livekit-server-sdk": {
    async sign({ raw, secret }) {
      const { AccessToken } = await import("livekit-server-sdk");
      const { createHash } = await import("node:crypto");
      const token = new AccessToken("interop", secret, { ttl: "5m" });
      token.sha256 = createHash("sha256").update(raw).digest("base64");
      return { headers: { Authorization: await token.toJwt(), "Content-Type": "application/webhook+json" } };
    },
    async verify({ text, headers, secret }) {
      const { WebhookReceiver } = await import("livekit-server-sdk");
      // The API key is the token's issuer: a name that the guard has no use for, but
      // there must be one.
      const claims = Buffer.from(headers.authorization.split(".")[1], "base64url");
      const { iss } = JSON.parse(claims);
      if (!iss) {
        throw new Error("the token names no issuer");
      }
      const event = await new WebhookReceiver(iss, secret).receive(text, headers.authorization);
      return { id: event.id, type: event.event };
    },
  },

  telnyx: {
    async verify({ text, headers, secret }) {
      const { default: Telnyx } = await import("telnyx");
      const { webhooks } = new Telnyx({ apiKey: "unused", publicKey: secret });
      const { data } = await webhooks.unwrap(text, { headers });
      return { id: data.id, type: data.event_type };
    },
  },
};

async function braintree(privateKey, publicKey = "interop") {
  const { BraintreeGateway, Environment } = (await import("braintree")).default;
  return new BraintreeGateway({
    environment: Environment.Sandbox,
    merchantId: "unused",
    publicKey,
    privateKey,
  });
}

// callback takes the event out of a form's field, of either kind of form.
function callback(text) {
  if (text.startsWith("{")) {
    return text;
  }
  const part = /name="json"[^]*?\r\n\r\n([^]*?)\r\n--/.exec(text);
  return part ? part[1] : new URLSearchParams(text).get("json");
}

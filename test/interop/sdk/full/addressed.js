// SDKs of senders that sign the URL.
export default {
  "@contentful/node-apps-toolkit": {
    async sign({ text, secret, url, method, time }) {
      const { signRequest } = await import("@contentful/node-apps-toolkit");
      const headers = { "X-Contentful-Topic": "ContentManagement.Entry.publish" };
      return {
        headers: {
          ...headers,
          ...signRequest(secret, { method, path: pathOf(url), headers, body: text }, Number(time)),
        },
      };
    },
    async verify({ text, headers, secret, url, method }) {
      const { verifyRequest } = await import("@contentful/node-apps-toolkit");
      return verifyRequest(secret, { method, path: pathOf(url), headers, body: text });
    },
  },

  "@hubspot/api-client v1": hubspot("v1"),
  "@hubspot/api-client v2": hubspot("v2"),
  "@hubspot/api-client v3": hubspot("v3"),

  messagebird: {
    async verify({ raw, headers, secret, url }) {
      const { default: signature } = await import("messagebird/lib/webhook-signature-jwt.js");
      const { createSecretKey } = await import("node:crypto");
      const key = createSecretKey(Buffer.from(secret));
      return signature.verify(url, raw, headers["messagebird-signature-jwt"], key);
    },
  },

  plivo: {
    async verify({ headers, secret, url }) {
      const { validateSignature } = (await import("plivo")).default;
      return validateSignature(
        url,
        headers["x-plivo-signature-v2-nonce"],
        headers["x-plivo-signature-v2"],
        secret,
      );
    },
  },

  square: {
    async verify({ text, headers, secret, url }) {
      const { WebhooksHelper } = await import("square");
      return WebhooksHelper.verifySignature({
        requestBody: text,
        signatureHeader: headers["x-square-hmacsha256-signature"],
        signatureKey: secret,
        notificationUrl: url,
      });
    },
  },

  twilio: {
    async sign({ text, secret, url }) {
      const { default: twilio } = await import("twilio");
      const signature = twilio.getExpectedTwilioSignature(secret, url, await fields(text));
      return { headers: { "X-Twilio-Signature": signature } };
    },
    async verify({ text, headers, secret, url }) {
      const { default: twilio } = await import("twilio");
      return twilio.validateRequest(secret, headers["x-twilio-signature"], url, await fields(text));
    },
  },
};

function hubspot(signatureVersion) {
  const name = signatureVersion === "v3" ? "X-HubSpot-Signature-v3" : "X-HubSpot-Signature";
  const load = async () => (await import("@hubspot/api-client")).default.Signature;
  return {
    async sign({ text, secret, url, method, time }) {
      const signature = (await load()).getSignature(method, signatureVersion, {
        clientSecret: secret,
        requestBody: text,
        url,
        timestamp: Number(time),
      });
      return {
        headers: {
          [name]: signature,
          ...(signatureVersion === "v3"
            ? { "X-HubSpot-Request-Timestamp": String(Number(time)) }
            : { "X-HubSpot-Signature-Version": signatureVersion }),
        },
      };
    },
    async verify({ text, headers, secret, url, method }) {
      return (await load()).isValid({
        signatureVersion,
        method,
        clientSecret: secret,
        requestBody: text,
        url,
        signature: headers[name.toLowerCase()],
        timestamp: Number(headers["x-hubspot-request-timestamp"]),
      });
    },
  };
}

function pathOf(url) {
  const { pathname, search } = new URL(url);
  return pathname + search;
}

// fields reads a form as web frameworks do.
async function fields(text) {
  const { parse } = await import("node:querystring");
  return parse(text);
}

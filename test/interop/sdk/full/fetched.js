// SDKs of senders whose public keys are fetched, and jose, with which they have their
// receivers verify where they have none.
//
// secret is the private key to sign with, in PEM, and to verify with the address of the
// keys: /.well-known/jwks.json and /certs, the latter in PEM as Google has them too.
// keys is that address in either case.
// pubsub is what the table has the guard know of a subscription.
const pubsub = {
  aud: "https://hooks.example.com/push",
  email: "pusher@project.iam.gserviceaccount.com",
  email_verified: true,
};

// entra are what the table has the guard know of a tenant.
const entra = {
  iss: "https://sts.windows.net/72f988bf-86f1-41af-91ab-2d7cd011db47/",
  aud: "api://hooks.example.com",
  appid: "4962773b-9cdb-44cf-a8bf-237846a00ab7",
};

const shipengine = {
  async sign({ raw, secret, time }) {
    const { sign } = await import("node:crypto");
    const stamp = new Date(time).toISOString();
    const signature = sign("sha256", Buffer.concat([Buffer.from(stamp + "."), raw]), secret);
    return {
      headers: {
        "X-ShipEngine-Timestamp": stamp,
        "X-ShipEngine-RSA-SHA256-Signature": signature.toString("base64"),
      },
    };
  },
  async verify({ raw, headers, secret }) {
    const text = Buffer.concat([Buffer.from(headers["x-shipengine-timestamp"] + "."), raw]);
    const signature = Buffer.from(headers["x-shipengine-rsa-sha256-signature"], "base64");
    return verified("RS256", "sha256", secret, text, signature);
  },
};

export default {
  "@kinde/webhooks": {
    async verify({ text, secret }) {
      const { decodeWebhook } = await import("@kinde/webhooks");
      const event = await decodeWebhook(text, secret);
      return event && { id: event.event_id, type: event.type };
    },
  },

  "google-auth-library": {
    async verify({ headers, text, secret }) {
      const { OAuth2Client } = await import("google-auth-library");
      const client = new OAuth2Client({
        endpoints: { oauth2FederatedSignonPemCertsUrl: secret + "/certs" },
      });
      const ticket = await client.verifyIdToken({
        idToken: headers.authorization.replace(/^Bearer /, ""),
        audience: pubsub.aud,
      });
      const { email, email_verified: verified } = ticket.getPayload();
      // The documentation has receivers compare these.
      return Boolean(verified) && email === pubsub.email && { id: JSON.parse(text).message.messageId };
    },
  },

  "event-notification-nodejs-sdk": {
    async verify({ text, headers, secret }) {
      const { default: ebay } = await import("event-notification-nodejs-sdk");
      const { default: client } = await import("event-notification-nodejs-sdk/lib/client.js");
      // It knows no other address than eBay's.
      client.getPublicKey = async (id) =>
        (await fetch(secret + "/commerce/notification/v1/public_key/" + id)).json();
      const account = { clientId: "client", clientSecret: "secret" };
      const config = { PRODUCTION: account, SANDBOX: account };
      return (await ebay.process(JSON.parse(text), headers["x-ebay-signature"], config, "PRODUCTION")) === 204;
    },
  },

  "jose circle": named("x-circle-key-id", "x-circle-signature", (event) => ({
    id: event.notificationId,
    type: event.notificationType,
  })),

  "jose github-secret-scanning": named("github-public-key-identifier", "github-public-key-signature"),

  "jose plaid": {
    async sign({ raw, secret, keys, time }) {
      const claims = { iat: Math.floor(time / 1000), request_body_sha256: await digest(raw, "hex") };
      return { headers: { "Plaid-Verification": await token("ES256", claims, secret, keys) } };
    },
    async verify({ raw, headers, secret }) {
      const { importJWK, jwtVerify } = await import("jose");
      const response = await fetch(secret + "/webhook_verification_key/get", { method: "POST", body: "{}" });
      const { key } = await response.json();
      const { payload } = await jwtVerify(headers["plaid-verification"], await importJWK(key, "ES256"), {
        algorithms: ["ES256"],
        maxTokenAge: "5 min",
      });
      return payload.request_body_sha256 === (await digest(raw, "hex"));
    },
  },

  "sns-validator": {
    async verify({ text, secret }) {
      const { default: MessageValidator } = await import("sns-validator");
      const { globalAgent } = await import("node:https");
      globalAgent.options.ca = secret;
      const { MessageId: id, Type: type } = await new Promise((resolve, reject) => {
        const validator = new MessageValidator(/^127\.0\.0\.1:\d+$/);
        validator.validate(text, (error, message) => (error ? reject(error) : resolve(message)));
      });
      return { id, type };
    },
  },

  "jose fal": {
    async sign({ raw, secret, id, time }) {
      const { sign } = await import("node:crypto");
      const headers = {
        "X-Fal-Webhook-Request-Id": id,
        "X-Fal-Webhook-User-Id": "github|1234",
        "X-Fal-Webhook-Timestamp": String(Math.floor(time / 1000)),
      };
      const signature = sign(null, await falText(Object.values(headers), raw), secret);
      return { headers: { ...headers, "X-Fal-Webhook-Signature": signature.toString("hex") } };
    },
    async verify({ raw, headers, secret }) {
      const text = await falText(
        ["request-id", "user-id", "timestamp"].map((name) => headers["x-fal-webhook-" + name]),
        raw,
      );
      return verified("EdDSA", null, secret, text, Buffer.from(headers["x-fal-webhook-signature"], "hex"));
    },
  },

  "jose fireblocks-v2": {
    async sign({ raw, secret, keys }) {
      const { FlattenedSign, importPKCS8 } = await import("jose");
      const [{ kid }] = await published(keys);
      const made = await new FlattenedSign(raw)
        .setProtectedHeader({ alg: "RS512", kid })
        .sign(await importPKCS8(secret, "RS512"));
      return { headers: { "Fireblocks-Webhook-Signature": `${made.protected}..${made.signature}` } };
    },
    async verify({ raw, text, headers, secret }) {
      const { createRemoteJWKSet, flattenedVerify } = await import("jose");
      const [head, , signature] = headers["fireblocks-webhook-signature"].split(".");
      const token = { protected: head, payload: raw.toString("base64url"), signature };
      const keys = createRemoteJWKSet(new URL(secret + "/.well-known/jwks.json"));
      await flattenedVerify(token, keys, { algorithms: ["RS512"] });
      const { id, eventType: type } = JSON.parse(text);
      return { id, type };
    },
  },

  "jose fusionauth": {
    async sign({ raw, secret, keys }) {
      const claims = { request_body_sha256: await digest(raw, "base64") };
      return { headers: { "X-FusionAuth-Signature-JWT": await token("RS256", claims, secret, keys) } };
    },
    async verify({ raw, text, headers, secret }) {
      const claims = await claimsOf(headers["x-fusionauth-signature-jwt"], secret, ["RS256"]);
      const { event } = JSON.parse(text);
      return claims.request_body_sha256 === (await digest(raw, "base64")) && { id: event.id, type: event.type };
    },
  },

  "jose azure-event-grid-entra": {
    async sign({ secret, keys, time }) {
      const claims = { ...entra, iat: Math.floor(time / 1000) };
      return { headers: { Authorization: "Bearer " + (await token("RS256", claims, secret, keys)) } };
    },
    async verify({ headers, secret }) {
      const { appid } = await claimsOf(headers.authorization.replace(/^Bearer /, ""), secret, ["RS256"], {
        issuer: entra.iss,
        audience: entra.aud,
      });
      return appid === entra.appid;
    },
  },

  "jose google-gemini-dynamic": {
    async sign({ secret, keys, id, time }) {
      const stamp = Math.floor(time / 1000);
      return {
        headers: {
          "Webhook-Id": id,
          "Webhook-Timestamp": String(stamp),
          "Webhook-Signature": await token("RS256", { aud: "my-project", iat: stamp }, secret, keys),
        },
      };
    },
    async verify({ headers, secret }) {
      const audience = "my-project";
      return Boolean(await claimsOf(headers["webhook-signature"], secret, ["RS256"], { audience }));
    },
  },

  "jose neon-auth": {
    async sign({ raw, secret, keys, time }) {
      const { FlattenedSign, importPKCS8 } = await import("jose");
      const [{ kid }] = await published(keys);
      const stamp = String(Number(time));
      const made = await new FlattenedSign(neonText(stamp, raw))
        .setProtectedHeader({ alg: "EdDSA", kid })
        .sign(await importPKCS8(secret, "EdDSA"));
      return {
        headers: {
          "X-Neon-Timestamp": stamp,
          "X-Neon-Signature-Kid": kid,
          "X-Neon-Signature": `${made.protected}..${made.signature}`,
        },
      };
    },
    async verify({ raw, text, headers, secret }) {
      const { importJWK, flattenedVerify } = await import("jose");
      const jwk = (await published(secret)).find(({ kid }) => kid === headers["x-neon-signature-kid"]);
      const [head, , signature] = headers["x-neon-signature"].split(".");
      const payload = neonText(headers["x-neon-timestamp"], raw).toString("base64url");
      await flattenedVerify({ protected: head, payload, signature }, await importJWK(jwk, "EdDSA"));
      const { event_id: id, event_type: type } = JSON.parse(text);
      return { id, type };
    },
  },

  "jose google-pubsub": {
    async sign({ secret, keys, time }) {
      const claims = { ...pubsub, iss: "https://accounts.google.com", iat: Math.floor(time / 1000) };
      return { headers: { Authorization: "Bearer " + (await token("RS256", claims, secret, keys)) } };
    },
    async verify({ headers, secret }) {
      const claims = await claimsOf(headers.authorization.replace(/^Bearer /, ""), secret, ["RS256"], {
        issuer: "https://accounts.google.com",
        audience: pubsub.aud,
      });
      return Boolean(claims.email_verified) && claims.email === pubsub.email;
    },
  },

  "jose kinde": {
    async sign({ secret, keys, id }) {
      const claims = { event_id: id, type: "user.created", data: { user: { id: "kp_1", name: "ü 🐟" } } };
      return {
        headers: { "Content-Type": "application/jwt" },
        body: await token("RS256", claims, secret, keys),
      };
    },
    async verify({ text, secret }) {
      const { event_id: id, type } = await claimsOf(text, secret, ["RS256"]);
      return { id, type };
    },
  },

  "jose shipengine": shipengine,
  "jose shipstation-v2": shipengine,
};

// named signs the body with ECDSA, and names the key in a header of its own.
function named(keyHeader, signatureHeader, read = () => true) {
  return {
    async sign({ raw, secret, keys }) {
      const { sign } = await import("node:crypto");
      const [{ kid }] = await published(keys);
      return {
        headers: { [keyHeader]: kid, [signatureHeader]: sign("sha256", raw, secret).toString("base64") },
      };
    },
    async verify({ raw, text, headers, secret }) {
      const [{ kid }] = await published(secret);
      const signature = Buffer.from(headers[signatureHeader], "base64");
      const genuine = kid === headers[keyHeader] && (await verified("ES256", "sha256", secret, raw, signature));
      return genuine && read(JSON.parse(text));
    },
  };
}

async function digest(raw, encoding) {
  const { createHash } = await import("node:crypto");
  return createHash("sha256").update(raw).digest(encoding);
}

async function falText(parts, raw) {
  return Buffer.from([...parts, await digest(raw, "hex")].join("\n"));
}

function neonText(stamp, raw) {
  return Buffer.from(stamp + "." + raw.toString("base64url"));
}

async function published(address) {
  const response = await fetch(address + "/.well-known/jwks.json");
  return (await response.json()).keys;
}

// verified reports whether one of the published keys verifies a signature that names none.
async function verified(alg, hash, address, text, signature) {
  const { importJWK } = await import("jose");
  const { KeyObject, verify } = await import("node:crypto");
  for (const jwk of await published(address)) {
    const key = await importJWK(jwk, alg);
    if (verify(hash, text, key instanceof KeyObject ? key : KeyObject.from(key), signature)) {
      return true;
    }
  }
  return false;
}

// token is signed under the name of the published key, whoever's the private one is.
async function token(alg, claims, pem, address) {
  const { SignJWT, importPKCS8 } = await import("jose");
  const [{ kid }] = await published(address);
  return new SignJWT(claims)
    .setProtectedHeader({ alg, typ: "JWT", kid })
    .setExpirationTime("5m")
    .sign(await importPKCS8(pem, alg));
}

async function claimsOf(text, address, algorithms, more) {
  const { createRemoteJWKSet, jwtVerify } = await import("jose");
  const keys = createRemoteJWKSet(new URL(address + "/.well-known/jwks.json"));
  return (await jwtVerify(text, keys, { algorithms, ...more })).payload;
}

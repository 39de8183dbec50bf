// SDKs of senders that verify with certificates.
export default {
  // The certificates are the signer's, its issuer's and the root, in base64, joined by spaces:
  // in keys to sign with, and in secret to verify with.
  "@apple/app-store-server-library": {
    async sign({ secret, keys, id, time }) {
      const { SignJWT, importPKCS8 } = await import("jose");
      const token = await new SignJWT({
        notificationType: "SUBSCRIBED",
        subtype: "INITIAL_BUY",
        notificationUUID: id,
        version: "2.0",
        signedDate: Number(time),
        data: { environment: "Production", appAppleId: 41234, bundleId: "com.example" },
      })
        .setProtectedHeader({ alg: "ES256", x5c: keys.split(" ") })
        .sign(await importPKCS8(secret, "ES256"));
      return { headers: {}, body: JSON.stringify({ signedPayload: token }) };
    },
    async verify({ text, secret }) {
      const { Environment, SignedDataVerifier } = await import("@apple/app-store-server-library");
      const roots = [Buffer.from(secret.split(" ")[2], "base64")];
      const verifier = new SignedDataVerifier(roots, false, Environment.PRODUCTION, "com.example", 41234);
      const event = await verifier.verifyAndDecodeNotification(JSON.parse(text).signedPayload);
      return { id: event.notificationUUID, type: event.notificationType };
    },
  },

  // With this package PayPal's documentation has receivers verify by themselves. secret is the
  // authority that vouches for the address of the certificate.
  "buffer-crc32": {
    async verify({ raw, headers, secret }) {
      const { default: crc32 } = await import("buffer-crc32");
      const { verify } = await import("node:crypto");
      const certificate = await download(headers["paypal-cert-url"], secret);
      const text = [
        headers["paypal-transmission-id"],
        headers["paypal-transmission-time"],
        "4JH86294D6297924G",
        crc32.unsigned(raw),
      ].join("|");
      const signature = Buffer.from(headers["paypal-transmission-sig"], "base64");
      return verify("sha256", Buffer.from(text), certificate, signature) && { id: headers["paypal-transmission-id"] };
    },
  },
};

async function download(url, ca) {
  const { Agent, get } = await import("node:https");
  const agent = new Agent({ ca }); // what the global one trusts goes before what a call says
  const response = await new Promise((resolve, reject) => get(url, { agent }, resolve).on("error", reject));
  let text = "";
  for await (const part of response) {
    text += part;
  }
  return text;
}

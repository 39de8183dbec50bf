// Stripe's webhooks in an Express app, with everything that Webhook Guard does in
// front of one: the signature over the raw body, freshness, and each event once.
//
// Fairness. It is the app itself, so it saves the hop that a gateway makes. It runs
// one worker per CPU, with the kernel's and Node's own HMAC. Each event costs two
// commands on Redis, as with the guard: a claim before the handler and a mark after
// it, before the answer. What it does not do, and the guard does: renew the claim of
// a handler that takes long, fence a mark or a release that comes late, wait for the
// outcome of a copy that is being handled, bound the memory of bodies, count metrics.
import cluster from "node:cluster";
import { createHmac, randomUUID, timingSafeEqual } from "node:crypto";
import { availableParallelism } from "node:os";
import express from "express";
import Redis from "ioredis";

const secret = process.env.STRIPE_SECRET;
const tolerance = 300; // seconds
const lease = 10_000; // ms
const remember = 96 * 3600 * 1000; // ms: Stripe retries for three days

if (cluster.isPrimary) {
  for (let i = 0; i < availableParallelism(); i++) cluster.fork();
} else {
  serve();
}

function serve() {
  const redis = new Redis(process.env.REDIS_URL);
  const app = express();
  app.disable("x-powered-by");
  app.disable("etag");

  app.post("/webhooks/stripe", express.raw({ type: () => true, limit: "10mb" }), async (req, res) => {
    if (!genuine(req.body, req.get("Stripe-Signature") ?? "")) {
      return res.status(401).send("signature");
    }
    const event = JSON.parse(req.body);
    const key = `stripe:${event.id}`;
    if ((await redis.set(key, randomUUID(), "PX", lease, "NX")) === null) {
      const done = (await redis.get(key)) === "done";
      return res.status(done ? 200 : 503).send(done ? "duplicate" : "in flight");
    }
    try {
      handle(event);
    } catch (error) {
      await redis.del(key);
      throw error;
    }
    await redis.set(key, "done", "PX", remember);
    res.send("ok");
  });

  app.listen(Number(process.env.PORT), "127.0.0.1", (error) => {
    if (error) throw error;
  });
}

// genuine checks the header t=<seconds>,v1=<hex>.
function genuine(body, header) {
  const parts = Object.fromEntries(header.split(",").map((part) => part.split("=", 2)));
  const fresh = Math.abs(Date.now() / 1000 - Number(parts.t)) <= tolerance; // NaN is not
  const given = Buffer.from(parts.v1 ?? "", "hex");
  if (!fresh || given.length !== 32) return false;
  const expected = createHmac("sha256", secret).update(`${parts.t}.`).update(body).digest();
  return timingSafeEqual(expected, given);
}

// handle is the work of the app: none, as with the small app behind the gateways.
function handle(event) {
  return event.type;
}

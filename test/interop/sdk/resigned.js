// An Express app that takes only what its Standard Webhooks library verifies.
import { createRequire } from "node:module";
import { Webhook } from "standardwebhooks";

const express = createRequire(process.env.EXPRESS_DIR + "/")("express");
const webhook = new Webhook(process.env.RESIGN_SECRET);
const app = express();

app.post("/{*path}", express.raw({ type: () => true }), (req, res) => {
  try {
    webhook.verify(req.body, req.headers);
  } catch (error) {
    return res.status(401).send(error.message);
  }
  const attempt = req.get("webhook-guard-attempt");
  console.log(`verified ${req.get("webhook-id")} at ${req.get("webhook-timestamp")} in attempt ${attempt}`);
  res.status(attempt === "1" ? 500 : 204).end(); // an inbox tries again
});

app.listen(Number(process.env.PORT), "127.0.0.1", () => console.log("ready"));

// An Express app behind Webhook Guard.
//
// What arrives here is verified, fresh and not a duplicate: the gateway has checked
// that. The app listens on the loopback interface only, so that nobody gets past
// the gateway.
import express from "express";

const app = express();
// Accept any Content-Type, and bodies as large as the gateway lets through: GitHub's have up
// to 25 MiB.
app.use(express.json({ type: () => true, limit: "25mb" }));

app.post("/webhooks/:provider", (req, res) => {
  const eventType = req.get("Webhook-Guard-Event") ?? "-";
  const eventId = req.get("Webhook-Guard-Id") ?? "-";
  handle(req.params.provider, eventType, eventId, req.body);
  res.status(204).end(); // the event is finished: from now on it is a duplicate
});

// Your work. An exception becomes a 500, and the sender's next retry is forwarded.
function handle(provider, eventType, eventId, event) {
  console.log(`handled ${provider} ${eventType} ${eventId}`);
}

app.listen(Number(process.env.PORT ?? 3000), "127.0.0.1", (error) => {
  if (error) throw error;
});

"""A Flask app behind Webhook Guard.

What arrives here is verified, fresh and not a duplicate: the gateway has checked
that. The app listens on the loopback interface only, so that nobody gets past the
gateway. In a container it listens for the network that it shares with the gateway alone.
"""

import logging
import os
import sys

from flask import Flask, request

# Not print, whose lines run into each other where several threads print.
logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)

app = Flask(__name__)


@app.post("/webhooks/<provider>")
def webhook(provider):
    event_type = request.headers.get("Webhook-Guard-Event", "-")
    event_id = request.headers.get("Webhook-Guard-Id", "-")
    event = request.get_json(force=True)  # accept any Content-Type
    handle(provider, event_type, event_id, event)
    return "", 204  # the event is finished: from now on it is a duplicate


def handle(provider, event_type, event_id, event):
    """Your work. An exception becomes a 500, and the sender's next retry is forwarded."""
    logging.info("handled %s %s %s", provider, event_type, event_id)


if __name__ == "__main__":
    # Flask's own server keeps the example short; use a WSGI server in production.
    app.run(host=os.environ.get("LISTEN_HOST", "127.0.0.1"), port=int(os.environ.get("PORT", "5000")))

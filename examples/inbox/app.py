"""A slow Flask app behind an inbox of Webhook Guard.

GitHub waits ten seconds for an answer and never tries twice. This app takes a second for
each event, and may be restarted at any time: the inbox has answered GitHub already, and
delivers until the app answers success.
"""

import logging
import os
import sys
import time

from flask import Flask, request

# Not print, whose lines run into each other where several threads print.
logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)

app = Flask(__name__)
SECONDS = float(os.environ.get("SECONDS", "1"))


@app.post("/webhooks/github")
def webhook():
    event = request.get_json(force=True)
    event_id = request.headers.get("Webhook-Guard-Id", "-")
    attempt = request.headers.get("Webhook-Guard-Attempt", "1")
    logging.info("working on %s, attempt %s", event_id, attempt)
    handle(event_id, event)
    return "", 204  # from now on the event is finished


def handle(event_id, event):
    """Your work. It begins again where the app was ended in the middle of it, so what it
    writes should be keyed by the event's ID."""
    time.sleep(SECONDS)
    logging.info("handled %s", event_id)


if __name__ == "__main__":
    # Flask's own server keeps the example short; use a WSGI server in production.
    app.run(host="127.0.0.1", port=int(os.environ.get("PORT", "5000")), threaded=True)

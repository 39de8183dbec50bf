"""A Flask app that verifies Standard Webhooks as the specification says.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import hashlib
import hmac
import os
import time

from flask import Flask, abort, request

app = Flask(__name__)
KEY = base64.b64decode(os.environ["RESIGN_SECRET"].removeprefix("whsec_"))


@app.post("/<path:path>")
def take(path):
    event_id, stamp = request.headers.get("webhook-id", ""), request.headers.get("webhook-timestamp", "")
    if not stamp.isdigit() or abs(time.time() - int(stamp)) > 300:
        abort(401)
    mac = hmac.new(KEY, f"{event_id}.{stamp}.".encode() + request.get_data(), hashlib.sha256).digest()
    expected = "v1," + base64.b64encode(mac).decode()
    if not any(hmac.compare_digest(expected, s) for s in request.headers.get("webhook-signature", "").split(" ")):
        abort(401)
    attempt = request.headers.get("webhook-guard-attempt")
    print("verified", event_id, "at", stamp, "in attempt", attempt, flush=True)
    return "", 500 if attempt == "1" else 204  # an inbox tries again


if __name__ == "__main__":
    app.run("127.0.0.1", int(os.environ["PORT"]))

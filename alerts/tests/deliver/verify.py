"""Verifies messages by the Standard Webhooks' own library. Standard input: a JSON array of {secret, id, timestamp, signature, body, now};
standard output: a JSON array of whether each is good."""
import base64
import json
import sys
from datetime import datetime, timezone
from unittest import mock

from standardwebhooks import webhooks


def is_good(case):
    headers = {
        "webhook-id": case["id"],
        "webhook-timestamp": str(case["timestamp"]),
        "webhook-signature": case["signature"],
    }
    clock = mock.Mock(wraps=datetime)
    clock.now.side_effect = lambda tz=None: datetime.fromtimestamp(case["now"], tz=timezone.utc)
    with mock.patch.object(webhooks, "datetime", clock):
        try:
            webhooks.Webhook(case["secret"]).verify(base64.b64decode(case["body"]), headers)
        except json.JSONDecodeError:
            return True  # the signature was good; that the body is no JSON is another thing
        except (webhooks.WebhookVerificationError, ValueError):
            return False
    return True


json.dump([is_good(case) for case in json.load(sys.stdin)], sys.stdout)

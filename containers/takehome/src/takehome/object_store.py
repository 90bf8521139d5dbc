"""How an object store is reached, and what its errors mean."""

import os
import re
from datetime import timedelta
from typing import Any

RETRIES: Any = {"max_retries": 2, "retry_timeout": timedelta(seconds=5)}  # the library's three minutes look like a hang

# What an error's text or code says, and what to do about it. The texts themselves may hold access keys.
_CAUSES = {
    r"NoSuchBucket": "there is no such bucket. Check its name, or create the bucket.",
    r"RequestTimeTooSkewed": "it refuses this machine's clock, which is off by more than 15 minutes. Set the clock.",
    r"InvalidAccessKeyId|SignatureDoesNotMatch|InvalidToken|ExpiredToken|Unauthenticated": "it refuses the "
    "credentials. Check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN).",
    r"169\.254\.169\.254|Missing \w+": "no credentials were found. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
    r"AccessDenied|403 Forbidden": "access is denied. Check what these credentials may do there.",
    r"Redirect|AuthorizationHeaderMalformed": "the bucket is in another region. Check AWS_REGION.",
    r"SlowDown|503 Service Unavailable|500 Internal": "it is overloaded or broken just now. Try again later.",
    r"BadScheme": "its address is http://, which nothing protects. Where that is right, set AWS_ALLOW_HTTP=true.",
    r"dns error": "it can't be reached: its name doesn't resolve. Check AWS_ENDPOINT_URL, and this machine's network.",
    r"Timeout|TimedOut": "it can't be reached: no answer in time. Check AWS_ENDPOINT_URL, and this machine's network.",
    r"kind: Connect": "it can't be reached: nobody answers there. Check AWS_ENDPOINT_URL, and whether it runs.",
}


def client_options(**timeouts: str) -> Any:
    """Return how to talk to it; the environment's AWS_ALLOW_HTTP doesn't count any more where options are given."""
    allow_http = os.environ.get("AWS_ALLOW_HTTP", "").lower() == "true"
    return {"allow_http": allow_http, "connect_timeout": "3s", **timeouts}


def cause(text: str) -> str:
    """Say in a sentence what an error's text means, and what to do; nothing of the text itself is told."""
    known = next((cause for pattern, cause in _CAUSES.items() if re.search(pattern, text)), None)
    said = re.search(r"<Code>(\w+)</Code>", text) or re.search(r"status code: (\d+)", text)
    return known or f"it failed ({said[1] if said else 'for a reason not known here'}). Try again later."

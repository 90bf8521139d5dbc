"""How an object store is reached, and what its errors mean."""

import os
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

RETRIES: Any = {"max_retries": 2, "retry_timeout": timedelta(seconds=5)}  # the library's three minutes look like a hang


@dataclass(frozen=True)
class Variables:
    """Where a kind of store is told of its credentials and its address."""

    credentials: str
    endpoint: str
    http: str


VARIABLES = {
    "s3": Variables(
        "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN)", "AWS_ENDPOINT_URL", "AWS_ALLOW_HTTP"
    ),
    "az": Variables(
        "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_ENDPOINT", "AZURE_ALLOW_HTTP"
    ),
    "gs": Variables("GOOGLE_SERVICE_ACCOUNT_KEY", "GOOGLE_BASE_URL", "GOOGLE_ALLOW_HTTP"),
}

NO_BUCKET = re.compile("NoSuchBucket|ContainerNotFound")
# What an error's text or code says, and what to do about it. The texts themselves may hold access keys.
_CAUSES = {
    NO_BUCKET.pattern: "there is no such bucket. Check its name, or create the bucket.",
    r"RequestTimeTooSkewed": "it refuses this machine's clock, which is off by more than 15 minutes. Set the clock.",
    r"Invalid ?Access ?Key|SignatureDoesNotMatch|(Invalid|Expired)Token|Unauthenticated|Authentication[FR]": "it "
    "refuses the credentials. Check {of.credentials}.",
    r"Unable to decode service account|Error reading pem|Invalid RSA key|No RSA key": "{of.credentials} is not the "
    "JSON of a key. Set what was downloaded, on one line.",
    r"Unable to open service account": "the file with the credentials can't be opened. Set {of.credentials} instead.",
    r"169\.254\.169\.254|Missing ?\w+|metadata\.google": "no credentials were found. Set {of.credentials}.",
    r"AccessDenied|403 Forbidden": "access is denied. Check what these credentials may do there.",
    r"Redirect|AuthorizationHeaderMalformed": "the bucket is in another region. Check AWS_REGION.",
    r"SlowDown|503 Service Unavailable|500 Internal": "it is overloaded or broken just now. Try again later.",
    r"BadScheme": "its address is http://, which nothing protects. Where that is right, set {of.http}=true.",
    r"dns error": "it can't be reached: its name doesn't resolve. Check {of.endpoint}, and this machine's network.",
    r"Timeout|TimedOut": "it can't be reached: no answer in time. Check {of.endpoint}, and this machine's network.",
    r"kind: Connect": "it can't be reached: nobody answers there. Check {of.endpoint}, and whether it runs.",
}


def client_options(scheme: str = "s3", **timeouts: str) -> Any:
    """Return how to talk to it; the variable that allows http:// doesn't count any more where options are given."""
    allow_http = os.environ.get(VARIABLES[scheme].http, "").lower() == "true"
    return {"allow_http": allow_http, "connect_timeout": "3s", **timeouts}


def cause(text: str, scheme: str = "s3") -> str:
    """Say in a sentence what an error's text means, and what to do; nothing of the text itself is told."""
    known = next((cause for pattern, cause in _CAUSES.items() if re.search(pattern, text)), None)
    said = re.search(r"<Code>(\w+)</Code>", text) or re.search(r"status code: (\d+)", text)
    if known:
        return known.format(of=VARIABLES[scheme])
    return f"it failed ({said[1] if said else 'for a reason not known here'}). Try again later."

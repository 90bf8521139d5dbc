"""The figures of all worker processes, added up."""

import os

from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector


def figures() -> Response:
    """Return them in Prometheus' text format."""
    registry = REGISTRY
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:  # set by start.py for several workers
        MultiProcessCollector(registry := CollectorRegistry())
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

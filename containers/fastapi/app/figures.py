"""The figures of all worker processes, added up."""

import os
from contextlib import suppress
from pathlib import Path

from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead


def figures() -> Response:
    """Return them in Prometheus' text format."""
    registry = REGISTRY
    if folder := os.environ.get("PROMETHEUS_MULTIPROC_DIR"):  # set by start.py for several workers
        _forget_killed(folder)
        MultiProcessCollector(registry := CollectorRegistry())
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


def _forget_killed(folder: str) -> None:
    """Count no rows as waiting whose worker was killed."""
    for file in Path(folder).glob("gauge_live*.db"):
        worker = int(file.stem.rpartition("_")[2])
        try:
            os.kill(worker, 0)
        except OSError:  # there is none, or its number went to another's process
            with suppress(FileNotFoundError):  # another worker may do the same
                mark_process_dead(worker, folder)

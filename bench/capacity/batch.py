"""What batches of several sizes take of the processor inside the API: printed as JSON.

    python -m bench.capacity.batch MODELS_DIR ROWS_FILE

A process of its own, so that it runs on the server's core with the server's settings.
"""

import json
import sys
import time
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path
from statistics import median

from app.served import Served
from takehome.artifact import load_model

SIZES = (1, 16, 64, 256, 512)
REPEATS = 15


def main(models: Path, file: Path) -> None:
    """Time them."""
    served = Served(load_model(models_dir=models))
    rows = [*islice(cycle(json.loads(line) for line in file.read_text().splitlines()), max(SIZES))]
    print(json.dumps([(size, _seconds(lambda size=size: served.answer(rows[:size]))) for size in SIZES]))  # type: ignore[misc]


def _seconds(work: Callable[[], object]) -> float:
    """Return the processor time that it takes in the median."""
    times = []
    for _ in range(REPEATS):
        began = time.thread_time()
        work()
        times.append(time.thread_time() - began)
    return median(times)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

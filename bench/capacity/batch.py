"""What a batch takes of the processor inside the API, and a row of its log: printed as JSON.

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

from app.log_lines import Answered, lines
from app.served import Served
from takehome.artifact import load_model

SIZES = (1, 16, 64, 256, 512)
REPEATS = 15


def main(models: Path, file: Path) -> None:
    """Time batches of several sizes, and the lines of the largest."""
    served = Served(load_model(models_dir=models))
    rows = [*islice(cycle(json.loads(line) for line in file.read_text().splitlines()), max(SIZES))]
    batches = [(size, _seconds(lambda size=size: served.answer(rows[:size]))) for size in SIZES]  # type: ignore[misc]
    now, answers = int(1000 * time.time()), served.answer(rows)
    each = [Answered(now, "0" * 32, served.version, [r], [a], None) for r, a in zip(rows, answers, strict=True)]
    log = _seconds(lambda: [list(lines(answered)) for answered in each]) / len(rows)
    print(json.dumps({"batches": batches, "log": log}))


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

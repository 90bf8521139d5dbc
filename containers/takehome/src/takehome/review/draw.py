"""Rows of the committee's own data to ask a submitted model, and the true answers, which it doesn't get to see.

Run as `python -m takehome.review.draw MODEL_JSON STATIC_DIR`: prints JSON.
"""

import json
import sys
from pathlib import Path

import numpy as np

from takehome.errors import TakehomeError
from takehome.metadata import Metadata, read_metadata
from takehome.reading import read_arrow, to_frame
from takehome.schema import RowSchema
from takehome.sources import find_sources

ROWS = 10_000


def draw(metadata: Metadata, static: Path) -> dict[str, list]:
    """Return up to `ROWS` random rows of the first table that has all columns of the model, with the target's values.

    Returns
    -------
    `{"rows": [...], "truth": [...]}`, or both empty where the notebook made its columns by itself.
    """
    schema = RowSchema.from_json(metadata.row_schema)
    wanted = list(metadata.row_schema["properties"])
    for path in find_sources(static)[0].values():
        table = read_arrow(path)
        if not {metadata.target, *wanted} <= set(table.column_names):
            continue
        known = np.flatnonzero(np.asarray(table[metadata.target].is_valid()))
        chosen = np.sort(np.random.default_rng(0).permutation(known)[:ROWS])
        frame = to_frame(table.take(chosen))
        truth = [value.item() if hasattr(value, "item") else value for value in frame[metadata.target]]
        return {"rows": schema.to_rows(frame[wanted]), "truth": truth}
    return {"rows": [], "truth": []}


def main() -> None:
    """Print the rows as JSON; where the data doesn't fit the model, none."""
    try:
        found = draw(read_metadata(Path(sys.argv[1])), Path(sys.argv[2]))
    except (TakehomeError, OSError, ValueError, TypeError, KeyError):
        found = {"rows": [], "truth": []}
    json.dump(found, sys.stdout, default=str)


if __name__ == "__main__":
    main()

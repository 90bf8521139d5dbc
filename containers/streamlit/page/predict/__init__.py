"""One row: the form, its answer, and why."""

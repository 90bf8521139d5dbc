"""What a process is told that runs somebody's code: a model that is proved, a notebook that is run again."""

import os

_SECRETS = ("PGPASS", "JUPYTER_TOKEN", "AWS_", "GOOGLE_", "AZURE_", "FSSPEC_")


def without_secrets() -> dict[str, str]:
    """Return the variables of this process without those that open a database, JupyterLab or an object store."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_SECRETS)}

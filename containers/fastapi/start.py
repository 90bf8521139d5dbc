"""Start the API."""

import os
import resource
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import uvicorn
from pydantic import ValidationError
from pydantic_settings import SettingsError
from takehome.errors import TakehomeError
from takehome.proof.forkserver import started
from takehome.settings import is_url, open_store


def main() -> None:
    """Serve until a signal; a wrong setting ends it with one line."""
    with TemporaryDirectory(prefix="takehome-api-") as folder:
        os.environ["WORKERS_DIR"] = folder
        # A thread each for BLAS and OpenMP: one predicts at a time, and more would only wait for each other.
        for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
            os.environ.setdefault(variable, "1")
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # a file a client: idle ones must not keep others out
        try:
            from app.settings import settings  # noqa: PLC0415  # reads the environment

            if is_url(settings.models_dir):
                open_store(settings.models_dir, settings.models_mirror)
        except TakehomeError as error:
            sys.exit(f"{error} Then start again.")
        except SettingsError as error:
            sys.exit(f"{error}. Correct the variable, then start again.")
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            name, given = str(first["loc"][0]).upper(), first["input"]
            sys.exit(f"{name}={given}: {first['msg']}. Correct the variable, then start again.")
        if settings.web_concurrency > 1:
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        with started(Path(folder)):
            uvicorn.run(
                "app.main:app",
                host=settings.host,
                port=settings.port,
                workers=settings.web_concurrency,
                root_path=settings.root_path,
                loop="uvloop",
                http="app.protocol:Protocol",
                proxy_headers=False,
                ws="none",
                log_level=settings.log_level,
                access_log=settings.log_level == "debug",
                server_header=False,
                timeout_graceful_shutdown=5,
                timeout_worker_healthcheck=60,  # a model that holds the interpreter for seconds is slow, not dead
            )


if __name__ == "__main__":
    main()

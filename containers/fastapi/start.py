"""Start the API."""

import os
import resource
import sys
import tempfile

import uvicorn
from pydantic import ValidationError
from pydantic_settings import SettingsError

if __name__ == "__main__":
    try:
        from app.settings import settings
    except SettingsError as error:
        sys.exit(f"{error}. Correct the variable, then start again.")
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        sys.exit(
            f"{str(first['loc'][0]).upper()}={first['input']}: {first['msg']}. Correct the variable, then start again."
        )
    # A thread each for BLAS and OpenMP: one predicts at a time, and more would only wait for each other.
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(variable, "1")
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # a file a client: idle ones must not keep others out
    with tempfile.TemporaryDirectory(prefix="takehome-figures-") as folder:
        if settings.web_concurrency > 1:
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        uvicorn.run(
            "app.main:app",
            host=settings.host,
            port=settings.port,
            workers=settings.web_concurrency,
            loop="uvloop",
            http="httptools",
            ws="none",
            log_level=settings.log_level,
            access_log=settings.log_level == "debug",
            server_header=False,
            timeout_graceful_shutdown=5,
            timeout_worker_healthcheck=60,  # a model that holds the interpreter for seconds is slow, not dead
        )

"""Start the API."""

import os
import resource
import sys
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import uvicorn
from pydantic import ValidationError
from pydantic_settings import SettingsError
from takehome.errors import TakehomeError
from takehome.proof.forkserver import started
from takehome.settings import is_url, open_store
from uvicorn.main import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

ACCEPTED = 32  # connections in a turn of the event loop


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
            config = uvicorn.Config(
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
            serve(config)


def serve(config: uvicorn.Config) -> None:
    """Serve, and let in many at a time.

    Libuv accepts one connection a turn from a socket that it listens on, https://github.com/libuv/libuv/pull/3696: with
    a batch in each turn, clients would wait for seconds at the door. So it is given the same socket several times.
    """
    try:
        listening = config.bind_socket()
    except SystemExit:  # it has said why
        sys.exit(
            f"Nothing can listen on port {config.port} of {config.host}. Set another PORT, or end what has this one."
        )
    sockets = [listening, *(listening.dup() for _ in range(ACCEPTED - 1))]
    if config.workers > 1:
        Multiprocess(config, sockets).run()
        return
    server = uvicorn.Server(config)
    with suppress(KeyboardInterrupt):
        server.run(sockets)
    if not server.started:
        sys.exit(STARTUP_FAILURE)


if __name__ == "__main__":
    main()

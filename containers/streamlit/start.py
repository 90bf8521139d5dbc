"""Start the page: `python containers/streamlit/start.py`, from any folder."""

import os
import signal
import sys
import tempfile
from pathlib import Path

from page.settings import Settings
from pydantic import ValidationError

HERE = Path(__file__).resolve().parent


def main() -> None:
    """Serve until a signal ends it."""
    settings = _settings()
    os.chdir(HERE)  # Streamlit finds .streamlit/config.toml here.
    # Streamlit looks for a home, which a user id without an entry in /etc/passwd does not have.
    os.environ.setdefault("HOME", tempfile.gettempdir())
    from page.server import serve  # noqa: PLC0415 (importing Streamlit reads its configuration)

    for number in (signal.SIGTERM, signal.SIGINT):
        # Raised again by uvicorn after it has closed everything: don't wait for a page that still waits for the API.
        signal.signal(number, lambda *_: os._exit(0))
    serve(settings)


def _settings() -> Settings:
    try:
        return Settings()
    except ValidationError as error:
        lines = (f"{e['loc'][0]}".upper() + f"={e['input']!r}: {e['msg']}." for e in error.errors())
        sys.exit("\n".join(lines))


if __name__ == "__main__":
    main()

"""The four addresses, told once, when the whole system answers."""

import threading
import time

from page.api import Api
from page.contract import Ready
from page.settings import Settings


def addresses(settings: Settings) -> str:
    """List where each service is found from outside."""
    if door := settings.public_url:
        services = {"Page": f"{door}/", "JupyterLab": f"{door}/jupyter/", "API": f"{door}/api/docs"}
    else:
        services = {
            "JupyterLab": f"http://127.0.0.1:{settings.jupyter_port}",
            "PostgreSQL": f"postgresql://local@127.0.0.1:{settings.postgres_port}/local",
            "API": f"http://127.0.0.1:{settings.api_port}/docs",
            "Page": f"http://127.0.0.1:{settings.streamlit_port}",
        }
    return "\n".join(["Ready.", *(f"  {name:<12} {address}" for name, address in services.items())])


def announce_when_ready(settings: Settings) -> None:
    """Print the addresses as soon as the API serves a model; returns at once."""
    threading.Thread(target=_wait_and_print, args=(settings,), daemon=True).start()


def _wait_and_print(settings: Settings) -> None:
    api = Api(settings.api_url, settings.api_key_file)
    while not isinstance(api.ready(), Ready):
        time.sleep(1)
    print(addresses(settings), flush=True)

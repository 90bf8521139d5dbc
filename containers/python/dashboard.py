"""The door of the scheduler's dashboard, which Dask opens to any page: a browser of this machine alone may come in."""

from typing import Any
from urllib.parse import urlsplit

from distributed import Scheduler
from tornado.httputil import HTTPServerRequest
from tornado.web import ErrorHandler

HOSTS = {"localhost", "127.0.0.1", "::1"}


def dask_setup(scheduler: Scheduler) -> None:
    """Refuse a foreign Host or Origin on every path, websockets too; Dask calls this before it serves."""
    application = scheduler.http_application
    find = application.find_handler

    def find_handler(request: HTTPServerRequest, **options: Any) -> Any:
        if _is_ours(request):
            return find(request, **options)
        return application.get_handler_delegate(request, ErrorHandler, {"status_code": 403})

    application.find_handler = find_handler


def _is_ours(request: HTTPServerRequest) -> bool:
    hosts, origins = request.headers.get_list("Host"), request.headers.get_list("Origin")
    return len(hosts) == 1 and _name(hosts[0]) in HOSTS and all(origin == f"http://{hosts[0]}" for origin in origins)


def _name(host: str) -> str | None:
    try:
        parts = urlsplit(f"//{host}")
        return parts.hostname if parts.netloc == host and "@" not in host else None
    except ValueError:
        return None

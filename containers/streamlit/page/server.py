"""Streamlit behind the door, without its banners."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import streamlit as st
import uvicorn
from starlette.middleware import Middleware

from page.announcement import announce_when_ready
from page.door import Door
from page.settings import Settings

SCRIPT = Path(__file__).with_name("app.py")


def serve(settings: Settings) -> None:
    """Serve the page until a signal ends it."""

    @asynccontextmanager
    async def lifespan(_: st.App) -> AsyncIterator[None]:
        print(f"The page listens on {settings.host}:{settings.port} and asks the API at {settings.api_url}", flush=True)
        if settings.announce:
            announce_when_ready(settings)
        yield

    app = st.App(SCRIPT, middleware=[Middleware(Door)], lifespan=lifespan, on_script_error=_apologise)
    uvicorn.run(
        app,
        host=settings.host,
        port=settings.port,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=2,
    )


def _apologise(_: Exception) -> bool:
    """Show words in place of Streamlit's own box; the log has the trace."""
    st.error("Something went wrong in this page. Reload it; the log of `streamlit` says what happened.")
    return True

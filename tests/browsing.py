"""Pages opened in a browser."""

from playwright.sync_api import Error, Page, Request


def visit(tab: Page, url: str) -> None:
    """Open a page, again if need be: where a container comes or goes, Chromium drops whatever it is loading."""
    for _ in range(5):
        dropped: list[Request | Error] = []

        def note(request: Request, dropped: list[Request | Error] = dropped) -> None:
            if "ERR_NETWORK_CHANGED" in (request.failure or ""):
                dropped.append(request)

        tab.on("requestfailed", note)
        try:
            tab.goto(url)
            tab.wait_for_load_state("networkidle")  # what the page itself asks for comes after it
        except Error as error:
            if "ERR_NETWORK_CHANGED" not in error.message:
                raise
            dropped.append(error)
        tab.remove_listener("requestfailed", note)
        if not dropped:
            return

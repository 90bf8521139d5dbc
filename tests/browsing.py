"""Pages opened in a browser, and what a person does there."""

import re
from pathlib import Path

from playwright.sync_api import Error, Locator, Page, Request, expect
from waiting import PATIENCE

SCREENSHOTS = Path(__file__).with_name("screenshots")
SOON = 1000 * PATIENCE  # ms
expect.set_options(timeout=SOON)
CURL = {
    "age_group": "Under 15 yrs",
    "reported_race_ethnicity": "White, non-Hispanic",
    "previous_births": "None",
    "tobacco_use_during_pregnancy": "Yes",
    "adequate_prenatal_care": "Inadequate",
}


def visit(tab: Page, url: str) -> None:
    """Open a page, again if need be: where a container comes or goes, Chromium drops whatever it is loading."""
    tab.set_default_timeout(SOON)
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


def field(tab: Page, name: str) -> Locator:
    """Find a field by its label; odd names stand between backticks there."""
    return tab.get_by_label(re.compile(rf"^(`+ ?)?{re.escape(name)}( ?`+)?$")).first


def choose(tab: Page, name: str, option: str) -> None:
    """Choose an option of a select box."""
    field(tab, name).click()
    tab.get_by_role("option", name=option, exact=True).click()


def drawn(tab: Page) -> None:
    """Wait until the browser shows all that the page has sent: what is typed before may be drawn over."""
    tab.locator("[data-test-script-state=notRunning]").wait_for()


def submit(tab: Page) -> None:
    """Press the button of the form."""
    drawn(tab)
    tab.get_by_role("button", name="Submit").click()


def picture(tab: Page, name: str) -> None:
    """Keep what is seen, for eyes."""
    SCREENSHOTS.mkdir(exist_ok=True)
    tab.mouse.move(0, 0)
    tab.wait_for_timeout(400)
    tab.screenshot(path=SCREENSHOTS / f"{name}.png")

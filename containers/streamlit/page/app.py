"""The page from top to bottom. Streamlit runs this file anew at each interaction."""

from pathlib import Path

import streamlit as st

from page import answer, form, heading
from page.answer import Outcome
from page.api import POLL_SECONDS, Api
from page.contract import Ready, Served, Unavailable
from page.literal import literal
from page.settings import Settings

# A file: icons by name and emojis would come from a public address.
ICON = str(Path(__file__).with_name("icon.svg"))
STYLE = Path(__file__).with_name("style.css")
state = st.session_state


@st.cache_resource(show_spinner=False)
def api() -> Api:
    """One client for all readers."""
    return Api(Settings().api_url)


@st.fragment(run_every=POLL_SECONDS)
def watch(drawn: Served | None) -> None:
    """Look again at what the API serves; redraw the whole page where it was drawn for another model."""
    status = api().ready()
    state.served, trouble = look(state.get("served"), status)
    if state.served != drawn:
        st.rerun()
    if drawn:
        heading.show(drawn.model)
    if trouble:
        st.info(literal(trouble.reason), title="Waiting for the API", icon=":material/hourglass_empty:")
        st.caption("This page comes alive by itself.")
    elif isinstance(status, Ready) and status.refused:
        st.warning(literal(status.refused), title="The model saved last does not answer here", icon=":material/block:")


def look(known: Served | None, status: Ready | Unavailable) -> tuple[Served | None, Unavailable | None]:
    """Give the model being served, the known one as long as there is no newer, and why the API has none."""
    if isinstance(status, Unavailable):
        return known, status
    if known and known.model.version == status.version:
        return known, None
    found = api().served()
    return (found, None) if isinstance(found, Served) else (known, found)


def main() -> None:
    """Draw title, form and answer."""
    served: Served | None = state.get("served")
    name = served.model.name if served else "Prediction"
    st.set_page_config(page_title=name, page_icon=ICON, layout="centered")
    st.html(STYLE)
    st.title(literal(name), anchor=False)
    watch(served)
    if served is None:
        return
    with st.container(border=True):
        row = form.row(served.schema)
        if st.button("Submit", type="primary", width="stretch"):
            state.outcome = Outcome(served.model, row, api().predict(row))
    outcome: Outcome | None = state.get("outcome")
    if outcome and outcome.model == served.model:
        answer.show(outcome, row)


main()

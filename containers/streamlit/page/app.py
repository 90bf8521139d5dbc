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
def watch() -> None:
    """Look again at what the API serves, and redraw the whole page when that changes."""
    status = api().ready()
    if status != state.get("status"):
        state.status = status
        renew(status)
        st.rerun()
    if served := state.get("served"):
        heading.show(served.model)
    if isinstance(state.get("trouble"), Unavailable):
        st.info(literal(state.trouble.reason), title="Waiting for the API", icon=":material/hourglass_empty:")


def renew(status: Ready | Unavailable) -> None:
    """Fetch the model and its schema when the version is a new one; else keep the last."""
    state.trouble = status if isinstance(status, Unavailable) else None
    served: Served | None = state.get("served")
    if isinstance(status, Unavailable) or (served and served.model.version == status.version):
        return
    match api().served():
        case Served() as renewed:
            state.served = renewed
            state.pop("outcome", None)
        case Unavailable() as trouble:
            state.trouble, state.status = trouble, trouble


def main() -> None:
    """Draw title, form and answer."""
    served: Served | None = state.get("served")
    name = served.model.name if served else "Prediction"
    st.set_page_config(page_title=name, page_icon=ICON, layout="centered")
    st.html(STYLE)
    st.title(literal(name), anchor=False)
    watch()
    if served is None:
        st.caption("This page comes alive by itself.")
        return
    with st.container(border=True):
        row = form.row(served.schema)
        if st.button("Submit", type="primary", width="stretch"):
            state.outcome = Outcome(row, api().predict(row))
    if "outcome" in state:
        answer.show(state.outcome, row, served.model)


main()

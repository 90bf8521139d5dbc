"""What the API serves, looked at again and again: the page follows without being reloaded."""

import streamlit as st

from page import heading
from page.api import POLL_SECONDS, Api
from page.contract import Ready, Served, Unavailable
from page.literal import literal
from page.settings import Settings

state = st.session_state


@st.cache_resource(show_spinner=False)
def api() -> Api:
    """One client for all readers."""
    settings = Settings()
    return Api(settings.api_url, settings.api_key_file)


@st.fragment(run_every=POLL_SECONDS)
def watch(drawn: Served | None) -> None:
    """Look at what the API serves; redraw the whole page where it was drawn for another model."""
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
    elif isinstance(status, Ready) and status.store:
        st.warning(literal(status.store), title="A newer model may exist", icon=":material/cloud_off:")


def look(known: Served | None, status: Ready | Unavailable) -> tuple[Served | None, Unavailable | None]:
    """Give the model being served, the known one as long as there is no newer, and why the API has none."""
    if isinstance(status, Unavailable):
        return known, status
    if known and known.model.version == status.version:
        return known, None
    found = api().served()
    return (found, None) if isinstance(found, Served) else (known, found)

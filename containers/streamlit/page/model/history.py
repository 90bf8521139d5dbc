"""The saved models, newest first: what was served before can be served again."""

import streamlit as st

from page.contract import Model, Saved, Unavailable
from page.figures import age, figure, metric
from page.literal import literal
from page.watch import api

state = st.session_state


def show(model: Model) -> None:
    """List the models with a button for each that is not being served, and what was refused."""
    saved = api().models()
    if isinstance(saved, Unavailable):
        st.caption(f"No list of models: {literal(saved.reason)}")
    else:
        if state.get("rollback"):
            _show_request(state.rollback, model)
        for one in saved:
            _line(one)
    known = api().model()
    refused = known.refused if isinstance(known, Model) else None
    if refused:
        when = f", {age(refused.at)}" if refused.at else ""
        title = f"Refused: {refused.version or 'the model saved last'}{when}"
        st.warning(literal(refused.reason), title=literal(title), icon=":material/block:")


def _show_request(request: tuple[str, Unavailable | None], model: Model) -> None:
    version, trouble = request
    if trouble:
        st.error(literal(trouble.reason), title=f"{literal(version)} is not served", icon=":material/block:")
    elif version != model.version:
        st.info(f"{literal(version)} is being proved; it answers within seconds.", icon=":material/hourglass_empty:")
    else:
        st.success(f"{literal(version)} answers now.", icon=":material/check:")


def _line(saved: Saved) -> None:
    with st.container(border=True, horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        score = f" · {literal(metric(saved.score.name))} {figure(saved.score.value)}" if saved.score else ""
        words = f"**{literal(saved.name)}** · {literal(saved.version)} · saved {age(saved.created)}{score}"
        st.markdown(words, width="content")
        if saved.served:
            st.badge("serving", color="green")
        else:
            label = f"Serve {saved.version}"
            st.button(label, key=f"serve {saved.version}", on_click=_serve, args=(saved.version,))


def _serve(version: str) -> None:
    state.rollback = (version, api().make_current(version))

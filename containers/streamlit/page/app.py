"""The four pages under one heading. Streamlit runs this file anew at each interaction."""

from pathlib import Path

import streamlit as st

from page.batch import view as batch
from page.contract import Served
from page.data import view as data
from page.literal import literal
from page.model import view as model
from page.predict import view as predict
from page.watch import watch

# A file: icons by name and emojis would come from a public address.
ICON = str(Path(__file__).with_name("icon.svg"))
STYLE = Path(__file__).with_name("style.css")

served: Served | None = st.session_state.get("served")
name = served.model.name if served else "Prediction"
st.set_page_config(page_title=name, page_icon=ICON, layout="wide")
st.html(STYLE)
page = st.navigation(
    [
        st.Page(predict.show, title="Predict", url_path="predict", default=True),
        st.Page(batch.show, title="Batch", url_path="batch"),
        st.Page(model.show, title="Model", url_path="model"),
        st.Page(data.show, title="Data", url_path="data"),
    ],
    position="top",
)
st.title(literal(name), anchor=False)
watch(served)
page.run()

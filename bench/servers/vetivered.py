"""vetiver's API, with a handler that answers probabilities and knows missing values."""

from typing import Any

import pandas as pd
from pipeline import ESTIMATOR, Row
from vetiver import VetiverAPI, VetiverModel
from vetiver.handlers.sklearn import SKLearnHandler


class Probabilities(SKLearnHandler):
    """Answers probabilities where vetiver's own answers classes."""

    def construct_prototype(self) -> Any:
        return Row

    def handler_predict(self, input_data: pd.DataFrame, check_prototype: bool) -> list[list[float]]:  # noqa: ARG002
        return self.model.predict_proba(input_data.fillna(float("nan"))).tolist()


app = VetiverAPI(VetiverModel(Probabilities(ESTIMATOR, None), model_name="bench", prototype_data=None)).app

"""MLflow's scoring server: the pipeline as its own format wants it, then its own command."""

import os
import sys
import tempfile

import mlflow
import numpy as np
import pandas as pd
from pipeline import DTYPES, ESTIMATOR
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

KINDS = {"float64": "double", "int64": "long", "bool": "boolean", "str": "string"}

if __name__ == "__main__":
    path = tempfile.mkdtemp(dir=os.environ["SCRATCH"])
    missing = FunctionTransformer(pd.DataFrame.fillna, kw_args={"value": np.nan})  # it hands None to the pipeline
    columns = [
        mlflow.types.ColSpec(KINDS[dtype], name, required=dtype in ("int64", "bool")) for name, dtype in DTYPES.items()
    ]
    mlflow.sklearn.save_model(
        make_pipeline(missing, ESTIMATOR),
        f"{path}/model",
        pyfunc_predict_fn="predict_proba",
        signature=mlflow.models.ModelSignature(mlflow.types.Schema(columns)),
        pip_requirements=[],
        serialization_format="cloudpickle",
    )
    serve = ["models", "serve", "--model-uri", f"{path}/model", "--env-manager", "local", "--workers", "1"]
    os.execv(sys.executable, [sys.executable, "-m", "mlflow", *serve, "--host", "127.0.0.1", "--port", sys.argv[1]])

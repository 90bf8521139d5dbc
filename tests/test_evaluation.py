"""What `save_model` finds out about a model: threshold, figures and how sure they are, importance, profile."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
import takehome
from sklearn import metrics as sk
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.ensemble import VotingClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    TunedThresholdClassifierCV,
    cross_val_predict,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier
from takehome.intervals import intervals
from takehome.outcome import Labels, Numbers
from takehome.profile import histogram, profile
from takehome.schema import RowSchema


def linear() -> Any:
    return make_pipeline(StandardScaler(), LogisticRegression())


class Split(NamedTuple):
    """A data set, and three parts of it that share no row."""

    all: tuple[pd.DataFrame, pd.Series]
    train: tuple[pd.DataFrame, pd.Series]
    valid: tuple[pd.DataFrame, pd.Series]
    test: tuple[pd.DataFrame, pd.Series]


@pytest.fixture(scope="module")
def tumours() -> Split:
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    X = X.iloc[:, :5]
    return Split((X, y), (X[::2], y[::2]), (X[1::4], y[1::4]), (X[3::4], y[3::4]))


def saved(model: Any, data: tuple, folder: Path, **options: Any) -> takehome.Model:
    takehome.save_model(model, *data, name="t", models_dir=folder, **options)
    return takehome.load_model(models_dir=folder)


def test_threshold_decides_and_is_told(tumours: Split, tmp_path: Path) -> None:
    model = saved(linear().fit(*tumours.train), tumours.all, tmp_path, evaluate=tumours.test, threshold=0.9)
    answers = model.predict(tumours.test[0])
    positive = np.array([answer["probabilities"]["1"] >= 0.9 for answer in answers])
    assert [answer["prediction"] for answer in answers] == np.where(positive, "1", "0").tolist()
    known = model.metadata
    assert (known.threshold, known.threshold_rule) == (0.9, "Set in the notebook.")
    counts = sk.confusion_matrix(tumours.test[1], positive)
    assert known.confusion == {"labels": ["0", "1"], "counts": counts.tolist()}
    assert known.operating_point is not None
    assert known.operating_point["precision"] == pytest.approx(sk.precision_score(tumours.test[1], positive))
    assert known.operating_point["recall"] == pytest.approx(sk.recall_score(tumours.test[1], positive))
    assert known.metrics["f1"] == pytest.approx(sk.f1_score(tumours.test[1], positive))


@pytest.mark.parametrize(("rule", "score"), [("balanced_accuracy", sk.balanced_accuracy_score), ("f1", sk.f1_score)])
def test_rule_chooses_the_best_threshold_of_the_validation_rows(
    tumours: Split, tmp_path: Path, rule: str, score: Any
) -> None:
    estimator = linear().fit(*tumours.train)
    model = saved(estimator, tumours.all, tmp_path, evaluate=tumours.test, threshold=rule, choose_on=tumours.valid)
    p = estimator.predict_proba(tumours.valid[0])[:, 1]
    best = max(score(tumours.valid[1], p >= cut) for cut in np.unique(p)[1:])
    assert model.metadata.threshold is not None
    assert score(tumours.valid[1], p >= model.metadata.threshold) == pytest.approx(best)
    assert model.metadata.threshold not in p, "no rounding moves a row across"
    assert f"({best:.3f}) on 142 validation rows" in str(model.metadata.threshold_rule)


def test_rule_chooses_on_probabilities_of_a_cross_validation(tumours: Split, tmp_path: Path) -> None:
    p = cross_val_predict(linear(), *tumours.train, method="predict_proba")[:, 1]
    weights = np.arange(len(p)) % 3
    model = saved(
        linear().fit(*tumours.train), tumours.all, tmp_path, threshold="f1", choose_on=(p, tumours.train[1], weights)
    )
    scores = [sk.f1_score(tumours.train[1], p >= cut, sample_weight=weights) for cut in np.unique(p)]
    assert f"Highest F1 score ({max(scores):.3f}) on {weights.sum()} validation rows" in model.metadata.threshold_rule


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"threshold": 1.5}, "threshold=1.5 is no probability between 0 and 1"),
        ({"threshold": True}, "threshold=True is no probability"),
        ({"threshold": "youden"}, "is no rule. Pass one of 'balanced_accuracy', 'f1'"),
        ({"threshold": "f1"}, "needs rows to choose on"),
        ({"threshold": 0.5, "choose_on": "valid"}, "is chosen already"),
        ({"choose_on": "valid"}, "choose_on is for a threshold that a rule chooses"),
        ({"threshold": "f1", "choose_on": "test"}, "choose_on holds rows of evaluate"),
        ({"threshold": "f1", "choose_on": "relabelled"}, "choose_on holds rows of evaluate"),
        ({"threshold": "f1", "choose_on": "half"}, "choose_on holds rows of evaluate"),
        ({"threshold": "f1", "choose_on": "one class"}, "no threshold separates its rows"),
        ({"evaluate": 7}, "evaluate takes a tuple"),
    ],
)
def test_threshold_that_makes_no_sense_is_refused(tumours: Split, tmp_path: Path, options: dict, says: str) -> None:
    samples = {
        "valid": tumours.valid,
        "test": tumours.test,
        "relabelled": tuple(part.reset_index(drop=True) for part in tumours.test),
        "half": tuple(part[::2] for part in tumours.test),
        "one class": tuple(part[tumours.valid[1] == 1] for part in tumours.valid),
    }
    options = {"evaluate": tumours.test} | options
    if "choose_on" in options:
        options["choose_on"] = samples[options["choose_on"]]
    with pytest.raises(takehome.TakehomeError, match=says):
        saved(linear().fit(*tumours.train), tumours.all, tmp_path / "models", **options)
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize(
    ("load", "estimator", "what"),
    [
        (load_diabetes, Ridge(), "a number"),
        (load_wine, DecisionTreeClassifier(), "3 classes"),
        (load_breast_cancer, LinearSVC(), "labels without probabilities"),
    ],
)
def test_model_without_use_for_a_threshold_is_told_so(load: Any, estimator: Any, what: str, tmp_path: Path) -> None:
    data = load(return_X_y=True, as_frame=True)
    with pytest.raises(takehome.TakehomeError, match=f"this model gives {what}. Leave it out"):
        saved(estimator.fit(*data), data, tmp_path, threshold=0.5)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("classes", [2, 5])
def test_figures_are_those_of_scikit_learn(classes: int, weighted: bool) -> None:
    dice = np.random.default_rng(0)
    y, p = dice.integers(classes, size=400), dice.dirichlet(np.ones(classes), 400).round(1) + 1e-3
    p /= p.sum(axis=1, keepdims=True)  # rounded: with many ties
    w, predicted = (dice.integers(0, 4, 400) if weighted else np.ones(400)).astype(float), p.argmax(axis=1)
    found = Labels(y, predicted, p, classes).metrics(w)
    expected = {
        "accuracy": sk.accuracy_score(y, predicted, sample_weight=w),
        "balanced_accuracy": sk.balanced_accuracy_score(y, predicted, sample_weight=w),
        "log_loss": sk.log_loss(y, p, sample_weight=w),
    }
    if classes == 2:
        expected |= {
            "f1": sk.f1_score(y, predicted, sample_weight=w),
            "brier_score": sk.brier_score_loss(y, p[:, 1], sample_weight=w),
            "roc_auc": sk.roc_auc_score(y, p[:, 1], sample_weight=w),
            "average_precision": sk.average_precision_score(y, p[:, 1], sample_weight=w),
        }
    else:
        one_by_one = [sk.roc_auc_score(y == k, p[:, k], sample_weight=w) for k in range(classes)]
        expected |= {
            "f1_macro": sk.f1_score(y, predicted, sample_weight=w, average="macro"),
            "roc_auc_ovr": np.mean(one_by_one),
        }
    assert found == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_figures_of_a_regression_are_those_of_scikit_learn(weighted: bool) -> None:
    dice = np.random.default_rng(0)
    y, predicted = dice.normal(size=(2, 300))
    w = (dice.integers(0, 4, 300) if weighted else np.ones(300)).astype(float)
    assert Numbers(y, predicted).metrics(w) == pytest.approx(
        {
            "mean_absolute_error": sk.mean_absolute_error(y, predicted, sample_weight=w),
            "root_mean_squared_error": sk.root_mean_squared_error(y, predicted, sample_weight=w),
            "r2": sk.r2_score(y, predicted, sample_weight=w),
        }
    )


def test_counted_rows_are_as_sure_as_the_rows_they_stand_for() -> None:
    dice = np.random.default_rng(0)
    y, predicted = dice.integers(2, size=(2, 8))
    counts = dice.integers(1, 500, 8)
    counted = Labels(y, predicted, None, 2)
    single = counted.take(np.repeat(np.arange(8), counts))
    few, many = intervals(counted, counts.astype(float)), intervals(single, np.ones(counts.sum()))
    for name in ("accuracy", "balanced_accuracy"):
        assert few[name] == pytest.approx(many[name], abs=0.005)
    accuracy = counted.metrics(counts.astype(float))["accuracy"]
    expected = 1.96 * np.sqrt(accuracy * (1 - accuracy) / counts.sum())
    assert few["accuracy"] == pytest.approx((accuracy - expected, accuracy + expected), abs=0.005)


def test_intervals_of_very_many_rows_are_as_narrow_as_they_should_be() -> None:
    dice = np.random.default_rng(0)
    true = dice.normal(size=400_000)
    low, high = intervals(Numbers(true, np.zeros(400_000)), np.ones(400_000))["root_mean_squared_error"]
    assert high - low == pytest.approx(2 * 1.96 / np.sqrt(2 * 400_000), rel=0.15)  # of a normal standard deviation
    assert low < 1 < high


def test_every_figure_has_an_interval_around_it(tumours: Split, tmp_path: Path) -> None:
    known = saved(linear().fit(*tumours.train), tumours.all, tmp_path, evaluate=tumours.test).metadata
    assert known.intervals.keys() == known.metrics.keys()
    assert all(low <= known.metrics[name] <= high for name, (low, high) in known.intervals.items())
    assert all(len(points) <= 200 for points in known.curves.values())
    assert set(known.curves) == {"roc", "precision_recall", "calibration"}


def test_the_column_that_decides_is_the_important_one(tmp_path: Path) -> None:
    dice = np.random.default_rng(0)
    X = pd.DataFrame(
        {"noise": dice.normal(size=300), "signal": dice.normal(size=300), "a.b 'c'": ["x", "y", "z"] * 100}
    )
    y = (X["signal"] > 0).map({True: "yes", False: "no"}).rename("bought")
    estimator = make_pipeline(takehome_columns(["noise", "signal"]), LogisticRegression()).fit(X, y)
    known = saved(estimator, (X, y), tmp_path, evaluate=(X, y)).metadata
    assert known.importance_score == "roc_auc"
    assert known.importance[0]["column"] == "signal"
    lost = {one["column"]: one["mean"] for one in known.importance}
    assert lost["signal"] > 0.4
    assert lost["a.b 'c'"] == 0


def takehome_columns(names: list[str]) -> Any:
    from sklearn.compose import ColumnTransformer  # noqa: PLC0415

    return ColumnTransformer([("keep", "passthrough", names)])


def test_without_held_out_rows_nothing_is_claimed(tumours: Split, tmp_path: Path) -> None:
    known = saved(linear().fit(*tumours.train), tumours.all, tmp_path).metadata
    assert (known.metrics, known.intervals, known.curves, known.importance) == ({}, {}, {}, [])
    assert known.confusion is known.operating_point is known.importance_score is None


def test_the_same_data_and_model_give_the_same_metadata(tumours: Split, tmp_path: Path) -> None:
    def once(folder: str) -> dict:
        options = {"evaluate": tumours.test, "threshold": "f1", "choose_on": tumours.valid}
        known = saved(linear().fit(*tumours.train), tumours.all, tmp_path / folder, **options).metadata
        return known.model_dump(exclude={"version", "created"})

    assert once("a") == once("b")


def kinds(rows: int = 1_000) -> pd.DataFrame:
    dice = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "skewed": pd.Series(dice.lognormal(0, 3, rows)).mask(dice.random(rows) < 0.3),
            "few": dice.choice([0, 0, 0, 0, 1, 2], rows),
            "gaps": pd.array([None if i % 5 == 0 else i for i in range(rows)], dtype="Int64"),
            "constant": np.full(rows, 7.5),
            "never": np.full(rows, np.nan),
            "huge": 2 * np.linspace(-0.85e308, 0.85e308, rows),
            "day": pd.date_range("2020-01-01", periods=rows),
            "zoned": pd.date_range("2020-01-01 12:34:56", periods=rows, freq="h", tz="Europe/Paris"),
            "kind": pd.Series([None if i % 10 == 0 else "NA" if i % 3 else "None" for i in range(rows)], dtype="str"),
            "codes": pd.Categorical(dice.choice([3, 1, 2], rows)),
            "city": pd.Series([f"city {i:03}" for i in dice.integers(0, 300, rows)], dtype="str"),
            "flag": pd.array([None if i % 4 == 0 else i % 3 == 0 for i in range(rows)], dtype="boolean"),
            "remark": [f"remark {i}" for i in range(rows)],
        }
    )


def test_profile_says_how_each_column_was_spread() -> None:
    frame = kinds()
    schema = RowSchema.from_frame(frame)
    found = json.loads(json.dumps(profile(schema, frame), allow_nan=False))
    assert list(found) == list(frame.columns)
    for name, column in found.items():
        assert column["missing"] == pytest.approx(frame[name].isna().mean())
        if "shares" in column:
            assert column["missing"] + sum(column["shares"]) + column.get("other", 0) == pytest.approx(1)
        if "edges" in column:
            assert len(column["edges"]) == len(column["shares"]) + 1 <= 11
    assert found["skewed"]["shares"] == pytest.approx([(1 - found["skewed"]["missing"]) / 10] * 10, abs=0.002)
    assert found["few"]["edges"] == [0, 0.5, 1.5, 2]
    assert found["constant"] == {"missing": 0, "edges": [7.5, 7.5], "shares": [1]}
    assert found["never"] == {"missing": 1}
    assert (found["day"]["edges"][0], found["day"]["edges"][-1]) == ("2020-01-01", "2022-09-26")
    assert found["zoned"]["edges"][0] == "2020-01-01T12:34:56+01:00"
    assert found["kind"]["values"] == ["NA", "None"]
    assert len(found["city"]["values"]) == 50
    assert found["city"]["other"] > 0.5
    assert found["flag"]["values"] == [False, True]
    assert found["remark"] == {"missing": 0}


def test_histogram_has_bins_of_equal_width() -> None:
    frame = kinds()
    found = json.loads(json.dumps(histogram(RowSchema.from_frame(frame), frame), allow_nan=False))
    assert list(found) == ["skewed", "few", "gaps", "constant", "huge"]
    widths = np.diff(found["gaps"]["edges"])
    assert len(widths) == 20
    assert widths == pytest.approx(widths[0])
    assert all(sum(bars["shares"]) == pytest.approx(1) for bars in found.values())


@pytest.mark.parametrize("numbers", [2, 7, 12, 20, 30, 31, 365])
def test_histogram_of_whole_numbers_has_no_gaps(numbers: int) -> None:
    frame = pd.DataFrame({"n": range(1, numbers + 1)})
    shares = histogram(RowSchema.from_frame(frame), frame)["n"]["shares"]
    assert len(shares) <= 20
    assert max(shares) <= 2 * min(shares)


class Guess:
    """What an estimator of nobody's library may be: it has a `predict` and no more."""

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        return np.where(X.iloc[:, 0] > 15, 0, 1).reshape(-1, 1)


def test_estimators_that_wrap_others_answer_as_they_do(tumours: Split, tmp_path: Path) -> None:
    wrapped = [
        GridSearchCV(linear(), {"logisticregression__C": [0.1, 1]}),
        CalibratedClassifierCV(linear()),
        TunedThresholdClassifierCV(linear()),
        FixedThresholdClassifier(linear(), threshold=0.9),
        VotingClassifier([("a", linear()), ("b", DecisionTreeClassifier(max_depth=2))]),
    ]
    for estimator in wrapped:
        model = saved(estimator.fit(*tumours.train), tumours.all, tmp_path, evaluate=tumours.test)
        told = [answer["prediction"] for answer in model.predict(tumours.test[0])]
        assert told == estimator.predict(tumours.test[0]).astype(str).tolist()
        assert model.metadata.threshold is None, "its own predict decides"
        assert model.metadata.metrics["accuracy"] == pytest.approx(
            sk.accuracy_score(tumours.test[1], estimator.predict(tumours.test[0]))
        )
    model = saved(Guess(), tumours.all, tmp_path, evaluate=tumours.test, labels={0: "malignant", 1: "benign"})
    assert {answer["prediction"] for answer in model.predict(tumours.test[0])} == {"malignant", "benign"}


def test_regressor_that_transforms_its_target(tmp_path: Path) -> None:
    X, y = load_diabetes(return_X_y=True, as_frame=True)
    estimator = TransformedTargetRegressor(Ridge(), func=np.log, inverse_func=np.exp).fit(X, y)
    known = saved(estimator, (X, y), tmp_path, evaluate=(X, y)).metadata
    assert set(known.curves) == {"predicted_against_true", "residuals"}
    assert all(
        true - predicted == pytest.approx(left)
        for (true, predicted), (_, left) in zip(*known.curves.values(), strict=True)
    )
    assert known.confusion is None
    assert known.importance_score == "r2"

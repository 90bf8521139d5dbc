"""The row schema: what one row of the training dataframe looks like, as JSON Schema 2020-12."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter
from typing import Any, Self

import numpy as np
import pandas as pd
from pandas.api.types import is_object_dtype

from takehome.errors import TakehomeError
from takehome.marginal import Marginal

Value = str | int | float | bool | None
Row = dict[str, Value]

MOST_CATEGORIES = 10_000
_JSON_TYPES = {"number": "number", "integer": "integer", "boolean": "boolean"}
_FORMATS = {"date": "date", "datetime": "date-time"}


@dataclass(frozen=True)
class Column:
    """One feature as the training data had it.

    `kind` is category, text, number, integer, boolean, date or datetime; `dtype` the pandas dtype that the estimator
    was given; `minimum` and `maximum` the observed range (numbers, or ISO text for dates).
    """

    name: str
    kind: str
    dtype: str
    nullable: bool
    default: Value
    categories: tuple[str | int | bool, ...] = ()
    ordered: bool = False
    minimum: str | int | float | None = None
    maximum: str | int | float | None = None

    @classmethod
    def from_marginal(cls, column: Marginal) -> Self:
        """Describe a column of the training dataframe.

        Raises
        ------
        TakehomeError
            Its dtype, or the values in it, can't be sent as JSON.
        """
        present = column.present
        kind = _kind(column)
        if kind == "number" and not np.isfinite(present.astype("float64")).all():
            _refuse(present, "infinity")
        categories: tuple = ()
        if kind == "category":
            is_category = isinstance(present.dtype, pd.CategoricalDtype)
            found = present.cat.categories if is_category else sorted(present.unique())
            categories = tuple(plain(value, kind) for value in found)
        minimum, maximum = _observed_range(present, kind)
        return cls(
            name=str(present.name),
            kind=kind,
            dtype=str(present.dtype),
            nullable=column.missing > 0,
            default=_default(column, kind),
            categories=categories,
            ordered=bool(getattr(present.dtype, "ordered", False)),
            minimum=minimum,
            maximum=maximum,
        )

    @classmethod
    def from_property(cls, name: str, stored: dict[str, Any]) -> Self:
        """Read a column back from its JSON Schema property."""
        return cls(
            name=name,
            kind=stored["x-kind"],
            dtype=stored["x-dtype"],
            nullable=isinstance(stored["type"], list),
            default=stored.get("default"),
            categories=tuple(stored.get("x-categories", ())),
            ordered=stored.get("x-ordered", False),
            minimum=stored.get("x-minimum"),
            maximum=stored.get("x-maximum"),
        )

    def to_property(self) -> dict[str, Any]:
        """Return the JSON Schema of the column; what JSON Schema has no word for stands under `x-`."""
        stored: dict[str, Any] = {
            "type": [self.json_type, "null"] if self.nullable else self.json_type,
            "description": self.description,
            "default": self.default,
            "x-kind": self.kind,
            "x-dtype": self.dtype,
        }
        if self.kind in _FORMATS:
            stored["format"] = _FORMATS[self.kind]
        if self.kind == "integer":
            stored["minimum"], stored["maximum"] = self.bounds
        if self.categories:
            stored |= {"x-categories": list(self.categories), "x-ordered": self.ordered}
        if self.minimum is not None:
            stored |= {"x-minimum": self.minimum, "x-maximum": self.maximum}
        return stored

    @property
    def json_type(self) -> str:
        """The JSON type of a value that is not missing."""
        if self.kind == "category" and not isinstance(self.categories[0], str):
            return "boolean" if isinstance(self.categories[0], bool) else "integer"
        return _JSON_TYPES.get(self.kind, "string")

    @property
    def bounds(self) -> tuple[int, int]:
        """The smallest and the largest whole number that the column's dtype holds."""
        info = np.iinfo(self.dtype.lower() if self.kind == "integer" else "int64")
        return int(info.min), int(info.max)

    @property
    def largest(self) -> float:
        """The largest number that the column's dtype holds."""
        return float(np.finfo(self.dtype.lower() if self.kind == "number" else "float64").max)

    @property
    def years(self) -> range:
        """The years that the column's dtype holds; nanoseconds end in 2262."""
        return range(1678, 2262) if "[ns" in self.dtype else range(1, 10_000)

    @property
    def description(self) -> str:
        """One sentence for the API's docs and the form."""
        if self.categories:
            shown = ", ".join(json.dumps(value, ensure_ascii=False) for value in self.categories[:20])
            return f"One of: {shown}" + (f", … ({len(self.categories):,} in all)" if len(self.categories) > 20 else "")
        if self.minimum is not None:
            return f"Observed in training: {self.minimum} to {self.maximum}"
        return {"text": "Free text", "boolean": "true or false"}.get(self.kind, "No value was observed in training")

    @cached_property
    def _pandas_dtype(self) -> Any:
        if self.dtype == "category":
            return pd.CategoricalDtype(list(self.categories), self.ordered)
        return pd.api.types.pandas_dtype(self.dtype)

    def to_array(self, values: Sequence[Value]) -> Any:
        """Give validated JSON values the dtype that the estimator was trained on; an array of shape (n,)."""
        dtype = self._pandas_dtype
        if self.kind in _FORMATS:
            times = pd.to_datetime(pd.Series(list(values), dtype="str"), format="ISO8601", utc=True)
            aware = isinstance(dtype, pd.DatetimeTZDtype)
            return (times if aware else times.dt.tz_localize(None)).astype(dtype).array  # no zone means UTC
        if self.dtype == "object":
            return np.array([np.nan if value is None else value for value in values], dtype=object)
        return np.array(values, dtype) if isinstance(dtype, np.dtype) else pd.array(values, dtype)


@dataclass(frozen=True)
class RowSchema:
    """The columns of a row, in training order."""

    columns: tuple[Column, ...]

    @classmethod
    def from_frame(cls, frame: pd.DataFrame) -> Self:
        """Describe the whole training dataframe.

        Parameters
        ----------
        frame : (n, k) features, n and k at least 1, each column with a name of its own.

        Raises
        ------
        TakehomeError
            It is no dataframe, is empty, or holds a column that can't be sent as JSON.
        """
        if not isinstance(frame, pd.DataFrame):
            raise TakehomeError(f"X is a {type(frame).__name__}. Pass the pandas DataFrame of the features.")
        if frame.empty:
            raise TakehomeError(f"X has {len(frame)} rows and {frame.shape[1]} columns. Pass all rows the model saw.")
        names = list(frame.columns)
        odd = [name for name in names if not isinstance(name, str) or names.count(name) > 1]
        if odd:
            raise TakehomeError(f"Column {odd[0]!r} of X: each column needs a text name of its own. Rename it.")
        for name in names:
            missing = frame[name][frame[name].isna()] if is_object_dtype(frame[name].dtype) else ()
            if not all(isinstance(value, float) for value in missing):
                _refuse(frame[name], "None")
        return cls(tuple(Column.from_marginal(Marginal.of(frame[name])) for name in names))

    @classmethod
    def from_marginals(cls, columns: Mapping[str, Marginal]) -> Self:
        """Describe rows of which no more is here than how the values of each column are spread.

        Raises
        ------
        TakehomeError
            A column can't be sent as JSON.
        """
        return cls(tuple(Column.from_marginal(column) for column in columns.values()))

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Self:
        """Read the schema back from `to_json`."""
        return cls(tuple(Column.from_property(name, column) for name, column in stored["properties"].items()))

    def to_json(self, title: str, examples: list[Row]) -> dict[str, Any]:
        """Return the JSON Schema of one row."""
        return {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": title,
            "type": "object",
            "properties": {column.name: column.to_property() for column in self.columns},
            "required": [column.name for column in self.columns],
            "additionalProperties": False,
            "examples": examples,
        }

    def to_frame(self, rows: list[Row]) -> pd.DataFrame:
        """Make validated rows the dataframe that the estimator was trained on; shape (len(rows), k)."""
        names = [column.name for column in self.columns]
        pick = itemgetter(*names, names[0])  # one more, since it gives no tuple for a lone name
        values = list(zip(*map(pick, rows), strict=True)) or [()] * len(names)
        return pd.DataFrame({c.name: c.to_array(sent) for c, sent in zip(self.columns, values, strict=False)})

    def to_rows(self, frame: pd.DataFrame) -> list[Row]:
        """Return rows of the training dataframe as JSON values, missing ones as None."""
        values = {c.name: [plain(value, c.kind) for value in frame[c.name]] for c in self.columns}
        return [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]


def _kind(column: Marginal) -> str:
    present, types = column.present, pd.api.types
    dtype = present.dtype
    if isinstance(dtype, pd.ArrowDtype | pd.SparseDtype) or dtype == np.longdouble:
        return _refuse(present, f"values of dtype {dtype}")
    if isinstance(dtype, pd.CategoricalDtype):
        return (
            "category"
            if _one_type(dtype.categories)
            else _refuse(present, "categories that are not all text, all whole numbers or all true/false")
        )
    if isinstance(dtype, pd.StringDtype) or (types.is_object_dtype(dtype) and types.infer_dtype(present) == "string"):
        return "text" if _is_free_text(column) else "category"
    if types.is_datetime64_any_dtype(dtype):
        return "date" if _at_midnight(present) else "datetime"
    known = {types.is_bool_dtype: "boolean", types.is_integer_dtype: "integer", types.is_float_dtype: "number"}
    return next((kind for fits, kind in known.items() if fits(dtype)), "") or _refuse(
        present, f"values of dtype {dtype}"
    )


def _is_free_text(column: Marginal) -> bool:
    distinct = column.present.nunique()
    return distinct == 0 or distinct > MOST_CATEGORIES or (distinct > 20 and distinct > column.counts.sum() / 2)


def _at_midnight(present: pd.Series) -> bool:
    return present.dt.tz is None and bool((present == present.dt.normalize()).all())


def _refuse(series: pd.Series, found: str) -> str:
    raise TakehomeError(
        f"Column {series.name!r} of X holds {found}, which can't be sent as JSON. "
        "Convert it to text, numbers, true/false, dates or a category of one type, and fit the estimator on that."
    )


def _one_type(categories: Iterable) -> bool:
    kinds = {type(plain(value, "category")) for value in categories}
    return len(kinds) == 1 and kinds <= {str, int, bool}


def plain(value: Any, kind: str) -> Any:
    """Return one value of a dataframe as JSON knows it."""
    if pd.isna(value):
        return None
    if kind == "date":
        return value.date().isoformat()
    if kind == "datetime":
        return value.isoformat()
    return value.item() if isinstance(value, np.generic) else value


def _observed_range(present: pd.Series, kind: str) -> tuple[Any, Any]:
    if kind not in ("number", "integer", *_FORMATS) or present.empty:
        return None, None
    return plain(present.min(), kind), plain(present.max(), kind)


def _default(column: Marginal, kind: str) -> Value:
    """Return the most usual value: the median where values have an order and a distance, else the most frequent."""
    if column.present.empty:
        return None
    if kind in ("number", "integer", *_FORMATS):
        return plain(column.ordered().at((column.counts.sum() - 1) // 2), kind)
    return plain(column.frequencies().idxmax(), kind)

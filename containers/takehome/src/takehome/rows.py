"""Reading rows that somebody sent: what is wrong is named by row and column, what is odd is warned about."""

import json
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import partial
from typing import Any, TypeAlias

from pydantic_core import CoreSchema, ErrorDetails, SchemaValidator, ValidationError
from pydantic_core import core_schema as core
from rapidfuzz import fuzz, process

from takehome.schema import Column, Row, RowSchema, Value

Finding: TypeAlias = dict[str, Any]
MOST_ERRORS = 100


class RowError(ValueError):
    """Rows that can't be answered; `detail` lists `{"type", "loc", "msg"}`, at most `MOST_ERRORS` of them."""

    def __init__(self, detail: list[Finding]) -> None:
        super().__init__("; ".join(finding["msg"] for finding in detail[:3]))
        self.detail = detail[:MOST_ERRORS]


class RowReader:
    """Checks rows against a row schema; compiled once per model."""

    def __init__(self, schema: RowSchema) -> None:
        self._columns = {column.name: column for column in schema.columns}
        fields = {column.name: core.typed_dict_field(_values(column)) for column in schema.columns}
        row = core.typed_dict_schema(fields, extra_behavior="forbid")
        self._rows = SchemaValidator(core.list_schema(row, strict=True))
        fields = {column.name: core.typed_dict_field(_usual_values(column)) for column in schema.columns}
        row = core.typed_dict_schema(fields, extra_behavior="forbid")
        self._usual = {False: SchemaValidator(row), True: SchemaValidator(core.list_schema(row))}
        self._watched = [(c.name, watch) for c in schema.columns if (watch := _watch(c)) is not None]

    def read(self, rows: list[Any], *, strict: bool = False) -> tuple[list[Row], list[list[Finding]]]:
        """Check rows.

        Parameters
        ----------
        rows : n decoded JSON values.
        strict : make an error of what would be a warning.

        Returns
        -------
        (rows, warnings) : n rows, and for each the list of its warnings, whose `loc` is `[column]`.

        Raises
        ------
        RowError
            A row is no object, lacks a column, has an unknown one, or holds a value of the wrong type; the `loc` of
            each finding is `["body", row index, column]`.
        """
        try:
            known = self._rows.validate_python(rows)
        except ValidationError as error:
            details = error.errors(include_url=False, include_context=True)
            raise RowError([self._finding(detail) for detail in details[:MOST_ERRORS]]) from None
        warnings = [self._warnings(row, hint=i < MOST_ERRORS) for i, row in enumerate(known)]
        if strict and any(warnings):
            raise RowError([w | {"loc": ["body", i, *w["loc"]]} for i, found in enumerate(warnings) for w in found])
        return known, warnings

    def read_usual(self, content: bytes) -> list[Row] | None:
        """Check and decode a JSON text in one step, where there is nothing to say of it.

        Parameters
        ----------
        content : a row, or a list of n rows, as it was sent.

        Returns
        -------
        n rows as `read` gives them, or None where there would be an error or a warning: `read` tells which.
        """
        many = content[:1] == b"["
        try:
            found = self._usual[many].validate_json(content)
        except ValidationError:
            return None
        rows = found if many else [found]
        return rows if self._each_key_once(content, rows) else None

    def _each_key_once(self, content: bytes, rows: list[Row]) -> bool:
        keys = len(rows) * len(self._columns)
        if content.count(b":") == keys:  # then none of them is in a text, and none stands by a second key
            return True
        counts: list[int] = []
        json.loads(content, object_pairs_hook=lambda pairs: counts.append(len(pairs)))
        return sum(counts) == keys

    def _warnings(self, row: Row, *, hint: bool) -> list[Finding]:
        return [
            {"type": found[0], "loc": [name], "msg": found[1]}
            for name, watch in self._watched
            if row[name] is not None and (found := watch(row[name], hint=hint))
        ]

    def _finding(self, error: ErrorDetails) -> Finding:
        kind, loc = error["type"], ["body", *error["loc"]]
        if len(loc) == 2:
            return {"type": "not_an_object", "loc": loc, "msg": "A row is an object: one value for each column."}
        name = str(loc[2])
        if kind == "missing":
            msg = f"Column {name!r} is missing. {_allowed(self._columns[name])}"
        elif kind == "extra_forbidden":
            kind, msg = "unknown_column", f"Column {shorten(name)} is not a feature of this model.{self._hint(name)}"
        else:
            kind, sent = "wrong_type", error["input"]
            msg = f"{shorten(sent)} doesn't fit column {name!r}. {_allowed(self._columns[name], sent)}"
        return {"type": kind, "loc": loc[:3], "msg": msg}

    def _hint(self, name: str) -> str:
        near = nearest(name, list(self._columns))
        return f" Did you mean {near!r}?" if near else f" Its columns: {', '.join(map(repr, self._columns))}."


def nearest(word: str, known: list[str]) -> str | None:
    """Return the known word that `word` was probably meant to be, whatever its case."""
    folded = [name.casefold() for name in known]
    found = process.extractOne(word.casefold()[:200], folded, scorer=fuzz.ratio, score_cutoff=60)
    return known[found[2]] if found else None


def shorten(value: Any) -> str:
    """Return a decoded JSON value as it was sent, at most 80 characters of it."""
    text = f"'{value}'" if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else text[:79] + "…"


def _values(column: Column) -> CoreSchema:
    """Return what checks the values of a column: JSON's types, nothing converted in silence."""
    low, high = column.bounds
    whole = core.int_schema(strict=True, ge=low, le=high)
    text = core.str_schema(strict=True)
    kinds: dict[str, CoreSchema] = {
        "string": text,
        "boolean": core.bool_schema(strict=True),
        "number": core.float_schema(strict=True, allow_inf_nan=False, ge=-column.largest, le=column.largest),
        "integer": core.no_info_before_validator_function(_whole, whole),
    }
    values = kinds[column.json_type]
    if column.kind in ("date", "datetime"):
        read = _date if column.kind == "date" else _datetime
        values = core.no_info_after_validator_function(partial(read, years=column.years), text)
    return core.nullable_schema(values) if column.nullable else values


def _usual_values(column: Column) -> CoreSchema:
    """Return what takes the values that were seen in training, as JSON has them: what `read` does not warn about."""
    low, high = column.minimum, column.maximum
    watch = _watch(column)
    if watch is None:
        return _values(column)
    if column.kind == "category" and column.json_type == "string":
        values: CoreSchema = core.literal_schema(list(column.categories))
    elif column.kind == "number":
        values = core.float_schema(strict=True, allow_inf_nan=False, ge=float(low), le=float(high))  # type: ignore[arg-type]
    elif column.kind == "integer":
        values = core.int_schema(strict=True, ge=low, le=high)  # type: ignore[arg-type]
    else:
        return core.no_info_after_validator_function(partial(_seen, watch=watch), _values(column))
    return core.nullable_schema(values) if column.nullable else values


def _seen(value: Value, watch: Callable[..., Any]) -> Value:
    if value is not None and watch(value, hint=False):
        raise ValueError("never seen")
    return value


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _date(text: str, years: range) -> str:
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII):
        raise ValueError("not a date")
    if date.fromisoformat(text).year not in years:
        raise ValueError("out of the calendar")
    return text


def _datetime(text: str, years: range) -> str:
    if not re.fullmatch(r"\d{4}-\d\d-\d\d([Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?([Zz]|[+-]\d\d:?\d\d)?)?", text, re.ASCII):
        raise ValueError("not a date and time")
    time = _utc(text)
    if time.year not in years:
        raise ValueError("out of the calendar")
    return time.isoformat()


def _utc(text: str) -> datetime:
    time = datetime.fromisoformat(text.upper())
    try:
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except OverflowError as error:  # the first or last hours of the calendar
        raise ValueError("out of the calendar") from error


def _allowed(column: Column, sent: Any = None) -> str:
    """Say what a column takes; a whole number that was sent must have been out of bounds."""
    low, high = column.bounds
    if column.kind == "category":
        shown = ", ".join(shorten(value) for value in column.categories[:20])
        what = f"one of: {shown}{', …' if len(column.categories) > 20 else ''}"
    else:
        what = {
            "text": "text",
            "number": "a number",
            "integer": "a whole number" + (f" from {low} to {high}" if type(sent) is int else ""),
            "boolean": "true or false",
            "date": "a date such as '2026-01-31'",
            "datetime": "a date and time such as '2026-01-31T09:30:00'",
        }[column.kind]
    return f"It takes {what}{', or null' if column.nullable else ''}."


def _watch(column: Column) -> Callable[..., tuple[str, str] | None] | None:
    """Return what finds the odd values of a column, or None where no value is odd."""
    if column.kind == "category":
        return partial(_unknown_category, known=dict.fromkeys(column.categories))
    if column.minimum is None:
        return None
    as_order = _utc if column.kind in ("date", "datetime") else None
    return partial(_out_of_range, column=column, as_order=as_order)


def _unknown_category(value: Any, known: dict[Any, None], *, hint: bool) -> tuple[str, str] | None:
    if value in known:
        return None
    near = nearest(value, list(known)) if hint and isinstance(value, str) else None
    meant = f" Did you mean {shorten(near)}?" if near else ""
    return "unknown_category", f"{shorten(value)} was never seen in training.{meant}"


def _out_of_range(value: Any, column: Column, as_order: Callable | None, **_: Any) -> tuple[str, str] | None:
    seen: tuple[Any, ...] = (column.minimum, value, column.maximum)
    low, here, high = map(as_order, seen) if as_order else seen
    if low <= here <= high:
        return None
    return "out_of_range", f"{shorten(value)} is outside the observed range {column.minimum} to {column.maximum}."

"""Parquet files in parts: row groups, with types that hold the values of all files."""

from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from takehome.errors import TakehomeError
from takehome.scanning import places
from takehome.scanning.scheme import Scheme, changed

ROWS, BYTES = 1 << 20, 256 << 20  # of a part, unless a single row group has more


@dataclass(frozen=True)
class ParquetPart:
    """Some row groups of a file."""

    path: str
    groups: tuple[int, ...]

    def read(self, scheme: Scheme, columns: list[str]) -> pa.Table:
        """Return the rows with the types of the whole scan."""
        texts = [name for name in columns if scheme.types[name] == pa.string()]
        with places.opened(self.path) as file:
            try:
                # a text that repeats is decoded once
                table = pq.ParquetFile(file, read_dictionary=texts).read_row_groups(self.groups, columns)
                return pa.table({name: _cast(table[name], scheme.types[name]) for name in columns})
            except (pa.ArrowException, OSError, KeyError, IndexError) as error:
                raise TakehomeError(changed(self.path, str(error).splitlines()[0])) from error


@dataclass(frozen=True)
class ParquetSurvey:
    """What the end of a file tells: its columns, which have missing values, and its parts."""

    path: str
    types: dict[str, pa.DataType]
    gaps: frozenset[str]
    parts: list[ParquetPart]


def survey(path: str) -> ParquetSurvey:
    """Read what a file says of itself, and no more, unless it doesn't say where values are missing.

    Raises
    ------
    TakehomeError
        It is no Parquet file, or a column holds lists or the like.
    """
    with places.opened(path) as raw:
        try:
            file = pq.ParquetFile(raw)
            types = {field.name: _plain(field, path) for field in file.schema_arrow}
            gaps = frozenset(name for name in types if _has_gaps(file, name))
            return ParquetSurvey(path, types, gaps, [ParquetPart(path, groups) for groups in _grouped(file.metadata)])
        except (pa.ArrowException, OSError) as error:
            raise TakehomeError(places.explain(path, error)) from error


def unify(surveys: Iterable[ParquetSurvey]) -> dict[str, pa.DataType]:
    """Return the types that hold the values of all files.

    Raises
    ------
    TakehomeError
        A column is text in one file and a number in another, or the like.
    """
    first, *others = surveys
    types = dict(first.types)
    for other in others:
        for name, kind in other.types.items():
            pair = (pa.schema([(name, types[name])]), pa.schema([(name, kind)]))
            try:
                types[name] = pa.unify_schemas(pair, promote_options="permissive").field(name).type
            except pa.ArrowException as error:
                raise TakehomeError(
                    f"{other.path}: column {name!r} holds {kind}, in {first.path} {types[name]}. "
                    "Write it as one type in all files."
                ) from error
    return {name: pa.float64() if pa.types.is_null(kind) else kind for name, kind in types.items()}


def _plain(field: pa.Field, path: str) -> pa.DataType:
    kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_primitive(kind) or pa.types.is_decimal(kind) or pa.types.is_null(kind):
        return kind
    raise TakehomeError(f"{path}: column {field.name!r} holds {kind}. Write it as text, numbers, dates or true/false.")


def _cast(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    text = pa.types.is_dictionary(column.type) and column.type.value_type == kind
    return column if text or column.type == kind else column.cast(kind)


def _has_gaps(file: pq.ParquetFile, name: str) -> bool:
    about = file.metadata
    at = about.schema.names.index(name)
    known = [about.row_group(i).column(at).statistics for i in range(about.num_row_groups)]
    if all(one is not None and one.has_null_count for one in known):
        return any(one.null_count for one in known)
    return any(batch.column(0).null_count for batch in file.iter_batches(columns=[name]))


def _grouped(about: pq.FileMetaData) -> list[tuple[int, ...]]:
    """Return neighbouring row groups together, as long as they are small."""
    parts: list[tuple[int, ...]] = []
    rows = size = 0
    for i in range(about.num_row_groups):
        group = about.row_group(i)
        if parts and rows + group.num_rows <= ROWS and size + group.total_byte_size <= BYTES:
            parts[-1] += (i,)
            rows, size = rows + group.num_rows, size + group.total_byte_size
        elif group.num_rows:
            parts.append((i,))
            rows, size = group.num_rows, group.total_byte_size
    return parts

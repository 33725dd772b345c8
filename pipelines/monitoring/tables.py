"""Tables whose columns can be read part by part: a DataFrame, a Parquet file, a CSV file of any size.

Comes in: a path or a DataFrame. Goes out: for each column what it holds and a way to read it again and
again, never more than one batch in memory. A CSV file is turned into Parquet once, so that its text is
parsed once and its columns can be read one by one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, Protocol

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from pipelines.errors import BadInput
from pipelines.monitoring.samples import Part, Parts

Nature = Literal["float", "integer", "text", "boolean", "empty", "time", "other"]

BATCH_ROWS = 2**18  # 2 MB a column.
# A column, or a whole CSV file, of at most so many bytes is kept in memory while it is compared.
KEPT_BYTES = 128 * 2**20
CSV_BLOCK = 8 * 2**20
GLANCE_BYTES = 64 * 1024
PARQUET_MAGIC = b"PAR1"
BYTE_ORDER_MARKS = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
OLD_ENCODING = "windows-1252"  # What spreadsheets still write in Europe and America.
DELIMITERS = ",;\t|"
WIDER: dict[str, pa.DataType] = {"null": pa.float64(), "int64": pa.float64()}
_CONVERSION = re.compile(r"In CSV column #(\d+):.*?CSV conversion error to ([a-z0-9]+)")


class Table(Protocol):
    """What drift is measured on."""

    @property
    def rows(self) -> int: ...

    @property
    def names(self) -> tuple[str, ...]: ...

    @property
    def notes(self) -> tuple[str, ...]:
        """How it was read, where that is not obvious."""
        ...

    def nature(self, name: str) -> Nature:
        """What the column holds, by its type."""
        ...

    def source(self, name: str) -> Parts:
        """A way to read the column from the beginning."""
        ...


class FrameTable:
    """A DataFrame as a table.

    Raises
    ------
    BadInput
        Two columns have one name.
    """

    def __init__(self, frame: pd.DataFrame) -> None:
        self._frame = frame
        self.rows = len(frame)
        self.names = _unique([str(name) for name in frame.columns], "The table")
        self.notes: tuple[str, ...] = ()
        self._columns: dict[str, Part] = {}

    def nature(self, name: str) -> Nature:
        held = self._column(name)
        return _nature(held.type) if isinstance(held, pa.Array) else _numpy_nature(held)

    def source(self, name: str) -> Parts:
        held = self._column(name)
        return lambda: [held]

    def _column(self, name: str) -> Part:
        if name not in self._columns:
            self._columns[name] = _held(self._frame.iloc[:, self.names.index(name)])
        return self._columns[name]


@dataclass(frozen=True)
class ArrowTable:
    """A table that Arrow holds in memory."""

    table: pa.Table
    notes: tuple[str, ...] = ()
    names: tuple[str, ...] = field(init=False)
    rows: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(self.table.column_names))
        object.__setattr__(self, "rows", self.table.num_rows)

    def nature(self, name: str) -> Nature:
        return _nature(self.table.schema.field(name).type)

    def source(self, name: str) -> Parts:
        chunks = [_plain(chunk) for chunk in self.table.column(name).chunks]
        return lambda: chunks


class ParquetTable:
    """A Parquet file, of which one column is read at a time."""

    def __init__(self, path: Path, notes: tuple[str, ...] = ()) -> None:
        self._path = path
        with pq.ParquetFile(path) as file:
            self._schema: pa.Schema = file.schema_arrow
            metadata = file.metadata
        self.rows = int(metadata.num_rows)
        self.names = _unique(self._schema.names, path.name)
        self.notes = notes

    def nature(self, name: str) -> Nature:
        return _nature(self._schema.field(name).type)

    def source(self, name: str) -> Parts:
        def read() -> Iterator[Part]:
            # A buffer, or Arrow reads a whole row group at once, which may be the whole file.
            try:
                with pq.ParquetFile(self._path, buffer_size=2**20, pre_buffer=False) as file:
                    for batch in file.iter_batches(BATCH_ROWS, columns=[name]):
                        yield _plain(batch.column(0))
            except (OSError, pa.ArrowException) as error:
                raise _unreadable(self._path, error) from error

        wide = self.nature(name) == "text"
        if self.rows * (32 if wide else 8) > KEPT_BYTES:
            return read
        kept: list[Part] = []
        return lambda: kept if kept else _keep(read(), kept)


@contextmanager
def opened(path: Path) -> Iterator[Table]:
    """The CSV or Parquet file at `path` as a table, for as long as the block lasts.

    Raises
    ------
    BadInput
        There is no such file, it is neither of the two, damaged, or holds fewer than two rows.
    """
    head = _head(path)
    with TemporaryDirectory(prefix="flightdeck-") as folder:
        try:
            if head.startswith(PARQUET_MAGIC):
                table: Table = ParquetTable(path)
            else:
                table = _open_csv(path, head, Path(folder))
        except (OSError, pa.ArrowException) as error:
            raise _unreadable(path, error) from error
        if table.rows < 2:
            raise BadInput(
                f"{path.name} holds {'one row' if table.rows else 'no rows'}, which has no distribution.",
                "Give a file with at least two rows; some hundreds say something.",
            )
        yield table


def _unreadable(path: Path, error: Exception) -> BadInput:
    reason = str(error).splitlines()[0][:300].rstrip(".") if str(error) else type(error).__name__
    return BadInput(
        f"{path.name} can't be read: {reason}.",
        "It seems damaged or cut short. Write it again as CSV or Parquet.",
    )


def _head(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise BadInput(f"{path.name} is a folder.", "Name a CSV or Parquet file in it.")
        with pa.input_stream(str(path), compression="detect") as file:
            head: bytes = file.read(GLANCE_BYTES)
    except FileNotFoundError as error:
        raise BadInput(
            f"There is no file {path}.", "Check the path: it must be a CSV or Parquet file."
        ) from error
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(path, error) from error
    if not head.strip():
        raise BadInput(f"{path.name} is empty.", "Give a CSV file with a line of names, or a Parquet file.")
    if b"\0" in head and head[:2] not in BYTE_ORDER_MARKS and not head.startswith(PARQUET_MAGIC):
        raise BadInput(f"{path.name} is neither CSV nor Parquet.", "Save the table as one of the two.")
    return head


def _open_csv(path: Path, head: bytes, folder: Path) -> Table:
    """The CSV file in memory when it is small, else as Parquet in `folder`."""
    encoding = BYTE_ORDER_MARKS.get(head[:2], "utf8")
    types: dict[str, pa.DataType] = {}
    notes: list[str] = []
    while True:
        try:
            return _convert(path, head, encoding, types, notes, folder)
        except (pa.ArrowInvalid, UnicodeDecodeError) as error:
            if encoding == "utf8" and "UTF8" in str(error).upper():
                encoding = OLD_ENCODING
                notes.append(f"{path.name} is not UTF-8; it was read as Windows-1252.")
                continue
            found = _CONVERSION.search(str(error))
            if not found:
                raise
            name = _csv_names(head, encoding)[int(found[1])]
            types[name] = WIDER.get(found[2], pa.string())
            if types[name] == pa.string() and found[2] in ("double", "int64"):
                notes.append(f"Column '{name}' of {path.name} holds numbers and texts; it is read as texts.")


def _convert(
    path: Path, head: bytes, encoding: str, types: dict[str, pa.DataType], notes: list[str], folder: Path
) -> Table:
    held: list[pa.RecordBatch] = []
    size, writer = 0, None
    target = folder / f"{path.stem[:40]}.parquet"
    with _csv_reader(path, head, encoding, types) as reader:
        _unique(reader.schema.names, path.name)
        if any(pa.types.is_binary(kind) for kind in reader.schema.types):
            raise pa.ArrowInvalid("not UTF8: Arrow takes such texts for bytes")
        try:
            for batch in reader:
                size += batch.nbytes
                if writer is None and size <= KEPT_BYTES:
                    held.append(batch)
                    continue
                if writer is None:
                    writer = pq.ParquetWriter(target, reader.schema, compression="lz4", use_dictionary=False)
                    for each in held:
                        writer.write_batch(each)
                    held = []
                writer.write_batch(batch)
        finally:
            if writer is not None:
                writer.close()
        if writer is None:
            return ArrowTable(pa.Table.from_batches(held, reader.schema), tuple(notes))
    return ParquetTable(target, tuple(notes))


def _csv_reader(
    path: Path, head: bytes, encoding: str, types: dict[str, pa.DataType]
) -> pa_csv.CSVStreamingReader:
    text = head.decode(encoding, "replace").lstrip("\ufeff")
    first = text.partition("\n")[0]
    delimiter = max(DELIMITERS, key=first.count)
    # Where numbers have a decimal comma, columns are parted by something else.
    comma = delimiter != "," and bool(re.search(r"\d,\d", text)) and not re.search(r"\d\.\d", text)
    return pa_csv.open_csv(
        pa.input_stream(str(path), compression="detect"),
        read_options=pa_csv.ReadOptions(block_size=CSV_BLOCK, encoding=encoding),
        parse_options=pa_csv.ParseOptions(delimiter=delimiter, newlines_in_values=False),
        convert_options=pa_csv.ConvertOptions(
            column_types=types, strings_can_be_null=True, decimal_point="," if comma else "."
        ),
    )


def _csv_names(head: bytes, encoding: str) -> list[str]:
    """The names in the first line, read with every column as text."""
    text = head.decode(encoding, "replace").lstrip("\ufeff").partition("\n")[0].rstrip("\r")
    delimiter = max(DELIMITERS, key=text.count)
    options = pa_csv.ParseOptions(delimiter=delimiter)
    names: list[str] = pa_csv.read_csv(
        pa.py_buffer((text + "\n").encode()), parse_options=options
    ).column_names
    return names


def _unique(names: Iterable[str], where: str) -> tuple[str, ...]:
    found = tuple(names)
    twice = next((name for name in found if found.count(name) > 1), None)
    if twice is not None:
        raise BadInput(f"{where} has two columns '{twice[:40]}'.", "Give each column a name of its own.")
    return found


def _keep(parts: Iterable[Part], kept: list[Part]) -> list[Part]:
    kept.extend(parts)
    return kept


def _held(column: pd.Series[Any]) -> Part:
    """A DataFrame's column as numpy holds it, or as Arrow does."""
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "iufb":
        return column.to_numpy()
    try:
        found = pa.array(column, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        # Values of several types: what they look like is compared.
        found = pa.array(column.map(str, na_action="ignore"), from_pandas=True)
    if isinstance(found, pa.ChunkedArray):
        found = found.combine_chunks()
    return _plain(found)


def _plain(array: pa.Array) -> pa.Array:
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def _numpy_nature(values: Any) -> Nature:
    return {"b": "boolean", "f": "float"}.get(values.dtype.kind, "integer")  # type: ignore[return-value]


def _nature(kind: pa.DataType) -> Nature:
    tests: tuple[tuple[Callable[[pa.DataType], bool], Nature], ...] = (
        (pa.types.is_null, "empty"),
        (pa.types.is_boolean, "boolean"),
        (pa.types.is_integer, "integer"),
        (pa.types.is_floating, "float"),
        (pa.types.is_decimal, "float"),
        (pa.types.is_temporal, "time"),
        (pa.types.is_string, "text"),
        (pa.types.is_large_string, "text"),
        (pa.types.is_string_view, "text"),
    )
    if pa.types.is_dictionary(kind):
        return _nature(kind.value_type)
    return next((nature for holds, nature in tests if holds(kind)), "other")

"""An executed notebook, read as a story: each code cell with its purpose, its prose and its outputs.

Comes in: a notebook file, whole or as far as it came. Goes out: plain values; no Streamlit here, and no
HTML from any notebook.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from pipelines.errors import Damaged
from pipelines.figures import PLOTLY_MIMETYPE

TABLE_MIMETYPE = "application/vnd.dataresource+json"

# More is not read on a page; the notebook itself keeps all of it.
SHOWN_CHARACTERS = 6000
SHOWN_ROWS = 50

_COLOUR_CODES = re.compile(r"\x1b\[[0-9;]*m")
_HEADING = re.compile(r"(#{1,6})[ \t]+(.+)")
_SENTENCE = re.compile(r"(.+?[.?:])(?:\s|$)", re.DOTALL)
_PARAM = re.compile(r"(\w+)(?:\s*:[^=]+)?\s*=\s*([^#]+)")
_PAPERMILL_ERROR = "papermill-error-cell-tag"


@dataclass(frozen=True)
class Output:
    """One output: words in Markdown, a text, a figure as Plotly's JSON, a table, or an error's traceback."""

    kind: Literal["words", "text", "figure", "table", "error"]
    content: Any


@dataclass(frozen=True)
class Table:
    """Column names and rows, every value as the text to show."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Cell:
    """One code cell and the words before it; without code, the words that end the notebook.

    Attributes
    ----------
    place : int
        Index in the notebook as it is executed: what events call `cell`.
    purpose, prose : str
        One line of plain text, and the rest of the words in Markdown.
    started : bool
        Whether the notebook shows that it was executed.
    params : tuple of (name, value)
        For the cell of params: what it sets.
    """

    place: int
    purpose: str
    prose: str = ""
    source: str = ""
    outputs: tuple[Output, ...] = ()
    started: bool = False
    params: tuple[tuple[str, str], ...] = ()


@dataclass
class _Reading:
    """Words met since the last code cell, and what was read so far."""

    words: list[str] = field(default_factory=list)
    cells: list[Cell] = field(default_factory=list)


def read_cells(path: Path) -> tuple[Cell, ...]:
    """The cells of the notebook at `path`.

    Raises
    ------
    Damaged
        It is not a notebook.
    """
    try:
        found = path.stat()
        return _read_once(path, found.st_mtime_ns, found.st_size)
    except OSError as error:
        raise Damaged(
            f"The notebook of this step can't be read: {error.strerror}.", "Run the step again."
        ) from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Damaged("The notebook of this step is cut short or changed.", "Run the step again.") from error


@lru_cache(maxsize=64)
def _read_once(path: Path, changed_ns: int, size: int) -> tuple[Cell, ...]:
    """A file is read once as long as it stays the same: a page that follows a run looks again and again."""
    del changed_ns, size
    stored = json.loads(path.read_text("utf-8"))["cells"]
    # papermill inserts these after the fact; events count without them.
    stored = [cell for cell in stored if _PAPERMILL_ERROR not in _tags(cell)]
    given = any("injected-parameters" in _tags(cell) for cell in stored)
    reading = _Reading()
    for place, cell in enumerate(stored):
        text = _joined(cell.get("source", ""))
        if cell["cell_type"] == "markdown":
            reading.words.append(text.strip())
        elif cell["cell_type"] == "code" and text.strip() and not (given and "parameters" in _tags(cell)):
            _take_code(reading, place, cell, text)
    if reading.words:
        _take_words(reading, len(stored))
    return tuple(reading.cells)


def _take_code(reading: _Reading, place: int, cell: dict[str, Any], source: str) -> None:
    words = "\n\n".join(word for word in reading.words if word)
    reading.words = []
    purpose, prose = _split(words)
    if words.startswith("# "):
        # The notebook's own title and opening belong to no cell.
        reading.cells.append(Cell(place - 1, purpose, prose))
        purpose, prose = "", ""
    params = _params(source) if {"injected-parameters", "parameters"} & set(_tags(cell)) else ()
    if not purpose:
        purpose = "The params" if params else source.strip().splitlines()[0][:70]
    outputs = tuple(found for each in cell.get("outputs", []) if (found := _output(each)) is not None)
    started = cell.get("execution_count") is not None or bool(outputs)
    reading.cells.append(Cell(place, purpose, prose, source.strip(), outputs, started, params))


def _params(source: str) -> tuple[tuple[str, str], ...]:
    """Names and values that a cell of params sets, one a line."""
    found = (_PARAM.match(line) for line in source.splitlines())
    return tuple((match[1], match[2].strip().strip("\"'")) for match in found if match)


def _take_words(reading: _Reading, place: int) -> None:
    words = "\n\n".join(word for word in reading.words if word)
    if words:
        purpose, prose = _split(words) if _HEADING.match(words) else ("", words)
        reading.cells.append(Cell(place, purpose, prose))


def _split(words: str) -> tuple[str, str]:
    """The heading, or else the first sentence, and what comes after it."""
    heading = _HEADING.match(words)
    if heading:
        return heading[2].strip(), words[heading.end() :].strip()
    first = _SENTENCE.match(words)
    if first and len(first[1]) <= 90:
        return first[1].strip().rstrip(".:"), words[first.end() :].strip()
    return "", words


def _output(stored: dict[str, Any]) -> Output | None:
    kind = stored["output_type"]
    if kind == "stream":
        return Output("text", _shown(_joined(stored.get("text", ""))))
    if kind == "error":
        return Output("error", _shown(_joined(stored.get("traceback", []), "\n")))
    data = stored.get("data", {})
    if PLOTLY_MIMETYPE in data:
        return Output("figure", data[PLOTLY_MIMETYPE])
    if TABLE_MIMETYPE in data:
        return Output("table", _table(data[TABLE_MIMETYPE]))
    if "text/markdown" in data:
        # An image in words computed by a notebook could be fetched from anywhere: it is shown as text.
        return Output("words", _shown(_joined(data["text/markdown"])).replace("![", "!\\["))
    text = _joined(data.get("text/plain", ""))
    return Output("text", _shown(text)) if text else None


def _table(stored: dict[str, Any]) -> Table:
    """A DataFrame as pandas describes it: columns in its order, without the numbers of its rows."""
    fields = [str(field["name"]) for field in stored["schema"]["fields"]]
    columns = tuple(name for name in fields if name != "index")
    rows = tuple(tuple(_value(row.get(name)) for name in columns) for row in stored["data"][:SHOWN_ROWS])
    return Table(columns, rows)


def _value(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _shown(text: str) -> str:
    plain = _COLOUR_CODES.sub("", text).rstrip()
    if len(plain) <= SHOWN_CHARACTERS:
        return plain
    return f"… the last {SHOWN_CHARACTERS:,} characters\n{plain[-SHOWN_CHARACTERS:]}"


def _joined(text: str | list[str], with_: str = "") -> str:
    return text if isinstance(text, str) else with_.join(text)


def _tags(cell: dict[str, Any]) -> list[str]:
    tags: list[str] = cell.get("metadata", {}).get("tags", [])
    return tags

"""Drift of two files that the reader uploads: scores, limits, and both distributions of what has moved."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from pages.parts import frame
from pages.parts.words import plain
from pipelines.errors import BadInput
from pipelines.monitoring import plots
from pipelines.monitoring.drift import Drift, compare
from pipelines.monitoring.methods import METHODS, Method
from pipelines.monitoring.tables import Table, opened

TYPES = ["csv", "tsv", "txt", "parquet", "gz"]
MOST_MB = 200
MOST_FIGURES = 6
SAMPLED = 50_000  # Values of each side that a figure is drawn from.
AUTOMATIC = "by kind and size"


def draw() -> None:
    """The whole part: two uploads, a method, and what was found."""
    left, right = st.columns(2, gap="medium")
    before = left.file_uploader("As it was", TYPES, key="drift-before", max_upload_size=MOST_MB)
    after = right.file_uploader("As it is now", TYPES, key="drift-after", max_upload_size=MOST_MB)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        method = _choose_method()
        threshold = _choose_threshold(method)
    if before is None or after is None:
        with st.container(border=True, height=200, vertical_alignment="center"):
            st.markdown("**Here will be which columns have changed**", text_alignment="center")
            frame.note(
                "Give two CSV or Parquet files of the same columns. Your files stay on this machine.",
                centred=True,
            )
        return
    with frame.problems_shown(), st.spinner("Comparing every column"):
        _draw_result(before, after, method, threshold)
    st.markdown("From the command line, for files of any size:")
    words = f"python -m pipelines drift {_quoted(before.name)} {_quoted(after.name)}"
    st.code(words + (f" --method {method.name}" if method else ""), language=None, wrap_lines=True)


def _choose_method() -> Method | None:
    names = [AUTOMATIC, *METHODS]
    chosen = st.selectbox(
        "Method",
        names,
        format_func=lambda name: METHODS[name].title if name in METHODS else name,
        key="drift-method",
        width=320,
    )
    return METHODS.get(chosen)


def _choose_threshold(method: Method | None) -> float | None:
    if method is None:
        frame.note("Each column gets the method that suits its kind and the number of rows.")
        return None
    chosen = st.number_input(
        "Drift from" if not method.is_probability else "Drift below",
        min_value=0.001,
        max_value=0.999 if method.is_probability else 10.0,
        value=method.threshold,
        step=0.01,
        format="%.3f",
        key=f"drift-threshold-{method.name}",
        width=160,
    )
    frame.note(f"{plain(method.formula)}. {plain(method.meaning)}")
    return float(chosen)


def _draw_result(before: Any, after: Any, method: Method | None, threshold: float | None) -> None:
    with _stored(before, after) as (reference, current):
        found = compare(reference, current, method=method.name if method else None, threshold=threshold)
        rows = [asdict(each) for each in found.columns]
        frame.show(plots.drift_dots(rows), key="drift-dots")
        for words in [*_remarks(found), *(plain(note) for note in found.notes)]:
            frame.note(words)
        table = pd.DataFrame(rows)[["name", "kind", "method", "score", "threshold", "drifted", "reason"]]
        st.download_button(
            "Download the scores",
            table.to_csv(index=False),
            "drift.csv",
            "text/csv",
            icon=":material/download:",
            on_click="ignore",
            type="primary",
        )
        moved = [each.name for each in found.columns if each.drifted and each.score is not None]
        shown = moved[:MOST_FIGURES]
        for place, name in enumerate(shown):
            if place % 2 == 0:
                pair = st.columns(2, gap="medium")
            with pair[place % 2]:
                values = _sample(reference, name), _sample(current, name)
                frame.show(plots.distributions(*values, f"{name} has moved", name), key=f"drift-{place}")
    if len(moved) > len(shown):
        frame.note(f"{len(moved) - len(shown)} more columns have moved; their scores are in the download.")


def _remarks(found: Drift) -> Iterator[str]:
    """What the dots do not show."""
    for column in found.columns:
        if column.score is None:
            yield f"**{plain(column.name)}** has drifted: {plain(column.reason)}."
        elif column.missing_drifted:
            before, now = column.reference_missing, column.current_missing
            yield f"**{plain(column.name)}**: {before:.0%} missing before, {now:.0%} now."
    for each in found.skipped:
        yield f"{plain(each.name)} was left out: {plain(each.reason)}."


@contextmanager
def _stored(before: Any, after: Any) -> Iterator[tuple[Table, Table]]:
    """Both uploads as tables; a file's name is only shown, never used as a path."""
    with tempfile.TemporaryDirectory(prefix="flightdeck-") as folder:
        paths = []
        for place, upload in enumerate((before, after)):
            suffix = ".csv.gz" if upload.name.lower().endswith(".gz") else ".table"
            path = Path(folder, f"{'before' if place == 0 else 'now'}{suffix}")
            path.write_bytes(upload.getbuffer())
            paths.append(path)
        with opened(paths[0]) as reference, opened(paths[1]) as current:
            yield reference, current


def _sample(table: Table, name: str) -> pd.Series[Any]:
    """Some values of a column, spread over the whole of it."""
    step = max(1, table.rows // SAMPLED)
    parts = [
        pd.Series(part[::step] if hasattr(part, "dtype") else part.to_pandas()[::step])
        for part in table.source(name)()
    ]
    if not parts:
        raise BadInput(f"'{name[:40]}' has no values.", "Choose another column.")
    return pd.concat(parts, ignore_index=True)


def _quoted(name: str) -> str:
    return "'" + name.replace("'", "") + "'" if not name.replace(".", "").replace("_", "").isalnum() else name

"""Worlds on disk: everything that will ever happen in one, kept so that each day is read by itself.

Comes in: a scenario, a size, a seed and episodes. Goes out: a day's events, and the labels that become
known in a span of time. Only whoever plays the world reads it: it knows every outcome beforehand.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.run import code_version
from pipelines.scenarios.scenario import DAY_S, Scenario, Size, read_happened
from pipelines.workspace import Home

LABEL_COLUMNS = ("event_id", "event_time", "label_time", "label")


@dataclass(frozen=True)
class World:
    """A world's file: one row group a day."""

    path: Path

    def day(self, day: int) -> pd.DataFrame:
        """What happens on that day, with its outcomes, in order of time."""
        return self._rows("event_time", day * DAY_S, (day + 1) * DAY_S - 1, None)

    def labels(self, after_s: int, until_s: int) -> pd.DataFrame:
        """Labels that become known after `after_s` and up to `until_s`, in that order.

        Returns
        -------
        DataFrame with columns event_id, event_time, label_time and label
        """
        rows = self._rows("label_time", after_s + 1, until_s, LABEL_COLUMNS)
        return rows.sort_values(["label_time", "event_id"], ignore_index=True)

    def _rows(self, column: str, low: int, high: int, columns: tuple[str, ...] | None) -> pd.DataFrame:
        """Rows whose `column` lies from `low` to `high`; row groups without any are not read."""
        file = _opened(str(self.path), self.path.stat().st_mtime_ns)
        groups = [
            number for number, (least, most) in enumerate(file.spans[column]) if least <= high and most >= low
        ]
        table = file.parquet.read_row_groups(groups, columns=list(columns) if columns else None)
        rows: pd.DataFrame = table.to_pandas()
        return rows[rows[column].between(low, high)].reset_index(drop=True)


def open_world(home: Home, scenario: Scenario, size: Size, seed: int, episodes: str) -> World:
    """The world with these episodes; produced at the first call, and written whole or not at all.

    A file that another version of the code wrote is written anew.

    Raises
    ------
    BadInput
        The world does not know the episodes.
    """
    happened = read_happened(scenario, episodes)
    name = "-".join([scenario.name, size, str(seed), *map(str, happened)])
    path = home.root / "worlds" / f"{name}.parquet"
    if not path.is_file() or pq.read_schema(path).metadata.get(b"code") != code_version().encode():
        _write(scenario.produce(size, seed, None, happened), path)
    return World(path)


def _write(events: pd.DataFrame, path: Path) -> None:
    table = pa.Table.from_pandas(events, preserve_index=False)
    table = table.replace_schema_metadata({"code": code_version()})
    days = events["event_time"].to_numpy() // DAY_S
    ends = np.searchsorted(days, np.arange(days[-1] + 1), side="right").tolist()
    path.parent.mkdir(parents=True, exist_ok=True)
    making = path.with_name(f".{path.name}.{secrets.token_hex(3)}")
    try:
        with pq.ParquetWriter(making, table.schema) as writer:
            first = 0
            for end in ends:
                if end > first:
                    writer.write_table(table.slice(first, end - first))
                first = end
        making.replace(path)
    finally:
        making.unlink(missing_ok=True)


@dataclass(frozen=True)
class _Open:
    """An open file, and from where to where each of its row groups goes in both times."""

    parquet: pq.ParquetFile
    spans: dict[str, list[tuple[int, int]]]


@lru_cache(maxsize=8)
def _opened(path: str, _written_ns: int) -> _Open:
    parquet = pq.ParquetFile(path)
    about = parquet.metadata
    names = [about.schema.column(place).name for place in range(about.num_columns)]
    spans: dict[str, list[tuple[int, int]]] = {}
    for column in ("event_time", "label_time"):
        place = names.index(column)
        found = [about.row_group(group).column(place).statistics for group in range(about.num_row_groups)]
        spans[column] = [(each.min, each.max) for each in found]
    return _Open(parquet, spans)

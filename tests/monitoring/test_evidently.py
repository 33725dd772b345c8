"""Our scores beside Evidently's, in its own environment: the same methods, scores and verdicts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipelines.bench import drift as bench
from pipelines.bench import environments
from pipelines.errors import Unavailable
from pipelines.monitoring.drift import compare
from pipelines.workspace import Home, open_home


def awkward(rows: int, seed: int) -> pd.DataFrame:
    """Columns of every kind and method, with gaps."""
    random = np.random.default_rng(seed)
    values = random.normal(0.05 * seed, 1, rows)
    return pd.DataFrame(
        {
            "normal": np.where(random.random(rows) < 0.1, np.nan, values),
            "infinite": np.where(random.random(rows) < 0.02, np.inf, values),
            "tail": random.pareto(1.5, rows),
            "cents": random.gamma(2, 30, rows).round(2),
            "few": random.integers(0, 4, rows) + 0.5,
            "two": random.integers(0, 2, rows) + 0.5,
            "constant": np.full(rows, 3.0),
            "count": random.poisson(20 + seed, rows),
            "code": random.integers(0, 5, rows),
            "city": random.choice(["Oslo", "Köln", "Lyon"], rows),
            "flag": random.random(rows) < 0.5,
        }
    )


@pytest.mark.deep
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("rows", [400, 1000, 1001, 30_000])
def test_scores_methods_and_verdicts_are_evidentlys(tmp_path: Path, rows: int) -> None:
    # given one environment for all of these tests, made on first use
    python = environments.ensure(open_home(), "evidently", lambda _: None)
    tables = [awkward(rows, seed) for seed in (1, 2)]
    paths = [tmp_path / f"{number}.parquet" for number in range(2)]
    for table, path in zip(tables, paths, strict=True):
        table.to_parquet(path, index=False)
    # when
    theirs = bench.ask_evidently(python, *paths)["columns"]
    found = compare(*tables)
    # then
    for column in found.columns:
        other = theirs[column.name]
        assert (column.method, column.drifted) == (other["method"], other["drifted"]), column.name
        assert column.score == pytest.approx(other["score"], abs=1e-9), column.name
    assert bench.is_equal(found, theirs)


def test_what_differs_is_not_called_equal() -> None:
    tables = [bench.table(2000, number) for number in range(2)]
    found = compare(*tables)
    theirs = {
        each.name: {"method": each.method, "score": each.score, "drifted": each.drifted}
        for each in found.columns
    }
    assert bench.is_equal(found, theirs)
    for change in ({"score": 9.0}, {"method": "psi"}, {"drifted": None}):
        assert not bench.is_equal(found, theirs | {"normal_0": theirs["normal_0"] | change})
    assert not bench.is_equal(found, {name: each for name, each in theirs.items() if name != "normal_0"})


def test_an_environment_that_can_not_be_made_says_why_and_is_not_taken_for_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given pins that no index has
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "peers-nothing.txt").write_text("./no-such-folder-here\n")
    monkeypatch.setattr(environments, "REPOSITORY", tmp_path)
    # then
    with pytest.raises(Unavailable, match="The environment for nothing can't be made"):
        environments.ensure(Home(tmp_path), "nothing", lambda _: None)
    assert not (tmp_path / "environments" / "nothing" / environments.DONE).exists()

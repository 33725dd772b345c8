"""How often monitoring cries wolf: daily reports on unchanging worlds, against the stated rate."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from scipy.stats import binom
from unplayed_worlds import reports, rules_of, world

from pipelines.monitoring.rules import FALSE_ALARMS, LASTING_DAYS
from pipelines.scenarios import find_scenario

FRAUD = find_scenario("fraud")
TRAINED, FIRST, LAST = 60, 81, 130  # Two weeks of answers, and their labels, lie before the first report.
WEEKS = range(FIRST, LAST, 7)
# Reported each day, as production is; a loss counts once it lasts, so the days before the first week too.
DAYS = range(FIRST - LASTING_DAYS + 1, LAST)
SURE = 0.995

pytestmark = [pytest.mark.deep, pytest.mark.timeout(7200)]


def alarms(folder: Path, seeds: Sequence[int]) -> tuple[Counter[str], int]:
    """By rule, in how many weeks it would be met on any day; and how many weeks there were."""
    found: Counter[str] = Counter()
    for seed in seeds:
        features = world(FRAUD, "", LAST, seed)
        made = reports(FRAUD, features, TRAINED, DAYS, folder / f"seed-{seed}", seed)
        met = dict(zip(DAYS, rules_of(made), strict=True))
        for week in WEEKS:
            found.update(set().union(*(met[day] for day in range(week, week + 7))))
    return found, len(seeds) * len(WEEKS)


def hold(found: Counter[str], count: int, capsys: pytest.CaptureFixture[str]) -> None:
    most = int(binom.ppf(SURE, count, FALSE_ALARMS))
    with capsys.disabled():
        told = ", ".join(f"{rule} {number}" for rule, number in sorted(found.items())) or "none"
        sys.stdout.write(f"\n{count} calm weeks, at most {most} false ones a rule: {told}\n")
    assert all(number <= most for number in found.values()), found


def test_some_unplayed_worlds_raise_no_more_alarms_than_stated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hold(*alarms(tmp_path, range(1, 5)), capsys)


def test_a_hundred_unplayed_worlds_raise_no_more_alarms_than_stated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hold(*alarms(tmp_path, range(1, 101)), capsys)

"""How often monitoring cries wolf: reports on worlds in which nothing changes, against the stated rate."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from scipy.stats import binom
from unplayed_worlds import reports, rules_of, world

from pipelines.monitoring.rules import FALSE_ALARMS
from pipelines.scenarios import find_scenario

FRAUD = find_scenario("fraud")
TRAINED, FIRST, LAST = 60, 81, 130  # Two weeks of answers, and their labels, lie before the first report.
WEEKS = range(FIRST, LAST, 7)
SURE = 0.995

pytestmark = [pytest.mark.deep, pytest.mark.timeout(7200)]


def alarms(folder: Path, seeds: Sequence[int]) -> tuple[Counter[str], int]:
    """By rule, in how many weekly reports it would open an alert; and how many reports there were."""
    found: Counter[str] = Counter()
    for seed in seeds:
        features = world(FRAUD, "", LAST, seed)
        made = reports(FRAUD, features, TRAINED, WEEKS, folder / f"seed-{seed}", seed)
        for rules in rules_of(made):
            found.update(rules)
    return found, len(seeds) * len(WEEKS)


def hold(found: Counter[str], count: int, capsys: pytest.CaptureFixture[str]) -> None:
    most = int(binom.ppf(SURE, count, FALSE_ALARMS))
    with capsys.disabled():
        told = ", ".join(f"{rule} {number}" for rule, number in sorted(found.items())) or "none"
        sys.stdout.write(f"\n{count} calm reports, at most {most} false ones a rule: {told}\n")
    assert all(number <= most for number in found.values()), found


def test_some_unplayed_worlds_raise_no_more_alarms_than_stated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hold(*alarms(tmp_path, range(1, 5)), capsys)


def test_a_hundred_unplayed_worlds_raise_no_more_alarms_than_stated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hold(*alarms(tmp_path, range(1, 101)), capsys)

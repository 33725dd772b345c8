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

TRAINED = 60
ANSWERED_DAYS = 14  # Before the first report, and then until their labels are there.
# Until which day a world is watched: a real record of 90 days has no more.
LAST = {"fraud": 130, "biopsies": 90, "maintenance": 130}
SURE = 0.995

pytestmark = [pytest.mark.deep, pytest.mark.timeout(7200)]


def alarms(name: str, folder: Path, seeds: Sequence[int]) -> tuple[Counter[str], int]:
    """By rule, in how many weeks it would be met on any day; and how many weeks there were."""
    scenario, last = find_scenario(name), LAST[name]
    first = TRAINED + scenario.label_delay_days + ANSWERED_DAYS
    weeks = range(first, last - 6, 7)
    # Reported each day, as production is; a loss counts once it lasts, so the days before the first week too.
    days = range(first - LASTING_DAYS + 1, last)
    found: Counter[str] = Counter()
    for seed in seeds:
        features = world(scenario, "", last, seed)
        made = reports(scenario, features, TRAINED, days, folder / f"seed-{seed}", seed)
        met = dict(zip(days, rules_of(made), strict=True))
        for week in weeks:
            found.update(set().union(*(met[day] for day in range(week, week + 7))))
    return found, len(seeds) * len(weeks)


def hold(found: Counter[str], count: int, capsys: pytest.CaptureFixture[str]) -> None:
    most = int(binom.ppf(SURE, count, FALSE_ALARMS))
    with capsys.disabled():
        told = ", ".join(f"{rule} {number}" for rule, number in sorted(found.items())) or "none"
        sys.stdout.write(f"\n{count} calm weeks, at most {most} false ones a rule: {told}\n")
    assert all(number <= most for number in found.values()), found


@pytest.mark.parametrize(("name", "seeds"), [("fraud", 4), ("biopsies", 15), ("maintenance", 4)])
def test_some_unplayed_worlds_raise_no_more_alarms_than_stated(
    name: str, seeds: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hold(*alarms(name, tmp_path, range(1, seeds + 1)), capsys)


@pytest.mark.parametrize("name", LAST)
def test_a_hundred_unplayed_worlds_raise_no_more_alarms_than_stated(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hold(*alarms(name, tmp_path, range(1, 101)), capsys)

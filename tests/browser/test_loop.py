"""The whole loop by clicks: a model is made, decays, is noticed, retrained and deployed, and is right again.

What the pages say is held against what really happened, read from the workspace's own files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import real_flightdeck
from playwright.sync_api import Page, expect
from visitor import PAGE_MS, RUN_MS, Visitor

from pages.parts import rooms
from pipelines import promotion
from pipelines.monitoring import alerts, diary
from pipelines.production import ledger
from pipelines.run import read_params
from pipelines.settings import Settings

# One home for both worlds, and so one process that runs them.
pytestmark = [
    pytest.mark.road,
    pytest.mark.browser,
    pytest.mark.timeout(900),
    pytest.mark.xdist_group("loop"),
]

# Seven days of labels are known before prices double; a month on the model has met nothing else.
EPISODE_DAY, EPISODES = 75, "inflation@75"
# Rooms that are about everything in the workspace.
OF_ALL = (rooms.HISTORY, rooms.WORKSPACE)


@pytest.fixture(scope="module")
def flightdeck(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Everything, started as a user starts it, on an empty home."""
    with real_flightdeck.started(tmp_path_factory.mktemp("loop")) as running:
        yield running


def test_fraud_from_an_empty_home_to_a_model_that_is_right_again(flightdeck: Settings, page: Page) -> None:
    visitor = Visitor(page, flightdeck, "fraud")
    page.goto(flightdeck.app_url)
    visitor.title("You have no model yet")
    make_a_model_in_a_world_where_prices_will_double(visitor)
    at_first = live_a_fortnight(visitor)
    decayed = lose_a_month(visitor)
    assert decayed < at_first / 2
    retrain(visitor)
    after = recover(visitor)
    assert after > 2 * decayed


def make_a_model_in_a_world_where_prices_will_double(visitor: Visitor) -> None:
    # given the smallest world, and what will happen to it
    page = visitor.page
    visitor.enter("Notebooks")
    visitor.title("Make your first model")
    page.get_by_role("combobox", name="Size").click()
    page.get_by_role("option", name="small").click()
    expect(page.get_by_text("Was teaching")).to_be_visible(timeout=PAGE_MS)
    episodes = page.get_by_label("Episodes")
    episodes.fill(EPISODES)
    episodes.press("Enter")
    page.wait_for_url(re.compile("ingest.episodes"), timeout=PAGE_MS)
    visitor.keep("loop-1-params")

    # when the road is run
    visitor.press("Run all")
    visitor.title("Version 1 is made", RUN_MS)

    # then it was run on that world, and its version serves
    (run_id,) = visitor.workspace.run_ids()
    ingest = read_params(visitor.workspace.run_folder(run_id))["ingest"]
    assert (ingest["size"], ingest["episodes"]) == ("small", EPISODES)
    assert promotion.serving(visitor.workspace, "fraud").champion == 1
    visitor.enter("Home")
    visitor.title("Version 1 answers every payment")


def live_a_fortnight(visitor: Visitor) -> float:
    """Days before prices double; how many of 100 alerts were right, by the page."""
    visitor.play("+1 week", 67)
    visitor.play("+1 week", 74)
    saved = visitor.title(r"^Day 74: your model saved €([\d,]+) in a week$")
    known = [day.bill.saved for day in ledger.days(visitor.workspace, "fraud") if day.bill]
    assert int(saved[1].replace(",", "")) == pytest.approx(sum(known[-7:]), abs=1)
    visitor.keep("loop-2-home-saves")
    visitor.enter("Monitor")
    right = visitor.title(r"^Day 74: of 100 alerts (\d+) are right$")
    visitor.sees(r"Open alerts\s*None\b")
    assert alerts.open_alerts(visitor.workspace, "fraud") == []
    return float(right[1])


def lose_a_month(visitor: Visitor) -> float:
    """Days after; how many of 100 alerts are right now."""
    visitor.play("+1 month", 104)
    right = visitor.title(r"^Day 104: of 100 alerts (\d+) are right, it was (\d+)$")
    visitor.sees(r"The model is less right than it was, day [89]\d")
    visitor.keep("loop-3-monitor-alert")

    # and so it really is: in the diary, in the alerts and in what the days were worth
    assert float(right[1]) == pytest.approx(100 * measured(visitor, 104), abs=0.51)
    assert measured(visitor, 104) < measured(visitor, 74) / 2
    opened = {each.rule: each.opened for each in alerts.open_alerts(visitor.workspace, "fraud")}
    assert EPISODE_DAY < opened["input_drift"] < opened["performance"] < 95
    assert saved_in(visitor, 76, 97) < saved_in(visitor, 60, 74) / 2
    return float(right[1])


def retrain(visitor: Visitor) -> None:
    """By the button beside the alert; the road deploys what its gate lets through."""
    # given Home, which leads to the alert
    visitor.enter("Home")
    visitor.sees("alert since day 8")
    visitor.keep("loop-3-home-alert")
    visitor.press("Look at the alert")
    visitor.title("^Day 104: of 100 alerts")
    # when
    visitor.press("Retrain")
    visitor.title("Version 2 is made", RUN_MS)
    visitor.keep("loop-4-retrained")
    # then
    newest = visitor.workspace.run_ids()[0]
    ingest = read_params(visitor.workspace.run_folder(newest))["ingest"]
    assert (ingest["until_day"], ingest["episodes"]) == (104, EPISODES)
    row = promotion.history(visitor.workspace, "fraud")[-1]
    assert (row.version, row.stage, row.day) == (2, "production", 104)
    visitor.enter("Deploy")
    visitor.title("^Version 2 answers every payment$")
    visitor.enter("Monitor")
    visitor.title("^Day 104: version 2 has taken over$")


def recover(visitor: Visitor) -> float:
    """A fortnight with the new version; how many of 100 alerts are right again."""
    visitor.play("+1 week", 111)
    visitor.play("+1 week", 118)
    right = visitor.title(r"^Day 118: of 100 alerts (\d+) are right$")
    visitor.sees(
        r"Open alerts\s*None\b.*Day \d\d to 105: The model is less right than it was; version 2 serves now"
    )
    visitor.keep("loop-5-monitor-recovered")
    assert float(right[1]) == pytest.approx(100 * measured(visitor, 118), abs=0.51)
    assert alerts.open_alerts(visitor.workspace, "fraud") == []
    visitor.enter("Home")
    visitor.title(r"^Day 118: your model saved €[\d,]+ in a week$")
    visitor.keep("loop-6-home-recovered")
    assert saved_in(visitor, 104, 111) / 7 > 2 * saved_in(visitor, 76, 97) / 21
    return float(right[1])


def test_biopsies_in_every_room_and_through_their_month(flightdeck: Settings, page: Page) -> None:
    visitor = Visitor(page, flightdeck, "biopsies")
    # given no biopsy yet: the scenario is chosen once, and every room keeps it
    page.goto(flightdeck.app_url)
    page.get_by_text("Breast biopsies", exact=True).click()
    page.wait_for_url(re.compile("scenario=biopsies"), timeout=PAGE_MS)
    visitor.title("You have no model yet")

    # when the road is run
    visitor.press("Make a model")
    visitor.title("Version \\d+ is made", RUN_MS)
    assert promotion.serving(visitor.workspace, "biopsies").champion == 1
    visitor.enter("Home")
    visitor.title("Version 1 answers every biopsy")
    visitor.play("+1 week", 67)
    visitor.play("+1 week", 74)
    visitor.title(r"^Day 74: your model (saved|lost) [\d,]+ harm points in a week$")
    visitor.keep("loop-7-biopsies-home")

    # and a month more can't be asked for: this world ends sooner
    expect(page.get_by_role("button", name="+1 month")).to_be_disabled(timeout=PAGE_MS)
    expect(page.get_by_role("button", name="+1 week")).to_be_enabled()

    # then Monitor has its numbers, the same as the diary's
    visitor.enter("Monitor")
    right = visitor.title(r"^Day 74: of 100 alerts (\d+) are right")
    assert float(right[1]) == pytest.approx(100 * measured(visitor, 74), abs=0.51)
    visitor.sees("labels of 3 days before")
    visitor.sees("of 100 that a distribution needs")
    visitor.keep("loop-8-biopsies-monitor")

    # and every room is about biopsies
    for room in rooms.ROOMS:
        visitor.enter(room.title)
        visitor.keep(f"loop-9-biopsies-{room.name}")
        if room.name not in OF_ALL:
            expect(page.get_by_role("radio", name="Breast biopsies")).to_be_checked()
            assert "biops" in visitor.main
            # Foundations says of both worlds what in them is simulated.
            assert room.name == rooms.FOUNDATIONS or "payment" not in visitor.main


def measured(visitor: Visitor, day: int) -> float:
    """Which share of alerts was right, by the diary's page of that day."""
    (report,) = diary.read(visitor.workspace, visitor.scenario, from_day=day, until_day=day + 1)
    return float(report["performance"]["metrics"]["alert_precision"])


def saved_in(visitor: Visitor, first: int, end: int) -> float:
    """What the days from `first` to `end`, the last not included, were worth."""
    days = [day for day in ledger.days(visitor.workspace, visitor.scenario) if first <= day.day < end]
    assert len(days) == end - first
    return sum(day.bill.saved for day in days if day.bill is not None)

"""One incident by clicks, from the first alert to the post-mortem."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest
import real_flightdeck
from playwright.sync_api import Page, expect
from visitor import PAGE_MS, Visitor

from pipelines.production.incidents import records, solving
from pipelines.settings import REPOSITORY, Settings

pytestmark = [
    pytest.mark.road,
    pytest.mark.browser,
    pytest.mark.timeout(900),
    pytest.mark.xdist_group("incident"),
]

HYPOTHESIS = "Every request is refused since one morning, and it speaks of memory: the process has died."


@pytest.fixture(scope="module")
def flightdeck(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Everything, started as a user starts it, with a world that something goes wrong in on day 62."""
    with real_flightdeck.started(tmp_path_factory.mktemp("incident")) as running:
        subprocess.run(
            [
                *(sys.executable, "-m", "pipelines", "simulate", "fraud", "--days", "2"),
                *("--set", "ingest.size=small", "--incident", "gateway_crash@62"),
            ],
            cwd=REPOSITORY,
            env=os.environ | running.environment(),
            check=True,
            capture_output=True,
            timeout=300,
        )
        yield running


def test_an_incident_is_noticed_ended_understood_and_written_down(flightdeck: Settings, page: Page) -> None:
    visitor = Visitor(page, flightdeck, "fraud")
    page.goto(flightdeck.app_url)

    # given a usual morning
    visitor.enter("Incidents")
    visitor.title("^Day 62: nothing is wrong that anybody knows of$")
    visitor.sees("Every request got its answer")

    # when a day passes, then what is seen says that something is wrong
    visitor.play("+1 day", 63)
    visitor.title("^Day 63: nothing is declared$")
    visitor.sees(r"Open alerts: requests get no answer")
    visitor.sees(r"On day 62, (\d+) of \1 payments got no answer")
    visitor.sees("out of memory")
    visitor.keep("incident-1-seen")

    # and it is declared; no cause is offered before a hypothesis is written
    visitor.press("Declare an incident")
    visitor.title("^Day 63: an incident is declared$")
    expect(page.get_by_role("combobox", name="Cause")).to_have_count(0)

    # when it is ended, and the cause written down and named
    choose(page, "What to do", "Platform: restart the route")
    visitor.press("Do it")
    visitor.sees("Restart the route. Done on the morning of day 63")
    field = page.get_by_label("What do you think has happened, and what shows it?")
    field.fill(HYPOTHESIS)
    field.press("Control+Enter")
    visitor.press("Keep it")
    choose(page, "Cause", "The model's file was deleted")
    visitor.press("Name it")
    visitor.sees("that is not what happened")
    choose(page, "Cause", "The process that serves has died")
    visitor.press("Name it")
    visitor.sees("that is what happened")
    visitor.keep("incident-2-known")

    # then it is not over before three healthy days have passed
    visitor.press("Confirm that it is over")
    visitor.sees("0 of 3 healthy days have passed since it was ended")
    for day in (64, 65, 66):
        visitor.play("+1 day", day)
    visitor.sees("Three healthy days, and the cause is named")
    visitor.press("Confirm that it is over")

    # and the post-mortem tells it, as a page and as a file
    visitor.title(r"^Day 66: it is over, \d\d of 100$")
    visitor.sees("The process that serves has died")
    visitor.keep("incident-3-over")
    page.get_by_text("Read the post-mortem").click()
    visitor.sees(HYPOTHESIS[:40])
    with page.expect_download(timeout=PAGE_MS) as downloading:
        page.get_by_role("button", name=re.compile("Post-mortem")).click()
    text = downloading.value.path().read_text("utf-8")
    assert "- Day 62: it begins; nobody knows" in text
    (case,) = solving.cases(visitor.workspace, "fraud")
    assert (case.closed, case.tries, case.incident.until_day) == (66, 2, 63)
    assert [made.what for made in records.moves(visitor.workspace, "fraud") if made.move == "lever"] == [
        "restart"
    ]


def choose(page: Page, field: str, option: str) -> None:
    """Choose an option of a select box."""
    box = page.get_by_role("combobox", name=re.compile(field))
    box.click()
    box.fill(option)  # a long list is drawn as far as it is in sight
    page.get_by_role("option", name=option, exact=True).click()

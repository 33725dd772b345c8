"""A real browser takes the road: from an empty home to a served prediction, asking nobody outside.

Pictures of every room are kept in test-results/, light and dark, on a desk and on a phone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import real_flightdeck
from playwright.sync_api import Browser, Page, expect, sync_playwright

from pipelines import promotion
from pipelines.doctor import find_browser
from pipelines.settings import LOOPBACK, REPOSITORY, Settings
from pipelines.workspace import Workspace, open_home

pytestmark = [pytest.mark.road, pytest.mark.browser]

PICTURES = REPOSITORY / "test-results"
RUN_MS = 120_000
DESK = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="module")
def flightdeck(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Everything, started as a user starts it, on an empty home."""
    with real_flightdeck.started(tmp_path_factory.mktemp("road")) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, or whichever there is."""
    path = find_browser()
    assert path, "no Chromium or Chrome was found; `make test` installs one"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(path), args=list(FLAGS))
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page that fails the test when it asks anybody outside this machine, or its script fails."""
    context = browser.new_context(viewport=DESK, color_scheme="light")
    shown = context.new_page()
    asked: set[str] = set()
    faults: list[str] = []
    shown.on("request", lambda request: asked.add(urlsplit(request.url).hostname or ""))
    shown.on("pageerror", lambda error: faults.append(str(error)))
    yield shown
    context.close()
    assert asked <= {LOOPBACK, ""}
    assert faults == []


def open_page(page: Page, settings: Settings, path: str = "") -> None:
    page.goto(f"{settings.app_url}/{path}")
    expect(page.locator("h1")).to_be_visible(timeout=30_000)


def test_the_first_visitor_of_a_fresh_server_may_come_by_a_rooms_own_address(
    flightdeck: Settings, page: Page
) -> None:
    open_page(page, flightdeck, "notebooks-room?scenario=biopsies")
    expect(page.locator("h1")).to_contain_text("biopsies")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_the_road_from_an_empty_home_to_a_served_prediction(flightdeck: Settings, page: Page) -> None:
    # given an empty home, which says what to do first
    open_page(page, flightdeck)
    keep(page, "1-home-empty")
    page.locator("[data-testid=stBottom] button").first.click()

    # when the whole lifecycle runs, its notebook appears cell by cell
    expect(page.get_by_role("button", name="Cancel")).to_be_visible(timeout=30_000)
    notebook = page.locator(".st-key-notebook")
    expect(notebook).to_contain_text(re.compile(r"\d s"), timeout=30_000)
    keep(page, "2-train-running")

    # and a reload, as of a closed tab, loses nothing
    address = page.url
    page.reload()
    expect(page.locator("h1")).to_be_visible(timeout=30_000)
    assert page.url == address
    expect(page.get_by_role("button", name="Run all")).to_be_visible(timeout=RUN_MS)
    keep(page, "3-train-completed")

    # then the version serves, by the ledger
    workspace = Workspace(open_home(flightdeck), "me")
    assert promotion.serving(workspace, "fraud").champion == 1
    open_page(page, flightdeck)
    expect(page.locator("h1")).to_contain_text("Version 1")
    keep(page, "4-home-serving")

    # and answers a payment, with its trace
    open_page(page, flightdeck, "deploy-room?view=ask")
    page.get_by_role("button", name=re.compile("Send")).click()
    expect(page.get_by_text("Prediction id")).to_be_visible(timeout=30_000)
    expect(page.locator("h3", has_text=re.compile(r"^[01]\.\d\d"))).to_be_visible()
    keep(page, "5-serve-answered")


def test_a_refused_param_says_so_and_runs_nothing(flightdeck: Settings, page: Page) -> None:
    # given a day that the biopsies' world does not reach, which the field alone can't know
    open_page(page, flightdeck, "notebooks-room?scenario=biopsies&step=ingest")
    before = runs(flightdeck)
    page.get_by_text("Params", exact=True).click()
    until = page.get_by_label("Until day")
    until.fill("120")
    until.press("Enter")
    expect(page.get_by_text("Was 60")).to_be_visible()
    # when it is run
    page.get_by_role("button", name="Run all").click()
    # then the page says what was found and what to do, and no run was made
    expect(page.get_by_text("lasts 90 days")).to_be_visible(timeout=15_000)
    expect(page.get_by_text("until_day from 1 to 90")).to_be_visible()
    keep(page, "6-params-refused")
    assert runs(flightdeck) == before


def test_a_run_can_be_cancelled_in_the_browser(flightdeck: Settings, page: Page) -> None:
    open_page(page, flightdeck, "notebooks-room?scenario=biopsies")
    page.get_by_role("button", name="Run all").click()
    cancel = page.get_by_role("button", name="Cancel")
    expect(cancel).to_be_visible(timeout=30_000)
    cancel.click()
    expect(page.get_by_role("button", name="Run all")).to_be_visible(timeout=15_000)
    expect(page.locator("h1")).to_contain_text(re.compile("cancel", re.IGNORECASE))


@pytest.mark.parametrize(
    "path", ["", "notebooks-room", "registry-room", "deploy-room", "deploy-room?view=ask"]
)
def test_a_phone_shows_every_room_without_sideways_scrolling(
    flightdeck: Settings, browser: Browser, path: str
) -> None:
    for scheme in ("light", "dark"):
        context = browser.new_context(viewport=PHONE, color_scheme=scheme, is_mobile=True, has_touch=True)
        page = context.new_page()
        open_page(page, flightdeck, path)
        settle(page)
        keep(page, f"phone-{path or 'home'}-{scheme}")
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        context.close()


@pytest.mark.parametrize(
    "path", ["", "notebooks-room", "registry-room", "deploy-room", "deploy-room?view=ask"]
)
def test_the_dark_theme_is_ours(flightdeck: Settings, browser: Browser, path: str) -> None:
    context = browser.new_context(viewport=DESK, color_scheme="dark")
    page = context.new_page()
    open_page(page, flightdeck, path)
    settle(page)
    keep(page, f"dark-{path or 'home'}")
    background = page.evaluate("getComputedStyle(document.querySelector('.stApp')).backgroundColor")
    assert background == "rgb(16, 22, 28)"
    context.close()


def settle(page: Page) -> None:
    """Wait until nothing on the page is still a placeholder."""
    expect(page.locator("[data-testid=stSkeleton]")).to_have_count(0, timeout=15_000)
    expect(page.locator("[data-testid=stBottom] button").first).to_be_visible(timeout=15_000)


def keep(page: Page, name: str) -> None:
    """A picture of what is in sight, for whoever wants to look."""
    PICTURES.mkdir(exist_ok=True)
    page.screenshot(path=PICTURES / f"{name}.png")


def runs(settings: Settings) -> list[str]:
    return Workspace(open_home(settings), "me").run_ids()

"""Every room in a real browser, at both sizes and in both themes; and what only a browser can press."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import screenshots
from playwright.sync_api import Browser, Page, expect

from pages.parts import rooms
from pipelines.keeping import aside, packing
from pipelines.settings import Settings
from pipelines.workspace import Workspace, open_home, open_workspace

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("rooms")]

DESK, PHONE = ({"width": width, "height": height} for width, height in screenshots.SIZES.values())
VIEWS = [room.name for room in rooms.ROOMS]
OURS = "rgb(16, 22, 28)"


@pytest.fixture(scope="module")
def flightdeck(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """The app on a home in which much has happened."""
    home = tmp_path_factory.mktemp("rooms")
    screenshots.fill(open_workspace(home=open_home(Settings(home))), "full")
    with screenshots.app(home) as started:
        yield started


@pytest.fixture
def workspace(flightdeck: Settings) -> Workspace:
    return open_workspace(home=open_home(flightdeck))


def open_room(page: Page, settings: Settings, path: str) -> None:
    page.goto(f"{settings.app_url}/{path}")
    screenshots.settle(page)


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("size", ["desk", "phone"])
def test_every_room_fits_its_window_and_asks_nobody_outside(
    flightdeck: Settings, browser: Browser, name: str, size: str
) -> None:
    # given
    place = screenshots.views(None)[name]
    viewport = DESK if size == "desk" else PHONE
    findings = screenshots.Findings()
    context = browser.new_context(viewport=viewport, color_scheme="dark", has_touch=size == "phone")
    page = context.new_page()
    screenshots.watch(page, findings, name)
    # when
    open_room(page, flightdeck, place)
    # then
    assert page.locator("h1").first.inner_text().strip()
    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    assert page.evaluate("getComputedStyle(document.querySelector('.stApp')).backgroundColor") == OURS
    context.close()
    assert list(findings.lines()) == []


def test_two_runs_chosen_in_the_table_stand_side_by_side(flightdeck: Settings, page: Page) -> None:
    # given
    open_room(page, flightdeck, "history-room")
    table = page.get_by_test_id("stDataFrame")
    table.scroll_into_view_if_needed()
    # when two rows are ticked, by their place: the table is drawn on a canvas
    for row in (1, 2):
        table.click(position={"x": 16, "y": 35 * row + 17})
    page.get_by_role("button", name="Compare the two").click()
    # then
    expect(page.locator("h1")).to_have_text("Two runs side by side", timeout=30_000)
    assert re.search(r"a=[\w-]+&b=[\w-]+", page.url)


def test_the_steps_are_walked_with_the_keyboard(flightdeck: Settings, page: Page) -> None:
    # given
    open_room(page, flightdeck, "notebooks-room?step=ingest")
    steps = page.get_by_role("navigation", name="Steps of the run")
    steps.get_by_role("button", name=re.compile("^Train a model:")).focus()
    # when
    page.keyboard.press("Enter")
    # then its notebook is shown, and the focus has stayed
    expect(page.get_by_role("heading", name="Train a model")).to_be_visible(timeout=15_000)
    focused = "document.activeElement.shadowRoot?.activeElement ?? document.activeElement"
    page.wait_for_function(f"({focused}).dataset.name === 'train'")


def test_a_phone_folds_the_list_of_steps(flightdeck: Settings, browser: Browser) -> None:
    # given
    context = browser.new_context(viewport=PHONE, has_touch=True)
    page = context.new_page()
    open_room(page, flightdeck, "notebooks-room?step=train")
    fold = page.get_by_role("button", name=re.compile(r"Train a model\s*Step"))
    evaluate = page.get_by_role("button", name=re.compile("^Evaluate it:"))
    expect(evaluate).to_be_hidden()
    # when
    fold.tap()
    expect(evaluate).to_be_visible()
    evaluate.tap()
    # then
    expect(page.get_by_role("button", name=re.compile(r"Evaluate it\s*Step"))).to_be_visible(timeout=15_000)
    expect(evaluate).to_be_hidden()
    context.close()


def test_the_code_toggle_is_remembered_from_room_to_room(flightdeck: Settings, page: Page) -> None:
    open_room(page, flightdeck, "notebooks-room?step=train&view=notebook")
    page.get_by_text("Code", exact=True).click()
    expect(page.locator(".st-key-notebook [data-testid=stCode]").first).to_be_visible(timeout=15_000)
    page.get_by_role("link", name="Home").click()
    expect(page.get_by_role("navigation", name="Lifecycle of Card fraud")).to_be_visible(timeout=15_000)
    page.get_by_role("link", name="Notebooks").click()
    expect(page.locator(".st-key-notebook [data-testid=stCode]").first).to_be_visible(timeout=15_000)


def test_a_reset_asks_first_and_can_be_taken_back(
    flightdeck: Settings, page: Page, workspace: Workspace
) -> None:
    # given
    before = workspace.run_ids()
    open_room(page, flightdeck, "workspace-room")
    # when it is left at the question
    page.get_by_role("button", name="Reset").click()
    expect(page.get_by_role("dialog")).to_be_visible(timeout=15_000)
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0, timeout=15_000)
    assert workspace.run_ids() == before
    # when it is meant
    page.get_by_role("button", name="Reset").click()
    page.get_by_role("button", name="Empty it").click()
    expect(page.get_by_text(f"{len(before)} runs, before a reset")).to_be_visible(timeout=30_000)
    assert workspace.run_ids() == []
    # then one click brings it back
    page.get_by_role("button", name="Put back").first.click()
    expect(page.get_by_text("before a reset")).to_have_count(0, timeout=30_000)
    assert workspace.run_ids() == before


def test_a_backup_is_uploaded_looked_into_and_restored(
    flightdeck: Settings, page: Page, workspace: Workspace, tmp_path_factory: pytest.TempPathFactory
) -> None:
    # given
    file = tmp_path_factory.mktemp("backup") / "mine.zip"
    packing.back_up(workspace, file)
    before = workspace.run_ids()
    open_room(page, flightdeck, "workspace-room")
    # when
    page.locator("input[type=file]").set_input_files(file)
    page.get_by_role("button", name="Look into it").click()
    page.get_by_role("button", name="Restore it").click()
    # then
    expect(page.get_by_text("Restored", exact=True)).to_be_visible(timeout=60_000)
    assert workspace.run_ids() == before
    assert aside.removed(workspace)[0].why == "restore"

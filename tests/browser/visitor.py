"""Somebody who only looks and clicks: how browser tests walk through rooms, and what they see there."""

from __future__ import annotations

import re
from dataclasses import dataclass

import screenshots
from playwright.sync_api import Page, expect

from pipelines import branches
from pipelines.settings import REPOSITORY, Settings
from pipelines.workspace import Workspace, open_home

PICTURES = REPOSITORY / "test-results"
PAGE_MS, RUN_MS = 30_000, 240_000
DAY_MS = 6_000  # At most, on a machine that tests share; 0.4 s on one that is quiet.
WITHOUT_ICONS = """shown => {
    const copy = shown.cloneNode(true);
    copy.querySelectorAll("[data-testid=stIconMaterial]").forEach(icon => icon.remove());
    return copy.textContent;
}"""


@dataclass(frozen=True)
class Visitor:
    """Somebody who only looks and clicks, and whose workspace can be looked into beside that."""

    page: Page
    settings: Settings
    scenario: str

    @property
    def workspace(self) -> Workspace:
        return Workspace(open_home(self.settings), "me")

    @property
    def main(self) -> str:
        """What the room says; an icon's text is its name."""
        return str(self.page.get_by_test_id("stMain").evaluate(WITHOUT_ICONS))

    def enter(self, room: str) -> None:
        """Go to a room by the sidebar."""
        self.page.get_by_test_id("stSidebar").get_by_role("link", name=room, exact=True).click()
        screenshots.settle(self.page)

    def press(self, button: str) -> None:
        self.page.get_by_test_id("stMain").get_by_role("button", name=button).first.click()

    def title(self, says: str, timeout_ms: int = PAGE_MS) -> re.Match[str]:
        """Wait until the room's title says that."""
        expect(self.page.locator("h1")).to_have_text(re.compile(says), timeout=timeout_ms)
        found = re.search(says, self.page.locator("h1").inner_text())
        assert found
        return found

    def sees(self, words: str, timeout_ms: int = PAGE_MS) -> None:
        expect(self.page.get_by_test_id("stMain")).to_contain_text(
            re.compile(words, re.DOTALL), timeout=timeout_ms
        )

    def play(self, button: str, until_day: int) -> None:
        """Let time pass by the time bar, and wait until its day is reached."""
        begun = branches.today(self.workspace, self.scenario) or until_day - 30
        self.press(button)
        bar = self.page.locator("[data-testid=stMain]").get_by_text(re.compile(rf"^Day {until_day}\b"))
        expect(bar.first).to_be_visible(timeout=PAGE_MS + DAY_MS * (until_day - begun))
        expect(self.page.get_by_role("button", name="Play", exact=False)).to_be_visible(timeout=PAGE_MS)
        assert branches.today(self.workspace, self.scenario) == until_day
        screenshots.settle(self.page)

    def keep(self, name: str) -> None:
        """A picture of what is in sight; and a page that failed shows it."""
        PICTURES.mkdir(exist_ok=True)
        self.page.screenshot(path=PICTURES / f"{name}.png")
        expect(self.page.get_by_test_id("stException")).to_have_count(0)

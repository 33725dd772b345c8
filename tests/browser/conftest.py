"""What browser tests share: a browser, and a page that lets nothing unseen happen."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import screenshots
from playwright.sync_api import Browser, Page, sync_playwright


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, or whichever there is."""
    with sync_playwright() as playwright:
        chromium = screenshots.launch(playwright)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page on a desk that fails the test when it asks anybody outside, or its script fails."""
    width, height = screenshots.SIZES["desktop"]
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme="light")
    shown, findings = context.new_page(), screenshots.Findings()
    screenshots.watch(shown, findings)
    yield shown
    context.close()
    assert list(findings.lines()) == []

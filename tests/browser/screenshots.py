"""Pictures of every room at two sizes in both themes, and proof that no page asks anything outside.

    python tests/browser/screenshots.py FOLDER [--url http://127.0.0.1:8501] [--query run=…]

The app must be running. Ends with 1 when a page asked another host, is wider than its window, or logged
an error of its own.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, Request, sync_playwright

CHROMIUM = os.environ.get("FLIGHTDECK_CHROMIUM", "/usr/bin/chromium")
# A browser that asks nothing by itself, so that every request it makes is the page's.
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
ROOMS = {
    "home": "",
    "notebooks": "notebooks-room",
    "params": "notebooks-room?view=params&step=train",
    "registry": "registry-room",
    "deploy": "deploy-room",
    "ask": "deploy-room?view=ask",
}
SIZES = {"desktop": (1440, 900), "phone": (390, 844)}
THEMES = ("light", "dark")
LOCAL = {"127.0.0.1", "localhost", None}
READY_MS = 30_000
SETTLED_MS = 1200  # A plot's last drawing comes a moment after its data.
# Streamlit's own browser code tries its server's addresses below the page's first, and finds them above.
EXPECTED_ERROR = "404"


@dataclass
class Findings:
    """What went wrong: hosts that were asked, pages that are too wide, errors in the browser's log."""

    hosts: set[str] = field(default_factory=set)
    wide: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.hosts or self.wide or self.errors)

    def lines(self) -> Iterator[str]:
        yield from (f"asked outside this machine: {host}" for host in sorted(self.hosts))
        yield from (f"wider than its window: {name}" for name in self.wide)
        yield from (f"error in the browser: {error}" for error in self.errors)


def launch(playwright: object) -> Browser:
    """Debian's Chromium, with a fresh profile."""
    return playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)  # type: ignore[attr-defined]


def watch(page: Page, findings: Findings) -> None:
    """Note every request to another host, and every error in the browser's log."""

    def asked(request: Request) -> None:
        host = urlsplit(request.url).hostname
        if host not in LOCAL:
            findings.hosts.add(request.url)

    page.on("request", asked)
    page.on("pageerror", lambda error: findings.errors.append(str(error)))
    page.on(
        "console",
        lambda message: (
            findings.errors.append(message.text)
            if message.type == "error" and EXPECTED_ERROR not in message.text
            else None
        ),
    )


def settle(page: Page) -> None:
    """Wait until the page's script has run and everything is drawn."""
    page.wait_for_selector("[data-testid=stMainBlockContainer] h1", timeout=READY_MS)
    page.wait_for_function(
        "!document.querySelector('[data-testid=stSkeleton], [data-testid=stStatusWidget]')", timeout=READY_MS
    )
    page.wait_for_timeout(SETTLED_MS)


def shoot(url: str, folder: Path, query: str = "") -> Findings:
    """Save room-size-theme.png for every room, size and theme."""
    findings = Findings()
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = launch(playwright)
        # The first visit makes Streamlit know our addresses; the services ask for this when they start.
        browser.new_page().goto(f"{url}/_stcore/script-health-check")
        for theme in THEMES:
            for size, (width, height) in SIZES.items():
                context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=theme)
                for room, path in ROOMS.items():
                    page = context.new_page()
                    watch(page, findings)
                    joined = f"{path}{'&' if '?' in path else '?'}{query}" if query else path
                    page.goto(f"{url}/{joined}")
                    settle(page)
                    name = f"{room}-{size}-{theme}"
                    if page.evaluate("document.documentElement.scrollWidth") > width:
                        findings.wide.append(name)
                    page.screenshot(path=folder / f"{name}.png")
                    page.close()
                context.close()
        browser.close()
    return findings


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--url", default="http://127.0.0.1:8501")
    parser.add_argument("--query", default="", help="added to every address, such as run=ID")
    chosen = parser.parse_args()
    findings = shoot(chosen.url, chosen.folder, chosen.query)
    for line in findings.lines():
        sys.stderr.write(line + "\n")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())

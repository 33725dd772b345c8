"""Pictures of every room: two sizes, two themes, four states; and proof that no page asks anything outside.

    make pictures [PICTURES=FOLDER] [ADDRESS=http://127.0.0.1:8501]

Starts the app on sample homes: empty, with a run going on, with a failed one, and full. With an address
the Flightdeck that runs there is taken instead, as it is. Ends with 1 when a page asked another host, is
wider than its window, shows no title, or logged an error of its own.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import page_samples as samples
from playwright.sync_api import Browser, Page, Request, sync_playwright
from playwright.sync_api import TimeoutError as Late

from pages.parts import rooms
from pipelines.doctor import find_browser
from pipelines.services.ports import free_port
from pipelines.services.programs import services_of, shared_environment
from pipelines.settings import LOOPBACK, REPOSITORY, Settings
from pipelines.workspace import Workspace, open_home, open_workspace

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
SIZES = {"desktop": (1440, 900), "phone": (390, 844)}
THEMES = ("light", "dark")
STATES = ("empty", "running", "failed", "full")
LOCAL = {LOOPBACK, "localhost", None}
START_S = 90
READY_MS = 90_000
SETTLED_MS = 1200  # A plot's last drawing comes a moment after its data.
# Streamlit's own browser code tries its server's addresses below the page's first, and finds them above.
EXPECTED_ERROR = "404"


@dataclass
class Findings:
    """What went wrong: hosts that were asked, pages too wide or without a title, errors in the log."""

    hosts: set[str] = field(default_factory=set)
    wide: list[str] = field(default_factory=list)
    untitled: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.hosts or self.wide or self.untitled or self.errors)

    def lines(self) -> Iterator[str]:
        yield from (f"asked outside this machine: {host}" for host in sorted(self.hosts))
        yield from (f"wider than its window: {name}" for name in self.wide)
        yield from (f"did not come to rest with a title: {name}" for name in self.untitled)
        yield from (f"error in the browser: {error}" for error in self.errors)


def launch(playwright: object) -> Browser:
    """Chromium or Chrome, with a fresh profile."""
    path = find_browser()
    if not path:
        raise SystemExit("No Chromium or Chrome was found; `make test` installs one.")
    return playwright.chromium.launch(executable_path=str(path), args=FLAGS)  # type: ignore[attr-defined]


def watch(page: Page, findings: Findings, name: str = "") -> None:
    """Note every request to another host, and every error in the browser's log."""

    def asked(request: Request) -> None:
        if urlsplit(request.url).hostname not in LOCAL:
            findings.hosts.add(request.url)

    page.on("request", asked)
    page.on("pageerror", lambda error: findings.errors.append(f"{name}: {error}"))
    page.on(
        "console",
        lambda message: (
            findings.errors.append(f"{name}: {message.text}")
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


def fill(workspace: Workspace, state: str) -> None:
    """Make a workspace that is in that state."""
    if state == "empty":
        return
    samples.completed(workspace, ago_s=7200)
    if state == "running":
        samples.running(workspace)
    elif state == "failed":
        samples.failed(workspace)
        samples.damaged(workspace)
    else:
        samples.completed(workspace, version=2, params=samples.PARAMS | {"train": {"trees": 200}}, ago_s=3600)
        samples.completed(workspace, version=3, gate=False, ago_s=1200)
        samples.failed(workspace)
        samples.predicted(workspace, version=2)


def views(workspace: Workspace | None) -> dict[str, str]:
    """Addresses by the picture's name: every room, and rooms that have more than one face."""
    found = {room.name: room.address for room in rooms.ROOMS}
    found[rooms.HOME] = ""  # the app opens there, and knows no other address of it
    found["params"] = "notebooks-room?view=params&step=train"
    found["ask"] = "deploy-room?view=ask"
    found["trace"] = "deploy-room?view=trace"
    known = workspace.run_ids() if workspace else []
    runs = sorted(run for run in known if workspace and (workspace.runs / run / "reports").is_dir())
    if runs:
        found["run"] = f"history-room?run={runs[0]}"
    if len(runs) > 1:
        found["pair"] = f"history-room?{urlencode({'a': runs[0], 'b': runs[1]})}"
    return found


@contextmanager
def app(home: Path) -> Iterator[Settings]:
    """The app alone, as its service starts it, on that home; neither MLflow nor gateway run."""
    chosen = Settings(home, *(free_port() for _ in range(3)))
    service = next(service for service in services_of(chosen) if service.name == "app")
    with (home / "app.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, *service.command],
            env={**shared_environment(chosen, os.environ), **service.environment},
            cwd=REPOSITORY,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + START_S
        while not service.ready():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(
                    "The app did not start:\n" + (home / "app.log").read_text("utf-8", "replace")
                )
            time.sleep(0.1)
        yield chosen
    finally:
        process.terminate()
        process.wait(15)


def shoot(
    browser: Browser,
    url: str,
    addresses: Mapping[str, str],
    folder: Path,
    findings: Findings,
    state: str = "",
    themes: tuple[str, ...] = THEMES,
) -> None:
    """Save [state-]view-size-theme.png for every view, size and theme."""
    # The first visit makes Streamlit know our addresses; the services ask for this when they start.
    browser.new_page().goto(f"{url}/_stcore/script-health-check")
    for theme in themes:
        for size, (width, height) in SIZES.items():
            context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=theme)
            for view, path in addresses.items():
                name = "-".join(part for part in (state, view, size, theme) if part)
                page = context.new_page()
                watch(page, findings, name)
                page.goto(f"{url}/{path}")
                try:
                    settle(page)
                except Late:
                    findings.untitled.append(name)
                if page.evaluate("document.documentElement.scrollWidth") > width:
                    findings.wide.append(name)
                page.screenshot(path=folder / f"{name}.png")
                page.close()
            context.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--url", default="", help="of a Flightdeck that runs; sample homes otherwise")
    chosen = parser.parse_args()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    findings = Findings()
    with sync_playwright() as playwright:
        browser = launch(playwright)
        if chosen.url:
            shoot(browser, chosen.url.rstrip("/"), views(None), chosen.folder, findings)
        for state in () if chosen.url else STATES:
            with tempfile.TemporaryDirectory() as name:
                settings = Settings(Path(name).resolve())
                workspace = open_workspace(home=open_home(settings))
                fill(workspace, state)
                with app(settings.home) as started:
                    # What is in between is seen in light; all is seen in both.
                    themes = THEMES if state == "full" else THEMES[:1]
                    places = views(workspace)
                    shoot(browser, started.app_url, places, chosen.folder, findings, state, themes)
        browser.close()
    for line in findings.lines():
        sys.stderr.write(line + "\n")
    sys.stdout.write(f"{len(list(chosen.folder.glob('*.png')))} pictures are in {chosen.folder}.\n")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())

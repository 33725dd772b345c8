"""What Workspace shows: disk use, backups, and what was moved aside; and the long work behind its buttons.

Measuring and backing up happen in threads of their own that know nothing of Streamlit; the page looks in.
"""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from pages.parts.words import NARROW, clock, several
from pipelines import figures
from pipelines.keeping import aside, packing, unpacking, usage
from pipelines.keeping.manifest import Manifest
from pipelines.keeping.usage import Usage
from pipelines.workspace import Workspace

# A measurement holds this long; a button asks for a new one.
FRESH_S = 300.0
# A browser keeps what it downloads in the app's memory: a larger backup is fetched from its folder.
DOWNLOAD_BYTES = 300 * 2**20
_BACKUP = re.compile(r"[a-z0-9-]+-\d{8}-\d{6}\.zip\Z")


@dataclass
class Work:
    """Something that takes a while: how far it is, and its outcome."""

    future: Future[Any]
    began: float = field(default_factory=time.time)
    done: int = 0
    total: int = 0

    @property
    def share(self) -> float:
        return min(1.0, self.done / self.total) if self.total else 0.0

    def told(self, done: int, total: int) -> None:
        self.done, self.total = done, total


@st.cache_resource
def _works() -> tuple[dict[tuple[str, str], Work], ThreadPoolExecutor]:
    return {}, ThreadPoolExecutor(2, thread_name_prefix="keeping")


def measured(workspace: Workspace) -> Usage | None:
    """The newest measurement; None while the first is being made. An old one is made anew meanwhile."""
    works, pool = _works()
    key = (str(workspace.root), "measure")
    work, earlier = works.get(key), works.get((*key[:1], "measured"))
    if work is not None and work.future.done():
        works[key[0], "measured"] = earlier = works.pop(key)
        work = None
    if work is None and (earlier is None or time.time() - earlier.began > FRESH_S):
        works[key] = Work(pool.submit(usage.measure, workspace))
    return earlier.future.result() if earlier else None


def measure_again(workspace: Workspace) -> None:
    """Forget the measurement: something was moved."""
    works, _ = _works()
    for name in ("measure", "measured"):
        works.pop((str(workspace.root), name), None)


def start(workspace: Workspace, name: str, work: Callable[..., Any], *arguments: Any) -> None:
    """Begin `work(*arguments, tell)` in a thread, unless it is going on."""
    works, pool = _works()
    key = (str(workspace.root), name)
    if key in works and not works[key].future.done():
        return
    made = Work(Future())
    works[key] = made
    made.future = pool.submit(work, *arguments, made.told)


def going_on(workspace: Workspace, name: str) -> Work | None:
    """The work of that name, until its outcome was taken."""
    return _works()[0].get((str(workspace.root), name))


def take(workspace: Workspace, name: str) -> Any:
    """The outcome of a work that is done; it is forgotten then.

    Raises
    ------
    FlightdeckError
        As the work did.
    """
    return _works()[0].pop((str(workspace.root), name)).future.result()


def back_up(workspace: Workspace) -> None:
    """Begin a backup into the home's folder of backups."""
    folder = usage.backups_of(workspace)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{workspace.name}-{time.strftime('%Y%m%d-%H%M%S')}.zip"
    start(workspace, "backup", packing.back_up, workspace, file)


def restore(workspace: Workspace, file: Path, *, temporary: bool = False) -> None:
    """Begin to restore from a file; one that was uploaded is removed afterwards."""

    def work(tell: Callable[[int, int], object]) -> Any:
        try:
            return aside.restore(workspace, file, tell)
        finally:
            if temporary:
                file.unlink(missing_ok=True)

    start(workspace, "restore", work)


def uploaded(content: Any) -> tuple[Path, Manifest]:
    """An uploaded file on disk, and what it says it holds; it is not kept when it is no backup.

    Raises
    ------
    FlightdeckError
        As `unpacking.inspect`.
    """
    with tempfile.NamedTemporaryFile(prefix="restore-", suffix=".zip", delete=False) as file:
        while part := content.read(2**20):
            file.write(part)
    path = Path(file.name)
    try:
        return path, unpacking.inspect(path)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def backups(workspace: Workspace) -> list[Path]:
    """Backups made on this page, newest first."""
    folder = usage.backups_of(workspace)
    found = [path for path in folder.glob("*.zip") if _BACKUP.match(path.name)] if folder.is_dir() else []
    return sorted(found, reverse=True)


def headline(found: Usage | None, kept: int) -> tuple[str, str]:
    """What the workspace takes, and that nothing is lost."""
    said = (
        "All you make lies in one folder. Back it up, empty it, or go back: nothing here is lost by a click."
    )
    if found is None:
        return "Your workspace", said
    moved = f", {several(kept, 'state', 'states')} to go back to" if kept else ""
    return f"Your workspace takes {size(found.total)}{moved}", said


def figure(found: Usage) -> go.Figure:
    """What takes the disk, largest first."""
    largest = found.parts[0]
    drawn = figures.new_figure(
        f"{size(found.total)}, most of it: {largest.title[:1].lower()}{largest.title[1:]}",
        "MB",
        height=max(230, 70 + 32 * len(found.parts)),
    )
    names = [part.title + ("*" if part.shared else "") for part in found.parts]
    figures.bars(drawn, names, [part.bytes / 1e6 for part in found.parts], level=True)
    drawn.data[-1].text = [size(part.bytes) for part in found.parts]
    drawn.data[-1].update(textposition="outside", cliponaxis=False)
    drawn.update_xaxes(range=[0, 1.35 * largest.bytes / 1e6 or 1])
    drawn.data[-1].customdata = [several(part.files, "file", "files") for part in found.parts]
    drawn.data[-1].hovertemplate = "%{y}: %{text} in %{customdata}<extra></extra>"
    figures.describe_as(drawn, "; ".join(f"{part.title}: {size(part.bytes)}" for part in found.parts) + ".")
    return drawn


def size(count: float) -> str:
    """Bytes as people say them."""
    for unit, one in (("GB", 1e9), ("MB", 1e6)):
        if count >= one:
            return f"{count / one:,.1f}{NARROW}{unit}"
    return f"{count / 1e3:,.0f}{NARROW}kB"


def moved(each: aside.Removed) -> str:
    """What was moved aside, in a line."""
    why = {"reset": "before a reset", "restore": "before a restore", "undo": "before an undo"}[each.why]
    return f"{clock(each.at)}: {several(each.runs, 'run', 'runs')}, {why}"

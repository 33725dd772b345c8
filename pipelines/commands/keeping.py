"""Commands about a workspace as a whole: backup, restore, reset, undo."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from pipelines.commands.answer import AsJson, InWorkspace, say, speaking, tell
from pipelines.settings import settings
from pipelines.workspace import DEFAULT_WORKSPACE, open_home, open_workspace

TOLD_EVERY = 0.1


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to make, such as me.zip.")],
    workspace: InWorkspace = DEFAULT_WORKSPACE,
    as_json: AsJson = False,
) -> None:
    """Write a workspace into one file: its runs, tables, and its part of MLflow. It may be in use."""
    from pipelines.keeping import packing

    with speaking(as_json):
        made = packing.back_up(open_workspace(workspace), file.absolute(), None if as_json else _Progress())
        size = file.stat().st_size
        answer = {
            "file": str(file.absolute()),
            "workspace": workspace,
            "bytes": size,
            "contents": made.contents,
        }
        say(
            answer,
            [f"{file} holds workspace '{workspace}': {_counted(made.contents)}, {size / 1e6:,.1f} MB."],
            as_json,
        )


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="As made by backup.")],
    workspace: Annotated[str, typer.Option("--workspace", help="Whose; the backup's own by default.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do it without asking.")] = False,
    as_json: AsJson = False,
) -> None:
    """Let a workspace be as it was backed up. What it holds now is moved aside, not deleted."""
    from pipelines import services
    from pipelines.keeping import aside, unpacking

    with speaking(as_json):
        found = unpacking.inspect(file)
        place = open_workspace(workspace or found.workspace)
        question = f"Restore workspace '{place.name}' as of {_moment(found.made_at)}?"
        if place.run_ids() and not yes and not typer.confirm(question, err=True):
            raise typer.Exit(1)
        with services.ensure(settings(), needed=("mlflow",)):  # which makes its tables in an empty home
            found, removed = aside.restore(place, file, None if as_json else _Progress())
        kept = f" What it held is kept: python -m pipelines undo {removed.name}" if removed else ""
        say(
            {
                "workspace": place.name,
                "made_at": found.made_at,
                "contents": found.contents,
                "removed": removed.name if removed else None,
            },
            [
                f"Workspace '{place.name}' is as of {_moment(found.made_at)}: {_counted(found.contents)}."
                + kept
            ],
            as_json,
        )


def reset(
    yes: Annotated[bool, typer.Option("--yes", help="Do it without asking.")] = False,
    workspace: InWorkspace = DEFAULT_WORKSPACE,
    as_json: AsJson = False,
) -> None:
    """Empty a workspace: its runs, versions and ledger. What it held is moved aside, not deleted."""
    from pipelines.keeping import aside

    with speaking(as_json):
        place = open_workspace(workspace)
        if not yes and not typer.confirm(f"Empty workspace '{workspace}'?", err=True):
            raise typer.Exit(1)
        removed = aside.reset(place)
        folder = place.home.root / "removed" / removed.name
        say(
            {"workspace": workspace, "removed": removed.name, "moved_to": str(folder)},
            [
                f"Workspace '{workspace}' is empty. What it held is in {folder}.",
                f"To put it back: python -m pipelines undo {removed.name}",
            ],
            as_json,
        )


def undo(
    name: Annotated[
        str, typer.Argument(metavar="[NAME]", help="What to put back; the newest by default.")
    ] = "",
    listing: Annotated[bool, typer.Option("--list", help="List what was moved aside instead.")] = False,
    workspace: InWorkspace = DEFAULT_WORKSPACE,
    as_json: AsJson = False,
) -> None:
    """Put back what a reset or restore moved aside; what is there is moved aside instead."""
    from pipelines.keeping import aside

    with speaking(as_json):
        place = open_workspace(workspace)
        if listing:
            kept = aside.removed(place)
            lines = [f"{each.name}  {_moment(each.at)}  by {each.why}  {each.runs} runs" for each in kept]
            say({"removed": [asdict(each) for each in kept]}, lines or ["Nothing was moved aside."], as_json)
            return
        removed = aside.undo(place, name or None)
        say(
            {"workspace": workspace, "removed": removed.name},
            [
                f"Workspace '{workspace}' holds again what was moved aside.",
                f"What it held meanwhile is kept: python -m pipelines undo {removed.name}",
            ],
            as_json,
        )


def recover() -> None:
    """Carry an exchange of workspaces that was killed to its end, before anybody uses them."""
    from pipelines.keeping import aside

    aside.recover(open_home())


class _Progress:
    """Tells each tenth on stderr."""

    def __init__(self) -> None:
        self._told = 0.0

    def __call__(self, done: int, total: int) -> None:
        if total and done / total >= self._told + TOLD_EVERY:
            self._told = done / total
            tell(f"  {self._told:.0%} of {total / 1e6:,.1f} MB")


def _counted(contents: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in contents.items())


def _moment(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(at))

"""How a command takes its options and answers: lines or one JSON object, an exit code when it can not."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from pipelines.errors import FlightdeckError, Unavailable

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
InWorkspace = Annotated[str, typer.Option("--workspace", help="Whose workspace.")]
ScenarioName = Annotated[str, typer.Argument(metavar="SCENARIO", help="fraud, biopsies or maintenance.")]
RunId = Annotated[str, typer.Argument(metavar="RUN_ID", help="As printed by run, and by run --list.")]


@contextmanager
def speaking(as_json: bool) -> Iterator[None]:
    """Turn an error of ours into its two sentences and its exit code."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s")
    try:
        yield
    except FlightdeckError as error:
        _complain(error, as_json)
        raise typer.Exit(error.exit_code) from error
    except ModuleNotFoundError as error:
        lacking = Unavailable(f"The package '{error.name}' is not installed.", "Install it: make install")
        _complain(lacking, as_json)
        raise typer.Exit(lacking.exit_code) from error


def say(value: dict[str, Any], lines: Sequence[str], as_json: bool) -> None:
    """Print the answer of a command on stdout."""
    sys.stdout.write((json.dumps(value) if as_json else "\n".join(lines)) + "\n")
    sys.stdout.flush()


def tell(line: str) -> None:
    """Tell on stderr what goes on meanwhile."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def ignore(_line: str) -> None:
    """With --json nothing is told on the way."""


def _complain(error: FlightdeckError, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps({"error": error.message, "hint": error.hint}) + "\n")
    else:
        sys.stderr.write(f"{error.message}\n{error.hint}\n")

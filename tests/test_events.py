"""The events of a run: written whole from several processes, and folded into its state."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pipelines import events
from pipelines.events import append, fold, read

STEPS = ("ingest", "train")


def test_lines_from_many_writers_never_mix(tmp_path: Path) -> None:
    def write(writer: int) -> None:
        for number in range(50):
            append(tmp_path, "printed", step="train", cell=writer, text=f"{number} " + "é" * 200)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    found = read(tmp_path)
    assert len(found) == 400
    for writer in range(8):
        mine = [event["text"].split()[0] for event in found if event["cell"] == writer]
        assert mine == [str(number) for number in range(50)]


def test_a_line_still_being_written_is_left_for_the_next_reading(tmp_path: Path) -> None:
    append(tmp_path, "run_queued")
    with (tmp_path / "events.jsonl").open("ab") as file:
        file.write(b'{"t": 1, "kind": "run_st')
    assert [event["kind"] for event in read(tmp_path)] == ["run_queued"]


def test_a_torn_line_does_not_hide_those_after_it(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_bytes(b'{"t": 1, "ki\n{"t": 2, "kind": "run_queued"}\n')
    assert [event["t"] for event in read(tmp_path)] == [2]


def test_no_events_is_a_queued_run(tmp_path: Path) -> None:
    assert read(tmp_path) == []
    assert fold([], STEPS).status == "queued"


def test_progress_follows_the_cells() -> None:
    state = fold(
        [
            {"t": 1, "kind": "run_queued"},
            {"t": 2, "kind": "run_started"},
            {"t": 3, "kind": "step_started", "step": "ingest", "attempt": 1, "cells": 3},
            {"t": 3, "kind": "cell_started", "step": "ingest", "cell": 2, "number": 1},
            {"t": 4, "kind": "cell_finished", "step": "ingest", "cell": 2, "number": 1, "seconds": 1.0},
            {"t": 4, "kind": "cell_started", "step": "ingest", "cell": 4, "number": 2},
            {"t": 5, "kind": "printed", "step": "ingest", "cell": 4, "text": "half"},
        ],
        STEPS,
    )
    step = state.steps["ingest"]
    assert (state.status, step.status, step.cells_done, step.cells, step.cell) == (
        "running",
        "running",
        1,
        3,
        4,
    )
    assert step.printed == "half"
    assert state.current is step
    assert state.steps["train"].status == "waiting"


def test_an_attempt_after_a_crash_begins_afresh() -> None:
    started = {"t": 1, "kind": "step_started", "step": "ingest", "attempt": 1, "cells": 3}
    cell = {"t": 2, "kind": "cell_finished", "step": "ingest", "cell": 1, "number": 1, "seconds": 1.0}
    state = fold([started, cell, started | {"attempt": 2, "t": 9}], STEPS)
    assert state.steps["ingest"].cells_done == 0
    assert state.steps["ingest"].attempt == 2


def test_a_failure_carries_its_cause_and_the_next_step() -> None:
    state = fold(
        [
            {"t": 1, "kind": "run_started"},
            {"t": 2, "kind": "step_started", "step": "ingest", "attempt": 1, "cells": 3},
            {
                "t": 5,
                "kind": "step_failed",
                "step": "ingest",
                "cell": 4,
                "cause": "no rows",
                "hint": "collect",
            },
            {"t": 6, "kind": "run_finished", "status": "failed"},
        ],
        STEPS,
    )
    assert (state.status, state.cause, state.hint) == ("failed", "no rows", "collect")
    assert (state.steps["ingest"].status, state.steps["ingest"].seconds) == ("failed", 3)


def test_cancelling_ends_the_step_that_was_running() -> None:
    state = fold(
        [
            {"t": 2, "kind": "step_started", "step": "ingest", "attempt": 1, "cells": 3},
            {"t": 6, "kind": "run_finished", "status": "cancelled"},
        ],
        STEPS,
    )
    assert state.finished
    assert state.steps["ingest"].status == "cancelled"


def test_every_kind_of_event_is_documented_with_what_it_carries() -> None:
    assert set(events.KINDS) == {
        "run_queued",
        "run_started",
        "step_started",
        "cell_started",
        "printed",
        "cell_finished",
        "step_finished",
        "step_failed",
        "run_finished",
    }

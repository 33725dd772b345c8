"""The catalogue of runs: complete, searched by anything, quick, and made again from the folders."""

from __future__ import annotations

import json
import time

import page_samples as samples
import pytest

from pipelines import events
from pipelines.execution import catalogue
from pipelines.execution.catalogue import Wish, find, look
from pipelines.execution.history import list_runs
from pipelines.run import create_run
from pipelines.workspace import Workspace


def test_an_entry_says_what_people_look_for(workspace: Workspace) -> None:
    # given
    params = samples.PARAMS | {"train": {"trees": 200}, "register": {"note": "More trees"}}
    run = samples.completed(workspace, version=7, params=params, ago_s=60)
    # when
    (entry,) = look(workspace)
    # then
    assert (entry.run_id, entry.scenario, entry.status) == (run.run_id, "fraud", "completed")
    assert (entry.version, entry.gate, entry.day, entry.note) == (7, True, 60, "More trees")
    assert entry.changed["train.trees"] == 200
    assert "train.learning_rate" not in entry.changed
    assert 0 < entry.metrics["average_precision"] < 1
    low, high = entry.intervals["average_precision"]
    assert low <= entry.metrics["average_precision"] <= high


@pytest.mark.parametrize(
    ("wish", "found"),
    [
        (Wish(), {"a", "b", "failed", "damaged"}),
        (Wish(text="trees=200"), {"b"}),
        (Wish(text="train.trees=200 seed=1"), {"b"}),
        (Wish(text="trees=20"), set()),
        (Wish(text="FRAUD version 2"), {"b"}),
        (Wish(text="try harder"), {"b"}),
        (Wish(text="81 days"), {"failed"}),
        (Wish(text="can't be read"), {"damaged"}),
        (Wish(text="nothing is like this"), set()),
        (Wish(status="failed"), {"failed"}),
        (Wish(status="damaged"), {"damaged"}),
        (Wish(scenario="biopsies"), set()),
        (Wish(step="deploy", scenario="fraud"), {"a", "b", "failed"}),
        (Wish(step="train", status="completed"), {"a", "b"}),
        (Wish(from_day=61), {"b"}),
        (Wish(until_day=60), {"a", "failed"}),
        (Wish(text="'; DROP TABLE entries; --"), set()),
    ],
)
def test_a_wish_finds_exactly_what_it_says(workspace: Workspace, wish: Wish, found: set[str]) -> None:
    # given
    b = {
        "ingest": {"size": "small", "until_day": 70},
        "train": {"trees": 200},
        "register": {"note": "Try harder"},
    }
    named = {
        samples.completed(workspace).run_id: "a",
        samples.completed(workspace, version=2, params=b).run_id: "b",
        samples.failed(workspace).run_id: "failed",
        samples.damaged(workspace): "damaged",
    }
    # when, then
    assert {named[each.run_id] for each in find(look(workspace), wish)} == found


def test_the_newest_comes_first(workspace: Workspace) -> None:
    made = [samples.completed(workspace, serve=False).run_id for _ in range(3)]
    assert [each.run_id for each in look(workspace)] == made[::-1]


def test_what_changes_is_seen_at_the_next_look(workspace: Workspace) -> None:
    # given
    run = create_run(workspace, "fraud")
    folder = workspace.run_folder(run.run_id)
    events.append(folder, "run_queued")
    assert look(workspace)[0].status == "queued"
    # when it goes on, ends, is damaged, vanishes
    events.append(folder, "run_started")
    assert look(workspace)[0].status == "running"
    events.append(folder, "run_finished", status="failed")
    assert look(workspace)[0].status == "failed"
    (folder / "run.json").write_text("{")
    assert look(workspace)[0].status == "damaged"
    (folder / "run.json").unlink()
    assert look(workspace) == []


@pytest.mark.parametrize("harm", ["gone", "junk", "other form", "no rows"])
def test_what_is_kept_may_be_lost_at_any_time(workspace: Workspace, harm: str) -> None:
    # given
    samples.completed(workspace)
    samples.damaged(workspace)
    before = look(workspace)
    kept = workspace.root / "history.db"
    assert kept.is_file()
    # when another process looks, after something happened to the file
    catalogue._shelf.cache_clear()
    for name in ("history.db-wal", "history.db-shm"):
        (workspace.root / name).unlink(missing_ok=True)
    if harm == "gone":
        kept.unlink()
    elif harm == "junk":
        kept.write_bytes(b"this is no database" * 100)
    else:
        connection = catalogue._open(workspace)
        with connection:
            connection.execute(
                "UPDATE form SET is_ = 'x'" if harm == "other form" else "UPDATE entries SET entry = '{'"
            )
        connection.close()
    # then
    assert look(workspace) == before


def test_a_second_process_reads_no_run_again(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    samples.completed(workspace)
    before = look(workspace)
    catalogue._shelf.cache_clear()
    monkeypatch.setattr(catalogue, "read", lambda folder: pytest.fail(f"{folder} was read again"))
    assert look(workspace) == before


def test_ten_thousand_runs_are_found_in_a_second(workspace: Workspace) -> None:
    # given
    run = create_run(workspace, "fraud")
    folder = workspace.run_folder(run.run_id)
    facts, params = json.loads((folder / "run.json").read_text()), (folder / "params.json").read_bytes()
    happened = (
        {"kind": "run_queued"},
        {"kind": "run_started"},
        {"kind": "run_finished", "status": "completed"},
    )
    told = "".join(json.dumps({"t": 1.0} | each) + "\n" for each in happened)
    for number in range(10_000):
        made = workspace.runs / f"20260101-000000-{number:06x}"
        made.mkdir()
        (made / "run.json").write_text(json.dumps(facts | {"run_id": made.name, "created_at": float(number)}))
        (made / "params.json").write_bytes(params)
        (made / "events.jsonl").write_text(told)
    look(workspace)
    # when
    began = time.perf_counter()
    entries = look(workspace)
    newest = find(entries, Wish(text="fraud 20260101", status="completed"))
    took = time.perf_counter() - began
    # then
    assert len(newest) == 10_000
    assert newest[0].run_id == "20260101-000000-00270f"
    assert took < 3.0  # 0.3 s where it was measured; a busy machine takes several times that


def test_the_list_of_the_command_line_says_the_same(workspace: Workspace) -> None:
    damaged, run = samples.damaged(workspace), samples.completed(workspace)
    assert [each["run_id"] for each in list_runs(workspace)] == [run.run_id, damaged]
    assert list_runs(workspace)[0] == {
        "run_id": run.run_id,
        "scenario": "fraud",
        "engine": "local",
        "status": "completed",
        "step": "deploy",
    }
    assert list_runs(workspace)[1]["status"] == "failed"

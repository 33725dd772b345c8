"""The command line as a user types it: JSON on request, two sentences and an exit code when it can't."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import small_model
from click.testing import Result
from real_gateway import make_version
from typer.testing import CliRunner
from world_samples import begun

from pipelines import events, promotion
from pipelines.__main__ import cli
from pipelines.production import clock as clocks
from pipelines.production.incidents import records
from pipelines.run import create_run
from pipelines.settings import REPOSITORY
from pipelines.workspace import Home, Workspace

pytestmark = pytest.mark.xdist_group("command_line")


def call(*words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run `python -m pipelines …` in this test process's home."""
    return subprocess.run(
        [sys.executable, "-m", "pipelines", *words],
        cwd=REPOSITORY,
        env=os.environ | {"COLUMNS": "200"},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def call_here(*words: str) -> Result:
    """The same within this process: starting another one takes a second."""
    return CliRunner().invoke(cli, words)


def test_every_command_of_the_contract_is_there_and_explains_itself() -> None:
    said = call("--help").stdout
    for name in (
        "up",
        "doctor",
        "run",
        "cancel",
        "retry",
        "step",
        "deploy",
        "rollback",
        "backup",
        "restore",
        "simulate",
        "rewind",
        "branches",
        "incident",
        "lineage",
        "drift",
        "reset",
        "undo",
        "bench",
    ):
        assert re.search(rf"^│ {name}\b", said, re.MULTILINE), name


@pytest.mark.parametrize(
    ("words", "found", "code"),
    [
        (("run", "nope"), "no scenario 'nope'", 2),
        (("run",), "No scenario is named", 2),
        (("run", "fraud", "--set", "train.max_depth=99"), "train.max_depth is '99'", 2),
        (("run", "fraud", "--set", "train.dept=9"), "no param 'dept'", 2),
        (("run", "fraud", "--set", "trees"), "STEP.PARAM=VALUE", 2),
        (("run", "fraud", "--seed", "-1"), "The seed is -1", 2),
        (("run", "fraud", "--from", "nope"), "no step 'nope'", 2),
        (("run", "fraud", "--engine", "nope"), "no engine 'nope'", 2),
        (("run", "biopsies", "--set", "ingest.until_day=120"), "lasts 90 days", 2),
        (("run", "fraud", "--workspace", "../etc"), "can't be the name of a workspace", 2),
        (("cancel", "../../etc"), "not a run id", 2),
        (("cancel", "20200101-000000-aaaaaa"), "There is no run", 1),
        (("retry", "20200101-000000-aaaaaa"), "There is no run", 1),
        (("bench", "nope"), "no bench 'nope'", 2),
        (("simulate", "nope", "--days", "3"), "no scenario 'nope'", 2),
        (("simulate", "fraud", "--days", "3", "--policy", "often"), "no policy 'often'", 2),
        (("rewind", "fraud", "--day", "3"), "so there is no past", 1),
        (("branches", "nope"), "no scenario 'nope'", 2),
        (("branches", "fraud", "--switch", "x"), "no branch 'x'", 1),
        (("simulate", "fraud", "--days", "3", "--incident", "flood@70"), "no incident 'flood' in fraud", 2),
        (("simulate", "fraud", "--days", "3", "--incident", "inflation"), "no episode of fraud", 2),
        (("simulate", "fraud", "--days", "3", "--incident", "skew"), "'skew' names no day", 2),
        (("incident", "inject", "fraud", "flood"), "No world of 'fraud'", 1),
        (("incident", "report", "fraud"), "No case is closed yet", 1),
        (("simulate", "fraud", "--days", "3", "--set", "train.max_depth=99"), "train.max_depth is '99'", 2),
    ],
)
def test_what_can_not_be_done_is_said_in_two_sentences(words: tuple[str, ...], found: str, code: int) -> None:
    done = call_here(*words)
    assert done.exit_code == code
    assert found in done.stderr
    assert done.stdout == ""
    with_json = call_here(*words, "--json")
    assert with_json.exit_code == code
    answer = json.loads(with_json.stdout)
    assert found in answer["error"]
    assert answer["hint"]


@pytest.mark.parametrize(
    "words",
    [
        ("run", "fraud", "--seed", "x"),
        ("nope",),
        ("up", "--port", "70000"),
        ("simulate", "fraud"),
        ("simulate", "fraud", "--days", "0"),
    ],
)
def test_bad_usage_exits_with_two(words: tuple[str, ...]) -> None:
    assert call(*words).returncode == 2


def test_a_step_outside_a_run_is_refused_and_writes_nothing(tmp_path: Path, mlflow: str) -> None:
    done = call("step", "train", "--root", str(tmp_path), "--json")
    assert done.returncode == 1
    assert "There is no run" in json.loads(done.stdout)["error"]
    assert list(tmp_path.iterdir()) == []


def test_runs_are_listed_as_json(workspace: Workspace) -> None:
    run = create_run(workspace, "fraud")
    listed = json.loads(call("run", "--list", "--json", "--workspace", workspace.name).stdout)
    assert listed == {
        "runs": [
            {
                "run_id": run.run_id,
                "scenario": "fraud",
                "engine": "local",
                "status": "queued",
                "step": None,
            }
        ]
    }


def test_deploy_and_rollback_write_the_ledger(workspace: Workspace, mlflow: str) -> None:
    # given two registered versions
    for _ in range(2):
        make_version(workspace)
    scenario = small_model.SCENARIO
    place = ("--workspace", workspace.name, "--json")
    # when both are deployed and the second is taken back
    for version in ("1", "2"):
        assert call("deploy", scenario, "--version", version, *place).returncode == 0
    back = json.loads(call("rollback", scenario, "--reason", "too many alerts", *place).stdout)
    # then the first serves, and the ledger says why
    assert (back["version"], back["stage"], back["serving"]) == (1, "production", False)
    assert promotion.serving(workspace, scenario).champion == 1
    assert promotion.history(workspace)[-1].reason == "too many alerts"
    # and what can't be deployed is refused
    missing = call("deploy", scenario, "--version", "9", *place)
    assert (missing.returncode, "no version 9" in missing.stdout) == (1, True)
    assert call("rollback", scenario, *place).returncode == 1


def test_reset_moves_a_workspace_aside_and_asks_first(workspace: Workspace, mlflow: str) -> None:
    small_model.register(workspace, 1)
    for run_id in workspace.run_ids():
        events.append(workspace.run_folder(run_id), "run_finished", status="completed")
    assert call("reset", "--workspace", workspace.name, stdin="n\n").returncode == 1
    assert workspace.runs.is_dir()
    done = call("reset", "--yes", "--workspace", workspace.name, "--json")
    assert done.returncode == 0
    moved = Path(json.loads(done.stdout)["moved_to"])
    assert (moved / "workspace" / "runs").is_dir()
    assert call("run", "--list", "--workspace", workspace.name).stdout.startswith("No runs yet")
    # and all of it can be put back
    listed = json.loads(call("undo", "--list", "--workspace", workspace.name, "--json").stdout)["removed"]
    assert [each["name"] for each in listed] == [moved.name]
    assert call("undo", moved.name, "--workspace", workspace.name).returncode == 0
    assert len(workspace.run_ids()) == 1


def test_a_backup_made_by_the_command_line_restores_by_it(
    workspace: Workspace, mlflow: str, tmp_path: Path
) -> None:
    # given
    small_model.register(workspace, 1)
    for run_id in workspace.run_ids():
        events.append(workspace.run_folder(run_id), "run_finished", status="completed")
    file = tmp_path / "me.zip"
    # when
    made = json.loads(call("backup", str(file), "--workspace", workspace.name, "--json").stdout)
    assert call("reset", "--yes", "--workspace", workspace.name).returncode == 0
    # then it goes back into the workspace it was made of, without being told which
    restored = call("restore", str(file), "--json")
    assert restored.returncode == 0, restored
    done = json.loads(restored.stdout)
    assert (done["workspace"], done["contents"]) == (workspace.name, made["contents"])
    assert made["contents"]["versions"] == 1
    # and asks before it replaces anything
    assert call("restore", str(file), stdin="n\n").returncode == 1
    # and refuses what is none
    assert "not a backup" in call("restore", __file__).stderr


def test_reset_refuses_while_a_run_has_not_ended(workspace: Workspace) -> None:
    run = create_run(workspace, "fraud")
    done = call("reset", "--yes", "--workspace", workspace.name)
    assert done.returncode == 1
    assert run.run_id in done.stderr
    assert workspace.run_ids() == [run.run_id]


def test_an_incident_is_solved_on_the_command_line(home: Home, tmp_path: Path) -> None:
    # given a world in which something goes wrong on the next morning
    workspace = begun(home.root, 1)
    clocks.pause(workspace, "fraud")
    of = ("fraud", "--workspace", workspace.name, "--json")
    made = json.loads(call("incident", "inject", "fraud", "skew", *of[1:]).stdout)
    assert (made["name"], made["begins"]) == ("skew", 60)
    drilled = call("incident", "drill", *of, "--seed", "1")
    assert drilled.returncode == 1
    assert "on its way" in json.loads(drilled.stdout)["error"]
    (waiting,) = records.of_branch(workspace, "fraud")
    with records.TABLES.writing(workspace) as connection:
        records.mark_begun(connection, waiting, 60, {})
    clocks.pass_day(workspace, clocks.must_read(workspace, "fraud"))

    # when it is declared and looked into, then nothing gives it away before the end
    case = json.loads(call("incident", "declare", *of).stdout)["case"]
    assert (case["name"], case["begins"], case["score"]) == (None, None, None)
    assert call("incident", "diagnose", *of).returncode == 1
    said = json.loads(
        call("incident", "diagnose", *of, "--hypothesis", "Means are zero, amounts are not.").stdout
    )
    assert said["case"]["hypothesis"] == "Means are zero, amounts are not."
    assert json.loads(call("incident", "pull", *of[:1], "features_back", *of[1:]).stdout)["done"]
    refused = call("incident", "close", *of)
    assert (refused.returncode, json.loads(refused.stdout)["error"]) == (1, "No cause is named yet.")
    assert call("incident", "diagnose", *of, "--cause", "nothing").returncode == 2

    # and closed, it is told and written
    closed = json.loads(call("incident", "close", *of, "--give-up").stdout)["case"]
    assert (closed["name"], closed["begins"], closed["ended"]) == ("skew", 60, 61)
    report = tmp_path / "report.md"
    assert call("incident", "report", *of[:3], "--out", str(report)).returncode == 0
    assert report.read_text().startswith("# Features are computed otherwise than in training")
    (listed,) = json.loads(call("incident", "list", *of).stdout)["cases"]
    assert listed["score"] == closed["score"]
    library = json.loads(call("incident", "list", *of, "--library").stdout)["library"]
    assert len(library) >= 17

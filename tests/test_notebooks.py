"""The notebooks: their form, their params, and what they say when they are really executed."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, get_origin

import nbformat
import papermill
import pytest

from pipelines import promotion, registry
from pipelines.artifacts import digest, read_artifact
from pipelines.execution import runner
from pipelines.figures import PLOTLY_MIMETYPE
from pipelines.lifecycle import CLEANING, DEPLOYMENT, EVALUATION, EVENTS, FEATURES, LIFECYCLE, SNAPSHOT
from pipelines.mlflow_server import call
from pipelines.run import Run, create_run
from pipelines.settings import NOTEBOOKS, REPOSITORY
from pipelines.step import Step
from pipelines.workspace import Home, Workspace, open_workspace

# What a notebook may import: stage modules and what lies below them, and two ways to show things.
ALLOWED = {
    "IPython.display",
    "pandas",
    "pipelines",
    "pipelines.artifacts",
    "pipelines.features",
    "pipelines.lifecycle",
    "pipelines.packaging",
    "pipelines.run",
    "pipelines.serving",
    "pipelines.monitoring",
    "pipelines.scenarios",
    "pipelines.tasks",
    "pipelines.workspace",
}
MODULES = {
    "cleaning",
    "data_plots",
    "comparison",
    "evaluation",
    "experiment_plots",
    "image",
    "ingestion",
    "manifest",
    "offline",
    "parity",
    "plots",
    "promotion",
    "registry",
    "report",
    "staging",
    "tracking",
    "training",
    "v2_folder",
    "validation",
    "versioning",
    "tuning",
}
# Steps that print while they work, so that a long cell shows how far it is.
PRINTING = ("tune",)
MOST_LINES, MOST_CHARACTERS, MOST_ROWS = 10, 110, 10

pytestmark = pytest.mark.xdist_group("notebooks")  # one process executes them, once

each_step = pytest.mark.parametrize("step", list(LIFECYCLE), ids=lambda step: step.name)


def cells(step: Step, kind: str | None = None) -> list[Any]:
    """The cells of a step's notebook, of one kind when it is named."""
    found = nbformat.read(NOTEBOOKS / step.notebook, as_version=4).cells
    return [cell for cell in found if kind in (None, cell.cell_type)]


def code(step: Step) -> list[Any]:
    """Its code cells without the one of params."""
    return [cell for cell in cells(step, "code") if "parameters" not in cell.metadata.get("tags", [])]


def nodes(step: Step) -> Iterator[ast.AST]:
    """Everything in its code."""
    for cell in code(step):
        yield from ast.walk(ast.parse(cell.source))


def root(node: ast.expr) -> str:
    """The name at the left end of `a.b.c`."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


@each_step
def test_the_params_cell_is_the_definition(step):
    # given what papermill reads from the cell: name, type, default and help
    inspected = papermill.inspect_notebook(str(NOTEBOOKS / step.notebook))

    defined = {
        name: (
            "str" if get_origin(field.annotation) is Literal else field.annotation.__name__,
            field.default,
            field.description,
        )
        for name, field in step.params.model_fields.items()
    }

    assert list(inspected) == list(defined)
    for name, (kind, default, description) in defined.items():
        assert inspected[name]["inferred_type_name"] == kind
        assert ast.literal_eval(inspected[name]["default"]) == default
        assert inspected[name]["help"] == description


@each_step
def test_params_are_one_a_line_in_one_cell_with_the_tag(step):
    tagged = [cell for cell in cells(step, "code") if "parameters" in cell.metadata.get("tags", [])]

    assert len(tagged) == 1
    assert len(tagged[0].source.splitlines()) == len(step.params.model_fields)


@each_step
def test_it_is_stored_without_outputs_for_any_python(step):
    notebook = nbformat.read(NOTEBOOKS / step.notebook, as_version=4)

    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    assert all(cell.outputs == [] and cell.execution_count is None for cell in cells(step, "code"))
    assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)


@each_step
def test_it_opens_with_its_purpose_and_its_place(step):
    opening = cells(step)[0].source

    assert opening.startswith(f"# {step.title}\n")
    assert f"**The step {step.name}.**" in opening
    for artifact in step.inputs + step.outputs:
        assert f"`{artifact.name}`" in opening


@each_step
def test_words_come_before_each_piece_of_code(step):
    told = cells(step)

    for before, cell in pairwise(told):
        if cell in code(step):
            assert before.cell_type == "markdown"
            assert before.source.startswith("## ")
    assert 0.7 <= len(cells(step, "markdown")) / len(cells(step, "code")) <= 1.5


@each_step
def test_cells_are_short(step):
    for cell in code(step):
        lines = cell.source.splitlines()
        assert len(lines) <= MOST_LINES, cell.source
        assert max(map(len, lines)) <= MOST_CHARACTERS, cell.source


@each_step
def test_each_cell_ends_by_reading_its_result_in_computed_words(step):
    for cell in code(step):
        last = ast.parse(cell.source).body[-1]
        assert isinstance(last, ast.Expr), cell.source
        assert isinstance(last.value, ast.Call), cell.source
        assert root(last.value.func) == "Markdown", cell.source
        assert not isinstance(last.value.args[0], ast.Constant), f"typed, not computed: {cell.source}"


@each_step
def test_it_makes_three_to_eight_calls_into_pipelines_and_opens_its_step_first(step):
    # given every name that comes from pipelines; a params class (Train) is a form, not a call
    ours, calls = set(), []
    for node in nodes(step):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("pipelines"):
            ours |= {alias.asname or alias.name for alias in node.names}
    for cell in code(step):
        found = [node for node in ast.walk(ast.parse(cell.source)) if isinstance(node, ast.Call)]
        found.sort(key=lambda node: (node.lineno, node.col_offset))
        calls += [
            ast.unparse(node) for node in found if root(node.func) in ours and root(node.func).islower()
        ]

    assert 3 <= len(calls) <= 8, calls
    assert calls[0] == f"open_step('{step.name}')"


@each_step
def test_it_reads_and_writes_exactly_the_artifacts_of_its_definition(step):
    used: dict[str, set[str]] = {"read": set(), "write": set(), "path": set(), "digest": set()}
    for node in nodes(step):
        if isinstance(node, ast.Call) and root(node.func) == "step" and isinstance(node.func, ast.Attribute):
            used[node.func.attr].add(ast.literal_eval(node.args[0]))
    inputs = {artifact.name for artifact in step.inputs}
    outputs = {artifact.name for artifact in step.outputs}

    assert used["read"] <= inputs
    assert used["write"] <= outputs
    assert used["read"] | used["write"] | used["path"] == inputs | outputs


@each_step
def test_it_holds_no_definitions_no_network_and_no_absolute_path(step):
    for node in nodes(step):
        assert not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda)
        if isinstance(node, ast.Import):
            assert {alias.name for alias in node.names} <= ALLOWED
        if isinstance(node, ast.ImportFrom):
            assert node.module in ALLOWED
            if node.module in (
                "pipelines",
                "pipelines.features",
                "pipelines.monitoring",
                "pipelines.packaging",
                "pipelines.tasks",
            ):
                assert {alias.name for alias in node.names} <= MODULES
    for cell in code(step):
        assert not re.search(r"""["'](/|~|[A-Za-z]:\\)|\w://""", cell.source), cell.source
    for cell in cells(step, "markdown"):
        assert "://" not in cell.source
        assert "<" not in re.sub(r"`[^`]*`", "", cell.source), "no HTML"


# The rest really executes them, against a real MLflow server.

on_one_world = pytest.mark.parametrize("done", ["biopsies"], indirect=True)


@pytest.fixture(scope="module", params=["fraud", "biopsies", "maintenance"])
def done(request, mlflow: str, home: Home) -> tuple[Workspace, Run]:
    """A run of all steps on a small world, in the workspace that JupyterLab opens."""
    workspace = open_workspace(home=home)
    params = {"ingest": {"size": "small"}, "tune": {"trials": 3, "model": "logistic"}}
    run = create_run(workspace, request.param, params, seed=2)
    for name in LIFECYCLE.names:
        outcome = runner.run_step(workspace.run_folder(run.run_id), name)
        assert outcome.status == "completed", outcome
    return workspace, run


def executed(workspace: Workspace, run: Run, name: str) -> Any:
    """The notebook of step `name` as it was executed last."""
    attempts = sorted((workspace.run_folder(run.run_id) / "steps" / name).glob("attempt-*"))
    return nbformat.read(attempts[-1] / "notebook.ipynb", as_version=4)


def outputs(notebook: Any) -> list[Any]:
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


def said(notebook: Any) -> str:
    """Everything it says in sentences."""
    shown = [output.get("data", {}) for output in outputs(notebook)]
    return "\n".join(data["text/plain"] for data in shown if "text/markdown" in data)


@pytest.mark.road
def test_executed_notebooks_show_only_data_sentences_and_small_tables(done):
    for name in LIFECYCLE.names:
        for output in outputs(executed(*done, name)):
            if output.output_type == "stream" and name in PRINTING:
                assert output.name == "stdout"
                continue
            assert output.output_type in ("display_data", "execute_result"), (name, output)
            if PLOTLY_MIMETYPE in output.data:
                assert set(output.data) == {PLOTLY_MIMETYPE, "text/plain"}
                assert len(output.data["text/plain"]) > 40
            elif "text/markdown" in output.data:
                assert output.data["text/plain"] == output.data["text/markdown"]
                assert "nan" not in output.data["text/plain"].lower().split()
            else:
                table = output.data["application/vnd.dataresource+json"]
                assert len(table["data"]) <= MOST_ROWS
                assert "<script" not in output.data["text/html"]


@pytest.mark.road
def test_readings_are_computed_from_this_run(done):
    workspace, run = done
    folder = workspace.run_folder(run.run_id)
    report = read_artifact(EVALUATION, folder / EVALUATION.path)
    card = json.loads((folder / "model" / "model.json").read_text())

    assert f"seed {run.seed}" in said(executed(*done, "ingest"))
    snapshot = json.loads((folder / SNAPSHOT.path).read_text())
    assert "all passed" in said(executed(*done, "validate"))
    assert f"{snapshot['rows']:,} of" in said(executed(*done, "clean"))
    assert f"are now version 1, commit {snapshot['commit'][:8]}" in said(executed(*done, "version"))
    assert "equal to the last bit" in said(executed(*done, "features"))
    assert f"{card['train']['rows']:,}" in said(executed(*done, "train"))
    assert report["summary"] in said(executed(*done, "evaluate"))
    for part in ("slices", "calibration", "money"):
        assert report[part]["words"] in said(executed(*done, "evaluate"))
    assert "No version serves yet" in said(executed(*done, "evaluate"))
    assert "The gate says yes" in said(executed(*done, "evaluate"))
    assert f"This is {run.scenario}, version 1; its gate passed" in said(executed(*done, "register"))
    assert "Changed: champion. Requests are answered by version 1." in said(executed(*done, "deploy"))


@pytest.mark.road
def test_mlflow_holds_what_the_notebooks_found(done):
    workspace, run = done
    folder = workspace.run_folder(run.run_id)
    report = read_artifact(EVALUATION, folder / EVALUATION.path)

    kept = {}
    for name in LIFECYCLE.names:
        mlflow_run = json.loads((folder / "steps" / name / "done.json").read_text())["mlflow_run"]
        found = call(workspace.name, "GET", "runs/get", {"run_id": mlflow_run})["run"]
        kept[name] = {entry["key"]: entry["value"] for entry in found["data"].get("metrics", [])}
        for entry in found.get("inputs", {}).get("dataset_inputs", []):
            kept[name, "input"] = entry["dataset"]["name"]

    intervals = {
        f"{name}_{end}": value
        for name, ends in report["intervals"].items()
        for end, value in zip(("low", "high"), ends, strict=True)
    }
    assert kept["evaluate"] == pytest.approx(report["metrics"] | intervals)
    assert kept["ingest"]["labels_known"] < kept["ingest"]["events"]
    assert kept["features"]["largest_difference"] == 0
    assert kept["ingest", "input"] == "collected"
    assert kept["clean", "input"] == "events"
    assert kept["clean"]["rows"] == kept["features"]["rows"]
    assert kept["train", "input"] == "features"
    assert registry.version(workspace.name, run.scenario, 1).run_id == run.run_id


@pytest.mark.road
@on_one_world
def test_a_past_version_gives_the_same_rows_downstream(done):
    # given a run that would collect other events, but takes up the version that the first one kept
    workspace, run = done
    steps = ["ingest", "validate", "clean", "version", "features"]
    params = {"ingest": {"version": 1, "until_day": 80, "damaged": 0.2}}
    again = create_run(workspace, run.scenario, params, seed=9, steps=steps)
    first, second = (workspace.run_folder(each.run_id) for each in (run, again))

    outcomes = [runner.run_step(second, name) for name in steps]

    assert [outcome.status for outcome in outcomes] == ["completed"] * len(steps), outcomes
    for artifact in (EVENTS, SNAPSHOT, FEATURES):
        assert digest(artifact, first / artifact.path) == digest(artifact, second / artifact.path)
    assert read_artifact(CLEANING, second / CLEANING.path)["repairs"] == []
    assert "were kept before, as version 1" in said(executed(workspace, again, "version"))


@pytest.mark.road
@on_one_world
def test_a_bad_batch_stops_the_run_after_its_report_was_shown(done):
    workspace, run = done
    bad = create_run(
        workspace, run.scenario, {"ingest": {"mishap": "unit"}}, seed=2, steps=["ingest", "validate"]
    )
    folder = workspace.run_folder(bad.run_id)

    outcomes = [runner.run_step(folder, name) for name in bad.steps]

    assert [outcome.status for outcome in outcomes] == ["completed", "failed"]
    assert "Column 'mean_radius' is above 60 pixels in" in outcomes[1].cause
    assert "(row " in outcomes[1].cause
    shown = executed(workspace, bad, "validate")
    assert "1 failed" in said(shown) or "2 failed" in said(shown)
    assert sum(PLOTLY_MIMETYPE in output.get("data", {}) for output in outputs(shown)) == 2
    assert not (folder / "reports" / "validation.json").exists()


@pytest.mark.road
@on_one_world
@pytest.mark.parametrize("name", ["train", "deploy"])
def test_opened_by_hand_it_runs_on_the_newest_run_and_leaves_it_as_it_was(done, tmp_path, monkeypatch, name):
    # given the working folder and the environment of `make lab`
    workspace, run = done
    folder = workspace.run_folder(run.run_id)
    step = LIFECYCLE.step(name)
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    rows = len(promotion.history(workspace))

    papermill.execute_notebook(
        NOTEBOOKS / step.notebook, tmp_path / "by-hand.ipynb", cwd=NOTEBOOKS, progress_bar=False
    )

    for artifact in step.outputs:
        assert (workspace.root / "lab" / name / artifact.path).exists()
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    assert len(promotion.history(workspace)) == rows
    assert list(Path(NOTEBOOKS).glob("*.json")) == []


@pytest.mark.road
@on_one_world
def test_a_version_that_the_gate_refuses_is_registered_but_never_serves(done):
    # given a gate that no model can pass, and the same model
    workspace, run = done
    before = promotion.serving(workspace, run.scenario)
    strict = create_run(
        workspace,
        run.scenario,
        {"evaluate": {"least_gain": 0.9, "resamples": 20}},
        seed=2,
        steps=["evaluate", "register", "deploy"],
        base=run.run_id,
    )
    folder = workspace.run_folder(strict.run_id)

    outcomes = [runner.run_step(folder, name) for name in strict.steps]

    assert [outcome.status for outcome in outcomes] == ["completed", "completed", "failed"]
    assert "The gate says no. If one column alone ranks as well" in said(
        executed(workspace, strict, "evaluate")
    )
    assert "its gate failed" in outcomes[-1].cause
    assert promotion.serving(workspace, run.scenario) == before
    assert not (folder / DEPLOYMENT.path).exists()


@pytest.mark.road
@on_one_world
def test_a_test_without_positives_is_reported_and_not_a_crash(done):
    # given features whose tested days hold no positive
    workspace, run = done
    again = create_run(workspace, run.scenario, seed=2, steps=["evaluate"], base=run.run_id)
    folder = workspace.run_folder(again.run_id)
    card = json.loads((folder / "model" / "model.json").read_text())
    (path,) = (folder / artifact.path for artifact in LIFECYCLE.step("features").outputs)
    table = read_artifact(LIFECYCLE.step("features").outputs[0], path)
    table["label"] = table["label"].mask(table["event_time"] >= card["test"]["from"], 0)
    path.unlink()
    table.to_parquet(path, index=False)

    outcome = runner.run_step(folder, "evaluate")

    assert outcome.status == "completed", outcome
    assert "The test can't be measured" in said(executed(workspace, again, "evaluate"))
    assert "The gate says no." in said(executed(workspace, again, "evaluate"))

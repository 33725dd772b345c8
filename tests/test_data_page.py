"""The Data room, run by Streamlit itself without a browser: its states, its views, its buttons."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import page_samples as samples
import pytest
from test_pages import press, show, words

from pages.parts import data_facts
from pages.parts.record import read_record
from pipelines import versioning
from pipelines.lifecycle import LIFECYCLE
from pipelines.run import Run, read_params
from pipelines.settings import settings
from pipelines.workspace import Workspace, open_workspace

VIEWS = tuple(data_facts.VIEWS)


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """The workspace that pages open, in a home of this test's own."""
    monkeypatch.setenv("FLIGHTDECK_HOME", str(tmp_path))
    settings.cache_clear()
    yield open_workspace()
    settings.cache_clear()


def newest(workspace: Workspace, *known: Run) -> Run:
    """The run that the last press has made."""
    (made,) = set(workspace.run_ids()) - {run.run_id for run in known}
    return read_record(workspace, made).run


def primary(app) -> list[str]:
    return [button.label for button in app.button if button.proto.type == "primary"]


@pytest.mark.parametrize("view", VIEWS)
def test_an_empty_room_says_what_will_be_here(workspace: Workspace, view: str) -> None:
    app = show("data", view=view)
    assert app.title[0].value == "You have no data yet"
    assert "Here will be" in words(app)
    assert primary(app) == ["Collect the data"]


@pytest.mark.parametrize("view", VIEWS)
def test_a_full_room_has_each_view(workspace: Workspace, view: str) -> None:
    # given
    run = samples.completed(workspace)
    samples.keep_versions(workspace)
    rows = len(samples.results()["events"])
    # when
    app = show("data", view=view)
    # then
    said = words(app).replace("\\", "")
    assert app.title[0].value == f"Version 1 of your data: {rows:,} payments"
    assert "Here will be" not in said
    assert "python -m pipelines run fraud" in said
    assert primary(app) == ["Take a new snapshot"]
    assert run.run_id == data_facts.look(workspace, samples.find_scenario("fraud")).record.run_id


def test_what_the_columns_mean_stands_with_unit_and_bounds(workspace: Workspace) -> None:
    samples.completed(workspace)
    app = show("data")
    (table,) = (each.value for each in app.table)
    amount = table[table["Column"] == "amount"].iloc[0]
    assert amount.tolist()[1:] == ["What was paid.", "EUR", "0 to 10,000"]
    assert "simulated in every world" in words(app)


def test_the_tolerated_damage_is_listed_with_its_meaning(workspace: Workspace) -> None:
    samples.completed(workspace)
    app = show("data", view="validate")
    labels = [each.label.replace("\\", "") for each in app.expander]
    assert any("Column 'amount' is below 0 EUR in" in label for label in labels)
    assert labels[-1].endswith("checks found nothing")
    assert "left to cleaning" in words(app)


def test_every_repair_is_told_with_an_example(workspace: Workspace) -> None:
    samples.completed(workspace)
    said = words(show("data", view="clean")).replace("\\", "")
    assert said.count("the row is left out") == 3
    assert "Sent twice" in said
    assert "For example event" in said


@pytest.mark.parametrize(
    ("mishap", "column"), [("unit", "amount"), ("nulls", "amount"), ("renamed", "amount_v2")]
)
def test_a_bad_batch_that_was_stopped_names_the_column(
    workspace: Workspace, mishap: str, column: str
) -> None:
    # given a version that serves, and a batch that validation refuses
    samples.completed(workspace)
    samples.stopped(workspace, mishap)
    # when
    app = show("data")
    # then
    said = words(app).replace("\\", "")
    assert app.title[0].value == "Validation stopped the newest batch"
    assert f"Column '{column}'" in said
    assert ":red[:material/error:]" in app.expander[0].label
    assert app.expander[0].proto.expanded
    assert "Nothing was trained on it" in said


def test_from_another_view_the_button_leads_to_the_failing_check(workspace: Workspace) -> None:
    samples.stopped(workspace)
    app = show("data", view="collect")
    assert primary(app) == ["Look at the failing check"]
    assert primary(press(app, "Look at the failing check")) == ["Collect again"]


def test_collecting_again_leaves_the_mishap_behind(workspace: Workspace) -> None:
    stopped = samples.stopped(workspace)
    press(show("data"), "Collect again")
    made = newest(workspace, stopped)
    assert read_params(workspace.run_folder(made.run_id))["ingest"]["mishap"] == "none"
    assert (made.steps, made.base) == (LIFECYCLE.road, None)


def test_repairing_goes_on_with_the_same_batch_and_rescales(workspace: Workspace) -> None:
    stopped = samples.stopped(workspace)
    press(show("data"), "Repair and go on")
    made = newest(workspace, stopped)
    params = read_params(workspace.run_folder(made.run_id))
    assert (params["validate"]["on_failure"], params["clean"]["units"]) == ("go on", "rescale")
    assert (made.base, made.steps[0]) == (stopped.run_id, "validate")


def test_a_new_snapshot_is_a_week_later_and_goes_no_further(workspace: Workspace) -> None:
    run = samples.completed(workspace)
    press(show("data"), "Take a new snapshot")
    made = newest(workspace, run)
    assert made.steps == data_facts.DATA_STEPS
    assert read_params(workspace.run_folder(made.run_id))["ingest"]["until_day"] == 67


def test_data_that_were_only_collected_are_to_be_validated(workspace: Workspace) -> None:
    run = samples.completed(workspace, steps=("ingest",))
    app = show("data")
    assert primary(app) == ["Run validation"]
    press(app, "Run validation")
    made = newest(workspace, run)
    assert (made.steps, made.base) == (("validate", "clean", "version"), run.run_id)


@pytest.mark.parametrize("step", ["ingest", "validate", "version"])
def test_a_running_room_shows_what_is_done(workspace: Workspace, step: str) -> None:
    samples.running(workspace, step, cells=1)
    app = show("data", view="collect")
    assert app.title[0].value.startswith("Your data are being")
    assert primary(app) == ["Watch the run"]


def test_two_versions_are_compared(workspace: Workspace) -> None:
    # given
    samples.completed(workspace)
    earlier, later = samples.keep_versions(workspace)
    # when
    app = show("data", view="versions")
    # then
    said = words(app).replace("\\", "")
    assert f"{later.rows - earlier.rows:,} payments more, 0 gone, 0 changed" in said
    assert app.table[0].value["Version"].tolist() == ["2", "1"]
    # when compared the other way round
    app.selectbox(key="later").set_value(1).run()
    app.selectbox(key="earlier:1").set_value(2).run()
    # then
    assert f"{later.rows - earlier.rows:,} gone" in words(app).replace("\\", "")


def test_a_past_version_can_be_trained_on(workspace: Workspace) -> None:
    # given
    run = samples.completed(workspace)
    samples.keep_versions(workspace)
    app = show("data", view="versions")
    app.selectbox(key="later").set_value(1).run()
    # when
    next(each for each in app.button if each.label == "Train on version 1").click().run()
    # then
    made = newest(workspace, run)
    assert made.steps == LIFECYCLE.road
    assert read_params(workspace.run_folder(made.run_id))["ingest"]["version"] == 1


def test_a_repository_that_is_damaged_is_told_and_the_rest_goes_on(workspace: Workspace) -> None:
    samples.completed(workspace)
    samples.keep_versions(workspace)
    for path in (workspace.root / "data-repo" / ".git" / "objects").glob("??/*"):
        path.unlink()
    assert "can't be read" in words(show("data", view="versions")).replace("\\", "")
    assert show("data", view="collect").title[0].value.startswith("Version 1")


def test_a_version_whose_rows_are_gone_is_told(workspace: Workspace) -> None:
    samples.completed(workspace)
    kept = samples.keep_versions(workspace)
    (workspace.home.root / "snapshots" / "files" / "md5" / kept[0].md5[:2] / kept[0].md5[2:]).unlink()
    assert "are gone" in words(show("data", view="versions")).replace("\\", "")
    assert versioning.find_version(workspace, "fraud", 2).rows


def test_notes_of_versions_are_data(workspace: Workspace) -> None:
    samples.completed(workspace)
    path = workspace.root / "e.parquet"
    samples.results()["events"].to_parquet(path, index=False)
    versioning.take(workspace, "fraud", path, "d1", note="**bold** <b>x</b> $1$", run_id="r")
    shown = show("data", view="versions").table[0].value["Note"].iloc[0]
    assert shown.startswith("\\*\\*bold")

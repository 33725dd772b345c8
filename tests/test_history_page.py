"""The History room: every run in it, one opened, two side by side, one run again with a change."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import page_samples as samples
import pytest
from streamlit.testing.v1 import AppTest
from test_pages import press, show, words

from pages.parts import runs_table
from pages.parts.record import read_record
from pipelines.engines.local import choose_steps
from pipelines.execution import catalogue
from pipelines.run import read_params
from pipelines.settings import REPOSITORY, settings
from pipelines.workspace import Workspace, open_workspace


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """The workspace that pages open, in a home of this test's own."""
    monkeypatch.setenv("FLIGHTDECK_HOME", str(tmp_path))
    settings.cache_clear()
    yield open_workspace()
    settings.cache_clear()


def shown_runs(app) -> list[str]:
    return app.dataframe[0].value["Run"].tolist() if app.dataframe else []


def test_an_empty_history_says_what_will_be_here(workspace: Workspace) -> None:
    app = show("history")
    assert app.title[0].value == "No run yet"
    assert [button.label for button in app.button if button.proto.type == "primary"] == ["Make a model"]


def test_every_run_is_listed_damaged_ones_too(workspace: Workspace) -> None:
    # given
    runs = [samples.completed(workspace).run_id, samples.failed(workspace).run_id, samples.damaged(workspace)]
    # when
    app = show("history")
    # then
    assert app.title[0].value == "3 runs, 2 of them failed"
    assert set(shown_runs(app)) == set(runs)
    states = app.dataframe[0].value.set_index("Run")["State"].to_dict()
    assert [states[run] for run in runs] == ["completed", "failed at train", "can't be read"]


def test_a_search_and_filters_narrow_the_list(workspace: Workspace) -> None:
    # given
    plain = samples.completed(workspace).run_id
    trees = samples.completed(workspace, params=samples.PARAMS | {"train": {"trees": 200}}).run_id
    failed = samples.failed(workspace).run_id
    # then
    assert shown_runs(show("history", q="trees=200")) == [trees]
    assert shown_runs(show("history", status="failed")) == [failed]
    assert set(shown_runs(show("history", q=plain))) == {plain}
    assert "No run is like that" in words(show("history", q="<script>"))
    assert len(shown_runs(show("history", status="nope", step="nope", scenario="nope"))) == 3


def test_a_long_history_is_paged(workspace: Workspace) -> None:
    # given
    for _ in range(runs_table.PAGE_ROWS + 3):
        samples.queued(workspace)
    # when
    app = show("history")
    # then
    assert len(shown_runs(app)) == runs_table.PAGE_ROWS
    first = set(shown_runs(app))
    app.number_input(key="page").set_value(2).run()
    assert len(shown_runs(app)) == 3
    assert first.isdisjoint(shown_runs(app))


def test_tested_runs_are_drawn_with_their_intervals(workspace: Workspace) -> None:
    samples.completed(workspace)
    samples.completed(workspace, gate=False)
    drawn = runs_table.figure(catalogue.look(workspace))
    assert drawn is not None
    assert "the best of 2 tested runs" in drawn.layout.title.text


def test_one_run_shows_its_notebook_its_command_and_what_was_changed(workspace: Workspace) -> None:
    # given
    run = samples.completed(workspace, params=samples.PARAMS | {"train": {"trees": 200}})
    # when
    app = show("history", run=run.run_id, step="train")
    # then
    said = words(app)
    assert "trees 200" in said.replace("\\", "")
    assert "--set train.trees=200" in said
    assert "Alerts are right on **7 of 7** days." in said
    assert app.title[0].value.startswith("A run of card fraud: version 1")


@pytest.mark.parametrize("asked", ["../../etc", "20200101-000000-abcdef", "<script>"])
def test_a_run_that_is_not_there_says_so(workspace: Workspace, asked: str) -> None:
    app = press(show("history", run=asked), "All runs")
    assert app.title[0].value == "No run yet"
    assert "can't be shown" in show("history", a=asked, b=asked).title[0].value


def test_running_again_with_a_change_starts_where_it_matters(workspace: Workspace) -> None:
    # given
    run = samples.completed(workspace, ago_s=60)
    app = AppTest.from_file(str(REPOSITORY / "app.py"), default_timeout=60).run()
    app.query_params["run"] = run.run_id
    app.switch_page("pages/history.py").run()
    app.selectbox(key=f"change:{run.run_id}").set_value("train.trees").run()
    # when
    next(each for each in app.number_input if each.key.endswith("train.trees")).set_value(300).run()
    press(app, "Run again with this change")
    # then
    (made,) = set(workspace.run_ids()) - {run.run_id}
    again = read_record(workspace, made)
    assert again.run.base == run.run_id
    assert again.run.steps == choose_steps(first="train")
    assert read_params(again.folder)["train"]["trees"] == 300


def test_two_runs_stand_side_by_side(workspace: Workspace) -> None:
    # given
    a = samples.completed(workspace)
    b = samples.completed(workspace, params=samples.PARAMS | {"train": {"trees": 200, "model": "logistic"}})
    # when
    app = show("history", a=a.run_id, b=b.run_id)
    # then
    said = words(app).replace("\\", "")
    assert "train.trees" in said
    assert app.table[0].value.iloc[0, 1:].tolist() == ["100", "200"]
    assert {"Params", "Test", "What each step wrote", "Time", "Data", "Code and libraries"} <= {
        each.value for each in app.subheader
    }
    # and the way back leads to the list
    assert app.button
    assert "2 runs" in press(app, "All runs").title[0].value


def test_a_damaged_run_beside_another_says_so(workspace: Workspace) -> None:
    a = samples.completed(workspace)
    app = show("history", a=a.run_id, b=samples.damaged(workspace))
    assert "can't be read" in words(app).replace("\\", "")

"""Pages, run by Streamlit itself without a browser: every state shows, every button does its work."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable
from pathlib import Path

import nbformat
import page_samples as samples
import pytest
from nbformat.v4 import new_notebook
from streamlit.testing.v1 import AppTest

from pages.parts import cells, notebook, record, rooms
from pages.parts.following import Following
from pages.parts.record import Record, command, read_record
from pipelines import events
from pipelines.errors import Damaged
from pipelines.lifecycle import LIFECYCLE
from pipelines.run import create_run, read_params
from pipelines.scenarios import SCENARIOS
from pipelines.services.ports import free_port
from pipelines.settings import REPOSITORY, settings
from pipelines.workspace import Workspace

PAGES = ("home", "data", "train", "evaluate", "registry", "deploy", "notebooks")
TIMEOUT_S = 60


@pytest.fixture
def workspace(page_workspace: Workspace) -> Workspace:
    return page_workspace


def show(page: str, **query: str) -> AppTest:
    """The page as it is at that address."""
    app = AppTest.from_file(str(REPOSITORY / "pages" / f"{page}.py"), default_timeout=TIMEOUT_S)
    for name, value in query.items():
        app.query_params[name.replace("__", ".")] = value
    app.run()
    assert not app.exception, app.exception[0].message
    return app


def words(app: AppTest) -> str:
    """Everything the page says in titles, texts and code."""
    parts = [*app.title, *app.header, *app.subheader, *app.markdown, *app.code]
    return "\n".join(str(part.value) for part in parts)


def press(app: AppTest, label: str) -> AppTest:
    next(button for button in app.button if button.label == label).click().run()
    assert not app.exception, app.exception[0].message
    return app


def address(app: AppTest, name: str) -> str:
    """A value in the page's address; AppTest gives a list until the page has changed it."""
    value = app.query_params[name]
    return value if isinstance(value, str) else value[0]


def only_record(workspace: Workspace) -> Record:
    (run_id,) = workspace.run_ids()
    return read_record(workspace, run_id)


# Every state of every page.


@pytest.mark.parametrize("page", PAGES)
def test_an_empty_home_says_what_will_be_here(workspace: Workspace, page: str) -> None:
    app = show(page)
    assert app.title[0].value in (
        "You have no model yet",
        "Make your first model: card fraud",
        "Nothing serves yet",
        "No version is registered yet",
        "You have no data yet",
        "You have no model to compare yet",
        "There is no model to test yet",
    )
    assert [button.label for button in app.button if button.proto.type == "primary"][:1]


@pytest.mark.parametrize("page", PAGES)
def test_every_page_has_one_primary_button(workspace: Workspace, page: str) -> None:
    samples.completed(workspace)
    assert sum(button.proto.type == "primary" for button in show(page).button) == 1


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("scenario", [*SCENARIOS, "unheard-of"])
def test_every_scenario_has_its_pages(workspace: Workspace, page: str, scenario: str) -> None:
    samples.completed(workspace)
    app = show(page, scenario=scenario)
    assert app.radio[0].value == (scenario if scenario in SCENARIOS else "fraud")


@pytest.mark.parametrize("page", PAGES)
def test_a_damaged_run_is_passed_over(workspace: Workspace, page: str) -> None:
    samples.completed(workspace)
    samples.damaged(workspace)
    assert "version 1" in words(show(page)).lower()


def test_a_damaged_run_that_is_asked_for_says_so(workspace: Workspace) -> None:
    samples.completed(workspace)
    assert "can't be read" in words(show("notebooks", run=samples.damaged(workspace))).replace("\\", "")


@pytest.mark.parametrize("asked", ["../../etc", "20200101-000000-abcdef", "<script>"])
def test_a_run_that_is_not_there_says_so_and_the_newest_is_shown(workspace: Workspace, asked: str) -> None:
    samples.completed(workspace)
    app = show("notebooks", run=asked)
    assert "Version 1 is made" in app.title[0].value
    assert ":red[:material/error:]" in words(app)


@pytest.mark.parametrize("page", PAGES)
def test_a_database_that_is_none_is_told(workspace: Workspace, page: str) -> None:
    workspace.database.write_bytes(b"this is no database" * 100)
    app = show(page)
    assert page in ("notebooks", "data") or app.title[0].value == "Your workspace can't be read"


def test_home_says_who_answers_and_how_well(workspace: Workspace) -> None:
    samples.completed(workspace)
    app = show("home")
    assert app.title[0].value == "Version 1 answers every payment"
    assert "times as often" in words(app)
    assert "Version 1 became the champion" in words(app)


def test_home_tells_of_a_gate_that_stopped_the_first_model(workspace: Workspace) -> None:
    samples.completed(workspace, gate=False)
    assert show("home").title[0].value == "The gate stopped your model"


def test_home_tells_of_a_failure_and_of_what_goes_on_answering(workspace: Workspace) -> None:
    samples.completed(workspace)
    samples.failed(workspace)
    said = words(show("home")).replace("\\", "")
    assert "Your last run stopped at: train a model" in said
    assert "Version 1 goes on answering" in said


@pytest.mark.parametrize(
    ("state", "button"),
    [
        ("empty", "Make a model"),
        ("waiting", "Watch the run"),
        ("running", "Watch the run"),
        ("failed", "Look at the failure"),
        ("refused", "Read the evaluation"),
        ("begun", "Go on"),
        ("serving", "Ask the model"),
        ("asked", "Let a week pass"),
    ],
)
def test_home_offers_what_comes_next(workspace: Workspace, state: str, button: str) -> None:
    # given
    if state == "waiting":
        samples.queued(workspace)
    elif state == "running":
        samples.running(workspace)
    elif state == "failed":
        samples.failed(workspace)
    elif state == "begun":
        samples.completed(workspace, steps=("ingest",))
    elif state in ("refused", "serving", "asked"):
        samples.completed(workspace, gate=state != "refused")
    if state == "asked":
        samples.predicted(workspace)
    # when
    app = show("home")
    # then
    assert [each.label for each in app.button if each.proto.type == "primary"] == [button]


def test_a_waiting_run_without_a_worker_says_how_to_start_one(workspace: Workspace) -> None:
    samples.queued(workspace)
    assert "No worker is running" in words(show("notebooks"))


def test_a_running_step_shows_its_cells_as_far_as_they_came(workspace: Workspace) -> None:
    # given
    samples.running(workspace, "train", cells=2)
    # when
    said = words(show("notebooks"))
    # then
    assert ":material/hourglass_top:" in said
    assert "tree 40 of 100" in said
    assert said.count(":gray[waits]") >= 2
    assert [button.label for button in show("notebooks").button] == ["Cancel"]


def test_of_a_run_that_goes_on_only_what_changed_is_drawn_again(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a page that follows a run at the third cell of its step
    run = samples.running(workspace, "train", cells=2)
    found = read_record(workspace, run.run_id)
    step, asked = LIFECYCLE.step("train"), []
    monkeypatch.setattr("streamlit.rerun", lambda scope="app": asked.append(scope))
    monkeypatch.setattr("streamlit.fragment", lambda _draw, key: lambda *_: key)
    following = Following(workspace, found, step)
    following.draw_title()
    following.draw_notebook()
    beat = following._pulse._beat
    # when nothing happens, then nothing is drawn
    monkeypatch.setattr("time.time", lambda at=time.time(): at)
    beat(), asked.clear()
    beat()
    assert asked == []
    # when the cell ends, then it and the title are
    cell = found.state.steps["train"].cell
    events.append(found.folder, "cell_finished", step="train", cell=cell, number=3, seconds=2.0)
    beat()
    (names,) = asked
    number = next(at for at, each in enumerate(notebook.cells_of(found, step)) if each.place == cell)
    assert sorted(names) == sorted(["pulse", "title", f"cell:{number}"])
    # when another step begins, then the whole page is
    events.append(found.folder, "step_finished", step="train", status="completed", seconds=3.0)
    events.append(found.folder, "step_started", step="evaluate", attempt=1, cells=11)
    beat()
    assert asked[1:] == ["app"]


def test_a_notebook_that_grows_while_it_is_drawn_is_shown_as_far_as_it_was_looked_at(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a page that has looked at a run, whose step then writes more cells
    run = samples.running(workspace, "train", cells=2)
    found = read_record(workspace, run.run_id)
    drawn: list[str] = []

    def fragment(draw: Callable[..., None], key: str) -> Callable[..., None]:
        drawn.append(key)
        return draw

    monkeypatch.setattr("streamlit.fragment", fragment)
    all_cells = notebook.cells_of(found, LIFECYCLE.step("train"))
    with monkeypatch.context() as patch:
        patch.setattr("pages.parts.notebook.cells_of", lambda *_: all_cells[:1])
        following = Following(workspace, found, LIFECYCLE.step("train"))
    # when it is drawn
    following.draw_notebook()
    # then no part is drawn that the next beat does not know
    assert drawn == ["cell:0"]


def test_two_runs_that_read_alike_can_both_be_chosen(workspace: Workspace) -> None:
    # given two runs begun in the same minute
    first, second = (create_run(workspace, "fraud", samples.PARAMS) for _ in range(2))
    # when each is shown, then the other is one choice away, and no choice is made by itself
    for shown, other in ((first, second), (second, first)):
        page = show("notebooks", run=shown.run_id)
        assert address(page, "run") == shown.run_id
        box = page.selectbox(key=f"run:{shown.run_id}")
        assert len(set(box.options)) == 2
        box.select_index([first.run_id, second.run_id][::-1].index(other.run_id)).run()
        assert address(page, "run") == other.run_id


def test_a_failure_shows_cause_remedy_and_the_failing_cell(workspace: Workspace) -> None:
    # given
    samples.failed(workspace)
    # when
    app = show("notebooks")
    said = words(app).replace("\\", "")
    # then
    assert "takes 81 days, but 60 were collected" in said
    assert "Set ingest.until_day to 81 or later" in said
    assert said.count("failed here") == 1
    assert [each.label for each in app.expander] == ["Traceback"]
    assert "\x1b" not in said


def test_outputs_of_a_notebook_are_data(workspace: Workspace) -> None:
    samples.completed(workspace)
    app = show("notebooks", step="ingest")
    said = words(app)
    assert "58," in said  # the printed number of payments
    assert "Alerts are right on **7 of 7** days." in said
    assert app.table[0].value.columns.tolist()[:2] == ["event id", "event time"]
    assert "never shown" not in said
    assert "papermill-error-cell" not in said


def test_a_step_that_was_not_run_shows_what_it_will_do(workspace: Workspace) -> None:
    samples.completed(workspace, steps=("ingest",))
    assert "Not run here yet" in words(show("notebooks", step="train", view="notebook"))


# The form.


@pytest.mark.parametrize("step", LIFECYCLE.names)
def test_every_param_has_a_field_with_its_bounds(workspace: Workspace, step: str) -> None:
    # given
    fields = LIFECYCLE.step(step).params.model_json_schema()["properties"]
    # when
    app = show("notebooks", step=step, view="params")
    # then
    shown = {each.key.partition(":")[2]: each for each in (*app.slider, *app.number_input)}
    for name, field in fields.items():
        if "minimum" in field:
            widget = shown[f"{step}.{name}"]
            assert (widget.min, widget.max, widget.value) == (
                field["minimum"],
                field["maximum"],
                field["default"],
            )
        assert field["description"][:20] in words(app).replace("\\", "")


def test_a_change_goes_into_the_address_and_out_again(workspace: Workspace) -> None:
    # given
    app = show("notebooks", step="train", view="params")
    trees = next(each for each in app.number_input if each.key.endswith("train.trees"))
    # when
    trees.set_value(200).run()
    # then
    assert address(app, "train.trees") == "200"
    # when
    next(each for each in app.number_input if each.key.endswith("train.trees")).set_value(100).run()
    # then
    assert "train.trees" not in app.query_params


def test_a_value_out_of_bounds_in_the_address_is_refused_before_anything_runs(workspace: Workspace) -> None:
    # given
    app = show("notebooks", step="train", view="params", train__max_depth="99")
    assert "less than or equal to 32" in words(app)
    # when
    press(app, "Run all")
    # then
    assert workspace.run_ids() == []
    # when
    press(app, "Take back my changes")
    # then
    assert "train.max_depth" not in app.query_params


def test_form_starts_from_the_params_of_the_run_that_is_shown(workspace: Workspace) -> None:
    samples.completed(workspace, params=samples.PARAMS | {"train": {"trees": 300}})
    app = show("notebooks", step="train", view="params")
    assert next(each.value for each in app.number_input if each.key.endswith("train.trees")) == 300


# The buttons.


def test_run_all_queues_a_run_with_the_params_on_the_page(workspace: Workspace) -> None:
    # given
    app = show("notebooks", step="train", view="params", train__trees="200", seed="7")
    # when
    press(app, "Run all")
    # then
    made = only_record(workspace)
    assert made.state.status == "queued"
    assert (made.run.steps, made.run.seed, made.run.base) == (LIFECYCLE.road, 7, None)
    assert read_params(made.folder)["train"]["trees"] == 200
    assert address(app, "run") == made.run_id
    assert "train.trees" not in app.query_params


def test_a_double_click_is_one_run(workspace: Workspace) -> None:
    for app in (show("notebooks"), show("notebooks")):
        press(app, "Run all")
    assert len(workspace.run_ids()) == 1


def test_two_wishes_are_two_runs(workspace: Workspace) -> None:
    press(show("notebooks"), "Run all")
    events.append(only_record(workspace).folder, "run_finished", status="cancelled")
    press(show("notebooks", train__trees="200"), "Run all")
    assert len(workspace.run_ids()) == 2


def test_run_from_here_starts_from_the_run_that_is_shown(workspace: Workspace) -> None:
    # given
    base = samples.completed(workspace, ago_s=60)
    app = show("notebooks", step="train", view="params", train__trees="200", ingest__until_day="70")
    # when
    press(app, "Run from here")
    # then
    made = read_record(workspace, address(app, "run"))
    assert made.run.steps == LIFECYCLE.road[LIFECYCLE.road.index("train") :]
    assert made.run.base == base.run_id
    params = read_params(made.folder)
    assert params["train"]["trees"] == 200
    assert params["ingest"]["until_day"] == 60  # what its data were collected with


def test_run_this_step_runs_nothing_else(workspace: Workspace) -> None:
    samples.completed(workspace, ago_s=60)
    app = press(show("notebooks", step="evaluate"), "Run this step")
    assert read_record(workspace, address(app, "run")).run.steps == ("evaluate",)


def test_a_step_without_its_inputs_can_not_be_started(workspace: Workspace) -> None:
    disabled = {each.label: each.disabled for each in show("notebooks", step="train").button}
    assert disabled == {"Run all": False, "Run from here": True, "Run this step": True}


def test_cancel_ends_a_waiting_run(workspace: Workspace) -> None:
    samples.queued(workspace)
    app = press(show("notebooks"), "Cancel")
    assert only_record(workspace).state.status == "cancelled"
    assert app.title[0].value == "The run was cancelled"


def test_home_makes_the_first_model_with_one_click(workspace: Workspace) -> None:
    app = AppTest.from_file(str(REPOSITORY / "app.py"), default_timeout=TIMEOUT_S).run()
    press(app, "Make a model")
    assert only_record(workspace).run.steps == LIFECYCLE.road
    assert app.title[0].value == "Your run is waiting"


# Serving.


def test_serve_shows_an_answer_that_can_be_traced(workspace: Workspace) -> None:
    # given
    samples.completed(workspace)
    newest, *others = samples.predicted(workspace)
    # when
    app = show("deploy", view="ask")
    # then
    said = words(app)
    assert "0.87: an alert" in said
    assert newest in said
    assert "was never seen" in said
    assert app.table[0].value["Feature"].tolist()[0] == "amount"
    assert others[0] in words(show("deploy", view="ask", prediction=others[0]))


def test_serve_without_a_gateway_says_what_to_do(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a port on which nobody answers, whatever other tests have started
    monkeypatch.setenv("FLIGHTDECK_GATEWAY_PORT", str(free_port()))
    settings.cache_clear()
    samples.completed(workspace)
    app = show("deploy", view="ask")
    assert "gateway is not answering" in words(app)
    # when
    press(app, "Send the payment")
    # then
    assert "make run" in words(app)
    monkeypatch.undo()
    settings.cache_clear()


def test_serve_asks_for_every_column_of_the_event(workspace: Workspace) -> None:
    samples.completed(workspace)
    assert [each.label for each in show("deploy", view="ask").number_input] == [
        "Customer",
        "Terminal",
        "Amount (EUR)",
    ]


def test_a_prediction_that_was_never_made_says_so(workspace: Workspace) -> None:
    samples.completed(workspace)
    assert "There is no prediction" in words(show("deploy", view="ask", prediction="never"))


# The parts.


def test_each_file_is_a_room_whose_address_differs_from_its_name() -> None:
    stems = {path.stem for path in (REPOSITORY / "pages").glob("*.py")}
    assert stems <= {room.name for room in rooms.ROOMS}
    assert stems.isdisjoint(room.address for room in rooms.ROOMS)


def test_the_frame_shows_every_room(workspace: Workspace) -> None:
    app = AppTest.from_file(str(REPOSITORY / "app.py"), default_timeout=TIMEOUT_S).run()
    assert not app.exception
    for page in PAGES:
        app.switch_page(f"pages/{page}.py").run()
        assert not app.exception
        assert app.title


def test_cells_keep_the_place_that_events_know_them_by(workspace: Workspace) -> None:
    # given: papermill has put two cells of its own into this notebook
    failed = samples.failed(workspace)
    found = read_record(workspace, failed.run_id)
    path = found.notebook("train")
    assert path is not None
    # when
    shown = cells.read_cells(path)
    # then
    failing = next(cell for cell in shown if any(each.kind == "error" for each in cell.outputs))
    assert failing.place == found.state.steps["train"].cell
    assert "papermill" not in "".join(cell.prose for cell in shown)


def test_every_cell_has_a_purpose_in_one_line(workspace: Workspace) -> None:
    run = samples.completed(workspace)
    path = read_record(workspace, run.run_id).notebook("train")
    assert path is not None
    purposes = [cell.purpose for cell in cells.read_cells(path)]
    assert purposes == [
        "Train a model",
        "The params",
        "Open the inputs",
        "Which days is it about?",
        "The first rows, as they were collected",
        "How good are the alerts?",
        "Keep the result",
    ]


def test_words_of_an_output_fetch_no_image(tmp_path: Path) -> None:
    # given
    path = tmp_path / "notebook.ipynb"
    cell = samples._code("Markdown(text)", 1, samples._words("![spy](http://example.com/x.png)"))
    nbformat.write(new_notebook(cells=[cell]), path)
    # when
    (output,) = cells.read_cells(path)[0].outputs
    # then
    assert output.content.startswith("!\\[spy]")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"cells": [{}]}', '{"cells": 3}'])
def test_a_notebook_cut_short_is_damaged(tmp_path: Path, content: str) -> None:
    path = tmp_path / "notebook.ipynb"
    path.write_text(content)
    with pytest.raises(Damaged):
        cells.read_cells(path)


def test_long_outputs_are_cut_at_the_front(tmp_path: Path) -> None:
    # given
    path = tmp_path / "notebook.ipynb"
    cell = samples._code("print(text)", 1, samples._printed("x" * 10_000 + "the end"))
    nbformat.write(new_notebook(cells=[cell]), path)
    # when
    (output,) = cells.read_cells(path)[0].outputs
    # then
    assert output.content.endswith("the end")
    assert len(output.content) < cells.SHOWN_CHARACTERS + 100


def test_command_makes_the_same_run_again() -> None:
    # given
    params = record.params_of(None)
    params["train"] |= {"model": "forest", "trees": 250}
    params["register"] |= {"note": "it's a second try"}
    # when
    line = shlex.split(command("fraud", params, LIFECYCLE.road, seed=3))
    # then
    assert line[:5] == ["python", "-m", "pipelines", "run", "fraud"]
    given = [line[place + 1] for place, word in enumerate(line) if word == "--set"]
    values = LIFECYCLE.check(LIFECYCLE.read_settings(given))
    assert {name: each.model_dump() for name, each in values.items()} == params
    assert line[-2:] == ["--seed", "3"]


def test_command_names_the_part_that_was_run() -> None:
    params = record.params_of(None)
    after = LIFECYCLE.road[LIFECYCLE.road.index("train") :]
    assert command("fraud", params, after, base="b").endswith("--from train --base b")
    assert command("fraud", params, ("train",), base="b").endswith("--only train --base b")

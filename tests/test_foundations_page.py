"""The Foundations room: short, true to the workspace, and honest about what is simulated."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import page_samples as samples
import pytest
from test_pages import show, words

from pages.parts import evidence, foundations_text, two_loops
from pages.parts.frame import workspace as open_it
from pipelines import figures
from pipelines.scenarios import find_scenario
from pipelines.settings import settings
from pipelines.workspace import Workspace, open_workspace

MOST_WORDS = 900


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """The workspace that pages open, in a home of this test's own."""
    monkeypatch.setenv("FLIGHTDECK_HOME", str(tmp_path))
    settings.cache_clear()
    yield open_workspace()
    settings.cache_clear()


def test_all_texts_together_are_short() -> None:
    rows = [" ".join(row) for row in foundations_text.PAINS + foundations_text.SIMULATED]
    assert sum(len(text.split()) for text in [*foundations_text.TEXTS, *rows]) <= MOST_WORDS


def test_without_a_model_it_explains_and_says_what_will_be_here(workspace: Workspace) -> None:
    app = show("foundations")
    assert app.title[0].value == "A model is more than a file"
    said = words(app)
    assert "Here will be the trace of your own model" in said
    assert "No version of yours serves yet" in said
    assert app.table[0].value["What your workspace holds"].tolist() == ["Nothing yet."] * 4
    assert [button.label for button in app.button] == ["Make a model"]


def test_a_champion_is_asked_six_questions_and_its_file_answers_none(workspace: Workspace) -> None:
    # given
    run = samples.completed(workspace)
    samples.predicted(workspace, 3)
    # when
    app = show("foundations")
    # then
    assert app.title[0].value == "Version 1 of yours is more than a file"
    table = app.table[1].value
    assert table.iloc[1:, 1].tolist() == ["no answer"] * 5
    assert run.run_id.replace("-", "\\-") in table.iloc[0, 2]
    assert "payments until day 60" in table.iloc[1, 2]
    assert "deployed by its run" in table.iloc[4, 2]
    pains = app.table[0].value["What your workspace holds"].tolist()
    assert pains[0].startswith("1 of 1 run")
    assert pains[3].startswith("3 answers logged")


def test_what_is_simulated_and_what_is_real_is_said_of_everything(workspace: Workspace) -> None:
    table = show("foundations").table[-1].value
    assert set(table["Is"]) == {"simulated", "**real**", "you alone"}
    assert len(table) >= 8


def test_the_trace_follows_the_champion(workspace: Workspace) -> None:
    run = samples.completed(workspace, version=4)
    found = evidence.gather(open_it(), find_scenario("fraud"))
    named = dict(evidence.line(found))
    assert named["Run"] == run.run_id
    assert named["Release"].startswith("version 4")
    assert named["Answers"] == "none yet"


def test_mlops_keeps_every_station_of_devops(workspace: Workspace) -> None:
    plain, more = (figures.describe(each()) for each in (two_loops.devops, two_loops.mlops))
    for name, added in two_loops.STATIONS:
        assert (name in plain) is not added
        assert (f"{name} (added)" if added else name) in more


def test_a_database_that_is_none_is_told(workspace: Workspace) -> None:
    workspace.database.write_bytes(b"this is no database" * 100)
    assert show("foundations").title[0].value == "Your workspace can't be read"

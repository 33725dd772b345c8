"""Deploy's view of where an answer came from, run by Streamlit itself on real runs and a real log."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import page_samples as samples
import pytest
from streamlit.testing.v1 import AppTest
from test_pages import address, press, show, words

from pages.parts import chain, rooms
from pipelines.lineage import follow
from pipelines.scenarios import find_scenario
from pipelines.workspace import Workspace


@pytest.fixture
def workspace(page_workspace: Workspace) -> Workspace:
    return page_workspace


def said(app: AppTest) -> str:
    return words(app).replace("\\", "")


def primary(app: AppTest) -> list[str]:
    return [button.label for button in app.button if button.proto.type == "primary"]


def box(app: AppTest, label: str) -> Any:
    return next(each for each in (*app.selectbox, *app.text_input) if each.label == label)


def test_an_answer_leads_to_where_it_came_from(workspace: Workspace) -> None:
    # given
    samples.completed(workspace)
    newest, *_ = samples.predicted(workspace)
    app = show("deploy", view="ask")
    # when
    press(app, "Where this answer comes from")
    # then
    assert (address(app, "view"), address(app, "prediction")) == ("trace", newest)
    assert app.title[0].value == "Version 1 raised this alert"


def test_the_chain_goes_from_the_data_to_the_decision(workspace: Workspace) -> None:
    samples.completed(workspace)
    newest, *_ = samples.predicted(workspace)
    app = show("deploy", view="trace")
    text = said(app)
    places = [
        text.index(f"{number}. {title}")
        for number, title in enumerate(
            ("The data", "The run", "The version", "The approval", "The answer"), 1
        )
    ]
    assert places == sorted(places)
    assert "**0.87: an alert**" in text
    assert f"python -m pipelines lineage {newest}" in text
    assert "Sent by hand: no world knows the outcome" in text
    assert app.table[0].value["Name"].tolist()[0] == "customer\\_id"
    assert app.table[1].value["Param"].tolist()[0] == "size"
    assert primary(app) == ["Score it again"]


def test_each_link_leads_to_its_room(workspace: Workspace) -> None:
    run = samples.completed(workspace)
    newest, *_ = samples.predicted(workspace)
    found = {way.words: way for link in chain.links(follow(workspace, newest)) for way in link.ways}
    assert found["The run"].query == {"run": run.run_id}
    assert found["Training"].query == {"run": run.run_id, "step": "train"}
    assert found["In the registry"].query == {"scenario": "fraud", "version": "1"}
    assert found["Look at it"].query["run"] == run.run_id
    assert found["Ask again"].query["prediction"] == newest
    assert {way.page for way in found.values()} == {
        rooms.file_of(name)
        for name in (rooms.DATA, rooms.HISTORY, rooms.NOTEBOOKS, rooms.REGISTRY, rooms.DEPLOY)
    }
    # and those rooms can be opened there
    for way in found.values():
        show(Path(way.page).stem, **way.query)


def test_any_answer_is_reached_by_list_or_id(workspace: Workspace) -> None:
    samples.completed(workspace)
    newest, second, third, *_ = samples.predicted(workspace)
    app = show("deploy", view="trace")
    box(app, "Newest answers").select(second).run()
    assert address(app, "prediction") == second
    box(app, "Prediction id").set_value(f" {third} ").run()
    assert address(app, "prediction") == third
    assert f"lineage {third}" in said(app)
    assert newest not in said(app)


@pytest.mark.parametrize(
    "asked", ["never", "../../etc", "' OR 1=1 --", "<script>", "é", "x" * 60, "`*_[a](b)"]
)
def test_an_id_that_is_not_there_says_so_and_the_newest_is_shown(workspace: Workspace, asked: str) -> None:
    samples.completed(workspace)
    newest, *_ = samples.predicted(workspace)
    app = show("deploy", view="trace", prediction=asked)
    assert "There is no prediction" in said(app)
    assert f"lineage {newest}" in said(app)
    # and the list still leads on
    box(app, "Newest answers").select_index(3).run()
    assert "There is no prediction" not in said(app)


def test_without_an_answer_the_page_says_what_will_be_here(workspace: Workspace) -> None:
    app = show("deploy", view="trace")
    assert app.title[0].value == "Nothing was answered yet"
    assert primary(app) == ["Ask the model"]
    press(app, "Ask the model")
    assert address(app, "view") == "ask"


def test_what_is_gone_is_said(workspace: Workspace) -> None:
    run = samples.completed(workspace)
    newest, *_ = samples.predicted(workspace)
    shutil.rmtree(workspace.run_folder(run.run_id))
    text = said(show("deploy", view="trace", prediction=newest))
    assert "**Gone**" in text
    assert "is gone." in text
    assert "Nobody knows version 1 any more." in text


def test_asked_again_without_mlflow_it_says_not_verified(workspace: Workspace) -> None:
    samples.completed(workspace)
    samples.predicted(workspace)
    app = press(show("deploy", view="trace"), "Score it again")
    assert "Not verified: MLflow" in said(app)


def test_an_answer_about_another_world_brings_its_scenario(workspace: Workspace) -> None:
    samples.completed(workspace)
    newest, *_ = samples.predicted(workspace)
    app = show("deploy", view="trace", scenario="biopsies", prediction=newest)
    assert app.radio[0].value == "fraud"


def test_what_a_client_sent_is_shown_as_it_was_sent(workspace: Workspace) -> None:
    samples.completed(workspace)
    newest, *_ = samples.predicted(workspace)
    with workspace.connect() as connection:
        connection.execute(
            "UPDATE predictions SET event = ? WHERE prediction_id = ?",
            ('{"customer_id": "<b>*x*</b>", "amount": 3}', newest),
        )
    app = show("deploy", view="trace")
    assert "\\<b\\>\\*x\\*\\</b\\>" in app.table[0].value["Value"].tolist()


def test_the_headline_says_what_does_not_hold(workspace: Workspace) -> None:
    samples.completed(workspace)
    newest, *_ = samples.predicted(workspace)
    with workspace.connect() as connection:
        connection.execute("UPDATE predictions SET decision = 0 WHERE prediction_id = ?", (newest,))
    facts = chain.look(workspace, find_scenario("fraud"), newest)
    assert "does not hold" in chain.headline(facts)[1]

"""Registry and Deploy, run by Streamlit itself on real runs, a real ledger and a real registry."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import page_samples as samples
import pytest
import small_model
from streamlit.testing.v1 import AppTest
from test_pages import address, press, show, words

from pages.parts import lanes, opened_version, versions
from pages.parts.record import read_record
from pipelines import promotion
from pipelines.errors import Damaged
from pipelines.lifecycle import LIFECYCLE
from pipelines.packaging import manifest
from pipelines.promotion import Promotion
from pipelines.scenarios import find_scenario
from pipelines.settings import REPOSITORY, settings
from pipelines.workspace import Home, Workspace, open_workspace

FRAUD = find_scenario("fraud")


@pytest.fixture
def workspace(page_workspace: Workspace) -> Workspace:
    return page_workspace


@pytest.fixture(scope="module")
def registered(home: Home, mlflow: str) -> Workspace:
    """A workspace whose registry has versions 1 and 2, and 3, whose gate failed."""
    place = open_workspace(f"t-{uuid4().hex[:12]}", home)
    small_model.register(place, 2, note="<b>mine</b> `x` :red[y]")
    small_model.register(place, gate=small_model.FAILED)
    return place


@pytest.fixture
def opened(
    registered: Workspace, tmp_path: Path, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Workspace]:
    """That workspace, with a ledger of its own, as the one that pages open; no gateway answers."""
    monkeypatch.setenv("FLIGHTDECK_GATEWAY_PORT", str(free_port))
    settings.cache_clear()
    shown = Workspace(Home(tmp_path), registered.name)
    shown.runs.mkdir(parents=True)
    monkeypatch.setattr("pages.parts.frame.workspace", lambda: shown)
    yield shown
    settings.cache_clear()


def primary(app: AppTest) -> list[str]:
    """Labels of the page's primary buttons."""
    return [button.label for button in app.button if button.proto.type == "primary"]


def chosen(app: AppTest, label: str) -> Any:
    return next(box for box in app.selectbox if box.label == label)


# Registry.


def test_versions_that_the_runs_keep_are_shown_while_mlflow_is_down(workspace: Workspace) -> None:
    # given
    samples.completed(workspace, version=1, ago_s=1200)
    samples.completed(workspace, version=2, gate=False)
    # when
    app = show("registry")
    # then
    assert app.title[0].value == "Version 1 serves, version 2 was refused"
    assert "is not answering" in words(app)
    table = app.table[0].value
    assert table["Version"].tolist() == ["2", "1"]
    assert table["Stage"].tolist() == ["–", "production"]
    assert table["Gate"].tolist() == ["failed", "passed"]


def test_a_refused_version_leads_to_its_evaluation(workspace: Workspace) -> None:
    samples.completed(workspace, gate=False)
    app = show("registry")
    assert primary(app) == ["Read its evaluation"]
    assert "May it serve?" in app.table[1].value["Question"].tolist()
    assert app.table[1].value["Its answer"][1].replace("\\", "").startswith("no: ")


def test_a_version_that_waits_can_be_deployed(workspace: Workspace) -> None:
    samples.completed(workspace, serve=False)
    app = show("registry")
    assert app.title[0].value == "Version 1 is registered, and none serves"
    assert primary(app) == ["Deploy version 1"]


def test_the_newest_model_can_be_registered(workspace: Workspace) -> None:
    # given a run that ended with its evaluation
    base = samples.completed(workspace, steps=LIFECYCLE.road[: LIFECYCLE.road.index("register")])
    app = AppTest.from_file(str(REPOSITORY / "app.py"), default_timeout=60).run()
    app.switch_page("pages/registry.py").run()
    assert primary(app) == ["Register the newest model"]
    # when
    press(app, "Register the newest model")
    # then a run of that step alone is queued
    newest = read_record(workspace, next(each for each in workspace.run_ids() if each != base.run_id))
    assert (newest.run.steps, newest.run.base) == (("register",), base.run_id)


def test_an_opened_version_shows_lineage_package_and_command(workspace: Workspace) -> None:
    samples.completed(workspace, version=1, ago_s=1200)
    samples.completed(workspace, version=2)
    app = show("registry", version="1")
    assert app.subheader[0].value.startswith("Version 1")
    assert "python -m pipelines deploy fraud --version 1" in words(app)
    assert "image/Dockerfile" in words(app)
    labels = [button.label for button in app.button]
    assert any(label.startswith("The run of") for label in labels)
    assert "The notebook of its training" in labels


@pytest.mark.parametrize("asked", ["9", "-1", "1.0", "x" * 99, "<script>alert(1)</script>", "²"])
def test_a_version_that_is_not_there_says_so_and_the_newest_is_shown(
    workspace: Workspace, asked: str
) -> None:
    samples.completed(workspace)
    app = show("registry", version=asked)
    assert "There is no version" in words(app)
    assert app.subheader[0].value.startswith("Version 1")


def test_a_version_whose_run_is_gone_is_shown_with_what_the_registry_knows(opened: Workspace) -> None:
    app = show("registry")
    assert app.table[0].value["Version"].tolist() == ["3", "2", "1"]
    assert app.table[0].value["Average precision"].tolist() == ["not kept"] * 3
    assert "is gone" in words(app)
    assert "Of 3 versions, 2 may serve." in words(app)


def test_a_note_is_shown_as_it_was_written(opened: Workspace) -> None:
    shown = dict(show("registry", version="1").table[1].value.to_numpy())["Why does it exist?"]
    assert shown == "\\<b\\>mine\\</b\\> \\`x\\` \\:red\\[y\\]"


def test_a_plot_says_which_version_was_better(workspace: Workspace) -> None:
    samples.completed(workspace, version=1)
    samples.completed(workspace, version=2, serve=False)
    shelf = versions.gather(workspace, FRAUD)
    drawn = versions.figure(shelf)
    assert drawn is not None
    assert "No version was clearly better" in drawn.layout.title.text
    assert list(drawn.layout.xaxis.ticktext) == ["1<br>serves", "2"]


# The package, to take along.


def test_a_zipped_package_holds_what_its_manifest_names(workspace: Workspace) -> None:
    run = samples.completed(workspace)
    folder = workspace.run_folder(run.run_id) / "package"
    held = zipfile.ZipFile(io.BytesIO(manifest.zipped(folder)))
    assert held.namelist() == ["image/Dockerfile", "MANIFEST.json"]
    assert manifest.zipped(folder) == manifest.zipped(folder)


@pytest.mark.parametrize(
    "content", ["", "{", '{"../../../secret": "x"}', '{"/etc/passwd": "x"}', '{"lost": "x"}']
)
def test_a_damaged_package_is_not_handed_out(workspace: Workspace, content: str) -> None:
    run = samples.completed(workspace)
    folder = workspace.run_folder(run.run_id) / "package"
    (folder / "MANIFEST.json").write_text(content)
    with pytest.raises(Damaged):
        manifest.zipped(folder)
    assert "package" in words(show("registry"))


# Deploy.


def test_each_lane_says_who_is_there_and_why(workspace: Workspace) -> None:
    # given
    samples.completed(workspace, version=1)
    samples.promote(workspace, 2, "x", "canary")
    # when
    app = show("deploy")
    said = words(app)
    # then
    assert app.title[0].value == "Version 1 answers, version 2 takes 10%" or "version 2 takes" in said
    assert "**Version 1**" in said
    assert said.count("deployed by its run") >= 2
    assert said.count(":gray[Nobody]") == 2
    assert "does not answer" in said.replace("\\", "")


@pytest.mark.parametrize("stage", ["shadow", "staging"])
def test_a_stage_that_answers_nobody_takes_one_click(opened: Workspace, stage: str) -> None:
    app = show("deploy", version="2", stage=stage)
    press(app, f"Promote version 2 to {stage}")
    assert getattr(promotion.serving(opened, "fraud"), stage) == 2
    assert "version" not in app.query_params


def test_production_takes_two_clicks_and_one_to_go_back(opened: Workspace) -> None:
    # given a champion
    app = press(show("deploy", version="1", stage="production"), "Promote version 1 to production")
    assert promotion.serving(opened, "fraud").champion is None
    assert "From the next request on, version 1 answers every payment" in words(app)
    press(app, "Yes, do it")
    assert promotion.serving(opened, "fraud").champion == 1
    # when another takes its place, for a reason
    app = show("deploy", version="2", stage="production")
    app.text_input[0].set_value("a *better* one").run()
    press(app, "Promote version 2 to production")
    assert "instead of version 1" in words(app)
    press(app, "Yes, do it")
    assert promotion.history(opened, "fraud")[-1].reason == "a *better* one"
    assert "a \\*better\\* one" in words(app)
    # then one click goes back
    press(app, "Roll back to 1")
    assert promotion.serving(opened, "fraud").champion == 1
    assert app.title[0].value == "Version 1 answers every payment"


def test_no_is_an_answer(opened: Workspace) -> None:
    app = press(show("deploy", version="1", stage="production"), "Promote version 1 to production")
    press(app, "No")
    assert promotion.history(opened) == []
    assert primary(app) == ["Promote version 1 to production"]


def test_a_confirmation_does_not_hold_for_another_choice(opened: Workspace) -> None:
    app = press(show("deploy", version="1", stage="production"), "Promote version 1 to production")
    chosen(app, "Version").select(2).run()
    assert primary(app) == ["Promote version 2 to production"]
    assert promotion.history(opened) == []


def test_a_canary_gets_its_share_and_can_be_withdrawn(opened: Workspace) -> None:
    promotion.promote(opened, "fraud", 1, stage="production", reason="test")
    app = show("deploy", version="2", stage="canary", share="0.25")
    press(app, "Promote version 2 to canary")
    assert "answers 25% of the payments" in words(app)
    press(app, "Yes, do it")
    assert promotion.serving(opened, "fraud").share == 0.25
    press(app, "Withdraw")
    assert promotion.serving(opened, "fraud").canary is None


def test_the_ledgers_refusal_is_shown(opened: Workspace) -> None:
    app = show("deploy", version="3", stage="shadow")
    assert "Its gate failed" in words(app)
    press(app, "Promote version 3 to shadow")
    assert "can't go to shadow: its gate failed" in words(app).replace("\\", "")
    assert promotion.history(opened) == []


def test_the_champion_is_asked_for_nothing(opened: Workspace) -> None:
    promotion.promote(opened, "fraud", 1, stage="production", reason="test")
    app = show("deploy", version="1", stage="shadow")
    assert "1" not in chosen(app, "Version").options


def test_a_freeze_is_said_refuses_and_is_lifted(opened: Workspace) -> None:
    # given a freeze, for a reason
    promotion.promote(opened, "fraud", 1, stage="production", reason="test")
    app = show("deploy", version="2", stage="production")
    app.text_input(key="freeze:why").set_value("it is *Christmas*").run()
    press(app, "Freeze")
    app = show("deploy", version="2", stage="production")
    assert "Promotions are frozen: it is *Christmas*" in words(app).replace("\\", "")
    # when somebody promotes all the same, it is refused and says why
    press(app, "Promote version 2 to production")
    press(app, "Yes, do it")
    assert "Nothing is promoted in 'fraud' now: it is frozen: it is *Christmas*." in words(app).replace(
        "\\", ""
    )
    assert promotion.serving(opened, "fraud").champion == 1
    # until it is lifted
    press(show("deploy"), "Lift the freeze")
    app = press(show("deploy", version="2", stage="production"), "Promote version 2 to production")
    press(app, "Yes, do it")
    assert promotion.serving(opened, "fraud").champion == 2


@pytest.mark.parametrize("share", ["2", "0", "nan", "-1", "1e999", "lots"])
@pytest.mark.parametrize("version", ["99", "-3", "<script>", "²"])
def test_an_address_of_nonsense_fills_the_form_with_what_there_is(
    opened: Workspace, share: str, version: str
) -> None:
    app = show("deploy", version=version, stage="prod", share=share)
    assert "There is no version" in words(app)
    assert chosen(app, "Version").value in (1, 2, 3)
    assert chosen(app, "Stage").value == "production"
    chosen(app, "Stage").select("canary").run()
    assert app.slider[0].value == 0.1
    assert promotion.history(opened) == []


def test_an_address_alone_promotes_nothing(opened: Workspace) -> None:
    show("deploy", version="1", stage="production", confirm="1:production:None", share="0.5")
    assert promotion.history(opened) == []


def test_nothing_is_promoted_while_mlflow_is_down_but_a_rollback_is_made(workspace: Workspace) -> None:
    # given two champions, one after the other
    samples.completed(workspace, version=1, ago_s=1200)
    samples.completed(workspace, version=2)
    app = show("deploy", version="1", stage="shadow")
    assert "nothing can be promoted now" in words(app)
    # when
    press(app, "Promote version 1 to shadow")
    # then
    assert "MLflow" in words(app)
    assert promotion.serving(workspace, "fraud").shadow is None
    press(app, "Roll back to 1")
    assert promotion.serving(workspace, "fraud").champion == 1


def test_the_other_view_is_one_click_away(workspace: Workspace) -> None:
    samples.completed(workspace)
    app = show("deploy")
    app.button_group[0].set_value("ask").run()
    assert address(app, "view") == "ask"
    assert "One payment" in words(app)


# The timeline.


def row(number: int, at: float, action: str, stage: str, version: int | None) -> Promotion:
    share = 0.1 if stage == "canary" else None
    return Promotion("me", number, at, "main", None, "fraud", action, stage, version, share, "why", None)  # type: ignore[arg-type]


def test_stays_are_what_the_rows_say() -> None:
    # given version 2 as a canary beside 1, then in production, rolled back, and a canary withdrawn
    rows = [
        row(1, 10, "promote", "production", 1),
        row(2, 20, "promote", "canary", 2),
        row(3, 30, "promote", "production", 2),
        row(4, 40, "promote", "canary", 3),
        row(5, 50, "withdraw", "canary", None),
        row(6, 60, "rollback", "production", 1),
    ]
    # when
    found = [(stay.stage, stay.version, stay.since, stay.until) for stay in lanes.stays(rows)]
    # then
    assert found == [
        ("production", 1, 10, 30),
        ("canary", 2, 20, 30),
        ("production", 2, 30, 60),
        ("canary", 3, 40, 50),
        ("production", 1, 60, None),
    ]


def test_one_stay_can_be_drawn_at_the_moment_it_begins(workspace: Workspace) -> None:
    samples.completed(workspace)
    facts = lanes.gather(workspace, FRAUD)
    drawn = lanes.figure(facts, now=facts.stays[0].since)
    assert len(drawn.data) == 1
    assert "Version 1 has answered since" in drawn.layout.title.text


def test_the_address_names_a_version_or_none(workspace: Workspace) -> None:
    assert opened_version.asked(versions.gather(workspace, FRAUD)) == (None, None)

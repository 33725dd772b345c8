"""The room Monitor, run by Streamlit itself: every state shows, every button does its work."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import page_samples as samples
import pytest
from streamlit.testing.v1 import AppTest

from pages.parts import watch
from pipelines.monitoring import alerts, diary
from pipelines.monitoring.report import monitor
from pipelines.scenarios import find_scenario
from pipelines.settings import REPOSITORY, settings
from pipelines.workspace import Workspace, open_workspace


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """The workspace that pages open, in a home of this test's own."""
    monkeypatch.setenv("FLIGHTDECK_HOME", str(tmp_path))
    settings.cache_clear()
    yield open_workspace()
    settings.cache_clear()


def show(**query: str) -> AppTest:
    app = AppTest.from_file(str(REPOSITORY / "pages" / "monitor.py"), default_timeout=120)
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception, app.exception[0].message
    return app


def words(app: AppTest) -> str:
    parts = [*app.title, *app.subheader, *app.markdown, *app.code]
    return "\n".join(str(part.value) for part in parts).replace("\\", "")


def primaries(app: AppTest) -> list[str]:
    return [button.label for button in app.button if button.proto.type == "primary"]


def test_with_nothing_serving_it_says_what_will_be_here(workspace: Workspace) -> None:
    app = show()
    assert app.title[0].value == "Nothing serves yet"
    assert "Here will be how right your model is" in words(app)
    assert primaries(app) == ["Make a model"]


def test_before_the_first_event_it_waits(workspace: Workspace) -> None:
    samples.completed(workspace)
    app = show()
    assert app.title[0].value == "Version 1 waits for its first payment"
    assert len(primaries(app)) == 1


def test_answers_without_labels_are_watched_for_drift(workspace: Workspace) -> None:
    samples.completed(workspace)
    samples.answered(workspace, 68)
    app = show()
    assert app.title[0].value == "Day 68: no label has come yet" or "alerts" in app.title[0].value
    assert "data checks passed" in words(app)
    assert "columns has drifted" in words(app)


def test_a_decayed_model_is_said_with_its_alerts_and_they_can_be_acknowledged(workspace: Workspace) -> None:
    # given
    samples.completed(workspace)
    samples.answered(workspace, 86, "inflation@70")
    for day in (72, 86):
        report = monitor(workspace, "fraud", day, resamples=30)
        if day == 86:
            report["performance"]["metrics"]["alert_precision"] = 0.04
            report["performance"]["intervals"]["alert_precision"] = [0.01, 0.08]
        diary.keep(workspace, "fraud", "main", report)
        alerts.update(workspace, "fraud", "main", report)
    # when
    app = show()
    # then
    assert app.title[0].value.startswith("Day 86: of 100 alerts ")
    assert "it was " in app.title[0].value
    assert "seen on day 72, without any label" in words(app)
    assert any("The model is less right than it was" in each.label for each in app.expander)
    assert len(primaries(app)) == 1
    # when the first is acknowledged
    before = sum(button.label == "Acknowledge" for button in app.button)
    next(button for button in app.button if button.label == "Acknowledge").click().run()
    # then it asks for nobody any more
    assert sum(button.label == "Acknowledge" for button in app.button) == before - 1
    assert [each.state for each in alerts.open_alerts(workspace, "fraud")].count("acknowledged") == 1


def test_a_new_version_is_not_blamed_for_the_one_before(workspace: Workspace) -> None:
    # given an alert on version 1, and version 2 promoted after it
    run = samples.completed(workspace)
    samples.answered(workspace, 86)
    report = monitor(workspace, "fraud", 86, resamples=30)
    report["performance"]["metrics"]["alert_precision"] = 0.04
    report["performance"]["intervals"]["alert_precision"] = [0.01, 0.08]
    diary.keep(workspace, "fraud", "main", report)
    alerts.update(workspace, "fraud", "main", report)
    assert "it was " in show().title[0].value
    second = samples.completed(workspace, version=2)
    assert run.run_id != second.run_id
    # when, where days pass by themselves, none has passed since
    found = watch.headline(replace(watch.look(workspace, find_scenario("fraud")), reports=[report]))
    # then
    assert found[0] == "Day 86: version 2 has taken over"
    assert "version 1" in found[1]


def test_a_column_can_be_looked_at(workspace: Workspace) -> None:
    samples.completed(workspace)
    samples.answered(workspace, 72, "inflation@60")
    app = show()
    chosen = app.selectbox[0]
    assert chosen.value in chosen.options
    chosen.set_value("score").run()
    assert "score " in words(app)
    assert not app.exception


def test_a_database_that_is_none_is_told(workspace: Workspace) -> None:
    workspace.database.write_bytes(b"this is no database" * 100)
    assert show().title[0].value == "Your workspace can't be read"


def test_a_run_that_goes_on_can_be_watched(workspace: Workspace) -> None:
    samples.completed(workspace)
    samples.running(workspace)
    assert primaries(show()) == ["Watch the run"]


def test_two_files_are_compared_in_their_own_view(workspace: Workspace) -> None:
    # given
    app = show(view="files")
    assert "Here will be which columns have changed" in words(app)
    # when
    before = b"amount,city\n" + b"".join(b"%d.5,Oslo\n" % (place % 90) for place in range(2000))
    after = b"amount,city\n" + b"".join(b"%d.5,Oslo\n" % (place % 180) for place in range(2000))
    app.get("file_uploader")[0].set_value(("before.csv", before, "text/csv"))
    app.get("file_uploader")[1].set_value(("<b>now.csv", after, "text/csv"))
    app.run()
    # then
    assert not app.exception
    assert "1 of 2 columns has drifted" in words(app)
    assert "python -m pipelines drift before.csv" in words(app)


def test_a_file_that_is_none_is_said_on_the_page(workspace: Workspace) -> None:
    app = show(view="files")
    app.get("file_uploader")[0].set_value(("a.csv", b"\x89PNG\r\n" + bytes(100), "text/csv"))
    app.get("file_uploader")[1].set_value(("b.csv", b"a\n1\n2\n", "text/csv"))
    app.run()
    assert not app.exception
    assert "neither CSV nor Parquet" in words(app)


@pytest.mark.parametrize(("high", "says"), [(0.80, True), (0.60, False)])
def test_where_alerts_are_as_right_as_ever_it_says_what_is_no_longer_found(high: float, says: bool) -> None:
    # given a performance alert, and alerts that are as right as promised, or less
    performance = {
        "status": "measured",
        "metrics": {"alert_precision": 0.55, "share_found": 0.29},
        "intervals": {"alert_precision": [0.5, high]},
        "promised": {
            "metrics": {"alert_precision": 0.73, "share_found": 0.62},
            "intervals": {"alert_precision": [0.65, 0.82]},
        },
    }
    report = {"day": 90, "version": 1, "performance": performance, "summary": ""}
    times = {"opened": 81, "last_seen": 89, "acknowledged": None, "resolved": None}
    texts = dict.fromkeys(("owner", "found", "expected", "meaning", "hint", "ended"), "")
    alert = alerts.Alert(
        1, "maintenance", "main", "performance", "bad", version=1, state="open", **times, **texts
    )
    facts = watch.Facts(
        find_scenario("maintenance"), 1, [], 90, [report], [alert], [alert], playing=False, retraining=""
    )
    # then
    title, sentence = watch.headline(facts)
    assert title == "Day 90: of 100 alerts 55 are right, it was 73"
    assert sentence.startswith("It has been less right than promised since day 81.")
    assert ("Of 100 that are spoilt it finds 29; it was 62." in sentence) == says

"""Lineage on real logs, run folders, data versions and a real MLflow: every link, and every gap."""

from __future__ import annotations

import json
import shutil
import time

import numpy as np
import page_samples as samples
import pytest
from lineage_samples import answer, check, gaps, name_data, tell_label
from world_samples import played

from pipelines import promotion
from pipelines.errors import Damaged, Missing
from pipelines.lifecycle import LIFECYCLE
from pipelines.lineage import follow, telling
from pipelines.lineage.following import find_approval, find_truth
from pipelines.run import Run, read_params
from pipelines.scenarios import find_scenario
from pipelines.scenarios.scenario import DAY_S
from pipelines.serving import labelling
from pipelines.serving.prediction_log import features_of, trace
from pipelines.versioning.snapshots import content
from pipelines.workspace import Workspace

pytestmark = pytest.mark.xdist_group("lineage")

FRAUD = find_scenario("fraud")
STEPS = ("ingest", "validate", "clean", "version", "features", "train", "evaluate", "register")


@pytest.fixture
def made(workspace: Workspace) -> tuple[Run, str]:
    """A run whose version serves, and its newest prediction; MLflow does not know them."""
    run = samples.completed(workspace)
    # The samples' times are of now; decisions come before answers.
    samples.predicted(workspace)
    return run, answer(workspace).prediction_id


# Every link.


def test_an_answer_is_followed_to_its_version_run_and_notebooks(
    workspace: Workspace, made: tuple[Run, str]
) -> None:
    # when
    run, prediction_id = made
    found = follow(workspace, prediction_id)
    # then the answer is as it was logged
    logged = trace(workspace, prediction_id)
    card = samples.results()["model"].card
    assert found.prediction == logged
    assert found.prediction.event == {"customer_id": 7, "terminal_id": 42, "amount": 62.5}
    assert list(found.features) == card["features"]
    assert list(found.features.values()) == features_of(logged).tolist()
    assert found.threshold == card["threshold"]
    # and the version, told by its run's receipt, as MLflow does not know it
    assert (found.version.number, found.version.gate, found.version.digest) == (1, "passed", "f00d" * 4)
    assert found.version.source == "receipt"
    assert found.mlflow_run == "0" * 32
    assert "The version is told by its run's receipt" in gaps(found)
    # and the run with everything that it was made from
    assert found.run is not None
    assert (found.run.run_id, found.run.seed, found.run.code) == (run.run_id, 1, run.code)
    assert found.run.libraries["scikit-learn"] == run.libraries["scikit-learn"]
    assert found.run.params == {
        step: values
        for step, values in read_params(workspace.run_folder(run.run_id)).items()
        if step in LIFECYCLE.road
    }
    for step in ("train", "evaluate"):
        assert found.run.notebooks[step].read_text().startswith("{")


def test_the_ledgers_row_says_who_let_it_serve(workspace: Workspace, made: tuple[Run, str]) -> None:
    run, prediction_id = made
    row = follow(workspace, prediction_id).approval
    assert row is not None
    assert (row.version, row.stage, row.source) == (1, "production", f"run:{run.run_id}/deploy")
    assert row.reason == "deployed by its run"


def test_of_several_decisions_the_one_that_held_then_is_named(workspace: Workspace) -> None:
    # given version 1, then 2, then 1 again, with an answer of each time
    answers = []
    for version in (1, 2, 1):
        samples.promote(workspace, version, f"r{len(answers)}")
        answers.append(answer(workspace, version=version, event_id=len(answers)))
        time.sleep(0.002)
    # then each is by its own row
    found = [find_approval(workspace, each, []) for each in answers]
    assert [row.promotion_id if row else None for row in found] == [1, 2, 3]


def test_an_answer_given_during_the_change_over_is_by_the_decision_before(workspace: Workspace) -> None:
    samples.promote(workspace, 1, "a")
    samples.promote(workspace, 2, "b")
    late = answer(workspace, version=1)
    missing: list[object] = []
    row = find_approval(workspace, late, missing)  # type: ignore[arg-type]
    assert row is not None
    assert row.promotion_id == 1
    assert "Row 2 had already taken production" in str(missing)


@pytest.mark.parametrize(("route", "stage"), [("canary", "canary"), ("shadow", "shadow")])
def test_a_canary_and_a_shadow_are_by_their_own_stage(
    workspace: Workspace, route: str, stage: promotion.Stage
) -> None:
    samples.promote(workspace, 1, "a")
    samples.promote(workspace, 2, "b", stage)
    row = find_approval(workspace, answer(workspace, version=2, route=route), [])
    assert row is not None
    assert (row.version, row.stage) == (2, stage)


def test_a_version_that_a_client_named_needs_nobodys_decision(workspace: Workspace) -> None:
    samples.completed(workspace, serve=False)
    found = follow(workspace, answer(workspace, route="version").prediction_id)
    assert found.approval is None
    assert "ledger" not in gaps(found)
    assert "a client named the version" in "\n".join(telling.lines(found))


def test_the_data_are_named_and_known_to_be_whole(workspace: Workspace, made: tuple[Run, str]) -> None:
    # given the version of the data that the run's receipt names, really kept
    run, prediction_id = made
    (kept,) = samples.keep_versions(workspace, (60,))
    name_data(workspace, run, kept)
    # when
    data = follow(workspace, prediction_id).data
    # then
    assert data is not None
    assert (data.number, data.digest, data.tag, data.commit) == (1, kept.digest, "fraud-v1", kept.commit)
    assert (data.rows, data.days, data.whole) == (kept.rows, kept.days, True)


@pytest.mark.parametrize("change", ["gone", "changed"])
def test_data_that_are_no_longer_whole_are_said(
    workspace: Workspace, made: tuple[Run, str], change: str
) -> None:
    # given; the cache is shared by all workspaces of the home, so this is a version of its own
    run, prediction_id = made
    (kept,) = samples.keep_versions(workspace, (47 if change == "gone" else 48,))
    name_data(workspace, run, kept)
    file = content(workspace.home, kept)
    file.chmod(0o644)
    if change == "gone":
        file.unlink()
    else:
        file.write_bytes(b"other")
    # when
    found = follow(workspace, prediction_id)
    # then
    assert found.data is not None
    assert found.data.whole is False
    assert "can't be trained again on the same rows" in gaps(found)


def test_another_version_of_the_data_under_the_same_number_is_noticed(
    workspace: Workspace, made: tuple[Run, str]
) -> None:
    samples.keep_versions(workspace, (60,))
    found = follow(workspace, made[1])
    assert found.data is not None
    assert (found.data.digest, found.data.whole) == ("c0ffee" * 2, False)
    assert "the run used c0ffee" in gaps(found)


def test_params_are_those_of_the_run_that_executed_the_step(workspace: Workspace) -> None:
    # given a run that took its data from another, with other params of its own for those steps
    base = samples.completed(workspace, steps=STEPS[:5], ago_s=900)
    run = samples.completed(
        workspace,
        base=base.run_id,
        steps=("train", "evaluate", "register", "deploy"),
        params={"train": {"trees": 50}},
    )
    # when
    found = follow(workspace, answer(workspace).prediction_id).run
    # then
    assert found is not None
    assert (found.made_by["ingest"], found.made_by["train"]) == (base.run_id, run.run_id)
    assert found.params["ingest"]["size"] == "small"
    assert found.params["train"]["model"] == "boosting"
    # and without the base they are not known, which is said
    shutil.rmtree(workspace.run_folder(base.run_id))
    later = follow(workspace, answer(workspace, event_id=7_001).prediction_id)
    assert later.run is not None
    assert "ingest" not in later.run.params
    assert f"Run '{base.run_id}'" in gaps(later)


# What turned out to be true, and what it was worth.


def test_a_label_that_is_awaited_says_until_when(workspace: Workspace) -> None:
    run = samples.completed(workspace)
    played(workspace, run, [])
    made = answer(workspace)
    truth = find_truth(workspace, made, FRAUD)
    assert (truth.state, truth.due_s) == ("awaited", made.event_time + 7 * DAY_S)
    assert truth.today == 67
    found = follow(workspace, made.prediction_id)
    assert found.worth is None
    assert "due day 67, 01:01. It is day 67." in telling.label_words(found)


def test_a_label_that_is_not_to_come_is_said_never_to(workspace: Workspace) -> None:
    made = answer(workspace)
    labelling.choose(workspace, made.stream.scenario, 0, "blocked" if made.decision else "investigated", 0.0)
    found = follow(workspace, made.prediction_id)
    assert found.truth.state == "never"
    assert telling.label_words(found).startswith("It will never be known:")


def test_a_label_that_never_came_is_overdue(workspace: Workspace) -> None:
    run = samples.completed(workspace)
    played(workspace, run, [1.0, 1.0])
    found = follow(workspace, answer(workspace).prediction_id)
    assert found.truth.state == "overdue"
    assert telling.label_words(found).startswith("Overdue: it was due day 67, 01:01. It is day 69.")


def test_an_event_sent_by_hand_has_no_outcome(workspace: Workspace) -> None:
    samples.completed(workspace)
    newest, *_ = samples.predicted(workspace)
    assert follow(workspace, newest).truth.state == "unasked"


@pytest.mark.parametrize(
    ("label", "alert", "saved", "words"),
    [
        (1, True, 62.5 - FRAUD.prices.review, "Caught"),
        (1, False, 0.0, "Missed"),
        (0, True, -FRAUD.prices.review - FRAUD.prices.false_alarm, "A false alarm"),
        (0, False, 0.0, "Rightly left alone"),
    ],
)
def test_a_known_label_prices_the_decision(
    workspace: Workspace, label: int, alert: bool, saved: float, words: str
) -> None:
    samples.completed(workspace)
    made = answer(workspace, decision=alert)
    tell_label(workspace, made, label)
    found = follow(workspace, made.prediction_id)
    assert (found.truth.state, found.truth.label, found.truth.known_s) == ("known", label, 67 * DAY_S)
    assert found.worth is not None
    assert (found.worth.saved, found.worth.unit, found.worth.acted_on) == (saved, "EUR", True)
    assert telling.worth_words(found).startswith(words)


def test_a_shadows_decision_is_worth_nothing_to_anybody(workspace: Workspace) -> None:
    made = answer(workspace, route="shadow")
    tell_label(workspace, made, 1)
    found = follow(workspace, made.prediction_id)
    assert found.worth is not None
    assert not found.worth.acted_on
    assert "nobody acted on it" in telling.worth_words(found)


# Gaps: what is gone is said.


def test_without_run_registry_and_ledger_the_answer_is_still_told(workspace: Workspace) -> None:
    found = follow(workspace, answer(workspace).prediction_id, verify=True)
    assert (found.run, found.approval, found.data, found.threshold) == (None, None, None, None)
    assert found.version.source == "nowhere"
    assert found.features["amount"] > 0  # the scenario's own names
    assert found.verified is None
    said = gaps(found)
    for words in ("is gone", "No row of the ledger", "Nobody knows version 1", "No version of the data"):
        assert words in said
    assert json.loads(json.dumps(found.as_json()))["run"] is None
    assert len(telling.lines(found)) <= 25


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("run.json", "run.json can't be read"),
        ("params.json", "params.json can't be read"),
        ("model", "The model's card is not kept"),
        ("steps/train/attempt-1/notebook.ipynb", "The executed notebook of step 'train' is not kept"),
        ("steps/evaluate/done.json", "The executed notebook of step 'evaluate' is not kept"),
        ("receipts/snapshot.json", "No version of the data is named"),
        ("receipts/registration.json", "is gone"),
    ],
)
@pytest.mark.parametrize("cut", [False, True])
def test_whatever_of_the_run_is_gone_or_cut_short_is_said(
    workspace: Workspace, made: tuple[Run, str], path: str, said: str, cut: bool
) -> None:
    run, prediction_id = made
    lost = workspace.run_folder(run.run_id) / path
    if lost.is_dir():
        lost = lost / "model.json"
    if path.endswith(".ipynb") or not cut:
        lost.unlink()
    else:
        lost.write_text(lost.read_text()[:7])
    found = follow(workspace, prediction_id, verify=True)
    # A run without its run.json does not count as one any more.
    assert (said if cut or path != "run.json" else "is gone") in gaps(found)
    assert len(telling.lines(found)) <= 25
    assert found.as_json()["prediction_id"] == prediction_id


@pytest.mark.parametrize("blob", [b"", b"x" * 8, b"x" * 13])
def test_a_row_of_another_length_keeps_its_numbers(workspace: Workspace, blob: bytes) -> None:
    samples.completed(workspace)
    found = follow(workspace, answer(workspace, features=blob).prediction_id, verify=True)
    assert len(found.features) == (1 if len(blob) == 8 else 0)
    assert ("were logged" in gaps(found)) or ("was cut short" in gaps(found))
    assert found.verified is None


def test_a_scenario_that_is_gone_is_said(workspace: Workspace) -> None:
    gone = samples.Stream(workspace.name, "main", "<b>mine</b>", "small-1")
    found = follow(workspace, answer(workspace, stream=gone).prediction_id, verify=True)
    assert found.truth.state == "unknown"
    assert "no scenario '<b>mine</b>'" in gaps(found)
    assert next(iter(found.features)) == "feature 1"


def test_a_row_that_was_changed_is_found_out(workspace: Workspace, made: tuple[Run, str]) -> None:
    with workspace.connect() as connection:
        connection.execute(
            "UPDATE predictions SET event_id = 8, decision = 0 WHERE prediction_id = ?", (made[1],)
        )
    found = follow(workspace, made[1])
    assert (check(found, "id"), check(found, "decision")) == (False, False)
    assert "the row was changed" in "\n".join(telling.lines(found))


def test_a_row_that_can_not_be_read_is_an_error_of_ours(workspace: Workspace, made: tuple[Run, str]) -> None:
    with workspace.connect() as connection:
        connection.execute("UPDATE predictions SET event = '{' WHERE prediction_id = ?", (made[1],))
    with pytest.raises(Damaged, match="can't be read"):
        follow(workspace, made[1])


@pytest.mark.parametrize(
    "asked",
    [
        "",
        "never",
        "../../etc/passwd",
        "' OR 1=1 --",
        "\x00",
        "é" * 20,
        "\udcff",
        "<script>",
        "x" * 5000,
        "%_",
    ],
)
def test_an_unknown_id_is_missing_with_a_hint(
    workspace: Workspace, made: tuple[Run, str], asked: str
) -> None:
    with pytest.raises(Missing, match="There is no prediction") as caught:
        follow(workspace, asked)
    assert caught.value.hint
    assert len(caught.value.message) < 100
    str(caught.value).encode()


def test_looking_makes_no_file(workspace: Workspace) -> None:
    with pytest.raises(Missing):
        follow(workspace, "never")
    assert not workspace.database.exists()


def test_what_was_written_by_others_moves_no_cursor_and_breaks_no_json(workspace: Workspace) -> None:
    features = np.array([np.nan, np.inf, 1.0], dtype="<f8").tobytes()
    made = answer(workspace, features=features, event={"amount": "\x1b[2J\n\nx"})
    found = follow(workspace, made.prediction_id)
    assert "\x1b" not in "".join(telling.lines(found))
    assert "\n" not in "".join(telling.lines(found))
    shown = json.loads(json.dumps(found.as_json(), allow_nan=False))["prediction"]["features"]
    assert list(shown.values()) == [None, None, 1.0]


def test_an_id_may_have_spaces_around_it(workspace: Workspace, made: tuple[Run, str]) -> None:
    assert follow(workspace, f" {made[1]}\n").prediction_id == made[1]

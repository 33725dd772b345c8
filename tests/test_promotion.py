"""The promotion ledger: real SQLite, a real registry behind it, and everybody at once."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import small_model
from filelock import FileLock

from pipelines import branches, promotion, promotion_rows, registry
from pipelines.errors import BadInput, Missing, Refused, Unavailable
from pipelines.promotion import Serving, change_mark, history, promote, rollback, serving, withdraw
from pipelines.settings import settings
from pipelines.workspace import Home, Workspace, open_workspace

pytestmark = pytest.mark.usefixtures("mlflow")

NAME = small_model.SCENARIO


@pytest.fixture(scope="module")
def registered(home: Home, mlflow: str) -> str:
    """Name of a workspace with registered versions: 1, 2 and 3, and 4, whose gate failed."""
    place = open_workspace(f"t-{uuid4().hex[:12]}", home)
    small_model.register(place, 3)
    small_model.register(place, gate=small_model.FAILED)
    return place.name


@pytest.fixture
def versions(registered: str, tmp_path: Path) -> Workspace:
    """That workspace with a ledger of its own: looking at the registry changes nothing in it."""
    return Workspace(Home(tmp_path / "home"), registered)


def produce(workspace: Workspace, *numbers: int) -> None:
    """Promote versions to production, one after the other."""
    for number in numbers:
        promote(workspace, NAME, number, stage="production", reason="test")


def aliases(workspace: Workspace) -> dict[str, int]:
    """What MLflow shows: version by alias."""
    found = registry.versions(workspace.name, NAME)
    return {alias: version.number for version in found for alias in version.aliases}


@contextmanager
def mlflow_down(port: int) -> Iterator[None]:
    """MLflow is looked for where nobody listens."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLIGHTDECK_MLFLOW_PORT", str(port))
        settings.cache_clear()
        try:
            yield
        finally:
            patch.undo()
            settings.cache_clear()


def test_nothing_serves_before_the_first_promotion_and_looking_makes_no_file(home: Home) -> None:
    unknown = Workspace(home, "never-opened")

    assert serving(unknown, NAME) == Serving()
    assert history(unknown) == []
    assert change_mark(unknown) == 0
    assert not unknown.root.exists()


def test_a_promoted_version_serves_and_mlflow_shows_it(versions: Workspace) -> None:
    made = promote(versions, NAME, 2, stage="production", reason="better", day=40, source="run:x/deploy")

    assert serving(versions, NAME) == Serving(champion=2, promotion_id=made.promotion_id)
    assert (made.workspace, made.version, made.stage, made.day) == (versions.name, 2, "production", 40)
    assert (made.action, made.reason, made.branch) == ("promote", "better", "main")
    assert history(versions, NAME) == [made]
    assert aliases(versions) == {"champion": 2}


def test_each_stage_holds_its_own_version(versions: Workspace) -> None:
    produce(versions, 1)
    promote(versions, NAME, 2, stage="canary", share=0.25, reason="test")
    promote(versions, NAME, 3, stage="shadow", reason="test")

    found = serving(versions, NAME)

    assert (found.champion, found.canary, found.share, found.shadow) == (1, 2, 0.25, 3)
    assert aliases(versions) == {"champion": 1, "challenger": 2, "shadow": 3}


def test_promoting_the_canary_to_production_ends_the_canary(versions: Workspace) -> None:
    produce(versions, 1)
    promote(versions, NAME, 2, stage="canary", reason="test")

    produce(versions, 2)

    found = serving(versions, NAME)
    assert (found.champion, found.canary, found.share) == (2, None, 0.0)
    assert aliases(versions) == {"champion": 2}


def test_promoting_another_version_leaves_the_canary(versions: Workspace) -> None:
    produce(versions, 1)
    promote(versions, NAME, 2, stage="canary", reason="test")

    produce(versions, 3)

    assert (serving(versions, NAME).champion, serving(versions, NAME).canary) == (3, 2)


def test_a_version_leaves_the_stage_it_had(versions: Workspace) -> None:
    promote(versions, NAME, 1, stage="staging", reason="test")
    promote(versions, NAME, 1, stage="shadow", reason="test")
    promote(versions, NAME, 1, stage="canary", reason="test")

    found = serving(versions, NAME)

    assert (found.staging, found.shadow, found.canary) == (None, None, 1)


def test_the_champion_can_not_leave_production_for_a_lower_stage(versions: Workspace) -> None:
    produce(versions, 1)

    with pytest.raises(Refused, match="answers every request"):
        promote(versions, NAME, 1, stage="canary", reason="test")
    assert serving(versions, NAME).champion == 1


@pytest.mark.parametrize("stage", ["production", "canary", "shadow"])
def test_a_version_whose_gate_failed_answers_nobody(versions: Workspace, stage: Any) -> None:
    with pytest.raises(Refused, match=r"gain: found 0\.01, expected 0\.05"):
        promote(versions, NAME, 4, stage=stage, reason="test")

    assert history(versions) == []
    promote(versions, NAME, 4, stage="staging", reason="look at it")
    assert serving(versions, NAME).staging == 4


def test_an_unknown_version_is_missing_and_nothing_changes(versions: Workspace) -> None:
    with pytest.raises(Missing, match="no version 9"):
        promote(versions, NAME, 9, stage="production", reason="test")
    assert history(versions) == []


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, 2.0, float("nan")])
def test_a_canary_answers_a_part_of_the_traffic(versions: Workspace, share: float) -> None:
    with pytest.raises(BadInput, match="between 0 and 1"):
        promote(versions, NAME, 1, stage="canary", share=share, reason="test")


def test_an_unknown_stage_is_refused(versions: Workspace) -> None:
    with pytest.raises(BadInput, match="staging, shadow, canary, production"):
        promote(versions, NAME, 1, stage="prod", reason="test")  # type: ignore[arg-type]


def test_the_same_decision_repeated_is_one_row(versions: Workspace) -> None:
    first = promote(versions, NAME, 1, stage="canary", share=0.2, reason="test", source="run:x/deploy")
    produce(versions, 2)

    again = promote(versions, NAME, 1, stage="canary", share=0.2, reason="test", source="run:x/deploy")

    assert again == first
    assert len(history(versions)) == 2


def test_another_decision_of_the_same_source_is_another_row(versions: Workspace) -> None:
    for number in (1, 2):
        promote(versions, NAME, number, stage="production", reason="test", source="run:x/deploy")

    assert serving(versions, NAME).champion == 2


def test_a_rollback_gives_production_to_the_champion_before(versions: Workspace) -> None:
    produce(versions, 1, 2, 3)

    assert rollback(versions, NAME, reason="errors").version == 2
    assert aliases(versions) == {"champion": 2}
    assert rollback(versions, NAME, reason="errors").version == 1
    assert serving(versions, NAME).champion == 1


def test_a_rollback_skips_what_was_already_rolled_back(versions: Workspace) -> None:
    produce(versions, 1, 2)
    rollback(versions, NAME, reason="errors")
    produce(versions, 3)

    assert rollback(versions, NAME, reason="errors").version == 1


def test_promoting_the_champion_again_does_not_make_it_its_own_predecessor(versions: Workspace) -> None:
    produce(versions, 1, 2, 2)

    assert rollback(versions, NAME, reason="errors").version == 1


@pytest.mark.parametrize("promoted", [(), (1,), (1, 1)])
def test_with_no_champion_before_a_rollback_is_refused(
    versions: Workspace, promoted: tuple[int, ...]
) -> None:
    produce(versions, *promoted)

    with pytest.raises(Refused, match="no earlier champion"):
        rollback(versions, NAME, reason="errors")
    assert len(history(versions)) == len(promoted)


def test_a_canary_is_withdrawn(versions: Workspace) -> None:
    produce(versions, 1)
    promote(versions, NAME, 2, stage="canary", reason="test")

    withdraw(versions, NAME, stage="canary", reason="slow")

    assert (serving(versions, NAME).champion, serving(versions, NAME).canary) == (1, None)
    assert aliases(versions) == {"champion": 1}
    with pytest.raises(Refused, match="No version of 'fraud' is in canary"):
        withdraw(versions, NAME, stage="canary", reason="slow")
    with pytest.raises(BadInput, match="can't be left empty"):
        withdraw(versions, NAME, stage="production", reason="slow")


def test_what_was_in_production_when_can_be_read_afterwards(versions: Workspace) -> None:
    for number, day in ((1, 40), (2, 47), (3, 54)):
        promote(versions, NAME, number, stage="production", reason="weekly", day=day)
    rollback(versions, NAME, reason="errors", day=55)

    told = [(row.day, row.action, row.version) for row in history(versions, NAME)]

    assert told == [(40, "promote", 1), (47, "promote", 2), (54, "promote", 3), (55, "rollback", 2)]


@pytest.mark.parametrize("statement", ["UPDATE promotions SET version = 1", "DELETE FROM promotions"])
def test_a_row_is_never_changed_nor_deleted(versions: Workspace, statement: str) -> None:
    produce(versions, 2)

    with (
        versions.connect() as connection,
        pytest.raises(sqlite3.IntegrityError, match="append-only"),
    ):
        connection.execute(statement)
    assert [row.version for row in history(versions)] == [2]


def test_another_branch_serves_apart_and_mlflow_shows_the_live_one(versions: Workspace) -> None:
    produce(versions, 1)

    promote(versions, NAME, 2, stage="production", reason="what if", branch="what-if", day=50)

    assert serving(versions, NAME).champion == 1
    assert serving(versions, NAME, "what-if").champion == 2
    assert aliases(versions) == {"champion": 1}
    with pytest.raises(Refused):
        rollback(versions, NAME, reason="errors", branch="what-if")


def test_two_workspaces_serve_apart(versions: Workspace) -> None:
    other = open_workspace(f"{versions.name}-b")
    small_model.register(other, 1)
    produce(other, 1)
    produce(versions, 2)

    assert (serving(versions, NAME).champion, serving(other, NAME).champion) == (2, 1)
    assert aliases(other) == {"champion": 1}


def test_the_change_mark_moves_with_every_row(versions: Workspace) -> None:
    marks = [change_mark(versions)]
    produce(versions, 1)
    marks.append(change_mark(versions))
    produce(versions, 2)
    marks.append(change_mark(versions))
    rollback(versions, NAME, reason="errors")
    marks.append(change_mark(versions))

    assert marks == sorted(set(marks))
    assert marks[-1] == serving(versions, NAME).promotion_id


def test_without_mlflow_a_promotion_is_unavailable_and_changes_nothing(
    versions: Workspace, free_port: int
) -> None:
    produce(versions, 1)

    with mlflow_down(free_port), pytest.raises(Unavailable, match="not answering"):
        promote(versions, NAME, 2, stage="production", reason="test")

    assert serving(versions, NAME).champion == 1


def test_without_mlflow_a_rollback_holds_and_is_shown_by_the_next_projection(
    versions: Workspace, free_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    # given
    produce(versions, 1, 2)

    # when
    with mlflow_down(free_port):
        rollback(versions, NAME, reason="errors")

    # then the ledger says what serves, MLflow still shows what it was told last
    assert serving(versions, NAME).champion == 1
    assert "not projected" in caplog.text
    assert aliases(versions) == {"champion": 2}

    # and the next to project mends it
    promotion.project(versions, NAME)
    assert aliases(versions) == {"champion": 1}


def test_of_two_that_project_the_later_shows_what_the_ledger_says_then(versions: Workspace) -> None:
    # given one that projects while another, who is slower than it, still does
    produce(versions, 1)
    late = threading.Thread(target=promotion.project, args=(versions, NAME))
    with FileLock(versions.root / "projection.lock"):
        late.start()
        late.join(1.0)
        # when the ledger goes on meanwhile
        with promotion_rows.writing(versions, NAME, branches.MAIN) as page:
            page.append("promote", "production", 2, "test", None)
    late.join()

    # then
    assert aliases(versions) == {"champion": 2}


def test_twenty_that_promote_at_once_are_all_recorded_and_the_last_serves(versions: Workspace) -> None:
    # given four processes with five threads each, on a ledger that does not exist yet
    program = (
        "import sys\nfrom concurrent.futures import ThreadPoolExecutor\n"
        "from pipelines.promotion import promote\nfrom pipelines.workspace import open_workspace\n"
        "place = open_workspace(sys.argv[1])\n"
        "def work(number):\n"
        "    reason = f'{sys.argv[2]}.{number}'\n"
        f"    promote(place, '{NAME}', number % 3 + 1, stage='production', reason=reason)\n"
        "sys.stdin.read()\n"
        "with ThreadPoolExecutor(5) as pool:\n    list(pool.map(work, range(5)))\n"
    )
    racing = [
        subprocess.Popen(
            [sys.executable, "-c", program, versions.name, str(number)],
            stdin=subprocess.PIPE,
            env=os.environ | {"FLIGHTDECK_HOME": str(versions.home.root)},
        )
        for number in range(4)
    ]

    # when
    for process in racing:
        assert process.stdin is not None
        process.stdin.close()
    assert [process.wait(120) for process in racing] == [0] * 4

    # then
    rows = history(versions, NAME)
    assert {row.reason for row in rows} == {f"{one}.{two}" for one in range(4) for two in range(5)}
    assert [row.promotion_id for row in rows] == list(range(1, 21))
    assert [row.at for row in rows] == sorted(row.at for row in rows)
    assert serving(versions, NAME).champion == rows[-1].version
    assert aliases(versions) == {"champion": rows[-1].version}

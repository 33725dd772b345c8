"""The promotion ledger: which version serves, since when and why.

In: a decision to promote, withdraw or roll back. Out: who serves now, and everything that ever did.
Each decision is one row that is never changed, so the ledger can answer what was in production when;
MLflow's aliases can't, and are only projected from here.
"""

from __future__ import annotations

import logging
from typing import get_args

from filelock import FileLock

from pipelines import branches, freezing, registry
from pipelines.errors import BadInput, Missing, Refused, Unavailable
from pipelines.promotion_rows import TABLES, fold, rows_of, successive_champions, writing
from pipelines.promotion_rows import Action as Action
from pipelines.promotion_rows import Promotion as Promotion
from pipelines.promotion_rows import Serving as Serving
from pipelines.promotion_rows import Stage as Stage
from pipelines.promotion_rows import copy_branch as copy_branch
from pipelines.workspace import Workspace

log = logging.getLogger(__name__)

DEFAULT_SHARE = 0.1

# MLflow's name for whoever holds a stage; staging has none, as it answers nobody.
ALIASES: dict[str, str] = {"production": "champion", "canary": "challenger", "shadow": "shadow"}


def promote(
    workspace: Workspace,
    scenario: str,
    version: int,
    *,
    stage: Stage,
    share: float | None = None,
    reason: str,
    day: int | None = None,
    source: str | None = None,
    branch: str | None = None,
) -> Promotion:
    """Let a registered version hold a stage; in production it answers every request.

    A version holds one stage at a time: promoted, it leaves the one it had. A version whose gate failed
    may be tried in staging, where it answers nobody, and nowhere else.

    Parameters
    ----------
    share : float, optional
        For a canary: the part of the traffic it answers, above 0 and below 1; 0.1 when left out.
    source : str, optional
        What decided this. The same decision repeated (a step run again after a crash) is one row.

    Raises
    ------
    BadInput
        The stage or share is not one there is.
    Missing
        The version is not registered.
    Refused
        Its gate failed, it serves production and is asked to leave it, or promotions are frozen.
    Unavailable
        MLflow, which keeps the versions, is not answering. Nothing was changed.
    """
    share = _check(stage, share)
    _check_gate(registry.version(workspace.name, scenario, version), stage)
    branch = branch or branches.live(workspace, scenario)
    with writing(workspace, scenario, branch) as page:
        row = page.repeated(stage, version, share, source) if source else None
        if row is None:
            if stage != "staging":
                freezing.check(workspace, scenario, branch)
            if stage != "production" and fold(page.rows()).champion == version:
                raise Refused(
                    f"Version {version} of '{scenario}' answers every request; it can't leave production "
                    f"for {stage}.",
                    "Promote another version to production first, or roll back.",
                )
            row = page.append("promote", stage, version, reason, day, share=share, source=source)
    _project_if_live(workspace, scenario, branch)
    return row


def withdraw(
    workspace: Workspace,
    scenario: str,
    *,
    stage: Stage,
    reason: str,
    day: int | None = None,
    branch: str | None = None,
) -> Promotion:
    """End a canary, a shadow or a stay in staging; the champion answers alone again.

    Raises
    ------
    BadInput
        The stage is production, which is never left empty, or not one there is.
    Refused
        No version holds that stage.
    """
    _check(stage, None)
    if stage == "production":
        raise BadInput("Production can't be left empty.", "Roll back, or promote another version.")
    branch = branch or branches.live(workspace, scenario)
    with writing(workspace, scenario, branch) as page:
        if getattr(fold(page.rows()), stage) is None:
            raise Refused(f"No version of '{scenario}' is in {stage}.", "There is nothing to withdraw.")
        row = page.append("withdraw", stage, None, reason, day)
    _project_if_live(workspace, scenario, branch)
    return row


def rollback(
    workspace: Workspace,
    scenario: str,
    *,
    reason: str,
    day: int | None = None,
    branch: str | None = None,
) -> Promotion:
    """Give production back to the champion before the current one.

    Rolling back twice goes back twice. It asks nobody but the ledger, so it works while MLflow is down.

    Raises
    ------
    Refused
        There was no champion before.
    """
    branch = branch or branches.live(workspace, scenario)
    with writing(workspace, scenario, branch) as page:
        champions = successive_champions(page.rows())
        if len(champions) < 2:
            only = f"version {champions[0]} is the first" if champions else "nothing was ever promoted"
            raise Refused(
                f"There is no earlier champion of '{scenario}' to go back to: {only}.",
                f"Promote a version: python -m pipelines deploy {scenario}",
            )
        row = page.append("rollback", "production", champions[-2], reason, day)
    _project_if_live(workspace, scenario, branch)
    return row


def serving(workspace: Workspace, scenario: str, branch: str | None = None) -> Serving:
    """Which versions hold the stages now."""
    with TABLES.reading(workspace) as connection:
        if connection is None:
            return Serving()
        branch = branch or branches.live_in(connection, scenario)
        return fold(rows_of(connection, workspace, scenario, branch))


def history(workspace: Workspace, scenario: str | None = None, branch: str | None = None) -> list[Promotion]:
    """All rows on all branches, oldest first; of one scenario, and of one branch, when they are named."""
    with TABLES.reading(workspace) as connection:
        return list(rows_of(connection, workspace, scenario, branch)) if connection else []


def champions(workspace: Workspace, scenario: str, branch: str | None = None) -> list[int]:
    """The champions that a rollback goes back through, the present one last."""
    with TABLES.reading(workspace) as connection:
        if connection is None:
            return []
        branch = branch or branches.live_in(connection, scenario)
        return successive_champions(rows_of(connection, workspace, scenario, branch))


def change_mark(workspace: Workspace) -> int:
    """Grows from 0 with every row and change of branch: whoever saw this number has seen everything."""
    with TABLES.reading(workspace) as connection:
        if connection is None:
            return 0
        newest = connection.execute("SELECT coalesce(max(promotion_id), 0) FROM promotions").fetchone()[0]
        return int(newest) + branches.switches(connection)


def project(workspace: Workspace, scenario: str) -> None:
    """Make MLflow's aliases show what the ledger says, whatever they show now.

    Raises
    ------
    Unavailable
        MLflow is not answering; the ledger holds all the same.
    """
    # The ledger is read inside the lock: of two that project, the later writes the newer state.
    with FileLock(workspace.root / "projection.lock"):
        now = serving(workspace, scenario)
        for stage, number in (("production", now.champion), ("canary", now.canary), ("shadow", now.shadow)):
            registry.project_alias(workspace.name, scenario, ALIASES[stage], number)


def _project_if_live(workspace: Workspace, scenario: str, branch: str) -> None:
    """Project after the commit."""
    if branch == branches.live(workspace, scenario):
        project_if_possible(workspace, scenario)


def project_if_possible(workspace: Workspace, scenario: str) -> None:
    """Project; when MLflow is not there, the next projection shows this state too."""
    try:
        project(workspace, scenario)
    except (Unavailable, Missing) as error:
        log.warning("aliases of '%s' in '%s' are not projected: %s", scenario, workspace.name, error)


def _check(stage: str, share: float | None) -> float | None:
    """The share as it is kept: of a canary only."""
    if stage not in get_args(Stage):
        raise BadInput(f"There is no stage '{stage[:40]}'.", f"The stages are: {', '.join(get_args(Stage))}.")
    if stage != "canary":
        return None
    share = DEFAULT_SHARE if share is None else share
    if not 0 < share < 1:
        raise BadInput(f"The share of a canary is {share}, but must lie between 0 and 1.", "Try 0.1.")
    return share


def _check_gate(version: registry.Version, stage: Stage) -> None:
    if version.gate == "passed" or stage == "staging":
        return
    rules = "; ".join(version.reasons) or "its evaluation was not kept with it"
    raise Refused(
        f"Version {version.number} of '{version.model}' can't go to {stage}: its gate failed ({rules}).",
        "Train a better model, or put it into staging, where it answers nobody.",
    )

"""The champion's run: which world the version that serves was trained in, and what it was given.

Comes in: a workspace. Goes out: the run behind the version in production, from the promotion ledger where
it says so, else from the registry.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipelines import promotion
from pipelines.errors import FlightdeckError, Missing
from pipelines.run import collector, read_params
from pipelines.workspace import Workspace


@dataclass(frozen=True)
class ChampionRun:
    """The version in production and the run that made it.

    Attributes
    ----------
    params : mapping
        All params of the run, by step.
    ingest : mapping
        Those that its events were collected with, by this run or by one that it started from.
    seed : int
        Of the world that its events come from.
    """

    version: int
    run_id: str
    params: Mapping[str, Mapping[str, Any]]
    ingest: Mapping[str, Any]
    seed: int

    @property
    def world(self) -> str:
        """Name of the world, as serving has it: size and seed."""
        return f"{self.ingest['size']}-{self.seed}"


def champion_run(workspace: Workspace, scenario: str, branch: str | None = None) -> ChampionRun:
    """The run behind the version that serves.

    Raises
    ------
    Missing
        No version serves, or its run is gone.
    Unavailable
        Only MLflow knows the run, and is not answering.
    Damaged
        The run can't be read.
    """
    version = promotion.serving(workspace, scenario, branch).champion
    if version is None:
        raise Missing(
            f"No version of '{scenario}' is in production, so nobody would answer its events.",
            f"Make one first: python -m pipelines run {scenario}",
        )
    return read_champion(workspace, scenario, version)


def read_champion(workspace: Workspace, scenario: str, version: int) -> ChampionRun:
    """The run behind that version; raises as `champion_run`."""
    run_id = _promoted_by(workspace, scenario, version)
    if run_id is None:
        # Here and not above: the registry is only needed for versions that were promoted by hand.
        from pipelines import registry

        run_id = registry.version(workspace.name, scenario, version).run_id
    return champion_of_run(workspace, run_id, version)


def champion_of_run(workspace: Workspace, run_id: str, version: int = 0) -> ChampionRun:
    """What is known of run `run_id` as a champion's; raises as `champion_run`.

    Parameters
    ----------
    version : int
        That it made; not looked up.
    """
    source = collector(workspace, run_id)
    return ChampionRun(
        version,
        run_id,
        read_params(workspace.run_folder(run_id)),
        read_params(workspace.run_folder(source.run_id))["ingest"],
        source.seed,
    )


def _promoted_by(workspace: Workspace, scenario: str, version: int) -> str | None:
    """The run whose deploy step promoted this version, when it was one and is still there."""
    for row in promotion.history(workspace, scenario):
        kind, _, rest = (row.source or "").partition(":")
        run_id = rest.partition("/")[0]
        if row.version == version and kind == "run":
            try:
                workspace.run_folder(run_id)
            except FlightdeckError:
                continue
            return run_id
    return None

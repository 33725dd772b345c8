"""What can be asked of a predictor, and what it tells.

Comes in: what the gateway read from requests. Goes out: tasks, which hold no socket and no loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.errors import FlightdeckError, Missing, Unavailable
from pipelines.promotion import Serving
from pipelines.registry import ServedModel
from pipelines.scenarios.scenario import Scenario
from pipelines.serving.champions import Lineup
from pipelines.serving.infer_request import Event


@dataclass(frozen=True)
class Infer:
    """Answer these events: by the named model, or by whom the ledger says. Outcome: list of Answer."""

    scenario: Scenario
    events: Sequence[Event]
    named: ServedModel | None = None


@dataclass(frozen=True)
class Told:
    """One label, and whose it is: a prediction's event, or, of a named scenario, the event itself.

    Without a time it counts as known as long after its event as the scenario says labels take.
    """

    label: int
    prediction_id: str | None = None
    event_id: int | None = None
    label_time: int | None = None


@dataclass(frozen=True)
class Learn:
    """Keep these labels, all or none. Outcome: list of Label.

    Attributes
    ----------
    scenario : Scenario or None
        Whose events the event ids name; None when only predictions are named.
    """

    told: Sequence[Told]
    scenario: Scenario | None = None


@dataclass(frozen=True)
class Look:
    """Say what serves now. Outcome: Standing."""

    scenario: Scenario


Task = Infer | Learn | Look


@dataclass(frozen=True)
class Standing:
    """What an endpoint's ledger wants, what serves, and why that is not the same.

    Attributes
    ----------
    wanted : Serving
        What the ledger says.
    lineup : Lineup
        What is loaded and answers.
    problem : FlightdeckError or None
        Why the two differ, when it is not that loading takes its time.
    world : str or None
        Which history is remembered.
    present_s : int or None
        Where that history has come to, in seconds since day 0.
    """

    wanted: Serving
    lineup: Lineup
    problem: FlightdeckError | None
    world: str | None
    present_s: int | None

    @property
    def promoted(self) -> frozenset[int]:
        """Versions that the ledger wants to see answer or look on."""
        wanted = (self.wanted.champion, self.wanted.canary, self.wanted.shadow)
        return frozenset(version for version in wanted if version is not None)

    def check_serves(self, scenario: str, version: int | None) -> None:
        """Raise unless this promoted version is loaded, in the place the ledger gives it.

        Raises
        ------
        Missing
            There is none.
        Unavailable
            It is not loaded yet, or can't be; says why.
        """
        if version is None:
            raise nothing_promoted(scenario)
        if self.problem is not None:
            raise Unavailable(
                f"Version {version} of '{scenario}' is not ready. {self.problem.message}", self.problem.hint
            )
        if self.lineup.absent or self.lineup.serving != self.wanted or self.present_s is None:
            reasons = " ".join(self.lineup.absent.values()) or "It is being loaded."
            raise Unavailable(
                f"Version {version} of '{scenario}' is not ready. {reasons}", "Ask again in a moment."
            )

    def describe(self) -> dict[str, Any]:
        """What serves, as parameters of the model's metadata."""
        about: dict[str, Any] = {str(route): model.version for route, model in self.lineup.models.items()}
        if "canary" in about:
            about["canary_share"] = self.lineup.serving.share
        if self.present_s is not None:
            about |= {"world": self.world, "present": self.present_s}
        if self.problem is not None:
            about["problem"] = str(self.problem)
        about |= {f"{route}_absent": reason for route, reason in self.lineup.absent.items()}
        return about


def nothing_promoted(scenario: str) -> Missing:
    """The error for a scenario in which no version answers."""
    return Missing(
        f"No version of '{scenario}' is in production.",
        f"Promote one: python -m pipelines deploy {scenario} --version 1",
    )

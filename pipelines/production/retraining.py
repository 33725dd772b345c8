"""Retraining: the same notebooks again, on the world as it is now; and when that can help.

Comes in: a workspace whose model has got worse, and a reason. Goes out: a run of the whole road with the
champion's own params. Whether its model serves is the gate's decision, as always.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipelines import branches, events
from pipelines.errors import Damaged
from pipelines.execution import queue
from pipelines.lifecycle import LIFECYCLE
from pipelines.production import clock as clocks
from pipelines.production.champion import ChampionRun, champion_run
from pipelines.production.clock import Clock
from pipelines.run import Run, read_json, read_params, read_run
from pipelines.scenarios.scenario import Scenario
from pipelines.workspace import Workspace

# With a week of days from after the change a model has met every weekday of the world as it is now. On the
# fraud world, 7 of 21 training days after a doubling of prices bring the average precision back (measured:
# .08 before, .65 to .70 after).
LEAST_DAYS = 7


@dataclass(frozen=True)
class Learnable:
    """When retraining can learn from the time after a change.

    Attributes
    ----------
    since_day : int
        When the change came, or was noticed.
    first_day : int
        From this day on, the training window holds a day from after the change.
    worth_day : int
        From this day on it holds `LEAST_DAYS` of them, or all, where it is shorter.
    whole_day : int
        From this day on it holds nothing else.
    train_days : int
        Length of the training window.
    """

    since_day: int
    first_day: int
    worth_day: int
    whole_day: int
    train_days: int

    def days_after(self, day: int) -> int:
        """How many days of the training window lie after the change, when retrained on `day`."""
        return max(0, min(self.train_days, day - self.first_day + 1))


def learnable_from(scenario: Scenario, params: Mapping[str, Any], since_day: int) -> Learnable:
    """From which day on a run can learn from what happened since `since_day`.

    The training window ends two label delays and the test's days before today: the test needs labels, and
    so does training when the test begins.

    Parameters
    ----------
    params : mapping
        Of the step train.

    Examples
    --------
    >>> from pipelines.scenarios.fraud import FRAUD
    >>> found = learnable_from(FRAUD, {"train_days": 21, "test_days": 7}, since_day=70)
    >>> found.first_day, found.worth_day, found.whole_day
    (92, 98, 112)
    >>> found.days_after(98)
    7
    """
    train_days = int(params["train_days"])
    first = since_day + 2 * scenario.label_delay_days + int(params["test_days"]) + 1
    return Learnable(
        since_day, first, first + min(LEAST_DAYS, train_days) - 1, first + train_days - 1, train_days
    )


def worth_retraining(
    workspace: Workspace, scenario: Scenario, since_day: int, branch: str | None = None
) -> tuple[bool, str]:
    """Whether retraining today can learn from the time since `since_day`, and why, in a sentence.

    Raises
    ------
    Missing, Damaged, Unavailable
        As `champion_run`.
    """
    run = champion_run(workspace, scenario.name, branch)
    found = learnable_from(scenario, run.params["train"], since_day)
    today = branches.today(workspace, scenario.name, branch)
    day = int(run.ingest["until_day"]) if today is None else today
    after = found.days_after(day)
    learns = f"{after} of its {found.train_days} training days come from after day {since_day}"
    if day >= found.worth_day:
        return True, f"Retrained today, {learns}."
    why = (
        f"labels come after {scenario.label_delay_days} days, and the newest "
        f"{run.params['train']['test_days']} days that have them are kept for the test"
    )
    return False, f"Retrained today, only {learns}: {why}. From day {found.worth_day} on it is worth it."


def retrain(
    workspace: Workspace, scenario: str, reason: str, branch: str | None = None, run_id: str | None = None
) -> Run:
    """Hand the whole road to the queue again, with the champion's own params and the world as it is today.

    Asked for again while that run waits or goes on, it is that run.

    Parameters
    ----------
    run_id : str, optional
        Of the run; the same id twice is one run.

    Raises
    ------
    Missing
        No version serves.
    BadInput, Refused, Damaged, Unavailable
        As `queue.submit` and `champion_run`: nothing was started.
    """
    champion, clock = champion_run(workspace, scenario, branch), clocks.read(workspace, scenario, branch)
    params = params_today(champion, clock, reason)
    seed = champion.seed if clock is None else clock.seed
    going_on = _going_on(workspace, scenario, params, seed) if run_id is None else None
    return going_on or queue.submit(workspace, scenario, params, seed=seed, run_id=run_id)


def params_today(champion: ChampionRun, clock: Clock | None, reason: str = "") -> dict[str, dict[str, Any]]:
    """The champion's params, with today's world in place of the one that it was trained in."""
    params = {name: dict(values) for name, values in champion.params.items()}
    params["ingest"] = (
        params["ingest"] | dict(champion.ingest) | (clock.ingest() if clock is not None else {})
    )
    if reason:
        params["register"] = params["register"] | {"note": reason[:200]}
    return params


def paid_days(workspace: Workspace, clock: Clock) -> list[int]:
    """The days on which a model was trained for the clock's branch since its world began, in order.

    Each is paid for, whether its gate let it through or not.
    """
    there = branches.known(workspace, clock.scenario)
    days = []
    for run_id in workspace.run_ids():
        folder = workspace.run_folder(run_id)
        run, params = read_json(folder / "run.json"), read_json(folder / "params.json")
        if run is None or params is None or run["scenario"] != clock.scenario or "train" not in run["steps"]:
            continue
        day = int(params["ingest"]["until_day"]) if run.get("day") is None else int(run["day"])
        seen = branches.sees(there, clock.branch, run.get("branch", branches.MAIN), day)
        if seen and run_id != clock.run_id and clock.first_day <= day <= clock.day:
            days.append(day)
    return sorted(days)


def _going_on(
    workspace: Workspace, scenario: str, params: Mapping[str, Mapping[str, Any]], seed: int
) -> Run | None:
    """A run of the same that waits or goes on."""
    wanted = {name: step.model_dump() for name, step in LIFECYCLE.check(params).items()}
    wanted.pop("register")
    for run_id in workspace.run_ids()[:5]:
        folder = workspace.run_folder(run_id)
        try:
            run, given = read_run(folder), read_params(folder)
        except Damaged:
            continue
        given.pop("register")
        if (run.scenario, run.seed, run.steps, given) == (scenario, seed, LIFECYCLE.road, wanted) and (
            not events.read_state(folder, run.steps).finished
        ):
            return run
    return None

"""Shadows: a version that answers along, and what its answers would have been worth.

Comes in: the log. Goes out: where shadow and champion would decide differently on the same events, and the
difference in money where labels have come. Nobody got a shadow's answers, so it can be looked at any time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipelines import promotion
from pipelines.production import pricing
from pipelines.production.clock import Clock
from pipelines.scenarios import find_scenario
from pipelines.scenarios.scenario import DAY_S
from pipelines.serving.logged import read_logged
from pipelines.tasks.money import decisions
from pipelines.tasks.sequential import Difference, compare_paired
from pipelines.workspace import Workspace

# So many of the newest days are looked at: a week, and the days whose labels have come.
DAYS = 14


@dataclass(frozen=True)
class Beside:
    """A shadow beside the champion, on the same events.

    Attributes
    ----------
    champion, shadow : int
        Their versions.
    scores : DataFrame of shape (n_events, 5)
        event_id, champion and shadow (scores), champion_alerts and shadow_alerts.
    worth : Difference or None
        How much more an event is worth under the shadow, in the unit of the prices; None without labels.
    labelled : int
        Of how many events that is known.
    """

    champion: int
    shadow: int
    scores: pd.DataFrame
    worth: Difference | None
    labelled: int

    @property
    def differ(self) -> int:
        """Events on which one raises an alert and the other none."""
        return int((self.scores["champion_alerts"] != self.scores["shadow_alerts"]).sum())


def compare(workspace: Workspace, clock: Clock) -> Beside | None:
    """The shadow that answers along now, on the newest events that both have answered.

    Returns
    -------
    Beside or None
        None without a shadow, and before it has answered anything.

    Raises
    ------
    Unavailable, Damaged
        The log can't be read.
    """
    serving = promotion.serving(workspace, clock.scenario, clock.branch)
    if serving.shadow is None or serving.champion is None:
        return None
    scenario = find_scenario(clock.scenario)
    first = clock.day - DAYS - scenario.label_delay_days
    answered = read_logged(
        workspace,
        scenario,
        first,
        clock.day,
        branch=clock.branch,
        at_s=clock.day * DAY_S,
        routes=("champion", "shadow"),
        world=clock.world,
    )
    its = answered[(answered["route"] == "champion") & (answered["version"] == serving.champion)]
    mine = answered[(answered["route"] == "shadow") & (answered["version"] == serving.shadow)]
    both = its.merge(mine[["event_id", "score", "decision"]], on="event_id", suffixes=("", "_shadow"))
    if not len(both):
        return None
    known = both[both["label"].notna()]
    worth = None
    if len(known):
        prices = pricing.prices_of(workspace, scenario)
        stake = known[prices.missed_column] if prices.missed_column else None
        gains = decisions(prices, known["label"].astype(float), stake).gains
        more = known["decision_shadow"].astype(int).to_numpy() - known["decision"].astype(int).to_numpy()
        worth = compare_paired(gains * more, known[scenario.alert_entity].to_numpy())
    scores = pd.DataFrame(
        {
            "event_id": both["event_id"].to_numpy(np.int64),
            "champion": both["score"].to_numpy(),
            "shadow": both["score_shadow"].to_numpy(),
            "champion_alerts": both["decision"].to_numpy(bool),
            "shadow_alerts": both["decision_shadow"].to_numpy(bool),
        }
    )
    return Beside(serving.champion, serving.shadow, scores, worth, len(known))

"""The library: every incident there is.

Comes in: a scenario. Goes out: the incidents that can happen in it. What an incident does is named in its
definition and done in `acting`; nothing of it is told to a learner before the incident is over.
"""

from __future__ import annotations

from collections.abc import Mapping

from pipelines.errors import BadInput
from pipelines.production.incidents.breakdowns import BREAKDOWNS
from pipelines.production.incidents.changes import CHANGES
from pipelines.production.incidents.definition import Definition
from pipelines.scenarios.scenario import Count, LabelRate, Mean, Scenario

LIBRARY: Mapping[str, Definition] = {each.name: each for each in (*BREAKDOWNS, *CHANGES)}


def possible_in(scenario: Scenario) -> list[Definition]:
    """The incidents that can happen in this world."""
    episodes = {each.name for each in scenario.episodes}
    kinds = {type(each) for each in scenario.features}
    needed: Mapping[str, type] = {"means_empty": Mean, "labels_unseen": LabelRate}
    return [
        each
        for each in LIBRARY.values()
        if (not each.episode or each.name in episodes)
        and (each.route is None or needed.get(each.route, object) in {*kinds, object})
        and (each.source != "spike" or Count in kinds)
        and ("stop_by_rule" not in each.fixes or scenario.rule)
    ]


def find(scenario: Scenario, name: str) -> Definition:
    """The incident of that name.

    Raises
    ------
    BadInput
        It can't happen in this world.
    """
    there = {each.name: each for each in possible_in(scenario)}
    if name not in there:
        raise BadInput(
            f"There is no incident '{name[:40]}' in {scenario.name}.", f"There are: {', '.join(there)}."
        )
    return there[name]

"""The library: every incident there is.

Comes in: a scenario. Goes out: the incidents that can happen in it. What an incident does is named in its
definition and done in `acting`; nothing of it is told to a learner before the incident is over.
"""

from __future__ import annotations

from collections.abc import Mapping

from pipelines.errors import BadInput
from pipelines.production.incidents import levers
from pipelines.production.incidents.breakdowns import BREAKDOWNS
from pipelines.production.incidents.changes import CHANGES
from pipelines.production.incidents.definition import Definition
from pipelines.scenarios.scenario import Count, LabelRate, Mean, Scenario

# Among fewer events a day, one alert more or less is no sign of anything.
MANY = 100

LIBRARY: Mapping[str, Definition] = {each.name: each for each in (*BREAKDOWNS, *CHANGES)}


def possible_in(scenario: Scenario) -> list[Definition]:
    """The incidents that can happen in this world."""
    return [each for each in LIBRARY.values() if _can_happen(scenario, each)]


def _can_happen(scenario: Scenario, definition: Definition) -> bool:
    """Whether the world has what the incident breaks, and what ends it."""
    kinds = {type(each) for each in scenario.features}
    if definition.episode and definition.name not in {each.name for each in scenario.episodes}:
        return False
    if definition.many and scenario.alert_entities < MANY:
        return False
    if levers.STOP in definition.fixes and not scenario.rule:
        return False
    needed = _NEEDED.get(definition.source or "") or _NEEDED.get(definition.route or "")
    return needed is None or needed in kinds


# Which features a fault needs, to break anything.
_NEEDED: Mapping[str, type] = {"means_empty": Mean, "labels_unseen": LabelRate, "spike": Count}


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

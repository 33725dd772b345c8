"""The worlds: each produces events and, later, their true outcomes."""

from __future__ import annotations

from pipelines.errors import BadInput
from pipelines.scenarios.biopsies import BIOPSIES
from pipelines.scenarios.fraud import FRAUD
from pipelines.scenarios.maintenance import MAINTENANCE
from pipelines.scenarios.scenario import Scenario

SCENARIOS: dict[str, Scenario] = {scenario.name: scenario for scenario in (FRAUD, BIOPSIES, MAINTENANCE)}


def find_scenario(name: str) -> Scenario:
    """The scenario of that name.

    Raises
    ------
    BadInput
        There is none; lists those there are.
    """
    try:
        return SCENARIOS[name]
    except KeyError:
        raise BadInput(
            f"There is no scenario '{name[:40]}'.", f"The scenarios are: {', '.join(SCENARIOS)}."
        ) from None

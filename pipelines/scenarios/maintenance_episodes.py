"""What can happen to the world of machines: to what measures them, to their tools, and to their hall.

Comes in: the episodes that have begun. Goes out: the conditions of a day. The figures that each episode
reaches are in `tests/test_maintenance_figures.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.scenarios.scenario import Begun, Episode

# What the new sensors read too much.
TORQUE_SHIFT_NM = 4

# A cheaper tool ends so much earlier, and with it a machine bears so much of the usual strain.
SHORTER_MIN = 20
CHEAP_STRAIN = 0.8

# In a hot spell the hall's air is so much warmer, and the process that it has to cool by less. That the two
# come closer by 1.1 K doubles the failures.
HOT_AIR_K, HOT_PROCESS_K = 5.0, 3.9
HOT_DAYS = 70


@dataclass(frozen=True)
class Conditions:
    """What is otherwise than usual on a day.

    Attributes
    ----------
    torque_nm : int
        What sensors read too much.
    cheap_tools : bool
        Whether tools that are put in are of the cheaper make.
    air_k, process_k : float
        How much warmer than usual the air and the process are.
    """

    torque_nm: int = 0
    cheap_tools: bool = False
    air_k: float = 0.0
    process_k: float = 0.0


EPISODES: tuple[Episode, ...] = (
    Episode(
        "torque_sensor",
        "New torque sensors",
        f"From that day on sensors of another make read {TORQUE_SHIFT_NM} Nm too much. "
        "Machines fail as before.",
    ),
    Episode(
        "cheap_tools",
        "Cheaper tools",
        f"From that day on worn tools are replaced by cheaper ones, which end {SHORTER_MIN} minutes earlier "
        f"and bear {CHEAP_STRAIN:.0%} of the strain. What is measured hardly changes; what it means does: "
        "half as many pieces again are spoilt.",
    ),
    Episode(
        "hot_spell",
        "A hot spell",
        f"For {HOT_DAYS} days the hall is {HOT_AIR_K:g} K warmer and cools less: twice as many pieces are "
        "spoilt, most of them by heat.",
        days=HOT_DAYS,
    ),
)


def conditions_on(day: int, happened: tuple[Begun, ...]) -> Conditions:
    """The conditions of that day; hot spells that overlap are one, sensors and tools are exchanged once."""
    begun = {each.name for each in happened if each.day <= day}
    hot = any(each.name == "hot_spell" and each.day <= day < each.day + HOT_DAYS for each in happened)
    return Conditions(
        TORQUE_SHIFT_NM if "torque_sensor" in begun else 0,
        "cheap_tools" in begun,
        HOT_AIR_K if hot else 0.0,
        HOT_PROCESS_K if hot else 0.0,
    )

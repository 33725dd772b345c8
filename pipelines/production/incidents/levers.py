"""Levers: what a learner can do about an incident. Each acts, whatever the cause is.

Comes in: a scenario and what is running. Goes out: which levers there are, in words. `acting` pulls them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pipelines.errors import BadInput
from pipelines.scenarios.scenario import Count, LabelRate, Scenario

STOP = "stop_by_rule"

Group = Literal["Release", "Source", "Labels", "Features", "Platform", "Rules"]


@dataclass(frozen=True)
class Lever:
    """Something that can be done.

    Attributes
    ----------
    name, title, meaning : str
        The title is an instruction; the meaning says what it costs or risks.
    group : str
        Whose it is to do.
    """

    name: str
    group: Group
    title: str
    meaning: str

    @property
    def releases(self) -> bool:
        """Whether it changes who answers: what that has ended is seen by what serves then."""
        return self.group == "Release"


LEVERS: Mapping[str, Lever] = {
    each.name: each
    for each in (
        Lever(
            "rollback",
            "Release",
            "Roll back to the champion before",
            "Takes a moment. Helps where the newest version is the trouble, or can't be loaded.",
        ),
        Lever("end_canary", "Release", "End the canary", "The champion answers alone again."),
        Lever(
            "retrain",
            "Release",
            "Retrain on the world as it is now",
            "The whole road again. It learns from labelled days alone: too early, it learns the old world.",
        ),
        Lever(
            "source_back",
            "Source",
            "Have the source go back to its last release",
            "It sends the days since then again, as they should have been.",
        ),
        Lever(
            "labels_again",
            "Labels",
            "Ask for the missing labels",
            "They come all at once on the next morning.",
        ),
        Lever(
            "labels_checked",
            "Labels",
            "Have labels decided by two people",
            "From now on. What came wrong stays as it is.",
        ),
        Lever(
            "alerts_labelled",
            "Labels",
            "Have alerts looked into and labelled again",
            "Each costs what a review costs; that is why it was stopped.",
        ),
        Lever(
            "features_back",
            "Features",
            "Put the last release of the feature code back",
            "Features are computed as they were.",
        ),
        Lever(
            "feed_back",
            "Features",
            "Have the feed of confirmed outcomes connected again",
            "Whoever cut it had a reason: ask.",
        ),
        Lever("restart", "Platform", "Restart the route", "It takes a moment."),
        Lever(
            "scale_out",
            "Platform",
            "Add workers to the route",
            "It takes four times as many requests at once.",
        ),
        Lever(
            "move_route",
            "Platform",
            "Move the route to a machine of its own",
            "Nothing else runs on it.",
        ),
        Lever(
            "restore_artifact",
            "Platform",
            "Restore the model's file from the backup",
            "The same version, byte by byte.",
        ),
        Lever(STOP, "Rules", "Stop a pattern by rule", "A rule stops honest events too."),
    )
}


def usable_in(scenario: Scenario) -> list[Lever]:
    """The levers that there are in this world."""
    kinds = {type(each) for each in scenario.features}
    without = set() if scenario.rule else {STOP}
    without |= set() if LabelRate in kinds else {"feed_back"}
    without |= set() if Count in kinds else {"scale_out", "features_back"}
    return [each for each in LEVERS.values() if each.name not in without]


def find(scenario: Scenario, name: str) -> Lever:
    """The lever of that name.

    Raises
    ------
    BadInput
        There is none in this world.
    """
    there = {each.name: each for each in usable_in(scenario)}
    if name not in there:
        raise BadInput(f"There is nothing to do called '{name[:40]}'.", f"There are: {', '.join(there)}.")
    return there[name]

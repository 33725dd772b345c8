"""The post-mortem: what happened, what was done and what is to be changed, written from what was kept.

Comes in: a closed case. Goes out: one text in Markdown, to read on a page or to export. It blames nobody: it
says what was known when.
"""

from __future__ import annotations

from pipelines.monitoring import alerts
from pipelines.production import clock as clocks
from pipelines.production.incidents import library, scoring, solving
from pipelines.production.incidents.definition import AREAS
from pipelines.production.incidents.levers import LEVERS
from pipelines.production.incidents.records import Made
from pipelines.production.incidents.solving import Case
from pipelines.scenarios import find_scenario
from pipelines.scenarios.scenario import Scenario
from pipelines.tasks.money import amount
from pipelines.workspace import Workspace


def write(workspace: Workspace, case: Case) -> str:
    """The text; what is learner's own is quoted."""
    scenario, definition = find_scenario(case.incident.scenario), case.incident.definition
    parts = solving.score(workspace, case)
    practice = " This was practice: you had met it on another line of time." if case.incident.again else ""
    lines = [
        f"# {definition.title}",
        "",
        f"{scenario.title}, days {case.incident.begins} to {case.closed or '…'}. "
        f"Score {scoring.total(parts)} of 100.{practice}",
        "",
        "## What happened",
        "",
        definition.cause,
        "",
        f"The cause lay in {AREAS[definition.area]}. {_cost(workspace, scenario, case)}",
        "",
        "## Timeline",
        "",
        *(f"- Day {day}: {what}" for day, what in timeline(workspace, case)),
        "",
        "## What was thought",
        "",
        f"> {case.hypothesis}" if case.hypothesis else "No hypothesis was written.",
        "",
        _named(scenario, case),
        "",
        "## Where it showed",
        "",
        definition.look,
        "",
        "## What ended it",
        "",
        _ended(case),
        "",
        "## What is to be changed",
        "",
        *(f"- [ ] {item}" for item in definition.items),
        "",
        "## The score",
        "",
        "| Part | Points | Why |",
        "|---|---|---|",
        *(f"| {part.name} | {part.points} of {part.of} | {part.why} |" for part in parts),
        "",
    ]
    return "\n".join(lines)


def timeline(workspace: Workspace, case: Case) -> list[tuple[int, str]]:
    """What happened on which day, in order: the world's part and the learner's."""
    incident = case.incident
    found = [(incident.begins, "it begins; nobody knows")]
    ended = incident.until_day if incident.until_day is not None else 10**9
    found += [
        (alert.opened, f"alert: {alert.title} ({alert.found})")
        for alert in alerts.all_alerts(workspace, incident.scenario, incident.branch)
        if incident.begins < alert.opened <= min(ended + 1, case.closed or 10**9)
    ]
    found += [(made.day, _told(made)) for made in case.moves if made.day >= incident.begins]
    if incident.until_day is not None:
        found.append((incident.until_day, "it has no effect any more"))
    return sorted(found, key=lambda each: each[0])


def file_name(case: Case) -> str:
    """What an exported post-mortem is called."""
    return f"post-mortem-{case.incident.scenario}-{case.incident.name}-day-{case.incident.begins}.md"


def _told(made: Made) -> str:
    told = {
        "declared": "an incident is declared",
        "false alarm": "an alarm without a cause",
        "hypothesis": f"a hypothesis: “{made.said}”",
        "closed": "given up" if made.what else "confirmed that it is over",
    }
    if made.move == "lever":
        return f"{LEVERS[made.what].title}. {made.said}"
    if made.move == "cause":
        return f"named as the cause: {library.LIBRARY[made.what].title}"
    return told[made.move]


def _cost(workspace: Workspace, scenario: Scenario, case: Case) -> str:
    lost, usual, unknown = solving.lost(workspace, case)
    if lost is None or usual is None:
        return "What it cost can't be told: no day before it is priced."
    waits = f" {unknown} of its days are not priced yet." if unknown else ""
    if lost <= 0:
        return f"It cost nothing against usual days, which save {amount(usual, scenario.prices.unit)}.{waits}"
    days = f", as much as {lost / usual:.1f} usual days save" if usual > 0 else ""
    return f"It cost {amount(lost, scenario.prices.unit)}{days}.{waits}"


def _named(scenario: Scenario, case: Case) -> str:
    if not case.cause:
        return "No cause was named."
    named = library.find(scenario, case.cause).title
    right = "That is what it was." if case.solved else f"It was: {case.incident.definition.title}."
    return f"Named at last: {named}. {right}"


def _ended(case: Case) -> str:
    definition, incident = case.incident.definition, case.incident
    levers = " or ".join(f"“{LEVERS[name].title}”" for name in definition.fixes)
    if incident.until_day is None:
        return f"Nothing yet: it still has an effect. What would end it: {levers}."
    helped = [made for made in case.pulled if made.what in definition.fixes]
    how = f"“{LEVERS[helped[-1].what].title}”, on day {helped[-1].day}" if helped else "what serves now"
    if not helped and definition.lasts_days is not None:
        how = "by itself"
    vain = [made for made in case.pulled if made.what not in definition.fixes]
    also = f" In vain: {', '.join(f'“{LEVERS[made.what].title}”' for made in vain)}." if vain else ""
    return f"It ended on day {incident.until_day}: {how}.{also}"


def today(workspace: Workspace, case: Case) -> int:
    """How many simulated days have passed since it was declared."""
    clock = clocks.must_read(workspace, case.incident.scenario, case.incident.branch)
    return clock.day - case.declared

"""What Registry shows: every version with its role, its gate, its test and where it came from.

Comes in: a workspace and a scenario. Goes out: plain values and a figure; nothing is drawn here. The registry
is MLflow's; while that does not answer, what the runs themselves keep is told instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from pages.parts.record import Record, newest_records, read_ledger, read_record
from pages.parts.words import several
from pipelines import branches, figures, promotion, registry
from pipelines.branches import Branch
from pipelines.errors import FlightdeckError
from pipelines.figures import Role
from pipelines.run import made_on
from pipelines.scenarios.scenario import DAY_S, Scenario
from pipelines.workspace import Workspace

SHOWN = 30  # Versions whose runs are read at each look; older ones are counted.
FIRST_ROWS = 7  # Rows of the table before it has to be scrolled.

# What a version does, in the order of their weight, and how each is drawn.
ROLES: dict[str, Role] = {
    "champion": "champion",
    "canary": "challenger",
    "shadow": "shadow",
    "staging": "labels",
    "": "reference",
}


@dataclass(frozen=True)
class Entry:
    """One version: what the registry says, what it does now, and the run that made it, if it is there.

    `elsewhere` names the line of time on which it was made, where that is one that the branch which is lived
    in knows nothing of.
    """

    number: int
    gate: str
    reasons: tuple[str, ...]
    model_digest: str
    run_id: str
    note: str
    created_at: float
    snapshot: str
    data_version: int | None
    role: str
    record: Record | None
    elsewhere: str = ""

    @property
    def report(self) -> dict[str, Any]:
        """Its evaluation; empty when the run is gone or its test could not be measured."""
        found = self.record.report("evaluation") if self.record else None
        return found if found and found.get("metrics") else {}

    @property
    def card(self) -> dict[str, Any]:
        """What training wrote about it."""
        return (self.record.card() if self.record else None) or {}

    def precision(self) -> tuple[float, float, float] | None:
        """Average precision with its 95% interval."""
        report = self.report
        if not report or report["metrics"].get("average_precision") is None:
            return None
        low, high = report["intervals"]["average_precision"]
        found = float(report["metrics"]["average_precision"])
        return found, found if low is None else float(low), found if high is None else float(high)


@dataclass(frozen=True)
class Shelf:
    """All versions of a scenario, newest first, and what else decides what is to be done.

    Attributes
    ----------
    older : int
        How many versions there are beside `entries`.
    candidate : Record or None
        The newest run, when its model was evaluated and not registered.
    problem : FlightdeckError or None
        Why the registry could not be asked; the entries are then what the runs keep.
    """

    scenario: Scenario
    entries: list[Entry]
    older: int
    serving: promotion.Serving
    candidate: Record | None
    any_run: bool
    problem: FlightdeckError | None

    def entry(self, number: int | None) -> Entry | None:
        """The version of that number."""
        return next((each for each in self.entries if each.number == number), None)


def gather(workspace: Workspace, scenario: Scenario) -> Shelf:
    """Everything known of a scenario's versions.

    Raises
    ------
    Damaged
        The workspace's database can't be read.
    """
    serving, _ = read_ledger(workspace, scenario.name)
    records = newest_records(workspace, scenario.name)
    problem: FlightdeckError | None = None
    try:
        found = registry.versions(workspace.name, scenario.name)
    except FlightdeckError as error:
        problem, found = error, _kept_by_runs(records)
    known = {record.run_id: record for record in records}
    there, live = branches.known(workspace, scenario.name), branches.live(workspace, scenario.name)
    newest = records[0] if records else None
    waits = newest is not None and newest.state.finished and newest.done("evaluate")
    return Shelf(
        scenario=scenario,
        entries=[_entry(workspace, version, serving, known, there, live) for version in found[:SHOWN]],
        older=len(found[SHOWN:]),
        serving=serving,
        candidate=newest if newest is not None and waits and not newest.done("register") else None,
        any_run=bool(records),
        problem=problem,
    )


def headline(shelf: Shelf) -> tuple[str, str]:
    """Which version serves and whether a newer one waits, as a title and a sentence."""
    scenario, entries = shelf.scenario, shelf.entries
    if not entries:
        return "No version is registered yet", (
            "A registry gives each model a number that never changes its meaning. People and programs then "
            "speak of version 3, and nobody mails files."
        )
    newest, champion = entries[0], shelf.serving.champion
    passed = sum(entry.gate == "passed" for entry in entries)
    count = f"Of {several(len(entries) + shelf.older, 'version', 'versions')}, {passed} may serve."
    if len(entries) == 1:
        count = "It is the only one so far. Its gate let it pass." if passed else "Its gate stopped it."
    if champion is None:
        return f"Version {newest.number} is registered, and none serves", count
    if newest.number == champion:
        return f"Version {champion}, your newest, answers every {scenario.event}", count
    if newest.role:
        return f"Version {champion} serves, version {newest.number} is {_as(newest.role)}", count
    if newest.gate == "passed":
        return f"Version {champion} serves, version {newest.number} waits", count
    return f"Version {champion} serves, version {newest.number} was refused", count


def table(shelf: Shelf) -> pd.DataFrame:
    """One row a version, newest first."""
    rows = []
    for entry in shelf.entries:
        found = entry.precision()
        rows.append(
            (
                str(entry.number),
                _stage(entry.role)
                if entry.role
                else (f"made elsewhere: {entry.elsewhere}" if entry.elsewhere else "–"),
                entry.gate,
                f"{found[0]:.2f}" if found else "not kept",
                str(entry.data_version) if entry.data_version is not None else "–",
            )
        )
    columns = ["Version", "Stage", "Gate", "Average precision", "Data"]
    found = pd.DataFrame(rows, columns=columns)
    return found if any(entry.data_version for entry in shelf.entries) else found.drop(columns="Data")


def figure(shelf: Shelf) -> go.Figure | None:
    """Average precision of each version with its interval; what it does by colour and shape."""
    measured = [(entry, found) for entry in reversed(shelf.entries) if (found := entry.precision())]
    if not measured:
        return None
    drawn = figures.new_figure(_finding(shelf, measured), x="Version", y="Average precision", height=280)
    for role, drawn_as in ROLES.items():
        for passed in (True, False):
            some = [
                each for each in measured if each[0].role == role and (each[0].gate == "passed") is passed
            ]
            if some:
                _points(drawn, some, drawn_as, failed=not passed)
    baseline = [entry.report["baseline"]["average_precision"] for entry, _ in measured]
    if len(measured) > 1 and None not in baseline:
        figures.line(drawn, [entry.number for entry, _ in measured], baseline, "reference", "no model")
    told_by = [entry.number for entry, _ in measured if entry.role or entry.gate != "passed"]
    every = max(1, len(measured) // 8)
    shown = sorted({*told_by, *[entry.number for entry, _ in measured][::every]})
    labels = [_tick(entry) for number in shown if (entry := shelf.entry(number)) is not None]
    drawn.update_xaxes(tickvals=shown, ticktext=labels)
    first, last = measured[0][0].number, measured[-1][0].number
    drawn.update_xaxes(range=[first - 0.6, last + 0.6], autorangeoptions=None)
    drawn.update_yaxes(rangemode="tozero")
    told = "; ".join(f"version {entry.number} {found[0]:.2f}" for entry, found in measured[-5:])
    figures.describe_as(drawn, f"Average precision of the newest: {told}.")
    return drawn


def answers(entry: Entry) -> pd.DataFrame:
    """The questions that a file can't answer and a version can."""
    card, record = entry.card, entry.record
    learnt = "its run is gone"
    if card.get("train"):
        first, end = card["train"]["from"] // DAY_S, card["train"]["until"] // DAY_S
        learnt = f"days {first} to {end - 1}, {card['train']['rows']:,} rows"
        learnt += f", of data version {entry.data_version}" if entry.data_version is not None else ""
    may = (
        "yes, its gate passed"
        if entry.gate == "passed"
        else "no: " + ("; ".join(entry.reasons) or "its gate failed")
    )
    seed = f", seed {record.run.seed}, code {record.run.code}" if record else ""
    rows = [
        ("Which data did it learn from?", learnt),
        ("May it serve?", may),
        ("How do I repeat it?", f"run {entry.run_id}{seed}"),
        ("Is it still the same model?", f"yes, if its digest is {entry.model_digest}"),
        ("Why does it exist?", entry.note or "nobody wrote a note"),
    ]
    return pd.DataFrame(rows, columns=["Question", "Its answer"])


def params(entry: Entry) -> pd.DataFrame:
    """With which params it was trained."""
    rows = [(name, str(value)) for name, value in entry.card.get("params", {}).items()]
    return pd.DataFrame(rows, columns=["Param", "Set to"])


def metrics(entry: Entry) -> pd.DataFrame:
    """How good it was in its test, with 95% intervals."""
    report, rows = entry.report, []
    for name, found in report.get("metrics", {}).items():
        low, high = report["intervals"].get(name, (None, None))
        if found is not None and low is not None:
            rows.append(
                (
                    "AUC" if name == "auc" else name.replace("_", " "),
                    f"{found:.3f}",
                    f"{low:.3f} to {high:.3f}",
                )
            )
    return pd.DataFrame(rows, columns=["Metric", "Value", "95% interval"])


def role_of(number: int, serving: promotion.Serving) -> str:
    """What a version does now; empty when it serves nowhere."""
    return next((role for role in ROLES if role and getattr(serving, role) == number), "")


def _stage(role: str) -> str:
    return "production" if role == "champion" else role


def _as(role: str) -> str:
    return "in staging" if role == "staging" else f"the {role}"


def _tick(entry: Entry) -> str:
    """The version's number, and under it what it does: nobody has to look that up in a legend."""
    does = "serves" if entry.role == "champion" else entry.role
    word = does or ("refused" if entry.gate != "passed" else "")
    return f"{entry.number}<br>{word}" if word else str(entry.number)


def _points(drawn: go.Figure, some: list[tuple[Entry, Any]], role: Role, *, failed: bool) -> None:
    numbers = [entry.number for entry, _ in some]
    middle, low, high = zip(*(found for _, found in some), strict=True)
    figures.points(drawn, numbers, middle, role, "", low, high)
    if failed:
        drawn.data[-1].marker.symbol = "x-thin-open"
    elif role == "reference":
        drawn.data[-1].marker.symbol = "circle-open"


def _finding(shelf: Shelf, measured: list[tuple[Entry, tuple[float, float, float]]]) -> str:
    """The title: is there a version whose interval lies above the champion's figure?"""
    champion = next((found for entry, found in measured if entry.number == shelf.serving.champion), None)
    if champion is None:
        return "How good is each version?"
    if len(measured) == 1:
        return "Its test, and how far luck could have moved it"
    better = [entry for entry, found in measured if found[1] > champion[0] and entry.gate == "passed"]
    if better:
        return f"Version {better[-1].number} was better in its test than the one that serves"
    return "No version was clearly better in its test than the one that serves"


def _entry(
    workspace: Workspace,
    version: registry.Version,
    serving: promotion.Serving,
    known: dict[str, Record],
    there: list[Branch],
    live: str,
) -> Entry:
    record = known.get(version.run_id)
    if record is None:
        try:
            record = read_record(workspace, version.run_id)
        except FlightdeckError:
            record = None
    return Entry(
        version.number,
        version.gate,
        version.reasons,
        version.model_digest,
        version.run_id,
        version.note,
        version.created_at,
        version.snapshot,
        version.data_version,
        role_of(version.number, serving),
        record,
        _elsewhere(workspace, record, there, live),
    )


def _elsewhere(workspace: Workspace, record: Record | None, there: list[Branch], live: str) -> str:
    """On which line of time it was made, if the one that is lived in left that before, or never was on it."""
    if record is None or len(there) == 1:
        return ""
    try:
        day = made_on(workspace, record.run_id)
    except FlightdeckError:
        return ""
    made = next((each for each in there if each.name == record.run.branch), None)
    if made is None or branches.sees(there, live, made.name, day):
        return ""
    return made.title or "the first line, later"


def _kept_by_runs(records: list[Record]) -> list[registry.Version]:
    """The versions that the newest runs have receipts of."""
    found = {}
    for record in records:
        receipt = record.report("registration") if "register" in record.run.steps else None
        if receipt is not None and isinstance(receipt.get("version"), int):
            gate = (record.report("evaluation") or {}).get("gate", {})
            broken = [reason for reason in gate.get("reasons", ()) if not reason["passed"]]
            found[receipt["version"]] = registry.Version(
                model=record.run.scenario,
                number=receipt["version"],
                gate="passed" if receipt.get("gate") == "passed" else "failed",
                reasons=tuple(f"{each['rule']}: {each['found']}" for each in broken),
                model_digest=str(receipt.get("model_digest", "")),
                model_id="",
                run_id=record.run_id,
                mlflow_run=str(receipt.get("mlflow_run", "")),
                note=str(receipt.get("note", "")),
                created_at=record.began,
                snapshot=str(receipt.get("snapshot", "")),
                data_version=receipt.get("data_version"),
            )
    return [found[number] for number in sorted(found, reverse=True)]

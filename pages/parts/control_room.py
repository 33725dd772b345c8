"""What Production shows: the days of the branch that is lived in, in four numbers, one strip and one plot.

Comes in: a workspace and a scenario. Goes out: words and figures; nothing is drawn here.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from itertools import accumulate

import plotly.graph_objects as go

from pages.parts import production, watch
from pages.parts.words import several, signed
from pipelines import branches, figures
from pipelines.branches import Branch
from pipelines.production import clock as clocks
from pipelines.production import ledger, policies, pricing, retraining
from pipelines.production.clock import Clock
from pipelines.production.incidents import records
from pipelines.production.policies import Retraining
from pipelines.scenarios.scenario import Scenario
from pipelines.workspace import Workspace, unreadable_database

# A strip with more words on it can't be read.
MOST_EVENTS = 8
APART_DAYS = 0.06  # As a part of the strip: words that stand closer would lie on each other.


@dataclass(frozen=True)
class Facts:
    """The branch that is lived in, what was seen on it, and which others there are."""

    scenario: Scenario
    production: production.Production
    watched: watch.Facts
    retrainings: list[Retraining]
    there: list[Branch]
    moves: list[records.Made]

    @property
    def clock(self) -> Clock | None:
        return self.production.clock

    @property
    def days(self) -> list[ledger.Day]:
        return self.production.days

    @property
    def branch(self) -> Branch:
        name = self.clock.branch if self.clock is not None else branches.MAIN
        return next(each for each in self.there if each.name == name)


def look(workspace: Workspace, scenario: Scenario) -> Facts:
    """Read everything.

    Raises
    ------
    Damaged, Unavailable
        The workspace's database can't be read.
    """
    # First what Monitor shows: it asks whether days pass before it reads what has passed.
    watched, found = watch.look(workspace, scenario), production.look(workspace, scenario)
    try:
        return Facts(
            scenario,
            found,
            watched,
            policies.retrainings(workspace, scenario.name),
            branches.known(workspace, scenario.name),
            records.moves(workspace, scenario.name),
        )
    except sqlite3.Error as error:
        raise unreadable_database(workspace, error) from error


def headline(facts: Facts) -> tuple[str, str]:
    """Where time is and how the model stands, and one sentence that says what matters."""
    clock = facts.clock
    if clock is None:
        return "No day has passed yet", (
            "This is the room from which you run your model: let time pass, see what it meets, "
            "go back and decide otherwise."
        )
    title = production.title(facts.production, facts.scenario)
    if clock.state == "playing":
        return f"Days pass, up to day {clock.target_day}", "Each day is answered, monitored and priced."
    if title is None:
        return f"Day {clock.day}: not known yet what it is worth", (
            f"Labels come after {facts.scenario.label_delay_days} days; then each day is priced."
        )
    return title, production.sentence(facts.production, facts.scenario)


def name_of(branch: Branch) -> str:
    """What a branch is called on a page."""
    return branch.title or ("the first line" if branch.parent is None else branch.name)


def numbers(facts: Facts) -> list[tuple[str, str]]:
    """Four figures with what they mean: money, precision, errors, alerts."""
    week, newest = facts.production.week, facts.days[-1] if facts.days else None
    unknown = ("–", "labels have not come yet")
    requests = sum(day.requests for day in facts.days[-production.WEEK_DAYS :])
    errors = sum(day.errors for day in facts.days[-production.WEEK_DAYS :])
    opened = [each for each in facts.watched.all if each.state != "resolved"]
    waits = [day.p95_ms for day in facts.days[-production.WEEK_DAYS :] if day.p95_ms is not None]
    slow = f"; 95 of 100 within {max(waits):,.0f} ms" if waits else ""
    worth = unknown
    if week is not None:
        verb = "lost" if week.loses else "saved"
        worth = (
            signed(week.saved, facts.scenario.prices.unit),
            f"{verb}, days {week.first_day} to {week.last_day}",
        )
    right = unknown
    if week is not None and week.flagged:
        right = (
            f"{100 * week.right / week.flagged:.0f} of 100",
            f"alerts are right ({week.flagged:,} raised)",
        )
    last = f", the last on day {max(each.opened for each in opened)}" if opened else ""
    return [
        worth,
        right,
        (f"{errors:,} errors", f"in {requests:,} requests of a week{slow}" if newest else "nothing sent yet"),
        (several(len(opened), "alert", "alerts"), f"open{last}"),
    ]


def strip(facts: Facts) -> go.Figure:
    """What happened when on this branch, from its first day to today."""
    clock = facts.clock
    assert clock is not None  # there is a strip once a world was begun
    happened = _happened(facts, clock)
    figure = figures.new_figure("", height=92)
    first, last = clock.first_day, max(clock.day, clock.first_day + 7)
    figure.add_scatter(
        x=[first, clock.day],
        y=[0, 0],
        mode="lines",
        hoverinfo="skip",
        line={"color": figures.MUTED.light, "width": 3},
    )
    for day, word, role in happened:
        look_of = figures.ROLES[role]
        figure.add_scatter(
            x=[day],
            y=[0],
            mode="markers",
            cliponaxis=False,
            marker={
                "size": 10,
                "symbol": look_of.symbol,
                "color": look_of.light,
                "line": {"width": 2, "color": look_of.light},
            },
            hovertemplate=f"Day {day}: {word}<extra></extra>",
        )
    for day, word, _ in _apart(happened, last - first):
        figure.add_annotation(x=day, y=0, text=word, yshift=16, showarrow=False, font={"size": 12})
    figure.update_yaxes(visible=False, range=[-0.5, 1.5])
    figure.update_xaxes(range=[first - 0.02 * (last - first), last + 0.04 * (last - first)], ticksuffix="")
    figure.update_layout(margin_t=4, margin_b=26)
    figure.update_xaxes(automargin=False)
    told = "; ".join(f"day {day}: {word}" for day, word, _ in happened) or "nothing yet"
    figures.describe_as(figure, f"What happened from day {first} to day {clock.day}: {told}.")
    return figure


def lines(workspace: Workspace, facts: Facts) -> go.Figure | None:
    """What each branch has saved since the first day, trainings paid for; None where there is one branch."""
    if len(facts.there) < 2 or facts.clock is None:
        return None
    unit = facts.scenario.prices.unit
    found: list[tuple[Branch, list[int], list[float]]] = []
    for branch in facts.there:
        known = [
            day for day in ledger.days(workspace, facts.scenario.name, branch.name) if day.bill is not None
        ]
        saved = _net(workspace, facts, branch.name, known)
        if known:
            found.append((branch, [day.day for day in known], saved))
    if len(found) < 2:
        return None
    best = max(found, key=lambda each: each[2][-1])
    title = f"Worth most so far, trainings paid for: {name_of(best[0])}, {signed(best[2][-1], unit)}"
    figure = figures.new_figure(title, "Day", f"Saved since day {found[0][1][0]}, {unit}", height=320)
    others: tuple[figures.Role, ...] = ("challenger", "shadow", "labels", "reference")
    place = 0
    for branch, days, saved in found:
        lived_in = branch.name == facts.clock.branch
        role: figures.Role = "champion" if lived_in else others[place % len(others)]
        place += not lived_in
        figures.line(figure, days, saved, role, name_of(branch) + (" (here)" if lived_in else ""))
    figure.update_yaxes(tickformat=",.0f")
    told = "; ".join(
        f"{name_of(branch)}: {signed(saved[-1], unit)} by day {days[-1]}" for branch, days, saved in found
    )
    figures.describe_as(figure, f"Saved against no model: {told}.")
    return figure


def _net(workspace: Workspace, facts: Facts, branch: str, known: list[ledger.Day]) -> list[float]:
    """What the days up to each one have saved on a branch, with its trainings paid for."""
    clock = clocks.read(workspace, facts.scenario.name, branch)
    trained = retraining.paid_days(workspace, clock) if clock is not None else []
    price = pricing.prices_of(workspace, facts.scenario).retraining
    paid = [price * trained.count(day.day) for day in known]
    saved = [day.bill.saved for day in known if day.bill is not None]
    return list(accumulate(worth - cost for worth, cost in zip(saved, paid, strict=True)))


def _happened(facts: Facts, clock: Clock) -> list[tuple[int, str, figures.Role]]:
    """Releases, alerts, retrainings and where this branch left another, by day."""
    found: list[tuple[int, str, figures.Role]] = []
    for row in facts.watched.promotions:
        if row.day is not None and row.version is not None and row.stage == "production":
            word = f"back to version {row.version}" if row.action == "rollback" else f"version {row.version}"
            found.append((row.day, word, "champion"))
    released = {day for day, _, _ in found}
    found += [(each.day, "retrained", "challenger") for each in facts.retrainings if each.day not in released]
    words = {"performance": "less right", "input_drift": "drift", "score_drift": "drift of scores"}
    found += [(each.opened, words.get(each.rule, each.rule), "shadow") for each in facts.watched.all]
    told = {"declared": "incident", "closed": "incident over"}
    found += [(each.day, told[each.move], "reference") for each in facts.moves if each.move in told]
    if facts.branch.parent is not None:
        found.append((facts.branch.fork_day, "another way", "labels"))
    return sorted(each for each in found if clock.first_day <= each[0] <= clock.day)


def _apart(happened: list[tuple[int, str, figures.Role]], span: int) -> list[tuple[int, str, figures.Role]]:
    """Those whose words have room beside each other, the newest first."""
    shown: list[tuple[int, str, figures.Role]] = []
    for each in reversed(happened):
        if all(abs(each[0] - other[0]) > APART_DAYS * span for other in shown):
            shown.append(each)
    return shown[:MOST_EVENTS]

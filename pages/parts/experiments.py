"""What Train shows: models and trials side by side, which beat the noise, and how a search goes on.

Comes in: a workspace and a scenario. Goes out: plain values and figures; nothing is drawn here.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from pages.parts.models import Model, champion_of, tested_models
from pages.parts.record import Record, newest_records, read_ledger
from pages.parts.words import plain, seconds, several
from pipelines import experiments, promotion
from pipelines.errors import FlightdeckError
from pipelines.experiments import Experiment, Trial
from pipelines.lifecycle import LIFECYCLE
from pipelines.scenarios.scenario import Scenario
from pipelines.tasks import experiment_plots
from pipelines.workspace import Workspace

# What another process adds to MLflow is seen after this time at the latest.
FRESH_S = 10
WORK = ("tune", "train")


@dataclass(frozen=True)
class Facts:
    """What was found in MLflow, the runs and the ledger.

    Attributes
    ----------
    tried : list of Experiment
        Models and trials as MLflow has them, oldest first.
    models : list of Model
        The tested models whose runs are on disk, newest first.
    problem : FlightdeckError or None
        Why MLflow can't be asked.
    """

    scenario: Scenario
    records: list[Record]
    models: list[Model]
    serving: promotion.Serving
    tried: list[Experiment] = field(default_factory=list)
    problem: FlightdeckError | None = None

    @property
    def newest(self) -> Record | None:
        return self.records[0] if self.records else None

    @property
    def working(self) -> Record | None:
        """A run that trains or searches, or will."""
        newest = self.newest
        going = newest is not None and not newest.state.finished and set(WORK) & set(newest.run.steps)
        return newest if going else None

    @property
    def searched(self) -> Record | None:
        """The newest run that has searched, or is searching."""
        return next((each for each in self.records if "tune" in each.run.steps and _begun(each)), None)

    @property
    def reference(self) -> Model | None:
        """The model that the others are held against: the champion, else the first."""
        return champion_of(self.models, self.serving) or (self.models[-1] if self.models else None)

    def of(self, kind: str) -> list[Experiment]:
        """Experiments of one kind; of trials, those of the newest search."""
        found = [each for each in self.tried if each.kind == kind]
        return [each for each in found if kind == "model" or each.run_id == found[-1].run_id]

    @property
    def compared(self) -> list[tuple[Experiment, Model]]:
        """Models that both MLflow and the disk know, oldest first."""
        on_disk = {each.run_id: each for each in self.models}
        both = [(each, on_disk[each.run_id]) for each in self.of("model") if each.run_id in on_disk]
        return [
            pair
            for pair in both
            if {"average_precision_low", "average_precision_high"} <= set(pair[0].metrics)
        ]


def look(workspace: Workspace, scenario: Scenario) -> Facts:
    """Everything Train is about.

    Raises
    ------
    Damaged, Unavailable
        The workspace's database can't be read.
    """
    serving, _ = read_ledger(workspace, scenario.name)
    records = newest_records(workspace, scenario.name)
    models = tested_models(workspace, scenario)
    ended = sum(each.state.finished for each in records)
    try:
        tried = _ask_mlflow(workspace.name, scenario.name, ended) if records else []
    except FlightdeckError as error:
        return Facts(scenario, records, models, serving, problem=error)
    return Facts(scenario, records, models, serving, tried)


@st.cache_data(ttl=FRESH_S, show_spinner=False, max_entries=20)
def _ask_mlflow(workspace: str, scenario: str, ended: int) -> list[Experiment]:
    del ended  # Once a run has ended there is more to read.
    return experiments.read(workspace, scenario)


def headline(facts: Facts) -> tuple[str, str]:
    """How the learner's models stand, as a title and a sentence."""
    newest, working = facts.newest, facts.working
    if newest is None:
        return (
            "You have no model to compare yet",
            f"{facts.scenario.question} Train one first. Then change one thing at a time, and see here which "
            "change is more than luck.",
        )
    if working is not None:
        if working.state.status == "queued":
            return "Your training waits for its turn", "It starts by itself; you can close the page."
        if "tune" in working.run.steps:
            return "A search is going on", "Each dot is a model that was just tried. You can close the page."
        return "A model is being trained", "What you see below are the models before it."
    if newest.state.status == "failed" and newest.state.current and newest.state.current.name in WORK:
        return (
            f"It stopped at: {LIFECYCLE.step(newest.state.current.name).title.lower()}",
            plain(newest.state.cause),
        )
    return _compared(facts)


def _compared(facts: Facts) -> tuple[str, str]:
    many = len(facts.models)
    if many == 0:
        return "No model has been tested yet", "A model counts here once evaluate has tested it."
    if many == 1 or facts.reference is None:
        return (
            f"You have one model: {facts.models[0].name}",
            "Change one thing, train another, and see whether the change beats the noise.",
        )
    if facts.problem is not None:
        return f"You have {many} models", "MLflow keeps their figures, and is not answering."
    above = _above(facts)
    names = f"the noise of {facts.reference.name}"
    title = f"{above} of your {many - 1} other models {'beats' if above == 1 else 'beat'} {names}"
    return (
        title if above else f"No change beats {names} yet",
        "A figure from one test is partly luck. A dot inside the band may be no better than the "
        "model it belongs to.",
    )


def _above(facts: Facts) -> int:
    pairs, reference = facts.compared, facts.reference
    band = next((one for one, model in pairs if reference and model.run_id == reference.run_id), None)
    if band is None:
        return 0
    high = band.metrics["average_precision_high"]
    return sum(one.metrics["average_precision"] > high for one, _ in pairs)


def noise_figure(facts: Facts, chosen: str) -> go.Figure | None:
    """All models in the order of their making over the band of one of them; None with fewer than two."""
    pairs, reference = facts.compared, facts.reference
    places = [
        place for place, (_, model) in enumerate(pairs) if reference and model.run_id == reference.run_id
    ]
    if len(pairs) < 2 or not places:
        return None
    score, low, high = (
        np.array([one.metrics[f"average_precision{end}"] for one, _ in pairs])
        for end in ("", "_low", "_high")
    )
    ringed = [place for place, (_, model) in enumerate(pairs) if model.run_id == chosen]
    return experiment_plots.noise_band(
        [model.name for _, model in pairs], score, low, high, places[0], ringed[0] if ringed else None
    )


def other_tests(facts: Facts) -> str:
    """How many models were tested on other rows than the reference, if any."""
    reference = facts.reference
    others = sum(reference is not None and each.test != reference.test for each in facts.models)
    if not others or reference is None:
        return ""
    return (
        f"{several(others, 'model was', 'models were')} tested on other days or another world than "
        f"{plain(reference.name)}: such dots compare only roughly. Evaluate puts any two on the same "
        "rows."
    )


def parallel_figure(facts: Facts, kind: str) -> go.Figure | None:
    """The params of models, or of the newest search's trials; None with fewer than two."""
    found = facts.of(kind)
    if len(found) < 2:
        return None
    score = np.array([each.metrics["average_precision"] for each in found])
    title = "What do your good models share?" if kind == "model" else "What do the good trials share?"
    return experiment_plots.parallel([each.params for each in found], score, title)


def read_search(record: Record) -> tuple[list[Trial], go.Figure]:
    """The trials of a search as far as it is, and their figure."""
    attempt = record.state.steps["tune"].attempt or 1
    found = experiments.read_trials(record.folder / "steps" / "tune" / f"attempt-{attempt}")
    shown = [{"number": each.number, "average_precision": each.average_precision} for each in found]
    first = found[0] if found else None
    return found, experiment_plots.trials(shown, first.low if first else None, first.high if first else None)


def newest_trial(found: list[Trial]) -> str:
    """The last trial in words."""
    if not found:
        return "The first trial is the default; it is on its way."
    last = found[-1]
    return (
        f"Trial {last.number}: **{last.average_precision:.3f}** with "
        f"{plain(experiments.describe(last.params))}, in {seconds(last.seconds)}."
    )


def _begun(record: Record) -> bool:
    return record.state.steps["tune"].status not in ("waiting",)


@dataclass(frozen=True)
class Next:
    """The one thing to do next: what the button says, why, and where in Notebooks it leads."""

    button: str
    words: str
    query: dict[str, str] = field(default_factory=dict)
    starts: bool = False


def next_step(facts: Facts, model: Model | None) -> Next:
    """What the state of the models asks for."""
    newest, working = facts.newest, facts.working
    if newest is None:
        return Next("Make a model", "Runs all ten notebooks as they come.", starts=True)
    if working is not None:
        return Next("Watch the notebook", "Cell by cell, as it runs.", {"run": working.run_id})
    current = newest.state.current
    if newest.state.status == "failed" and current and current.name in WORK:
        query = {"run": newest.run_id, "step": current.name}
        return Next("Look at the failure", "See the cause and what to try.", query)
    found = _promising(facts)
    if found is not None:
        record, params = found
        query = {f"train.{name}": str(value) for name, value in params.items()}
        base = {"run": record.run_id, "step": "train", "view": "params"}
        return Next("Train the best trial", "Its params are filled in; the test decides.", base | query)
    shown = model.record if model is not None else newest
    query = {"run": shown.run_id, "step": "train", "view": "params"}
    return Next("Train another", "Change one thing; the gate decides.", query)


def search_base(facts: Facts) -> Record | None:
    """The newest run whose features a search can read, unless something is being trained."""
    if facts.working is not None:
        return None
    return next((each for each in facts.records if each.done("features")), None)


def _promising(facts: Facts) -> tuple[Record, dict[str, object]] | None:
    """The newest search, if its best trial is more than luck and nothing was trained since."""
    record = facts.searched
    report = record.report("tuning") if record is not None and record.done("tune") else None
    if record is None or report is None or report.get("verdict") == "within the noise":
        return None
    if any(each.record.run.created_at > record.run.created_at for each in facts.models):
        return None
    return record, dict(report["best"]["params"])

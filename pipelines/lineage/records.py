"""What a lineage holds: the records between one answer and the data it came from.

Comes in: nothing. Goes out: frozen records, one for each link of the chain. A link that is not there
any more is None, and a gap says what that means.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from typing import Any, Literal

from pipelines.promotion import Promotion
from pipelines.registry import Gate
from pipelines.serving.predictions import Prediction

Source = Literal["registry", "receipt", "nowhere"]
LabelState = Literal["known", "awaited", "overdue", "never", "unasked", "unknown"]


@dataclass(frozen=True)
class Gap:
    """Something that is not there any more: what, and what that means for whoever asks."""

    what: str
    means: str


@dataclass(frozen=True)
class Check:
    """A claim of the chain that was held against something else.

    Attributes
    ----------
    ok : bool or None
        None when it could not be looked at; `found` says why.
    """

    name: str
    ok: bool | None
    found: str


@dataclass(frozen=True)
class Registered:
    """The model version that answered.

    Attributes
    ----------
    gate : {"passed", "failed"} or None
        None when neither the registry nor a run's receipt knows it.
    source : {"registry", "receipt", "nowhere"}
        Who says all this: MLflow, else the receipt that its run kept.
    """

    model: str
    number: int
    gate: Gate | None = None
    reasons: tuple[str, ...] = ()
    digest: str = ""
    model_id: str = ""
    mlflow_run: str = ""
    note: str = ""
    created_at: float | None = None
    source: Source = "nowhere"


@dataclass(frozen=True)
class Made:
    """The run that registered the version, and what it took from the runs it started from.

    Attributes
    ----------
    params : mapping
        {step: {param: value}}, of each step as the run had it that executed it.
    made_by : mapping
        {step: run id}: who executed it; another run than this one where its outputs were taken from a base.
    notebooks : mapping
        {step: path} of the notebooks as executed.
    """

    run_id: str
    folder: Path
    created_at: float
    seed: int
    code: str
    libraries: Mapping[str, str]
    base: str | None
    params: Mapping[str, Mapping[str, Any]]
    made_by: Mapping[str, str]
    notebooks: Mapping[str, Path]


@dataclass(frozen=True)
class Data:
    """The version of the data that the model was made from.

    Attributes
    ----------
    digest : str
        Of the values of its events, as the run kept it.
    whole : bool or None
        Whether its rows are still there and what was kept; None when the version itself is not known.
    """

    number: int | None
    digest: str
    tag: str = ""
    commit: str = ""
    rows: int | None = None
    days: int | None = None
    whole: bool | None = None


@dataclass(frozen=True)
class Truth:
    """What turned out to be true of the event, or when that will be known. Times in seconds since day 0.

    Attributes
    ----------
    state : str
        known; awaited until `due_s`; overdue; never (it gets no label, by the rule of its day); unasked
        (sent by hand: no world knows the outcome); unknown (its scenario is gone: nobody can say when).
    today : int or None
        The day it is in its world.
    """

    state: LabelState
    label: int | None = None
    known_s: int | None = None
    due_s: int | None = None
    today: int | None = None


@dataclass(frozen=True)
class Worth:
    """What this one decision was worth, in `unit`.

    Attributes
    ----------
    saved, cost, without : float
        Against deciding nothing; the decision's own bill; and the bill of deciding nothing.
    acted_on : bool
        Whether somebody got the answer: a shadow's is priced, but costs and saves nothing.
    """

    saved: float
    cost: float
    without: float
    unit: str
    acted_on: bool


@dataclass(frozen=True)
class Lineage:
    """One prediction and everything behind it.

    Attributes
    ----------
    prediction : Prediction
        The event as sent, version, route, score, decision, stream (with its branch), and when.
    features : mapping
        The row that the model saw, by name.
    threshold : float or None
        The score from which on the version raises an alert.
    approval : Promotion or None
        The row of the promotion ledger by which that version answered at that time.
    mlflow_run : str
        The MLflow run that trained it; empty when nobody knows it.
    checks, gaps : tuple
        What was held against something else, and what is not there.
    """

    prediction_id: str
    prediction: Prediction
    features: Mapping[str, float]
    threshold: float | None
    version: Registered
    approval: Promotion | None
    run: Made | None
    data: Data | None
    mlflow_run: str
    truth: Truth
    worth: Worth | None
    checks: tuple[Check, ...] = ()
    gaps: tuple[Gap, ...] = ()

    @property
    def verified(self) -> bool | None:
        """Whether the registered model gives the logged row the logged score; None when not looked at."""
        return next((check.ok for check in self.checks if check.name == "score"), None)

    def as_json(self) -> dict[str, Any]:
        """All of it as plain types."""
        made, prediction = self.prediction, asdict(self.prediction)
        stream = prediction.pop("stream")
        # JSON knows no infinity and no missing number.
        features = {name: value if isfinite(value) else None for name, value in self.features.items()}
        prediction |= {"event": dict(made.event), "features": features, "day": made.day, **stream}
        run: dict[str, Any] | None = None
        if self.run is not None:
            run = asdict(self.run) | {"folder": str(self.run.folder)}
            run["notebooks"] = {step: str(path) for step, path in self.run.notebooks.items()}
        return {
            "prediction_id": self.prediction_id,
            "prediction": prediction | {"threshold": self.threshold},
            "version": asdict(self.version),
            "approval": asdict(self.approval) if self.approval else None,
            "run": run,
            "data": asdict(self.data) if self.data else None,
            "mlflow_run": self.mlflow_run,
            "label": asdict(self.truth),
            "worth": asdict(self.worth) if self.worth else None,
            "verified": self.verified,
            "checks": [asdict(check) for check in self.checks],
            "gaps": [asdict(gap) for gap in self.gaps],
        }

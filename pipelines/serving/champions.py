"""Champions: the models that serve, loaded and warm.

Comes in: what the promotion ledger says. Goes out: models that score in a millisecond at their first
request too. Nothing is swapped here; that is the endpoint's, once all it needs is ready.
"""

from __future__ import annotations

import gc
import logging
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from threading import Lock
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from pipelines import registry
from pipelines.errors import Damaged, FlightdeckError
from pipelines.promotion import Serving
from pipelines.registry import ServedModel
from pipelines.scenarios.scenario import Scenario
from pipelines.serving.rollout import Route
from pipelines.workspace import Workspace

log = logging.getLogger(__name__)

# Champion, canary, shadow, the champion before, and two that somebody compares.
KEPT = 6


@dataclass(frozen=True)
class Lineup:
    """Which loaded models serve, since one decision and until the next.

    Attributes
    ----------
    serving : Serving
        What the ledger says.
    models : mapping
        The loaded model of each route that has one.
    absent : mapping
        Why the canary or the shadow that the ledger names is not there: it could not be loaded.
    """

    serving: Serving = field(default_factory=Serving)
    models: Mapping[Route, ServedModel] = field(default_factory=dict)
    absent: Mapping[Route, str] = field(default_factory=dict)

    @property
    def effective(self) -> Serving:
        """What really answers: without a canary that could not be loaded."""
        return self.serving if "canary" not in self.absent else replace(self.serving, canary=None)


class Shelf:
    """The newest used models of one scenario, ready to score. Safe for several threads."""

    def __init__(self, workspace: Workspace, scenario: Scenario) -> None:
        self._workspace = workspace
        self._scenario = scenario
        self._models: OrderedDict[int, ServedModel] = OrderedDict()
        self._lock = Lock()

    def fetch(self, version: int) -> ServedModel:
        """The model of a registered version; loaded and warmed when it is not on the shelf.

        Raises
        ------
        Missing
            There is no such version.
        Damaged
            What is stored is not what was registered, or is no model of this scenario.
        Unavailable
            MLflow is not answering.
        """
        with self._lock:
            if version not in self._models:
                self._models[version] = self._load(version)
                while len(self._models) > KEPT:
                    self._models.popitem(last=False)
            self._models.move_to_end(version)
            return self._models[version]

    def _load(self, version: int) -> ServedModel:
        loaded = registry.load(self._workspace.name, self._scenario.name, version)
        names = [feature.name for feature in self._scenario.features]
        if loaded.card["features"] != names:
            raise Damaged(
                f"Version {version} of '{self._scenario.name}' was trained on other features than are "
                f"computed now ({', '.join(sorted(set(loaded.card['features']) ^ set(names))) or 'order'}).",
                "Train and register a new version.",
            )
        score(loaded, np.zeros((1, len(names))))
        return loaded


def load_lineup(shelf: Shelf, serving: Serving) -> Lineup:
    """The models of everything that `serving` names, apart from staging, where nothing is answered.

    Without its champion there is no lineup. A canary or shadow that can't be loaded stays away, and the
    lineup says so: its fault must not keep a champion from serving.

    Raises
    ------
    FlightdeckError
        As `Shelf.fetch`, for the champion.
    """
    models: dict[Route, ServedModel] = {}
    absent: dict[Route, str] = {}
    if serving.champion is not None:
        models["champion"] = shelf.fetch(serving.champion)
    others: tuple[tuple[Route, int | None], ...] = (("canary", serving.canary), ("shadow", serving.shadow))
    for route, version in others:
        if version is None:
            continue
        try:
            models[route] = shelf.fetch(version)
        except FlightdeckError as error:
            log.warning("%s %d can't be loaded: %s", route, version, error)
            absent[route] = str(error)
    return Lineup(serving, models, absent)


def score(model: ServedModel, features: NDArray[np.float64]) -> NDArray[np.float64]:
    """The model's score for each row of `features`, of shape (n_rows, n_features).

    A millisecond for one row of boosting, and hardly more for a hundred.
    """
    scores: NDArray[np.float64] = _training().score(model.model, features)
    return scores


@cache
def _training() -> ModuleType:
    """The module that scores, imported by whoever scores first: until then the gateway stays small.

    With scikit-learn come 200,000 objects that never go away. Python's garbage collector would look
    through them again and again, and nobody is answered for a tenth of a second each time.
    """
    from pipelines import training

    gc.collect()
    gc.freeze()
    return training

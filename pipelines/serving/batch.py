"""A batch: events answered together, with one scoring for each version.

Comes in: the events of requests that wait at the same time. Goes out: the predictions to log, in order.
One row of boosting costs a millisecond and a hundred hardly more, so whoever waits is taken along.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import Refused
from pipelines.registry import ServedModel
from pipelines.serving import faults
from pipelines.serving.champions import Lineup, score
from pipelines.serving.faults import Fault
from pipelines.serving.memory import Event, Memory, agrees
from pipelines.serving.open_inference import EVENT_ID, EVENT_TIME, Answer
from pipelines.serving.prediction_log import PredictionLog, features_of
from pipelines.serving.predictions import Prediction
from pipelines.serving.rollout import ANSWERING, Route, choose, place

log = logging.getLogger(__name__)


@dataclass
class Slot:
    """One event and one version that scores it; `prediction` is None until it has."""

    event: Event
    features: NDArray[np.float64]
    cold_start: str
    route: Route
    version: int
    model: ServedModel | None
    received_s: float
    prediction: Prediction | None = None


@dataclass(frozen=True)
class Row:
    """What answers one event of a request: its slot, and whether that was there before."""

    slot: Slot
    repeated: bool


class Batch:
    """Events of one endpoint that are answered together.

    An event counts once, however often and on however many routes it is sent: what is known under its
    id is answered again, and another version scores the same features.
    """

    def __init__(
        self, memory: Memory, lineup: Lineup, logged: PredictionLog, broken: Sequence[Fault] = ()
    ) -> None:
        self._memory = memory
        self._lineup = lineup
        self._logged = logged
        self._broken = broken
        self._slots: list[Slot] = []
        self._of_event: dict[int, list[Slot]] = {}

    def admit(self, events: Sequence[Event], named: ServedModel | None, received_s: float) -> list[Row]:
        """Take up the events of one request, all or none of them.

        Parameters
        ----------
        named : ServedModel, optional
            The version that the request's address names.
        received_s : float
            When it came, by `time.perf_counter`.

        Raises
        ------
        BadInput
            As `Memory.complete`.
        Refused
            Another event is known under an id.
        Broken
            An incident keeps the route from answering.
        """
        clock = self._memory.clock
        if self._broken and named is None:
            first_s = events[0][EVENT_TIME]
            at_s = clock.present_s if first_s is None else first_s
            draw = place(events[0][EVENT_ID] or 0, 0)
            faults.check_route(self._broken, at_s, draw, len(events), self._lineup.serving.champion)
        complete: list[tuple[Event, list[Slot]]] = []
        for sent in events:
            known = self._known(sent[EVENT_ID])
            if known and not agrees(known[0].event, sent):
                raise Refused(
                    f"Event {sent[EVENT_ID]} was answered before, with other values: {known[0].event}.",
                    "Send it again as it was, or another event under another id.",
                )
            event = known[0].event if known else self._memory.complete(sent, clock)
            clock = clock.after(event[EVENT_ID], event[EVENT_TIME])
            complete.append((event, known))
        return [self._take(event, known, named, received_s) for event, known in complete]

    def score(self) -> list[Prediction]:
        """Score whatever was admitted; the predictions to log, in the order of their events.

        A shadow that fails is left out: nobody waits for its answer.
        """
        groups: dict[tuple[bool, int], list[Slot]] = {}
        for slot in self._slots:
            groups.setdefault((slot.route == "shadow", slot.version), []).append(slot)
        for (is_shadow, version), slots in groups.items():
            try:
                self._score_together(slots)
            except Exception:
                if not is_shadow:
                    raise
                log.exception("the shadow, version %d, can't score", version)
        return [slot.prediction for slot in self._slots if slot.prediction is not None]

    def _known(self, event_id: int | None) -> list[Slot]:
        """What scores or has scored this event."""
        if event_id is None:
            return []
        if event_id not in self._of_event and self._memory.may_know(event_id):
            found = self._logged.of_event(self._memory.stream, event_id)
            self._of_event[event_id] = [_answered(prediction) for prediction in found]
        return self._of_event.get(event_id, [])

    def _take(self, event: Event, known: Sequence[Slot], named: ServedModel | None, received_s: float) -> Row:
        for slot in known:
            if (
                slot.version == named.version and slot.route == "version"
                if named
                else slot.route in ANSWERING
            ):
                return Row(slot, repeated=True)
        if known:
            features, cold_start = known[0].features, known[0].cold_start
        else:
            cold_start = self._memory.cold_start(event)
            features = self._memory.take(event)
            if self._broken:
                features = faults.change_features(
                    self._broken, self._memory.scenario, features, event[EVENT_TIME]
                )
        routes: dict[Route, ServedModel] = {}
        if named is not None:
            routes["version"] = named
        else:
            route = choose(event[EVENT_ID], self._lineup.effective)
            routes[route] = self._lineup.models[route]
            if "shadow" in self._lineup.models:
                routes["shadow"] = self._lineup.models["shadow"]
        slots = [
            Slot(event, features, cold_start, route, model.version, model, received_s)
            for route, model in routes.items()
        ]
        self._slots += slots
        self._of_event.setdefault(event[EVENT_ID], []).extend(slots)
        return Row(slots[0], repeated=False)

    def _score_together(self, slots: Sequence[Slot]) -> None:
        model = slots[0].model
        assert model is not None  # what was answered before is not scored again
        scores = score(model, np.vstack([slot.features for slot in slots])).tolist()
        threshold = float(model.card["threshold"])
        now, now_s = time.time(), time.perf_counter()
        for slot, value in zip(slots, scores, strict=True):
            time_s = slot.event[EVENT_TIME]
            decides_at = faults.threshold_of(self._broken, slot.version, threshold, time_s)
            raw = {name: each for name, each in slot.event.items() if name not in (EVENT_ID, EVENT_TIME)}
            slot.prediction = Prediction(
                stream=self._memory.stream,
                event_id=slot.event[EVENT_ID],
                event_time=slot.event[EVENT_TIME],
                event=raw,
                version=slot.version,
                route=slot.route,
                score=value,
                decision=value >= decides_at,
                cold_start=slot.cold_start,
                features=slot.features.astype("<f8").tobytes(),
                at=now,
                latency_ms=(now_s - slot.received_s) * 1000 + faults.waits_ms(self._broken, time_s),
            )


def answer(row: Row) -> Answer:
    """What a client is told about one of its events."""
    prediction = row.slot.prediction
    assert prediction is not None  # asked for after scoring
    return Answer(
        score=prediction.score,
        decision=prediction.decision,
        prediction_id=prediction.prediction_id,
        version=prediction.version,
        route=prediction.route,
        event_id=prediction.event_id,
        event_time=prediction.event_time,
        cold_start=prediction.cold_start,
        repeated=row.repeated,
    )


def _answered(prediction: Prediction) -> Slot:
    event = {EVENT_ID: prediction.event_id, EVENT_TIME: prediction.event_time, **prediction.event}
    return Slot(
        event,
        features_of(prediction),
        prediction.cold_start,
        prediction.route,
        prediction.version,
        None,
        0.0,
        prediction,
    )

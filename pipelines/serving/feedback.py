"""Feedback: what turned out to be true of events that were answered, or that happened before.

Comes in: labels that clients tell. Goes out: the labels to keep. A label belongs to an event, whichever
prediction of it was named, and is final.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from pipelines.errors import BadInput, Missing, Refused
from pipelines.scenarios import find_scenario
from pipelines.scenarios.scenario import DAY_S
from pipelines.serving.infer_request import read_fields, read_json, whole_number
from pipelines.serving.jobs import Learn, Told
from pipelines.serving.memory import Memory
from pipelines.serving.open_inference import LARGEST_ID
from pipelines.serving.prediction_log import PredictionLog, unknown_prediction
from pipelines.serving.predictions import Answered, Label, Stream

# A label may come this long after the world's end; one that is later still was sent in another unit.
LATEST_LABEL_DAYS = 365
# As many as a request for inference may have rows.
MAX_LABELS = 1_000

# What GET /v2 says about it.
ABOUT = {
    "one": {"prediction_id": "text", "label": "0 or 1", "label_time": "optional, seconds since day 0"},
    "many": {
        "model": "whose events the event_ids name; not needed where all name predictions",
        "labels": f"1 to {MAX_LABELS:,}, each as one, or with event_id in place of prediction_id",
    },
    "rule": "All are kept, or none. A label is final; told again, it is kept once.",
}


def read_told(body: bytes) -> tuple[Learn, bool]:
    """The labels in the body of a request, and whether they came as a list.

    Raises
    ------
    NotJson, BadInput
        It is not of the form that `ABOUT` says; names the field.
    """
    content = read_json(body)
    if not (isinstance(content, dict) and "labels" in content):
        return Learn((_told(content, "Feedback", None),)), False
    fields = read_fields(content, "Feedback", ("labels",), ("model",))
    labels, model = fields["labels"], fields.get("model")
    if model is not None and not isinstance(model, str):
        raise BadInput("'model' is not a text.", 'Send the scenario\'s name, such as "fraud".')
    scenario = find_scenario(model) if model is not None else None
    if not isinstance(labels, list) or not 1 <= len(labels) <= MAX_LABELS:
        found = f"has {len(labels):,} entries" if isinstance(labels, list) else "is no list"
        raise BadInput(
            f"'labels' {found}, but 1 to {MAX_LABELS:,} are expected.", "Send more in several requests."
        )
    return Learn(
        tuple(_told(each, f"Label {place}", model) for place, each in enumerate(labels)), scenario
    ), True


def _told(content: Any, what: str, model: str | None) -> Told:
    optional = ("prediction_id", "event_id", "label_time") if model is not None else ("label_time",)
    needed = ("label",) if model is not None else ("prediction_id", "label")
    fields = read_fields(content, what, needed, optional)
    prediction_id, event_id = fields.get("prediction_id"), fields.get("event_id")
    if (prediction_id is None) == (event_id is None):
        raise BadInput(f"{what} names a prediction and an event, or neither.", "Send one of the two.")
    if event_id is not None:
        whole_number(event_id, "event_id", 0, LARGEST_ID)
    elif not isinstance(prediction_id, str):
        raise BadInput("prediction_id is not a text.", "Send the prediction_id that an answer carried.")
    label_time = fields.get("label_time")
    if label_time is not None:
        whole_number(label_time, "label_time", 0, 2**53)
    return Told(whole_number(fields["label"], "label", 0, 1), prediction_id, event_id, label_time)


class Feedback:
    """Labels that are kept together.

    Attributes
    ----------
    new : list of Label
        Those to be written.
    """

    def __init__(self, logged: PredictionLog) -> None:
        self._logged = logged
        self._new: dict[tuple[Stream, int], Label] = {}

    @property
    def new(self) -> list[Label]:
        return list(self._new.values())

    def admit(self, task: Learn, memory: Memory | None = None) -> list[Label]:
        """What is known of the events once this is told: these labels, or equal ones from before.

        Parameters
        ----------
        memory : Memory, optional
            Of the task's scenario: it knows the events from before serving began.

        Raises
        ------
        Missing
            There is no such prediction or event.
        Refused
            An event has the other label.
        BadInput
            A label is said to be known before its event, or after everything.
        """
        events = self._events(task, memory)
        known = self._known(events)
        added: dict[tuple[Stream, int], Label] = {}
        labels = []
        for told, event in zip(task.told, events, strict=True):
            key = (event.stream, event.event_id)
            label = known.get(key) or self._new.get(key) or added.get(key)
            if label is None:
                label = added[key] = _new_label(told, event)
            elif label.label != told.label:
                raise Refused(
                    f"Event {event.event_id} has the label {label.label}, but {told.label} was sent.",
                    "A label is final; look into where the two come from.",
                )
            labels.append(label)
        self._new |= added
        return labels

    def _events(self, task: Learn, memory: Memory | None) -> list[Answered]:
        """Which event each of these labels is about."""
        named = [told.prediction_id for told in task.told if told.prediction_id is not None]
        by_prediction = self._logged.answered(named) if named else {}
        ids = [told.event_id for told in task.told if told.event_id is not None]
        by_event = self._logged.answered_events(memory.stream, ids) if ids and memory else {}
        return [_event(told, by_prediction, by_event, memory) for told in task.told]

    def _known(self, events: list[Answered]) -> dict[tuple[Stream, int], Label]:
        by_stream: dict[Stream, list[int]] = {}
        for event in events:
            by_stream.setdefault(event.stream, []).append(event.event_id)
        return {
            (stream, event_id): label
            for stream, ids in by_stream.items()
            for event_id, label in self._logged.labels_of(stream, ids).items()
        }


def _event(
    told: Told,
    by_prediction: Mapping[str, Answered],
    by_event: Mapping[int, Answered],
    memory: Memory | None,
) -> Answered:
    if told.prediction_id is not None:
        if told.prediction_id not in by_prediction:
            raise unknown_prediction(told.prediction_id)
        return by_prediction[told.prediction_id]
    event_id = told.event_id or 0
    if event_id in by_event:
        return by_event[event_id]
    happened_s = memory.collected_at(event_id) if memory else None
    if memory is None or happened_s is None:
        raise Missing(
            f"There is no event {event_id}: it was neither answered nor collected before.",
            "Send the event_id that the event was sent with, with the same workspace.",
        )
    return Answered("", memory.stream, event_id, happened_s)


def _new_label(told: Told, event: Answered) -> Label:
    scenario = find_scenario(event.stream.scenario)
    time_s = told.label_time
    if time_s is None:
        time_s = event.event_time + scenario.label_delay_days * DAY_S
    latest_s = (scenario.days + LATEST_LABEL_DAYS) * DAY_S
    whole_number(time_s, "label_time", event.event_time + 1, latest_s)
    return Label(event.prediction_id, event.stream, event.event_id, told.label, time_s, time.time())

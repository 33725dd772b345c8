"""Feedback: what turned out to be true of events that were answered.

Comes in: labels that clients tell. Goes out: the labels to keep. A label belongs to an event, whichever
prediction of it was named, and is final.
"""

from __future__ import annotations

import time

from pipelines.errors import Refused
from pipelines.scenarios import find_scenario
from pipelines.scenarios.scenario import DAY_S
from pipelines.serving.infer_request import whole_number
from pipelines.serving.jobs import Learn
from pipelines.serving.prediction_log import PredictionLog, unknown_prediction
from pipelines.serving.predictions import Label, Stream

# A label may come this long after the world's end; one that is later still was sent in another unit.
LATEST_LABEL_DAYS = 365


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

    def admit(self, told: Learn) -> Label:
        """What is known of the event once this is told: this label, or an equal one from before.

        Raises
        ------
        Missing
            There is no such prediction.
        Refused
            The event has the other label.
        BadInput
            The label is said to be known before its event, or after everything.
        """
        prediction = self._logged.find(told.prediction_id)
        if prediction is None:
            raise unknown_prediction(told.prediction_id)
        event = (prediction.stream, prediction.event_id)
        known = self._new.get(event) or self._logged.label_of(*event)
        if known is None:
            scenario = find_scenario(prediction.stream.scenario)
            time_s = told.label_time
            if time_s is None:
                time_s = prediction.event_time + scenario.label_delay_days * DAY_S
            latest_s = (scenario.days + LATEST_LABEL_DAYS) * DAY_S
            whole_number(time_s, "label_time", prediction.event_time + 1, latest_s)
            known = Label(told.prediction_id, *event, told.label, time_s, time.time())
            self._new[event] = known
        elif known.label != told.label:
            raise Refused(
                f"Event {prediction.event_id} has the label {known.label}, but {told.label} was sent.",
                "A label is final; look into where the two come from.",
            )
        return known

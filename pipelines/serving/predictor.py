"""The predictor: one thread that answers everything asked of one workspace, in order.

Comes in: jobs, from the gateway's event loop. Goes out: their outcomes, once whatever they are based on
is on disk. Whoever waits at the same time shares one scoring and one commit (group commit), so one
thread answers more than many would, and nothing it owns needs a lock.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from threading import Thread
from typing import Any

from pipelines.errors import FlightdeckError, Unavailable
from pipelines.promotion import Serving
from pipelines.registry import ServedModel
from pipelines.scenarios.scenario import Scenario
from pipelines.serving.batch import Batch, Row, answer
from pipelines.serving.endpoint import Endpoint, Order, Prepared
from pipelines.serving.feedback import Feedback
from pipelines.serving.jobs import Infer, Learn, Look, Standing, Task, nothing_promoted
from pipelines.serving.measurements import Measurements
from pipelines.serving.memory import Memory
from pipelines.serving.prediction_log import PredictionLog
from pipelines.serving.predictions import Label, Prediction
from pipelines.workspace import Workspace

log = logging.getLogger(__name__)

# Without a request, the ledger is looked at this often; with one, before it is answered.
LOOK_EVERY_S = 0.2
# Rows that are answered together: more would make the first of them wait, and gain nothing.
ROWS_TOGETHER = 2_000
# Rows that may wait; whoever comes later is told to come again instead of filling the memory.
ROWS_WAITING = 20_000
STOP_S = 5.0


@dataclass(frozen=True, eq=False)
class _Job:
    """A task, and where its outcome goes."""

    task: Task
    future: asyncio.Future[Any]
    received_s: float

    @property
    def rows(self) -> int:
        if isinstance(self.task, Infer):
            return len(self.task.events)
        return len(self.task.told) if isinstance(self.task, Learn) else 1


@dataclass(frozen=True)
class _Loaded:
    endpoint: Endpoint
    order: Order
    prepared: Prepared | FlightdeckError


# A FlightdeckError is told as such.
_Outcomes = dict[_Job, Any]


class Predictor:
    """Answers for one workspace. `do`, `endpoint` and `stop` may be called from any thread."""

    def __init__(self, workspace: Workspace, measurements: Measurements) -> None:
        self.workspace = workspace
        self._measurements = measurements
        self._log = PredictionLog(workspace)
        self._log_failed = False
        self._mark = (0, 0, 0)
        self._endpoints: dict[str, Endpoint] = {}
        self._waiting: list[_Job] = []  # Until their models are loaded.
        self._queue: queue.SimpleQueue[_Job | _Loaded | None] = queue.SimpleQueue()
        self._rows_in = self._rows_out = 0
        self._thread = Thread(target=self._run, name=f"predictor-{workspace.name}", daemon=True)
        self._thread.start()

    def endpoint(self, scenario: Scenario) -> Endpoint:
        """The endpoint of that scenario; made at the first call."""
        found = self._endpoints.get(scenario.name)
        return found or self._endpoints.setdefault(scenario.name, Endpoint(self.workspace, scenario))

    def endpoints(self) -> list[Endpoint]:
        """All endpoints that were asked for."""
        return list(self._endpoints.values())

    async def do(self, task: Task) -> Any:
        """The outcome of `task`; whatever it rests on is on disk by then.

        Raises
        ------
        FlightdeckError
            Why it can't be done.
        """
        job = _Job(task, asyncio.get_running_loop().create_future(), time.perf_counter())
        if self._rows_in - self._rows_out + job.rows > ROWS_WAITING:
            raise Unavailable("More events are waiting than can be answered soon.", "Send yours again later.")
        self._rows_in += job.rows
        self._queue.put(job)
        return await job.future

    def stop(self) -> None:
        """Do what was asked so far, then let go of everything."""
        self._queue.put(None)
        self._thread.join(STOP_S)

    def _run(self) -> None:
        stopping = False
        while not stopping:
            messages = self._take()
            stopping = None in messages
            jobs = [message for message in messages if isinstance(message, _Job)]
            try:
                for message in messages:
                    if isinstance(message, _Loaded):
                        self._install(message)
                if self._log_failed:
                    self._log.probe()
                    self._log_failed = False
                self._look_at_ledger()
                self._work(jobs)
                self._begin_loading()
            except FlightdeckError as error:
                self._settle(dict.fromkeys(jobs + self._give_up_waiting(), error))
            except Exception as error:  # This thread must outlive any defect of ours.
                self._settle(dict.fromkeys(jobs, _defect(error)))
        stopped = Unavailable("The gateway is stopping.", "Send it again in a moment.")
        self._settle(dict.fromkeys(self._give_up_waiting(), stopped))
        self._log.close()

    def _take(self) -> list[_Job | _Loaded | None]:
        """What has come, up to as much as is answered together; after a while, nothing."""
        messages: list[_Job | _Loaded | None] = []
        rows = 0
        with suppress(queue.Empty):
            messages.append(self._queue.get(timeout=LOOK_EVERY_S))
            while messages[-1] is not None and rows < ROWS_TOGETHER:
                rows += messages[-1].rows if isinstance(messages[-1], _Job) else 0
                messages.append(self._queue.get_nowait())
        return messages

    def _look_at_ledger(self) -> None:
        """Notice what was promoted."""
        mark = self._log.mark()
        for endpoint in self.endpoints():
            if mark[0] != self._mark[0]:
                endpoint.restart()
            if mark != self._mark or endpoint.wanted is None:
                endpoint.look()
        self._mark = mark

    def _begin_loading(self) -> None:
        for endpoint in self.endpoints():
            if (order := endpoint.order()) is not None:
                Thread(target=self._load, args=(endpoint, order), daemon=True).start()

    def _load(self, endpoint: Endpoint, order: Order) -> None:
        """Prepare what an endpoint ordered: in a thread of its own."""
        prepared: Prepared | FlightdeckError
        try:
            prepared = endpoint.prepare(order)
        except FlightdeckError as error:
            prepared = error
        except Exception as error:
            prepared = _defect(error)
        self._queue.put(_Loaded(endpoint, order, prepared))

    def _install(self, loaded: _Loaded) -> None:
        endpoint, outcome = loaded.endpoint, "loaded"
        try:
            if isinstance(loaded.prepared, FlightdeckError):
                raise loaded.prepared
            endpoint.install(loaded.order, loaded.prepared)
        except FlightdeckError as error:
            endpoint.fail(loaded.order, error)
            outcome = "failed"
        self._measurements.swaps.labels(self.workspace.name, endpoint.scenario.name, outcome).inc()

    def _work(self, jobs: Sequence[_Job]) -> None:
        """Do all of these, and what has waited for its models."""
        ready: dict[Endpoint, list[_Job]] = {}
        learning: list[_Job] = []
        for job in self._give_up_waiting() + list(jobs):
            try:
                if isinstance(job.task, Learn):
                    if job.task.scenario is None or self._can_answer(self._seen(job.task.scenario), None):
                        learning.append(job)
                    else:
                        self._waiting.append(job)
                elif isinstance(job.task, Look):
                    self._settle({job: self._standing(self._seen(job.task.scenario))})
                elif self._can_answer(endpoint := self._seen(job.task.scenario), job.task.named):
                    ready.setdefault(endpoint, []).append(job)
                else:
                    self._waiting.append(job)
            except FlightdeckError as error:
                self._settle({job: error})
        for endpoint, group in ready.items():
            self._answer(endpoint, group)
        if learning:
            self._learn(learning)

    def _seen(self, scenario: Scenario) -> Endpoint:
        """The endpoint, which knows what the ledger says."""
        endpoint = self.endpoint(scenario)
        if endpoint.wanted is None:
            endpoint.look()
        return endpoint

    def _can_answer(self, endpoint: Endpoint, named: ServedModel | None) -> bool:
        """Whether it can now; False when it will soon.

        Raises
        ------
        Missing
            Nothing is promoted that could answer.
        FlightdeckError
            What should answer can't be loaded.
        """
        wanted = endpoint.wanted or Serving()
        if wanted.champion is None:
            if named is None:
                raise nothing_promoted(endpoint.scenario.name)
            endpoint.first_run = endpoint.first_run or named.run_id
        if endpoint.remembers and (named is not None or "champion" in endpoint.lineup.models):
            return True
        if endpoint.problem is not None and not endpoint.loading:
            raise endpoint.problem
        return False

    def _answer(self, endpoint: Endpoint, jobs: Sequence[_Job]) -> None:
        """Answer the events of all jobs: one scoring for each version, one commit."""
        assert endpoint.memory is not None  # as _can_answer said
        batch = Batch(endpoint.memory, endpoint.lineup, self._log, endpoint.faults)
        rows: dict[_Job, list[Row]] = {}
        outcomes: _Outcomes = {}
        try:
            for job in jobs:
                assert isinstance(job.task, Infer)
                try:
                    rows[job] = batch.admit(job.task.events, job.task.named, job.received_s)
                except FlightdeckError as error:
                    outcomes[job] = error
            predictions = batch.score()
            self._commit(predictions)
            self._count(endpoint, predictions)
            outcomes |= {job: [answer(row) for row in found] for job, found in rows.items()}
        except Exception as error:
            # The memory holds events that are not in the log now: it is built again without them.
            endpoint.forget()
            outcomes = {job: _defect(error) for job in jobs} | outcomes
        self._settle(outcomes)

    def _learn(self, jobs: Sequence[_Job]) -> None:
        """Keep the labels of all jobs, in one commit, then let them count."""
        feedback = Feedback(self._log)
        known: _Outcomes = {}
        outcomes: _Outcomes = {}
        for job in jobs:
            assert isinstance(job.task, Learn)
            try:
                known[job] = feedback.admit(job.task, self._memory_of(job.task))
            except FlightdeckError as error:
                outcomes[job] = error
        try:
            self._commit([], feedback.new)
            for label in feedback.new:
                endpoint = self._endpoints.get(label.stream.scenario)
                if endpoint and endpoint.memory and endpoint.memory.stream == label.stream:
                    endpoint.memory.learn(label.event_id, label.label, label.label_time)
            outcomes |= known
        except FlightdeckError as error:
            outcomes |= dict.fromkeys(known, error)
        self._settle(outcomes)

    def _memory_of(self, task: Learn) -> Memory | None:
        return self.endpoint(task.scenario).memory if task.scenario is not None else None

    def _commit(self, predictions: Sequence[Prediction], labels: Sequence[Label] = ()) -> None:
        if not predictions and not labels:
            return
        try:
            self._log.write(predictions, labels)
        except Unavailable:
            self._log_failed = True
            self._measurements.failed_commits.inc()
            raise
        self._measurements.committed_rows.observe(len(predictions) + len(labels))

    def _count(self, endpoint: Endpoint, predictions: Sequence[Prediction]) -> None:
        names = (self.workspace.name, endpoint.scenario.name)
        of_version = {
            version: self._measurements.scores.labels(*names, str(version))
            for version in {prediction.version for prediction in predictions}
        }
        for prediction in predictions:
            of_version[prediction.version].observe(prediction.score)

    def _standing(self, endpoint: Endpoint) -> Standing:
        memory = endpoint.memory
        return Standing(
            endpoint.wanted or Serving(),
            endpoint.lineup,
            endpoint.problem,
            memory.stream.world if memory else None,
            memory.clock.present_s if memory else None,
        )

    def _give_up_waiting(self) -> list[_Job]:
        waiting, self._waiting = self._waiting, []
        return waiting

    def _settle(self, outcomes: Mapping[_Job, Any]) -> None:
        """Hand over outcomes; all of one event loop at once, because waking it is what costs."""
        loops: dict[asyncio.AbstractEventLoop, list[tuple[_Job, Any]]] = {}
        for job, outcome in outcomes.items():
            self._rows_out += job.rows
            loops.setdefault(job.future.get_loop(), []).append((job, outcome))
        for loop, told in loops.items():
            with suppress(RuntimeError):  # A loop that is closed waits for nothing.
                loop.call_soon_threadsafe(_tell, told)


def _tell(outcomes: Sequence[tuple[_Job, Any]]) -> None:
    """Resolve futures, in their own event loop."""
    for job, outcome in outcomes:
        if job.future.done():
            continue
        if isinstance(outcome, Exception):
            job.future.set_exception(outcome)
        else:
            job.future.set_result(outcome)


def _defect(error: Exception) -> FlightdeckError:
    """What a client is told when something fails that should not be able to; the log has the rest."""
    if isinstance(error, FlightdeckError):
        return error
    log.error("unexpected", exc_info=error)
    return FlightdeckError(
        f"The gateway failed inside ({type(error).__name__}); nothing was answered.",
        "See gateway.log in the home's folder logs.",
    )

"""The endpoint of one scenario: who answers, out of which memory, and how that is swapped.

Comes in: the promotion ledger's decisions. Goes out: a lineup of loaded models and a memory that belong
together. A new pair is made beside the one that answers, and takes its place between two requests.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from dataclasses import dataclass

from pipelines import branches, promotion
from pipelines.errors import FlightdeckError, Unavailable
from pipelines.promotion import Serving
from pipelines.scenarios.scenario import Scenario
from pipelines.serving import corrections, faults
from pipelines.serving.champions import Lineup, Shelf, load_lineup
from pipelines.serving.faults import Fault
from pipelines.serving.memory import History, Memory, history_of, load_memory
from pipelines.serving.prediction_log import replay
from pipelines.workspace import Workspace

log = logging.getLogger(__name__)

# After a failed load: soon enough that nobody waits long for MLflow's return, rare enough to cost nothing.
RETRY_S = 1.0
LONGEST_RETRY_S = 30.0


@dataclass(frozen=True)
class Prepared:
    """What will serve next: made beside what serves now.

    Attributes
    ----------
    memory : Memory or None
        None when the one there goes on.
    """

    lineup: Lineup
    memory: Memory | None


@dataclass(frozen=True)
class Order:
    """What is to be prepared: decided when it began, whatever happens meanwhile.

    Attributes
    ----------
    life : int
        Of the endpoint; what an earlier one ordered is thrown away.
    branch : str
        The one that was lived in then.
    held : History or None
        What the memory there is begins with.
    first_run : str or None
        The run to begin with while there is no champion.
    """

    life: int
    branch: str
    serving: Serving
    held: History | None
    first_run: str | None


class Endpoint:
    """One scenario's endpoint in one workspace.

    Everything belongs to the predictor's thread, apart from `prepare` and `shelf`.

    Attributes
    ----------
    branch : str
        The one that is lived in.
    wanted : Serving or None
        What the ledger says of it; None until it was looked at.
    lineup : Lineup
        What answers now.
    memory : Memory or None
        None until it is built, and after a commit failed: then it remembers what was never logged.
    first_run : str or None
        Before the first champion: the run of a version that a request named.
    faults : tuple of Fault
        What incidents break on this route.
    problem : FlightdeckError or None
        Why the last load failed.
    """

    def __init__(self, workspace: Workspace, scenario: Scenario) -> None:
        self.scenario = scenario
        self._workspace = workspace
        self._life = 0
        self.restart()

    def restart(self) -> None:
        """Begin as new: the workspace was reset, and nothing known of it holds any longer."""
        self.shelf = Shelf(self._workspace, self.scenario)
        self.branch = branches.MAIN
        self.wanted: Serving | None = None
        self.lineup = Lineup()
        self.memory: Memory | None = None
        self.first_run: str | None = None
        self.faults: tuple[Fault, ...] = ()
        self.problem: FlightdeckError | None = None
        self.loading = False
        self._life += 1
        self._corrected = 0
        self._failures = 0
        self._retry_at = 0.0

    def look(self) -> None:
        """Read the ledger."""
        before = self.wanted
        try:
            self.branch = branches.live(self._workspace, self.scenario.name)
            self.wanted = promotion.serving(self._workspace, self.scenario.name, self.branch)
            self.faults = faults.read(self._workspace, self.scenario.name, self.branch)
            self._corrected = corrections.count(self._workspace, self.scenario.name, self.branch)
        except sqlite3.Error as error:
            raise Unavailable(
                f"The promotion ledger of workspace '{self._workspace.name}' can't be read: {error}.",
                "Check the disk; serving then goes on by itself.",
            ) from error
        if self.wanted != before:
            self._failures, self._retry_at = 0, 0.0  # another version may work at once

    @property
    def remembers(self) -> bool:
        """Whether it has a memory, of the branch that is lived in, with all that was corrected on it."""
        if self.memory is None or self.memory.stream.branch != self.branch:
            return False
        return self.memory.history.corrected == self._corrected

    def order(self) -> Order | None:
        """What has to be prepared now, if anything; it counts as being prepared from here on."""
        if self.wanted is None or self.loading or time.monotonic() < self._retry_at:
            return None
        remembers = self.remembers or (self.wanted.champion is None and self.first_run is None)
        if self.wanted == self.lineup.serving and not self.lineup.absent and remembers:
            return None
        self.loading = True
        held = self.memory.history if self.memory is not None else None
        return Order(self._life, self.branch, self.wanted, held, self.first_run)

    def prepare(self, order: Order) -> Prepared:
        """Load and warm the models, and build the memory when it is another's: off the predictor's thread.

        Raises
        ------
        FlightdeckError
            As `champions.load_lineup`, `memory.history_of` and `memory.load_memory`.
        """
        lineup = load_lineup(self.shelf, order.serving)
        champion = lineup.models.get("champion")
        if champion is None and order.held is not None:
            return Prepared(lineup, None)
        run_id = champion.run_id if champion is not None else order.first_run
        if run_id is None:
            return Prepared(lineup, None)
        history = history_of(self._workspace, self.scenario, order.branch, run_id)
        if history == order.held:
            return Prepared(lineup, None)
        return Prepared(lineup, load_memory(self._workspace, self.scenario, history, run_id))

    def install(self, order: Order, prepared: Prepared) -> None:
        """Let what was ordered serve from now on.

        Raises
        ------
        Unavailable
            The log can't be read, so the memory can't be brought up to now.
        """
        if order.life != self._life:
            return
        if prepared.memory is not None:
            # What was answered while the memory was built is in the log, and not yet in it.
            memory = prepared.memory
            memory.follow(replay(self._workspace, memory.stream, memory.replayed))
            self.memory = memory
        self.lineup = prepared.lineup
        self.loading, self.problem = False, None
        if self.lineup.absent:
            self._try_later()
        else:
            self._failures, self._retry_at = 0, 0.0

    def fail(self, order: Order, error: FlightdeckError) -> None:
        """Remember why it could not be prepared; what served before goes on, and it is tried again."""
        if order.life != self._life:
            return
        if self.problem is None or str(self.problem) != str(error):
            log.warning("'%s' can't be prepared: %s", self.scenario.name, error)
        self.loading, self.problem = False, error
        self._try_later()

    def _try_later(self) -> None:
        """Wait twice as long after each failure in a row: what is broken must not keep the machine busy."""
        self._retry_at = time.monotonic() + min(RETRY_S * 2**self._failures, LONGEST_RETRY_S)
        self._failures += 1

    def forget(self) -> None:
        """Drop the memory: it remembers events that were never logged. It is built again from the log."""
        self.memory = None

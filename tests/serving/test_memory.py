"""What serving remembers: equal to what training would have seen, and the same after a restart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from real_gateway import collected

from pipelines.errors import BadInput, Missing, Refused
from pipelines.features import offline
from pipelines.lifecycle import EVENTS, LIFECYCLE
from pipelines.run import create_run
from pipelines.scenarios import find_scenario
from pipelines.scenarios.scenario import DAY_S
from pipelines.serving.memory import Event, History, Memory, history_of, world_of
from pipelines.serving.open_inference import FIRST_GIVEN_ID
from pipelines.serving.predictions import Entry, Stream
from pipelines.workspace import Workspace

FRAUD = find_scenario("fraud")
HISTORY = History(Stream("me", "main", "fraud", "small-1"), "digest")
BEFORE_DAY, UNTIL_DAY = 43, 45


def sent(event_id: int | None = None, time_s: int | None = None, **columns: float) -> Event:
    """An event as a client sends it."""
    plain = {"customer_id": 7, "terminal_id": 42, "amount": 62.5}
    return plain | columns | {"event_id": event_id, "event_time": time_s}


@pytest.fixture
def history() -> pd.DataFrame:
    return collected(until_day=BEFORE_DAY)


@pytest.fixture
def memory(history: pd.DataFrame) -> Memory:
    return Memory(FRAUD, HISTORY, history)


def take(memory: Memory, event: Event) -> np.ndarray:
    return memory.take(memory.complete(event, memory.clock))


def test_an_event_without_id_and_time_gets_both(memory: Memory) -> None:
    first = memory.complete(sent(), memory.clock)
    assert first["event_id"] == FIRST_GIVEN_ID
    assert first["event_time"] == BEFORE_DAY * DAY_S
    memory.take(first)
    assert memory.complete(sent(), memory.clock)["event_id"] == FIRST_GIVEN_ID + 1


def test_the_present_goes_on_with_the_newest_event(memory: Memory) -> None:
    later_s = BEFORE_DAY * DAY_S + 500
    take(memory, sent(time_s=later_s))
    take(memory, sent(time_s=later_s - 100))
    assert memory.complete(sent(), memory.clock)["event_time"] == later_s


def test_each_event_counts_for_the_next_of_the_same_customer(memory: Memory) -> None:
    names = [feature.name for feature in FRAUD.features]
    count = names.index("customer_count_30d")
    first, second = take(memory, sent()), take(memory, sent())
    assert second[count] == first[count] + 1


def test_served_features_equal_those_of_training(memory: Memory) -> None:
    # given the two days after the history, as the world produced them
    world = collected(until_day=UNTIL_DAY)
    arriving = world[world["event_time"] >= BEFORE_DAY * DAY_S]
    columns = ["event_id", "event_time", "customer_id", "terminal_id", "amount"]

    # when they are served one after the other
    events = [
        dict(zip(columns, row, strict=True))
        for row in zip(*(arriving[column].tolist() for column in columns), strict=True)
    ]
    found = np.array([take(memory, event) for event in events])

    # then each row is what training would compute with the labels known on the first day
    known = world["label"].mask(world["label_time"] > BEFORE_DAY * DAY_S)
    expected = offline.compute(FRAUD, world.assign(label=known))
    names = [feature.name for feature in FRAUD.features]
    assert np.array_equal(found, expected[names].to_numpy()[-len(found) :])
    assert len(found) > 500


@pytest.mark.parametrize("at_once", [0, 1, 60, 1000])
def test_a_memory_built_again_is_the_same(memory: Memory, history: pd.DataFrame, at_once: int) -> None:
    # given a memory that has served events, some late, and learned labels, some of the history's events
    entries: list[Entry] = []

    def tell(event_id: int, label: int, time_s: int) -> None:
        memory.learn(event_id, label, time_s)
        entries.append(Entry(len(entries) + 1, event_id, time_s, None, label))

    waiting = history[history["label"].isna()].sample(20, random_state=1)
    for number in range(120):
        late_s = DAY_S // 2 if number % 7 == 3 else 0
        client = {"customer_id": number % 5, "terminal_id": number % 3, "amount": number * 1.01}
        time_s = memory.clock.present_s + 3600 - late_s
        event = memory.complete(sent(10**6 + number if number % 2 else None, time_s, **client), memory.clock)
        memory.take(event)
        entries.append(Entry(len(entries) + 1, event["event_id"], event["event_time"], client, None))
        if number % 4 == 0:
            tell(event["event_id"], number % 8 // 4, event["event_time"] + 1)
        if number % 6 == 0:
            tell(int(waiting["event_id"].iloc[number // 6]), 1, time_s)

    # when it is built again from the history and the log, so many entries at once and then one by one
    again = Memory(FRAUD, HISTORY, history, entries[:at_once])
    again.follow(entries[at_once:])

    # then it says the same of the next events
    assert again.clock == memory.clock
    assert again.replayed == entries[-1].seq
    for number in range(40):
        later = sent(time_s=memory.clock.present_s + 3600, customer_id=number % 8, terminal_id=number % 4)
        assert np.array_equal(take(again, dict(later)), take(memory, dict(later)))


def test_an_entry_told_twice_counts_once(memory: Memory, history: pd.DataFrame) -> None:
    entry = Entry(1, 10**6, BEFORE_DAY * DAY_S, {"customer_id": 7, "terminal_id": 42, "amount": 5.0}, None)
    memory.follow([entry, Entry(2, entry.event_id, entry.time_s, entry.event, None)])
    once = Memory(FRAUD, HISTORY, history)
    once.follow([entry])
    assert np.array_equal(take(memory, sent()), take(once, sent()))


def test_an_unknown_customer_is_a_cold_start(memory: Memory) -> None:
    stranger = memory.complete(sent(customer_id=10**6), memory.clock)
    assert memory.cold_start(stranger) == "customer_id"
    memory.take(stranger)
    assert memory.cold_start(memory.complete(sent(customer_id=10**6), memory.clock)) == ""
    assert memory.cold_start(memory.complete(sent(customer_id=-1, terminal_id=-1), memory.clock)) == (
        "customer_id,terminal_id"
    )


def test_a_collected_event_is_recognised_and_not_counted_again(memory: Memory, history: pd.DataFrame) -> None:
    # given the newest event of the history
    newest = history.iloc[-1]
    again = sent(
        int(newest["event_id"]),
        customer_id=int(newest["customer_id"]),
        terminal_id=int(newest["terminal_id"]),
        amount=float(newest["amount"]),
    )

    # when it is sent
    event = memory.complete(again, memory.clock)
    found = memory.take(event)

    # then its features are those it had, now and when it is sent once more
    names = [feature.name for feature in FRAUD.features]
    expected = offline.compute(FRAUD, history)[names].to_numpy()[-1]
    assert event["event_time"] == newest["event_time"]
    assert np.array_equal(found, expected)
    assert np.array_equal(memory.take(event), expected)


def test_another_event_under_a_collected_id_is_refused(memory: Memory, history: pd.DataFrame) -> None:
    for event_id in (0, int(history["event_id"].iloc[-1])):
        with pytest.raises(Refused, match="leave event_id out"):
            memory.complete(sent(event_id, amount=9999.0), memory.clock)


def test_an_id_that_only_the_gateway_gives_is_refused(memory: Memory) -> None:
    with pytest.raises(BadInput, match="gateway alone"):
        memory.complete(sent(FIRST_GIVEN_ID + 5), memory.clock)


def test_an_event_that_is_too_late_is_refused(memory: Memory, history: pd.DataFrame) -> None:
    newest_s = int(history["event_time"].max())
    memory.complete(sent(10**6, newest_s - DAY_S), memory.clock)
    with pytest.raises(BadInput, match=r"1\.0 days before"):
        memory.complete(sent(10**6, newest_s - DAY_S - 1), memory.clock)


def test_ids_that_were_never_answered_need_no_look_into_the_log(memory: Memory) -> None:
    assert not memory.may_know(10**6)
    assert not memory.may_know(FIRST_GIVEN_ID)
    take(memory, sent(10**6))
    take(memory, sent())
    assert memory.may_know(10**6)
    assert memory.may_know(FIRST_GIVEN_ID)
    assert not memory.may_know(FIRST_GIVEN_ID + 1)


def test_a_run_that_lost_its_events_is_named(workspace: Workspace) -> None:
    run = create_run(workspace, "fraud")
    with pytest.raises(Missing, match="has lost data/events"):
        history_of(workspace, FRAUD, "main", run.run_id)


def test_the_world_is_that_of_the_run_that_collected(workspace: Workspace, tmp_path: Path) -> None:
    # given a run that ingested, and one that begins with its events but has other params
    first = create_run(workspace, "fraud", {"ingest": {"size": "small"}}, seed=3)
    folder = workspace.run_folder(first.run_id)
    for name in ("ingest", "validate", "clean", "version", "features"):
        (folder / "steps" / name).mkdir(parents=True)
        (folder / "steps" / name / "done.json").write_text("{}")
    (folder / EVENTS.path).parent.mkdir()
    collected(until_day=BEFORE_DAY).to_parquet(folder / EVENTS.path, index=False)
    for name in ("ingest", "validate", "clean", "version", "features"):
        for artifact in LIFECYCLE.step(name).outputs:
            if artifact != EVENTS:
                (folder / artifact.path).parent.mkdir(exist_ok=True)
                (folder / artifact.path).write_bytes(b"")
    later = ["train", "evaluate", "register", "deploy"]
    second = create_run(workspace, "fraud", seed=4, steps=later, base=first.run_id)

    # then both have the same world
    assert world_of(workspace, first.run_id) == world_of(workspace, second.run_id) == "small-3"

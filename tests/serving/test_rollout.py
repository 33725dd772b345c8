"""Which version answers an event: pure, stable, and as large a share as was said."""

from __future__ import annotations

from pipelines.promotion import Serving
from pipelines.serving.rollout import choose, place

EVENTS = range(20_000)


def test_without_a_canary_the_champion_answers_everything() -> None:
    assert {choose(event, Serving(champion=1, share=0.5)) for event in EVENTS} == {"champion"}


def test_canary_share_zero_sends_all_to_the_champion() -> None:
    assert {choose(event, Serving(champion=1, canary=2, share=0.0)) for event in EVENTS} == {"champion"}


def test_the_canary_gets_the_share_that_was_said() -> None:
    # given a share of 10%: of 20,000 events 2,000, with a standard deviation of 42
    serving = Serving(champion=1, canary=2, share=0.1)

    # when every event is routed
    found = sum(choose(event, serving) == "canary" for event in EVENTS)

    # then it is within five of those
    assert abs(found - 2000) < 212


def test_the_same_event_always_takes_the_same_route() -> None:
    serving = Serving(champion=1, canary=2, share=0.5)
    assert [choose(event, serving) for event in EVENTS] == [choose(event, serving) for event in EVENTS]
    assert [choose(event, serving) for event in range(4)] == ["canary", "canary", "champion", "canary"]


def test_a_share_that_grows_keeps_the_events_it_had() -> None:
    small, large = (Serving(champion=1, canary=2, share=share) for share in (0.1, 0.3))
    had = {event for event in EVENTS if choose(event, small) == "canary"}
    has = {event for event in EVENTS if choose(event, large) == "canary"}
    assert had < has


def test_another_canary_gets_other_events() -> None:
    # given two canaries of 10% each: if they were independent, 1% of all events would be both's
    both = [event for event in EVENTS if place(event, 2) < 0.1 and place(event, 3) < 0.1]

    # then 200 are, with a standard deviation of 14
    assert abs(len(both) - 200) < 70

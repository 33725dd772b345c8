"""What a definition may not be, and how values are checked against it."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import pytest
from pydantic import Field

from pipelines.errors import BadInput
from pipelines.step import Artifact, Params, Pipeline, Step


class Depth(Params):
    depth: int = Field(6, ge=1, le=32, description="Depth of each tree.")
    kind: Literal["a", "b"] = "a"


def make_step(name: str, reads: tuple[str, ...] = (), writes: tuple[str, ...] = ()) -> Step:
    artifacts = {each: Artifact(each, f"data/{each}.parquet", "table") for each in reads + writes}
    return Step(
        name,
        name.title(),
        f"{name}.ipynb",
        Depth,
        tuple(artifacts[each] for each in reads),
        tuple(artifacts[each] for each in writes),
    )


def test_order_follows_from_who_writes_what_another_reads() -> None:
    last = make_step("last", reads=("y",))
    middle = make_step("middle", reads=("x",), writes=("y",))
    first = make_step("first", writes=("x",))
    assert Pipeline(last, middle, first).names == ("first", "middle", "last")


def test_independent_steps_keep_the_order_of_their_definition() -> None:
    steps = [make_step(name, writes=(name,)) for name in ("c", "a", "b")]
    assert Pipeline(*steps).names == ("c", "a", "b")


def test_upstream_and_downstream_go_all_the_way() -> None:
    pipeline = Pipeline(
        make_step("a", writes=("x",)), make_step("b", ("x",), ("y",)), make_step("c", ("y",), ("z",))
    )
    assert pipeline.upstream("c") == {"a", "b"}
    assert pipeline.downstream("a") == {"b", "c"}
    assert pipeline.upstream("a") == frozenset()


@pytest.mark.parametrize(
    ("steps", "word"),
    [
        ((make_step("a"), make_step("a")), "two steps are called 'a'"),
        ((make_step("a", writes=("x",)), make_step("b", writes=("x",))), "both write 'x'"),
        ((make_step("a", reads=("x",)),), "reads 'x', which no step writes"),
        ((make_step("a", ("y",), ("x",)), make_step("b", ("x",), ("y",))), "wait for each other"),
    ],
)
def test_a_wrong_definition_fails_when_it_is_made(steps: tuple[Step, ...], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        Pipeline(*steps)


@pytest.mark.parametrize(
    ("values", "found", "expected"),
    [
        ({"depth": 0}, "a.depth is 0", "greater than or equal to 1"),
        ({"depth": 33}, "a.depth is 33", "less than or equal to 32"),
        ({"depth": "deep"}, "a.depth is 'deep'", "valid integer"),
        ({"depth": 2.5}, "a.depth is 2.5", "integer"),
        ({"kind": "c"}, "a.kind is 'c'", "'a' or 'b'"),
        ({"dept": 3}, "no param 'dept'", "depth, kind"),
        ({"depth": "x" * 500}, "…", "integer"),
    ],
)
def test_a_refused_value_says_what_was_found_and_expected(
    values: dict[str, object], found: str, expected: str
) -> None:
    with pytest.raises(BadInput) as caught:
        make_step("a").check(values)
    assert found in str(caught.value)
    assert expected in str(caught.value)
    assert len(str(caught.value)) < 400


def test_texts_from_the_command_line_become_numbers_by_the_fields_type() -> None:
    pipeline = Pipeline(make_step("a"))
    checked = pipeline.check(pipeline.read_settings(["a.depth=9", "a.kind=b"]))
    assert checked["a"].model_dump() == {"depth": 9, "kind": "b"}


@pytest.mark.parametrize("text", ["a.depth", "depth=3", "=3", "a.=3", ".depth=3"])
def test_a_setting_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match=r"STEP\.PARAM=VALUE"):
        Pipeline(make_step("a")).read_settings([text])


def test_params_can_not_be_changed_once_made() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Depth().depth = 3  # type: ignore[misc]


def test_the_road_leaves_out_what_is_run_on_demand() -> None:
    aside = replace(make_step("aside", reads=("x",), writes=("y",)), on_demand=True)
    pipeline = Pipeline(make_step("a", writes=("x",)), aside)
    assert pipeline.names == ("a", "aside")
    assert pipeline.road == ("a",)

"""Two runs side by side: what differs is said, what is equal too, and where they part."""

from __future__ import annotations

import json

import page_samples as samples
import pytest

from pipelines.errors import Damaged
from pipelines.execution.comparison import Measured, compare
from pipelines.lifecycle import LIFECYCLE
from pipelines.run import write_json
from pipelines.workspace import Workspace


def test_a_run_beside_itself_differs_in_nothing(workspace: Workspace) -> None:
    # given
    folder = workspace.run_folder(samples.completed(workspace).run_id)
    # when
    found = compare(folder, folder)
    # then
    assert found.parts_at is None
    assert not any(each.differs for each in [*found.params, *found.facts, *found.libraries])
    assert all(each.equal for each in found.outputs)
    assert all(each.overlap for each in found.metrics)
    assert [each.name for each in found.seconds] == list(LIFECYCLE.road)
    for each in found.distributions:
        assert each.a == pytest.approx(each.b)
        assert each.a.sum() == pytest.approx(1)


def test_the_first_step_whose_output_differs_is_where_they_part(workspace: Workspace) -> None:
    # given two runs whose models and evaluations were recorded with other digests
    a = workspace.run_folder(samples.completed(workspace).run_id)
    b = workspace.run_folder(
        samples.completed(workspace, params=samples.PARAMS | {"train": {"trees": 200}}).run_id
    )
    for folder, digest in ((a, "a" * 16), (b, "b" * 16)):
        for step, artifact in (("train", "model"), ("evaluate", "evaluation")):
            path = folder / "steps" / step / "done.json"
            write_json(path, json.loads(path.read_text()) | {"outputs": {artifact: digest}})
    # when
    found = compare(a, b)
    # then
    assert found.parts_at == "train"
    assert {each.name: (each.a, each.b) for each in found.params if each.differs} == {
        "train.trees": (100, 200),
        "train.model": ("logistic", "boosting"),
    }
    assert {each.artifact for each in found.outputs if each.equal is False} == {"model", "evaluation"}


def test_a_run_that_ended_early_leaves_its_place_empty(workspace: Workspace) -> None:
    # given
    a = workspace.run_folder(samples.completed(workspace).run_id)
    b = workspace.run_folder(samples.failed(workspace, "train").run_id)
    # when
    found = compare(a, b)
    # then
    missing = {each.artifact for each in found.outputs if each.b is None and each.a is not None}
    assert {"model", "evaluation", "registration", "deployment"} <= missing
    assert all(each.b is None and each.overlap is None for each in found.metrics)
    assert found.data[0] is not None
    assert found.data[0].first_day == 0
    assert found.data[0].rows > 50_000


@pytest.mark.parametrize(
    ("a", "b", "overlap"),
    [
        ((0.5, 0.4, 0.6), (0.55, 0.5, 0.7), True),
        ((0.5, 0.4, 0.6), (0.65, 0.6, 0.7), True),
        ((0.5, 0.4, 0.6), (0.7, 0.61, 0.8), False),
        ((0.7, 0.61, 0.8), (0.5, 0.4, 0.6), False),
        ((0.5, None, None), (0.5, 0.4, 0.6), None),
        (None, (0.5, 0.4, 0.6), None),
    ],
)
def test_intervals_overlap_when_they_share_a_value(a: tuple, b: tuple, overlap: bool | None) -> None:
    assert Measured("auc", a, b).overlap is overlap


def test_damaged_facts_are_an_error_and_damaged_files_are_left_out(workspace: Workspace) -> None:
    # given
    a = workspace.run_folder(samples.completed(workspace).run_id)
    b = workspace.run_folder(samples.completed(workspace).run_id)
    for name in ("reports/evaluation.json", "params.json", "data/events.parquet"):
        (b / name).write_text("{")
    # when
    found = compare(a, b)
    # then
    assert all(each.b is None for each in found.params)
    assert all(each.b is None for each in found.metrics)
    assert found.data[1] is None
    assert found.distributions == []
    # and a run that can't be read at all is said
    with pytest.raises(Damaged, match=r"run\.json"):
        compare(a, workspace.run_folder(samples.damaged(workspace)))

"""Trials: finished features for one version, scored and forgotten.

Comes in: the body of a request with one V2 input for each feature. Goes out: the scores. Nothing is logged,
and no event is remembered: a version can be tried beside production without production noticing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import BadInput
from pipelines.registry import ServedModel
from pipelines.serving.champions import score
from pipelines.serving.infer_request import MAX_ROWS, read_fields, read_json

ABOUT = "One input for each feature, FP64 of shape [n]; answered with the scores, and nothing is logged."


def try_version(model: ServedModel, body: bytes) -> list[float]:
    """The version's scores of the rows of features in `body`.

    Raises
    ------
    NotJson, BadInput
        It is not of the form that `ABOUT` says; names the feature.
    """
    fields = read_fields(read_json(body), "The request", ("inputs",), ("id", "parameters"))
    names = list(model.card["features"])
    inputs = fields["inputs"] if isinstance(fields["inputs"], list) else []
    given: dict[str, NDArray[np.float64]] = {}
    for each in inputs:
        entry = read_fields(each, "An input", ("name", "shape", "datatype", "data"), ("parameters",))
        given[str(entry["name"])] = _column(entry["name"], entry["data"])
    if sorted(given) != sorted(names):
        odd = sorted(set(given) ^ set(names))
        raise BadInput(
            f"The inputs are not the version's features: {', '.join(odd[:3])} "
            f"{'is' if len(odd) == 1 else 'are'} on one side only.",
            f"Expected: {', '.join(names)}.",
        )
    lengths = {len(values) for values in given.values()}
    if len(lengths) != 1 or not 1 <= min(lengths) <= MAX_ROWS:
        raise BadInput(
            f"The inputs have {', '.join(map(str, sorted(lengths)))} rows.",
            f"Send 1 to {MAX_ROWS:,} rows, as many for each feature.",
        )
    scores: list[float] = score(model, np.column_stack([given[name] for name in names])).tolist()
    return scores


def _column(name: object, data: object) -> NDArray[np.float64]:
    values = data if isinstance(data, list) else [None]
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        raise BadInput(f"Input '{str(name)[:40]}' holds something that is no number.", "Send numbers.")
    return np.array(values, dtype=np.float64)

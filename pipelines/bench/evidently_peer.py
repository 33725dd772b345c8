"""What Evidently finds in two files: run by the Python of its own environment, where ours can't be imported.

    python evidently_peer.py REFERENCE.parquet CURRENT.parquet

Prints one JSON object: version, report_s (its report of all columns), functions_s (its test functions
alone, which compute the scores and nothing else) and columns {name: {method, score, drifted}}.
"""

import json
import sys
import time
import warnings
from importlib.metadata import version

import numpy as np
import pandas as pd


def main(reference_path: str, current_path: str) -> None:
    warnings.simplefilter("ignore")
    from evidently import Report
    from evidently.core.datasets import infer_column_type
    from evidently.legacy.calculations.stattests import get_stattest
    from evidently.presets import DataDriftPreset

    reference, current = pd.read_parquet(reference_path), pd.read_parquet(current_path)
    began = time.perf_counter()
    columns = {}
    for name in reference.columns:
        kind = infer_column_type(current[name]).value
        # As its report does before it asks a test.
        before, now = (
            side[name].replace([-np.inf, np.inf], np.nan).dropna() for side in (reference, current)
        )
        test = get_stattest(before, now, kind, None)
        found = test(before, now, kind, None)
        columns[name] = {
            "method": test.name,
            "score": float(found.drift_score),
            "drifted": bool(found.drifted),
        }
    functions_s = time.perf_counter() - began
    began = time.perf_counter()
    told = Report([DataDriftPreset()]).run(current, reference).dict()
    report_s = time.perf_counter() - began
    for metric in told["metrics"]:
        name = metric["config"].get("column")
        if name is not None and abs(metric["value"] - columns[name]["score"]) > 1e-12:
            raise SystemExit(f"Evidently's report and its test disagree on {name}")
    answer = {"version": version("evidently"), "report_s": report_s, "functions_s": functions_s}
    sys.stdout.write(json.dumps(answer | {"columns": columns}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])

"""The report of a validation: all checks, the days behind them, and a verdict that may stop the run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from pipelines.errors import Refused
from pipelines.lifecycle import Validate
from pipelines.scenarios.scenario import Scenario
from pipelines.validation.batch import Daily, check_batch, count_days
from pipelines.validation.check import Check, Example
from pipelines.validation.schema import check_values

# Without these, or with another type in them, days can't be told apart.
NEEDED = ("event_time", "label_time", "label")


def validate(scenario: Scenario, batch: pd.DataFrame, params: Validate) -> dict[str, Any]:
    """Look at a batch with every rule there is; nothing stops here.

    Parameters
    ----------
    batch : DataFrame
        As the source delivered it; anything may be wrong with it.

    Returns
    -------
    dict
        JSON: passed, rows, limits {most_damaged, most_change}, checks (those of `Check`), daily {days,
        today, rows, labelled, medians and missing by column; None where a day has no value} and summary.
    """
    checks = check_values(scenario, batch, params.most_damaged)
    fit = {check.column for check in checks if check.name == "type" and check.passed}
    daily = None
    if len(batch) and fit.issuperset(NEEDED):
        numbers = [column for column in scenario.columns if column.kind == "number" and column.name in fit]
        daily = count_days(batch, numbers)
        checks += check_batch(scenario, batch, daily, params.most_change, params.most_damaged)
    passed = all(check.passed for check in checks) and len(batch) > 0
    return {
        "passed": passed,
        "rows": len(batch),
        "limits": {"most_damaged": params.most_damaged, "most_change": params.most_change},
        "checks": [asdict(check) for check in checks],
        "daily": _plain(daily),
        "summary": _summary(checks, len(batch)),
    }


def checks_of(report: Mapping[str, Any]) -> list[Check]:
    """The checks of a report, those that stop the run first, then those that found anything."""
    checks = [
        Check(**{**each, "examples": tuple(Example(**example) for example in each["examples"])})
        for each in report["checks"]
    ]
    return sorted(checks, key=lambda check: (check.passed, check.count == 0))


def require(report: Mapping[str, Any], on_failure: str = "stop") -> None:
    """Stop a run whose batch is not fit to be worked with.

    Raises
    ------
    Refused
        A check failed and `on_failure` is "stop". Names the column, how much was found and an example.
    """
    if report["passed"] or on_failure == "go on":
        return
    failed = [check for check in checks_of(report) if not check.passed]
    if not failed:
        raise Refused("The batch is empty: no row was delivered.", "Collect again, or ask the source.")
    first, others = failed[0], len(failed) - 1
    example = f" ({first.examples[0]})" if first.examples else ""
    more = f" {others} more check{'s' if others > 1 else ''} failed." if others else ""
    raise Refused(
        f"{first.found}{example}.{more}",
        "Collect again when the source is mended, or let clean repair: set validate.on_failure to 'go on'.",
    )


def _summary(checks: list[Check], rows: int) -> str:
    failed = [check for check in checks if not check.passed]
    repairable = [check for check in checks if check.passed and check.count]
    if not rows:
        return "Nothing was delivered."
    words = f"{len(checks)} checks, {len(failed)} failed."
    if repairable:
        faults = sum(check.count for check in repairable)
        words += f" Faults in {rows:,} rows that are few enough to be repaired: {faults:,}."
    return words if failed or repairable else f"{len(checks)} checks, nothing found."


def _plain(daily: Daily | None) -> dict[str, Any]:
    """The days as JSON takes them: without nan."""
    if daily is None:
        return {}
    medians = {
        name: [None if np.isnan(value) else float(value) for value in values]
        for name, values in daily.medians.items()
    }
    return {
        "days": daily.days.tolist(),
        "today": daily.today,
        "rows": daily.rows.tolist(),
        "labelled": daily.labelled.tolist(),
        "medians": medians,
        "missing": {name: values.tolist() for name, values in daily.missing.items()},
    }

"""Tuning: which params would do better, found on days that the test will never ask about?

Comes in: features with labels, how long to search. Goes out: a report of every trial, the default's score
beside the best one's, and whether the difference is more than luck. The search stands on the morning on
which the test begins: it knows no label that came later, and validates on the newest days known by then.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from pipelines import experiments, training
from pipelines.artifacts import StepFiles
from pipelines.errors import BadInput
from pipelines.evaluation import tested_rows
from pipelines.experiments import Trial, describe
from pipelines.lifecycle import Train, Tune
from pipelines.scenarios.scenario import DAY_S, Scenario
from pipelines.tasks import find_task

if TYPE_CHECKING:
    import optuna

RESAMPLES = 200
# So many trials without a better one, and the search has run dry.
PATIENCE = 30
KINDS = ("logistic", "forest", "boosting")


Tell = Callable[[Trial], None]


def search(
    scenario: Scenario,
    features: pd.DataFrame,
    params: Tune,
    seed: int,
    tell: Tell | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> dict[str, Any]:
    """Try params until the trials or the time are used up.

    The first trial is the default. Then the tree-structured Parzen estimator proposes what lies near
    the good ones so far. The same seed tries the same, unless the time runs out first.

    Parameters
    ----------
    features : DataFrame
        As `features.offline.compute` makes it.
    tell : function of a Trial, optional
        Told of each trial as it ends.

    Returns
    -------
    dict
        trials (number, params, average_precision), default (params, average_precision, low, high), best
        (number, params, average_precision), gain {value, low, high} of the best over the default on the
        same draws, verdict, words, stopped ("trials", "time" or "dry"), windows (days), rows, positives.
        No durations: a search that was not cut short gives the same report each time.

    Raises
    ------
    BadInput
        Too few days have passed, or the validation days hold one label only.

    References
    ----------
    Bergstra, Bardenet, Bengio, Kégl (2011), "Algorithms for hyper-parameter optimization", NIPS.
    """
    past, test_from = _until_the_test(scenario, features, params)
    tried: list[Trial] = []
    scored: dict[int, pd.DataFrame] = {}
    study, began, stopped, best = _study(seed, params), clock(), "trials", 0
    for number in range(params.trials):
        if number and clock() - began >= params.seconds:
            stopped = "time"
            break
        asked, since = study.ask(), clock()
        chosen = _suggest(asked, params)
        fitted = training.fit(scenario, past, chosen, seed, test_from)
        rows = tested_rows(scenario, past, fitted)
        found, low, high = _measure(scenario, rows, seed, RESAMPLES if number == 0 else 0)
        study.tell(asked, found)
        tried.append(Trial(number, chosen.model_dump(), found, low, high, round(clock() - since, 3)))
        scored[number] = rows
        if tell is not None:
            tell(tried[-1])
        # Of all that was scored only the default and the best are needed in the end.
        if found > tried[best].average_precision:
            scored = {0: scored[0], number: rows}
            best = number
        elif number - best >= PATIENCE:
            stopped = "dry"
            break
    return _report(scenario, params, tried, best, scored, stopped, seed, test_from)


def keep_trials(step: StepFiles) -> Tell:
    """A function that keeps each trial: in the attempt's folder, in MLflow, and as a printed line."""

    def keep(trial: Trial) -> None:
        experiments.keep_trial(step, trial)
        sys.stdout.write(
            f"trial {trial.number}: {trial.average_precision:.3f}  {describe(trial.params)}, "
            f"{trial.seconds:.1f} s\n"
        )
        sys.stdout.flush()

    return keep


def _until_the_test(scenario: Scenario, features: pd.DataFrame, params: Tune) -> tuple[pd.DataFrame, int]:
    """The features as they were known when the test began, and that moment."""
    now_s, delay = training.today(features), scenario.label_delay_days
    needed = params.train_days + 2 * params.test_days + 3 * delay
    if now_s // DAY_S < needed:
        raise BadInput(
            f"A search trains on {params.train_days} days and validates on {params.test_days}, before a test "
            f"of {params.test_days}, each followed by {delay} days until its labels are known. That takes "
            f"{needed} days, but {now_s // DAY_S} were collected.",
            f"Set ingest.until_day to {needed} or later, or tune.train_days or tune.test_days lower.",
        )
    test_from = training.windows(now_s, delay, params.train_days, params.test_days).test_from
    past = features[features["event_time"] < test_from].reset_index(drop=True)
    # A label that came later is hidden, as it was then.
    return past.assign(label=past["label"].mask(past["label_time"] > test_from)), test_from


def _study(seed: int, params: Tune) -> optuna.Study:
    """A search in memory that begins with the default."""
    # Here and not above: only a search pays for the library. It warns notebooks of a progress bar that is
    # never drawn.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    first = _default(params)
    kind = first.model
    queued = {"model": kind, "balance": first.balance}
    queued |= {f"{kind}.{name}": getattr(first, name) for name in _SPACE[kind]}
    study.enqueue_trial(queued)
    return study


def _default(params: Tune) -> Train:
    """What train would do by itself, of the kind that is searched."""
    kind = Train.model_fields["model"].default if params.model == "any" else params.model
    return Train.model_validate(
        {"model": kind, "train_days": params.train_days, "test_days": params.test_days}
    )


# Lowest, highest, and whether a step near the low end matters as much as a larger one near the high end.
_SPACE: dict[str, dict[str, tuple[float, float, bool]]] = {
    "logistic": {"regularisation": (0.001, 100.0, True)},
    "forest": {"trees": (20, 150, True), "max_depth": (2, 12, False)},
    "boosting": {"trees": (20, 300, True), "max_depth": (2, 10, False), "learning_rate": (0.01, 0.3, True)},
}


def _suggest(trial: optuna.Trial, params: Tune) -> Train:
    """The params of the next trial."""
    kind = params.model
    if kind == "any":
        kind = trial.suggest_categorical("model", KINDS)  # type: ignore[assignment]
    values: dict[str, Any] = {
        "model": kind,
        "balance": trial.suggest_categorical("balance", ("none", "balanced")),
        "train_days": params.train_days,
        "test_days": params.test_days,
    }
    for name, (low, high, log) in _SPACE[kind].items():
        if isinstance(low, int):
            values[name] = trial.suggest_int(f"{kind}.{name}", low, int(high), log=log)
        else:
            values[name] = float(f"{trial.suggest_float(f'{kind}.{name}', low, high, log=log):.3g}")
    return Train.model_validate(values)


def _measure(
    scenario: Scenario, rows: pd.DataFrame, seed: int, resamples: int
) -> tuple[float, float | None, float | None]:
    """Average precision on the validation rows; its interval when samples are asked for."""
    if rows["label"].nunique() < 2:
        raise BadInput(
            f"The validation days hold {len(rows):,} {scenario.events} of one outcome only.",
            "Set tune.test_days higher, or ingest.until_day later.",
        )
    found, low, high = find_task(scenario.task).precision_with_interval(rows, max(resamples, 1), seed)
    return (
        round(found, 6),
        round(low, 6) if resamples else None,
        round(high, 6) if resamples else None,
    )


def _report(
    scenario: Scenario,
    params: Tune,
    tried: list[Trial],
    best: int,
    scored: dict[int, pd.DataFrame],
    stopped: str,
    seed: int,
    test_from: int,
) -> dict[str, Any]:
    default, rows = tried[0], scored[0]
    gain = find_task(scenario.task).precision_gain(
        rows, rows["score"].to_numpy(), scored[best]["score"].to_numpy(), RESAMPLES, seed
    )
    span = training.windows(test_from, scenario.label_delay_days, params.train_days, params.test_days)
    verdict = _verdict(default, tried[best], gain)
    return {
        "trials": [
            {name: getattr(each, name) for name in ("number", "params", "average_precision")}
            for each in tried
        ],
        "default": {name: getattr(default, name) for name in ("params", "average_precision", "low", "high")},
        "best": {
            "number": best,
            "params": tried[best].params,
            "average_precision": tried[best].average_precision,
        },
        "gain": gain,
        "verdict": verdict,
        "words": _words(scenario, tried, best, gain, verdict),
        "stopped": stopped,
        "windows": {
            "train": {"from": span.train_from // DAY_S, "until": span.train_until // DAY_S},
            "validation": {"from": span.test_from // DAY_S, "until": span.test_until // DAY_S},
            "test": {"from": test_from // DAY_S},
        },
        "rows": len(rows),
        "positives": int(rows["label"].sum()),
    }


def _verdict(default: Trial, best: Trial, gain: Mapping[str, float]) -> str:
    """ "above the noise", "better on the same rows" or "within the noise"."""
    if best.number == 0 or gain["low"] <= 0:
        return "within the noise"
    return "above the noise" if best.average_precision > (default.high or 0) else "better on the same rows"


def _words(scenario: Scenario, tried: list[Trial], best: int, gain: Mapping[str, float], verdict: str) -> str:
    default, found, many = tried[0], tried[best], len(tried)
    if best == 0:
        return (
            f"None of {many} trials did better than the default ({default.average_precision:.3f}). Keep it."
        )
    said = (
        f"The best of {many} trials reaches {found.average_precision:.3f}, the default "
        f"{default.average_precision:.3f} (95% interval {default.low:.3f} to {default.high:.3f}). On the "
        f"same {scenario.events} it is higher by {gain['value']:.3f} (95% interval {gain['low']:.3f} to "
        f"{gain['high']:.3f})."
    )
    if verdict == "within the noise":
        return f"{said} Luck alone could make that: the search has found nothing. Keep the default."
    if verdict == "better on the same rows":
        return (
            f"{said} That is a gain, though a small one: it lies within the default's own interval, and the "
            f"best of {many} is always lucky too. Train it, and let the test decide."
        )
    return (
        f"{said} That beats the noise. The best of {many} is always lucky too, so expect a little less on "
        "the test, which the search has not seen."
    )

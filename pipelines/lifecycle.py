"""THE steps: the whole platform on one screen.

Each step is a notebook with typed params, the artifacts it reads and those it writes. Order follows
from who writes what another reads. The browser's forms, the CLI, the local run and every engine's
file come from here. To add a step: its params and its entry here, a notebook, and the stage module
that the notebook calls; nothing else.
"""

from typing import Literal

from pydantic import Field

from pipelines.step import Artifact, Params, Pipeline, Step


class Ingest(Params):
    size: Literal["small", "teaching", "full"] = Field(
        "teaching",
        description="How much of the world to collect: small takes seconds, full is as published.",
    )
    until_day: int = Field(
        60,
        ge=42,
        le=365,
        description="Today, counted from the world's first day: events before it are collected.",
        json_schema_extra={"unit": "days"},
    )
    episodes: str = Field(
        "",
        max_length=200,
        description="What happens to the world, as NAME@DAY, separated by commas: inflation@70.",
    )
    damaged: float = Field(
        0.004,
        ge=0.0,
        le=0.2,
        description="Share of records that are damaged on the way: sent twice, empty or impossible.",
    )
    mishap: Literal["none", "unit", "nulls", "renamed", "late"] = Field(
        "none",
        description="What goes wrong at the source on the newest days: cents for euros, half a column "
        "empty, a column renamed, a day not sent.",
    )
    version: int = Field(
        0,
        ge=0,
        le=9999,
        description="Take up this stored version of the data in place of collecting; 0 collects anew.",
    )


class Validate(Params):
    most_damaged: float = Field(
        0.02,
        ge=0.0,
        le=0.5,
        description="Share of rows that a check may find damaged and leave to cleaning.",
    )
    most_change: float = Field(
        3.0,
        ge=1.2,
        le=20.0,
        description="Factor by which a day's volume or a number's median may differ from the other days'.",
    )
    on_failure: Literal["stop", "go on"] = Field(
        "stop", description="What a failed check does: it stops the run, or lets it go on."
    )


class Clean(Params):
    missing: Literal["drop", "median"] = Field(
        "drop", description="A missing number: the row is left out, or filled with the column's median."
    )
    impossible: Literal["drop", "clip"] = Field(
        "drop", description="A number out of bounds: the row is left out, or set to the nearest bound."
    )
    units: Literal["leave", "rescale"] = Field(
        "leave", description="A day in a hundredfold unit: its numbers stay, or are divided by a hundred."
    )


class Version(Params):
    note: str = Field("", max_length=200, description="Why this version exists, for whoever compares later.")


class Features(Params):
    proof_rows: int = Field(
        2000,
        ge=100,
        le=20_000,
        description="Newest events on which serving's features are compared with these.",
        json_schema_extra={"unit": "rows"},
    )


class Train(Params):
    model: Literal["logistic", "forest", "boosting"] = Field(
        "boosting", description="Logistic regression, random forest or gradient boosting."
    )
    train_days: int = Field(
        21, ge=1, le=120, description="Length of the training window.", json_schema_extra={"unit": "days"}
    )
    test_days: int = Field(
        7,
        ge=1,
        le=60,
        description="Newest labelled days held out from training, for the test.",
        json_schema_extra={"unit": "days"},
    )
    balance: Literal["none", "balanced"] = Field(
        "none", description="Whether the rare class counts as much as the common one."
    )
    trees: int = Field(
        100,
        ge=10,
        le=500,
        description="Number of trees (forest, boosting).",
        json_schema_extra={"unit": "trees"},
    )
    max_depth: int = Field(
        4,
        ge=1,
        le=32,
        description="Depth of each tree (forest, boosting).",
        json_schema_extra={"unit": "levels"},
    )
    learning_rate: float = Field(0.05, ge=0.001, le=1.0, description="Weight of each new tree (boosting).")
    regularisation: float = Field(
        1.0, ge=0.0001, le=1000.0, description="Pull of the weights towards zero (logistic)."
    )


class Tune(Params):
    model: Literal["any", "logistic", "forest", "boosting"] = Field(
        "any", description="Which kind of model to search among."
    )
    trials: int = Field(
        20, ge=3, le=200, description="Models to try at most.", json_schema_extra={"unit": "models"}
    )
    seconds: int = Field(
        60,
        ge=5,
        le=3600,
        description="No further model is begun after this time.",
        json_schema_extra={"unit": "seconds"},
    )
    train_days: int = Field(
        21, ge=1, le=120, description="Length of the training window.", json_schema_extra={"unit": "days"}
    )
    test_days: int = Field(
        7,
        ge=1,
        le=60,
        description="Length of the test that is left untouched, and of the validation before it.",
        json_schema_extra={"unit": "days"},
    )


class Evaluate(Params):
    resamples: int = Field(
        200,
        ge=20,
        le=2000,
        description="Bootstrap samples behind each 95% interval.",
        json_schema_extra={"unit": "samples"},
    )
    least_gain: float = Field(
        0.02,
        ge=0.0,
        le=0.9,
        description="Gate: average precision must exceed the baseline's by this, with its interval.",
    )


class Register(Params):
    note: str = Field(
        "", max_length=200, description="Why this version exists, for whoever reads the registry."
    )


class Package(Params):
    python: Literal["3.11", "3.12", "3.13"] = Field("3.11", description="Python of the container image.")
    port: int = Field(8080, ge=1024, le=65_535, description="Where the packaged server listens.")


class Deploy(Params):
    stage: Literal["staging", "shadow", "canary", "production"] = Field(
        "production", description="Where the version goes: production answers every request."
    )
    share: float = Field(0.1, ge=0.01, le=0.5, description="Part of the traffic that a canary answers.")


class Monitor(Params):
    window_days: int = Field(
        7,
        ge=1,
        le=28,
        description="How many of the newest days are compared with the days before deployment.",
        json_schema_extra={"unit": "days"},
    )
    resamples: int = Field(
        100,
        ge=20,
        le=1000,
        description="Bootstrap samples behind each 95% interval.",
        json_schema_extra={"unit": "samples"},
    )
    method: Literal["default", "psi", "ks", "wasserstein", "jensenshannon"] = Field(
        "default", description="How drift is measured; by default the column's kind and size decide."
    )


COLLECTED = Artifact("collected", "data/collected.parquet", "table")
VALIDATION = Artifact("validation", "reports/validation.json", "report")
EVENTS = Artifact("events", "data/events.parquet", "table")
CLEANING = Artifact("cleaning", "reports/cleaning.json", "report")
SNAPSHOT = Artifact("snapshot", "receipts/snapshot.json", "receipt", fields=("digest", "rows"))
FEATURES = Artifact("features", "data/features.parquet", "table")
TUNING = Artifact("tuning", "reports/tuning.json", "report")
MODEL = Artifact("model", "model", "model")
EVALUATION = Artifact("evaluation", "reports/evaluation.json", "report")
REGISTRATION = Artifact(
    "registration", "receipts/registration.json", "receipt", fields=("model", "model_digest", "gate")
)
PACKAGE = Artifact("package", "package", "folder")
DEPLOYMENT = Artifact(
    "deployment", "receipts/deployment.json", "receipt", fields=("model", "model_digest", "stage", "share")
)

MONITORING = Artifact("monitoring", "reports/monitoring.json", "report")

LIFECYCLE = Pipeline(
    Step("ingest", "Collect the events", "ingest.ipynb", Ingest, (), (COLLECTED,)),
    Step("validate", "Validate what came", "validate.ipynb", Validate, (COLLECTED,), (VALIDATION,)),
    Step("clean", "Clean it", "clean.ipynb", Clean, (COLLECTED, VALIDATION), (EVENTS, CLEANING)),
    Step("version", "Keep a version", "version.ipynb", Version, (EVENTS,), (SNAPSHOT,)),
    Step("features", "Compute the features", "features.ipynb", Features, (EVENTS,), (FEATURES,)),
    Step("tune", "Search for better params", "tune.ipynb", Tune, (FEATURES,), (TUNING,), on_demand=True),
    Step("train", "Train a model", "train.ipynb", Train, (FEATURES,), (MODEL,)),
    Step("evaluate", "Evaluate it", "evaluate.ipynb", Evaluate, (FEATURES, MODEL), (EVALUATION,)),
    Step(
        "register",
        "Register a version",
        "register.ipynb",
        Register,
        (MODEL, EVALUATION, SNAPSHOT),
        (REGISTRATION,),
    ),
    Step("package", "Package it", "package.ipynb", Package, (MODEL, REGISTRATION), (PACKAGE,)),
    Step("deploy", "Deploy it", "deploy.ipynb", Deploy, (REGISTRATION,), (DEPLOYMENT,)),
    Step(
        "monitor",
        "Monitor it",
        "monitor.ipynb",
        Monitor,
        (FEATURES, MODEL, DEPLOYMENT),
        (MONITORING,),
        on_demand=True,
    ),
)

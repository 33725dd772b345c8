"""Imports point one way, and each foreign library has one owner: checked by reading the code."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from pipelines.scenarios import SCENARIOS
from pipelines.settings import REPOSITORY

# From the bottom up. A module may import from its own layer's folder and from the layers below it.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("errors",),
    ("settings", "step"),
    ("workspace", "lifecycle", "branches"),
    ("run", "scenarios"),
    ("artifacts", "events", "figures", "figure_svg"),
    ("mlflow_server", "mlflow_store", "mlflow_models", "tasks"),
    ("tracking", "experiments"),
    (
        "ingestion",
        "validation",
        "cleaning",
        "versioning",
        "features",
        "training",
        "evaluation",
        "tuning",
        "registry",
        "promotion_rows",
        "freezing",
        "promotion",
        "comparison",
        "packaging",
        "serving",
        "monitoring",
    ),
    ("execution",),
    ("keeping",),
    ("services", "doctor", "engines"),
    ("production",),
    ("lineage",),
    ("bench",),
    ("commands",),
    ("__main__",),
)

# Within the layer of stages, the later may use the earlier.
STAGES = next(layer for layer in LAYERS if "ingestion" in layer)
STARTERS = ("services", "doctor", "engines")

OWNERS = {
    "streamlit": ("app.py", "pages/"),
    "papermill": ("pipelines/execution/notebook.py",),
    "mlflow": ("pipelines/mlflow_models.py",),
    "fastapi": ("pipelines/serving/gateway.py",),
    "starlette": ("pipelines/serving/gateway.py",),
    "uvicorn": ("pipelines/serving/gateway.py",),
    "dbos": ("pipelines/execution/queue.py",),
    "circus": ("pipelines/services/supervision.py",),
    "typer": ("pipelines/__main__.py", "pipelines/commands/"),
    "pandera": ("pipelines/validation/schema.py",),
    "dvc": ("pipelines/versioning/repository.py",),
    "dulwich": ("pipelines/versioning/repository.py",),
    "optuna": ("pipelines/tuning.py",),
}

SOURCES = sorted(
    path
    for place in ("app.py", "pages", "pipelines")
    for path in ([REPOSITORY / place] if place.endswith(".py") else (REPOSITORY / place).rglob("*.py"))
)


def imported(path: Path) -> set[str]:
    """Full names of everything `path` imports, wherever in the file."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def rank(module: str) -> int:
    for number, layer in enumerate(LAYERS):
        if module in layer:
            return number
    raise AssertionError(f"pipelines.{module} has no layer: give it one in LAYERS")


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_imports_point_one_way(path: Path) -> None:
    place = path.relative_to(REPOSITORY)
    if place.parts[0] != "pipelines" or place.parts[1] == "__init__.py":
        return
    own = place.parts[1].removesuffix(".py")
    for name in imported(path):
        parts = name.split(".")
        if parts[0] == "pipelines" and len(parts) > 1 and parts[1] != own:
            if own in STAGES and parts[1] in STAGES:
                assert STAGES.index(parts[1]) < STAGES.index(own), f"{own} imports {name}"
            elif own in STARTERS and parts[1] in STARTERS:
                assert STARTERS.index(parts[1]) < STARTERS.index(own), f"{own} imports {name}"
            else:
                assert rank(parts[1]) <= rank(own), f"{own} imports {name}, which is above it"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_each_foreign_library_has_one_owner(path: Path) -> None:
    place = path.relative_to(REPOSITORY).as_posix()
    for name in imported(path):
        owners = OWNERS.get(name.split(".")[0])
        assert owners is None or place.startswith(owners), f"{place} imports {name}, owned by {owners}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_no_stage_asks_which_scenario_it_works_for(path: Path) -> None:
    place = path.relative_to(REPOSITORY).as_posix()
    if place.startswith("pipelines/scenarios/"):
        return
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Compare):
            for side in (node.left, *node.comparators):
                assert not (isinstance(side, ast.Constant) and side.value in SCENARIOS), place


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_modules_and_functions_stay_readable(path: Path) -> None:
    text = path.read_text("utf-8")
    assert text.count("\n") <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            statements = (node.end_lineno or 0) - node.body[0].lineno + 1
            assert statements <= 60, f"{node.name} has {statements} lines"


def test_pages_are_presentation_only() -> None:
    for path in (REPOSITORY / "pages").glob("*.py"):
        assert path.read_text("utf-8").count("\n") <= 150, path.name

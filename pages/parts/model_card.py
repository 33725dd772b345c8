"""One model on a page: which of them, its params, its quality; and at the foot how it is made again."""

from __future__ import annotations

import streamlit as st

from pages.parts import rooms
from pages.parts.cells import read_cells
from pages.parts.frame import note, problems_shown
from pages.parts.models import Model
from pages.parts.record import Record, command, params_of
from pages.parts.runs import draw_links
from pages.parts.words import clock, distinct, plain
from pipelines.lifecycle import LIFECYCLE
from pipelines.settings import NOTEBOOKS
from pipelines.workspace import Workspace


def draw_choice(models: list[Model], model: Model) -> None:
    """Choose which model is looked at; it is kept in the address."""
    labels = distinct({each.run_id: label(each) for each in models})
    places = list(labels)
    shown = places.index(model.run_id)
    chosen = st.selectbox("Model", places, shown, format_func=labels.__getitem__, key=f"model:{model.run_id}")
    if chosen != model.run_id:
        st.query_params["run"] = chosen
        st.rerun()


def draw_params(model: Model) -> None:
    """How good it is, what was changed for it, and the way to change more."""
    st.markdown(quality(model))
    rows = changes(params_of(model.record)["train"])
    changed = [f"{plain(name)} **{plain(value)}**" for name, value, differs in rows if differs]
    same = [f"{plain(name)} {plain(value)}" for name, value, differs in rows if not differs]
    st.markdown("Changed from the default: " + (", ".join(changed) or "nothing") + ".")
    note("As by default: " + (", ".join(same) or "nothing") + ".")
    if st.button("Run again with a change", type="tertiary", icon=":material/tune:"):
        query = {"run": model.run_id, "step": "train", "view": "params"}
        st.switch_page(rooms.file_of(rooms.NOTEBOOKS), query_params=query)


def draw_foot(workspace: Workspace, record: Record, step: str) -> None:
    """How the run of this model is made again, from the command line, and where it is kept."""
    run = record.run
    line = command(run.scenario, params_of(record), run.steps, run.seed, run.base)
    st.code(line, language=None, wrap_lines=True)
    with st.expander("Code"), problems_shown():
        path = record.notebook(step) or NOTEBOOKS / LIFECYCLE.step(step).notebook
        sources = [cell.source for cell in read_cells(path) if cell.source]
        st.code("\n\n".join(sources), language=None)
    draw_links(workspace, record, LIFECYCLE.step(step))


def changes(params: dict[str, object]) -> list[tuple[str, str, bool]]:
    """The params a model was trained with, those that differ from the default first."""
    defaults = LIFECYCLE.step("train").check({}).model_dump()
    rows = [
        (name.replace("_", " "), str(value), value != defaults.get(name)) for name, value in params.items()
    ]
    return sorted(rows, key=lambda row: not row[2])


def quality(model: Model) -> str:
    """How good a model is, in words before names."""
    report = model.report
    found, right = report["metrics"]["average_precision"], report["metrics"]["card_precision"]
    if found is None or right is None:
        return "Its test could not be measured."
    low, high = report["intervals"]["average_precision"]
    return (
        f"Of 100 alerts, **{right * 100:.0f}** were right. Average precision {found:.3f} "
        f"(95% interval {low:.3f} to {high:.3f}). The gate {'let it pass' if model.passed else 'stopped it'}."
    )


def label(model: Model) -> str:
    """A model in a list."""
    found = model.report["metrics"]["average_precision"]
    kind = (model.record.card() or {}).get("kind", "")
    score = f", {found:.3f}" if found is not None else ""
    return f"{model.name}: {kind}{score} ({clock(model.record.run.created_at)})"

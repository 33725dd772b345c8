"""Any two models of a scenario on the same rows: computed when asked for, kept as long as the app runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from pages.parts.frame import note, problems_shown, show
from pages.parts.models import Model
from pages.parts.words import distinct, plain, several
from pipelines import figures
from pipelines.figures import Figure
from pipelines.lifecycle import MODEL
from pipelines.scenarios import find_scenario
from pipelines.scenarios.scenario import Scenario
from pipelines.workspace import Workspace, open_workspace

SHOWN = {
    "saved_a_day": "Saved a day",
    "average_precision": "Average precision",
    "card_precision": "Alerts that are right",
    "auc": "AUC",
}
KEPT = 40


def draw(workspace: Workspace, scenario: Scenario, model: Model, others: list[Model]) -> None:
    """Choose another model, and see whether the difference is more than luck."""
    st.markdown("**Is it better than another?**")
    if not others:
        note("Train another, and this puts the two side by side on the same rows.")
        return
    names = distinct({each.run_id: each.name for each in others})
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.selectbox(
            f"Put {model.name} beside",
            list(names),
            format_func=names.__getitem__,
            key=f"beside:{model.run_id}",
            width=320,
        )
        st.button("Compare", key="compare", on_click=_ask, args=(model.run_id, chosen))
    if st.session_state.get("compared") != (model.run_id, chosen):
        note("Both are scored on the same rows, and the same entities are drawn for both.")
        return
    other = next(each for each in others if each.run_id == chosen)
    with problems_shown():
        found = compare(workspace.name, scenario.name, (other.run_id, other.name), (model.run_id, model.name))
        st.markdown(plain(found["words"]))
        if found["figures"]:
            show(figure(found), key="beside")
            st.table(table(found), border="horizontal", hide_index=True, alt="Both models")
        window = found["window"]
        note(
            f"On days {window['from']} to {window['until'] - 1}: "
            f"{several(found['rows'], scenario.event, scenario.events)}, {found['positives']:,} of them "
            f"{plain(scenario.positive)}. {_worlds(other, model)}"
        )


def _ask(run_id: str, other: str) -> None:
    st.session_state["compared"] = (run_id, other)


@st.cache_data(show_spinner="Both models score the test …", max_entries=KEPT)
def compare(workspace: str, scenario: str, first: tuple[str, str], second: tuple[str, str]) -> dict[str, Any]:
    """The paired comparison of the models of two runs, each given as its run's id and its name.

    Raises
    ------
    Missing, Damaged, BadInput
        A model or its features can't be read, or the two can't be compared.
    """
    # Here and not above: scikit-learn takes a second and 80 MB, which only a comparison needs.
    from pipelines import evaluation, training
    from pipelines.artifacts import read_artifact
    from pipelines.lifecycle import FEATURES

    place = open_workspace(workspace)
    folders = {name: place.run_folder(run_id) for run_id, name in (first, second)}
    models = {name: training.load_model(folder / MODEL.path) for name, folder in folders.items()}
    newest = max(models, key=lambda name: models[name].card["test"]["from"])
    features = read_artifact(FEATURES, folders[newest] / FEATURES.path)
    return evaluation.compare_models(find_scenario(scenario), features, models)


def figure(found: dict[str, Any]) -> Figure:
    """The differences with their intervals, each as a part of the first model's figure, around zero."""
    names = [name for name in SHOWN if name in found["figures"]]
    rows = [found["figures"][name] for name in names]
    size = np.array([max(abs(each["values"][0] or 0), 1e-9) for each in rows])
    difference, low, high = (
        np.array([each[part] for each in rows]) / size for part in ("difference", "low", "high")
    )
    drawn = figures.new_figure(
        f"How much higher than {found['names'][0]}?",
        x=f"Difference, as a part of what {found['names'][0]} has",
        height=230,
    )
    place = np.arange(len(rows))[::-1]
    looks: tuple[tuple[figures.Role, Any], ...] = (
        ("reference", (low <= 0) & (high >= 0)),
        ("champion", low > 0),
        ("challenger", high < 0),
    )
    labels = {"reference": "no difference", "champion": "higher", "challenger": "lower"}
    for role, chosen in looks:
        if chosen.any():
            figures.points(drawn, difference[chosen], place[chosen], role, labels[role])
            drawn.data[-1].marker.symbol = figures.ROLES[role].symbol.replace("line-ew-open", "circle")
            drawn.data[-1].error_x = {
                "array": (high - difference)[chosen],
                "arrayminus": (difference - low)[chosen],
                "thickness": 1.5,
                "width": 4,
            }
    drawn.add_vline(x=0, line={"color": figures.MUTED.light, "width": 1})
    drawn.update_layout(showlegend=True)
    drawn.update_xaxes(tickformat="+.0%")
    drawn.update_yaxes(
        tickvals=place,
        ticktext=[SHOWN[name] for name in names],
        range=[-0.7, len(rows) - 0.3],
        showgrid=False,
    )
    figures.describe_as(drawn, found["words"])
    return drawn


def table(found: dict[str, Any]) -> pd.DataFrame:
    """Both values of each figure, and the difference with its interval."""
    first, second = found["names"]
    rows = []
    for name, title in SHOWN.items():
        one = found["figures"][name]
        form = "{:,.0f}" if name == "saved_a_day" else "{:.3f}"
        by, low, high = (form.replace(":", ":+").format(one[part]) for part in ("difference", "low", "high"))
        rows.append(
            (
                title,
                *(form.format(value) for value in one["values"]),
                f"{by} ({low} to {high})",
            )
        )
    return pd.DataFrame(rows, columns=["Figure", plain(first), plain(second), "Difference (95%)"])


def _worlds(first: Model, second: Model) -> str:
    seeds = {first.record.run.seed, second.record.run.seed}
    if len(seeds) == 1:
        return "Neither has learnt from them."
    return f"The two learnt from different worlds (seeds {min(seeds)} and {max(seeds)})."

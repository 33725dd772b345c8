"""Two runs side by side, as History draws them: what differs first, what is equal in a sentence.

Comes in: a comparison. Goes out: words, tables and figures; the first run is always the solid blue one.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from pages.parts.frame import note, show
from pages.parts.runs_table import MAIN_METRIC
from pages.parts.words import NARROW, plain, several, share
from pipelines import figures
from pipelines.execution.comparison import Comparison, Data, Difference, Distribution, Measured
from pipelines.lifecycle import LIFECYCLE

A, B = "first", "second"


def draw(found: Comparison) -> None:
    """All sections, in the order of the lifecycle's questions."""
    left, right = st.columns(2, gap="medium")
    with left:
        _draw_params(found)
        _draw_outputs(found)
    with right:
        _draw_metrics(found)
        _draw_seconds(found)
    _draw_data(found)
    _draw_surroundings(found)


def sentence(found: Comparison) -> str:
    """In what two runs differ, and from which step on."""
    changed = [each.name for each in found.params if each.differs]
    seed = next((each.differs for each in found.facts if each.name == "seed"), False)
    causes = changed + (["the seed"] if seed else [])
    if found.parts_at is None:
        if any(each.equal for each in found.outputs):
            return "All that both have written is equal, to the digit. " + _because(causes)
        return "They have written nothing that could be compared. " + _because(causes)
    title = LIFECYCLE.step(found.parts_at).title.lower()
    return f"They part at **{title}**: up to there, what they wrote is equal. {_because(causes)}"


def _because(causes: list[str]) -> str:
    if not causes:
        return "Their params are the same."
    named = ", ".join(plain(name) for name in causes[:3]) + (
        f" and {len(causes) - 3} more" if len(causes) > 3 else ""
    )
    return f"Between them, {named} {'was' if len(causes) == 1 else 'were'} changed."


def _draw_params(found: Comparison) -> None:
    st.subheader("Params", anchor=False)
    seed = [Difference("seed", each.a, each.b) for each in found.facts if each.name == "seed"]
    changed = [each for each in [*found.params, *seed] if each.differs]
    if changed:
        _table(
            [(each.name, _value(each.a), _value(each.b)) for each in changed], "Param", "Params that differ"
        )
    same = [each for each in [*found.params, *seed] if not each.differs]
    note(
        f"{several(len(same), 'param is', 'params are')} the same." if changed else "All params are the same."
    )
    with st.expander("Show those that are the same"):
        _table(
            [(each.name, _value(each.a), _value(each.b)) for each in same],
            "Param",
            "Params that are the same",
        )


def _draw_metrics(found: Comparison) -> None:
    st.subheader("Test", anchor=False)
    both = [each for each in found.metrics if each.a is not None and each.b is not None]
    both.sort(key=lambda each: each.name != MAIN_METRIC)
    if not both:
        note("At least one of them has not been tested, so there is nothing to hold side by side.")
        return
    show(metrics_figure(both), key="metrics")
    apart = [each.name for each in both if each.overlap is False]
    if apart:
        words = f"For {', '.join(_words(name) for name in apart)} the intervals have no value in common."
        note(plain(words) + " That is a real difference.")
    else:
        note(
            "All intervals overlap: from these alone you can't say that one is better. Tested on the same "
            "days, they may still differ; compare them pair by pair in Evaluate."
        )


def metrics_figure(both: list[Measured]) -> go.Figure:
    """Dots with intervals on one axis, two a metric."""
    best = both[0]
    assert best.a is not None and best.b is not None
    gap = best.b[0] - best.a[0]
    verdict = (
        "the same in both" if gap == 0 else f"{abs(gap):.3f} {'higher' if gap > 0 else 'lower'} in the second"
    )
    drawn = figures.new_figure(
        f"{_words(best.name)[:1].upper()}{_words(best.name)[1:]} is {verdict}",
        "Value, with its 95% interval",
        height=80 + 70 * len(both),
    )
    for role, name, shift, side in (("champion", A, 0.14, "a"), ("challenger", B, -0.14, "b")):
        values = [getattr(each, side) for each in both]
        look = figures.ROLES[role]  # type: ignore[index]
        drawn.add_scatter(
            x=[value[0] for value in values],
            y=[len(both) - place + shift for place in range(len(both))],
            mode="markers",
            name=name,
            error_x={
                "array": [(value[2] if value[2] is not None else value[0]) - value[0] for value in values],
                "arrayminus": [
                    value[0] - (value[1] if value[1] is not None else value[0]) for value in values
                ],
                "thickness": 1.5,
                "width": 4,
            },
            marker={"color": look.light, "size": 9, "symbol": look.symbol},
            hovertemplate=f"{name}: %{{x:.3f}}<extra></extra>",
        )
    names = [_words(each.name) for each in both]
    drawn.update_yaxes(
        tickvals=[len(both) - place for place in range(len(both))],
        ticktext=names,
        range=[0.4, len(both) + 0.6],
        showgrid=False,
    )
    drawn.update_layout(showlegend=True)
    said = [f"{_words(each.name)}: {each.a[0]:.3f} and {each.b[0]:.3f}" for each in both if each.a and each.b]
    figures.describe_as(drawn, "First and second run. " + "; ".join(said) + ".")
    return drawn


def _draw_outputs(found: Comparison) -> None:
    st.subheader("What each step wrote", anchor=False)
    rows = [
        (
            each.artifact
            + (" :orange[← they part here]" if _is_fork(found, each.step, each.artifact) else ""),
            _digest(each.a),
            _digest(each.b),
            {True: "equal", False: "differs", None: "–"}[each.equal],
        )
        for each in found.outputs
        if each.a is not None or each.b is not None
    ]
    frame = pd.DataFrame(rows, columns=["Output", A.capitalize(), B.capitalize(), ""])
    st.table(frame, border="horizontal", hide_index=True, alt="Outputs of both runs by digest")
    note("A digest is a fingerprint of the content: equal content, equal digest.")


def _is_fork(found: Comparison, step: str, artifact: str) -> bool:
    first = next((each.artifact for each in found.outputs if each.step == step and each.equal is False), "")
    return step == found.parts_at and artifact == first


def _draw_seconds(found: Comparison) -> None:
    both = [each for each in found.seconds if each.a is not None or each.b is not None]
    if not both:
        return
    st.subheader("Time", anchor=False)
    totals = [sum(getattr(each, side) or 0.0 for each in both) for side in ("a", "b")]
    drawn = figures.new_figure(
        f"{totals[0]:.1f} s and {totals[1]:.1f} s of notebooks",
        "Seconds",
        height=max(230, 60 + 34 * len(both)),
    )
    names = [LIFECYCLE.step(each.name).title for each in both]
    for role, name, side in (("champion", A, "a"), ("challenger", B, "b")):
        values = [getattr(each, side) or 0.0 for each in both]
        figures.bars(drawn, names, values, role, name, level=True)  # type: ignore[arg-type]
    drawn.update_layout(barmode="group")
    show(drawn, key="seconds")


def _draw_data(found: Comparison) -> None:
    st.subheader("Data", anchor=False)
    a, b = found.data
    if a is None or b is None:
        note("The collected events of at least one run are not there, so their data can't be compared.")
        return
    same = a.digest is not None and a.digest == b.digest
    rows = [
        ("Events", f"{a.rows:,}", f"{b.rows:,}"),
        ("Days", f"{a.first_day} to {a.last_day}", f"{b.first_day} to {b.last_day}"),
        ("Positive, of known labels", _share(a), _share(b)),
        ("Digest", a.digest or "", b.digest or ""),
    ]
    _table(rows, "", "Data of both runs")
    note(
        "The digests are equal: both saw the very same events."
        if same
        else "The digests differ: other events."
    )
    if same:
        return
    for column, each in zip(st.columns(max(1, len(found.distributions))), found.distributions, strict=False):
        with column:
            show(distribution_figure(each), key=f"distribution:{each.column}")


def distribution_figure(each: Distribution) -> go.Figure:
    """Both runs' values of one column, as outlines over the same bins."""
    moved = float(abs(each.a - each.b).sum() / 2)
    name = each.column.replace("_", " ")
    drawn = figures.new_figure(
        f"{name[:1].upper()}{name[1:]}: {share(moved)} of the rows would have to move",
        f"{name[:1].upper()}{name[1:]}{f' in {each.unit}' if each.unit else ''}",
        "Share of rows",
        height=240,
    )
    figures.line(drawn, each.middles, each.a, "champion")
    figures.line(drawn, each.middles, each.b, "challenger")
    drawn.data[0].update(line_shape="hvh", name=A)
    drawn.data[1].update(line_shape="hvh", name=B)
    drawn.update_yaxes(tickformat=".0%", rangemode="tozero")
    drawn.update_layout(showlegend=True)
    return drawn


def _draw_surroundings(found: Comparison) -> None:
    st.subheader("Code and libraries", anchor=False)
    code = [each for each in found.facts if each.name == "code"]
    changed = [each for each in [*code, *found.libraries] if each.differs]
    if not changed:
        made = code[0].a if code else ""
        note(f"Both were made by the same code, {plain(made)}, with the same libraries.")
        return
    _table(
        [(each.name, _value(each.a), _value(each.b)) for each in changed],
        "",
        "Code and libraries that differ",
    )


def _table(rows: list[tuple[str, ...]], head: str, alt: str) -> None:
    escaped = [[plain(value) for value in row] for row in rows]
    frame = pd.DataFrame(escaped, columns=[head, A.capitalize(), B.capitalize()])
    st.table(frame, border="horizontal", hide_index=True, alt=alt)


def _value(value: Any) -> str:
    if value is None:
        return "–"
    return str(value) if value != "" else "none"


def _digest(value: str | None) -> str:
    return f"`{value[:8]}`" if value else "–"


def _share(data: Data) -> str:
    return f"{data.positive:.2%}" if data.positive is not None else f"no label{NARROW}known"


def _words(name: str) -> str:
    return {"auc": "AUC"}.get(name, name.replace("_", " "))

"""Types for steps: what a step is, in which order steps run, and what a definition may not be.

A step is defined once, in lifecycle.py. The form in the browser, the CLI options, the local run and
every engine's file are made from that one definition.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from pipelines.errors import BadInput

Kind = Literal["table", "model", "report", "receipt", "folder"]


class Params(BaseModel):
    """Base of a step's params: frozen, and an unknown name is refused.

    Each field has bounds and a description, and `json_schema_extra={"unit": …}` where it has a unit.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True)
class Artifact:
    """A file or folder that one step writes and others read.

    Attributes
    ----------
    name : str
        How notebooks ask for it.
    path : str
        Where it lies, relative to the run's folder.
    kind : {"table", "model", "report", "receipt", "folder"}
        How its digest is computed: a table by its values, a model by its params and golden scores, a
        report by its content, a receipt (the trace of an effect elsewhere) by `fields` alone, a folder by
        its MANIFEST.json.
    fields : tuple of str
        For a receipt: the fields that must be equal when the effect is the same.
    """

    name: str
    path: str
    kind: Kind
    fields: tuple[str, ...] = ()


@dataclass(frozen=True)
class Step:
    """One stage of the lifecycle: a notebook, its params, what it reads and what it writes.

    Attributes
    ----------
    on_demand : bool
        Left out of the road, which a run takes when no step is named: somebody asks for it by name.
    """

    name: str
    title: str
    notebook: str
    params: type[Params]
    inputs: tuple[Artifact, ...]
    outputs: tuple[Artifact, ...]
    on_demand: bool = False

    def check(self, values: Mapping[str, Any]) -> Params:
        """Params of this step with `values` over the defaults.

        Raises
        ------
        BadInput
            A name is unknown or a value is out of bounds; says which, what was found and expected.
        """
        try:
            return self.params.model_validate(dict(values))
        except ValidationError as error:
            raise BadInput(*_explain(self, error)) from error


class Pipeline:
    """Steps in the order that their inputs and outputs ask for.

    Raises
    ------
    ValueError
        Two steps share a name, two write one artifact, an input is written by none, or the steps
        form a cycle: the definition is wrong, so importing it fails.
    """

    def __init__(self, *steps: Step) -> None:
        writers: dict[str, Step] = {}
        for step in steps:
            if [other.name for other in steps].count(step.name) > 1:
                raise ValueError(f"two steps are called '{step.name}'; give one another name")
            for artifact in step.outputs:
                if artifact.name in writers:
                    raise ValueError(
                        f"steps '{writers[artifact.name].name}' and '{step.name}' both write "
                        f"'{artifact.name}'; an artifact has one writer"
                    )
                writers[artifact.name] = step
        graph: dict[str, set[str]] = {step.name: set() for step in steps}
        for step in steps:
            for artifact in step.inputs:
                if artifact.name not in writers:
                    raise ValueError(f"step '{step.name}' reads '{artifact.name}', which no step writes")
                graph[step.name].add(writers[artifact.name].name)
        sorter = TopologicalSorter(graph)
        try:
            sorter.prepare()
        except CycleError as error:
            raise ValueError(f"steps wait for each other: {' → '.join(error.args[1])}") from error
        order: list[Step] = []
        while sorter.is_active():
            # Steps that could run at the same time keep the order in which they were defined.
            ready = set(sorter.get_ready())
            order += [step for step in steps if step.name in ready]
            sorter.done(*ready)
        self.steps: tuple[Step, ...] = tuple(order)
        self._before = graph
        self._writers = writers

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(step.name for step in self.steps)

    @property
    def road(self) -> tuple[str, ...]:
        """Names of the steps that a run takes when none is named, in order."""
        return tuple(step.name for step in self.steps if not step.on_demand)

    def step(self, name: str) -> Step:
        """The step of that name.

        Raises
        ------
        BadInput
            There is none; lists those there are.
        """
        for step in self.steps:
            if step.name == name:
                return step
        raise BadInput(f"There is no step '{name}'.", f"The steps are: {', '.join(self.names)}.")

    def writer(self, name: str) -> Step:
        """The step that writes artifact `name`.

        Raises
        ------
        BadInput
            None does; lists the artifacts there are.
        """
        if name not in self._writers:
            raise BadInput(
                f"No step writes an artifact '{name}'.", f"The artifacts are: {', '.join(self._writers)}."
            )
        return self._writers[name]

    def artifact(self, name: str) -> Artifact:
        """The artifact of that name; raises as `writer` does."""
        return next(artifact for artifact in self.writer(name).outputs if artifact.name == name)

    def upstream(self, name: str) -> frozenset[str]:
        """Names of all steps whose outputs `name` needs, directly or not."""
        found: set[str] = set()
        waiting = [name]
        while waiting:
            for before in self._before[waiting.pop()] - found:
                found.add(before)
                waiting.append(before)
        return frozenset(found)

    def downstream(self, name: str) -> frozenset[str]:
        """Names of all steps that need an output of `name`, directly or not."""
        return frozenset(other for other in self.names if name in self.upstream(other))

    def check(self, values: Mapping[str, Mapping[str, Any]]) -> dict[str, Params]:
        """Params of every step, with `values[step][param]` over the defaults.

        Raises
        ------
        BadInput
            As `Step.check`, or a step in `values` does not exist.
        """
        for name in values:
            self.step(name)
        return {step.name: step.check(values.get(step.name, {})) for step in self.steps}

    def read_settings(self, settings: tuple[str, ...] | list[str]) -> dict[str, dict[str, Any]]:
        """Values from texts of the form STEP.PARAM=VALUE, as the CLI takes them.

        The texts stay texts here; `check` turns them into numbers by the field's type.
        """
        values: dict[str, dict[str, Any]] = {}
        for text in settings:
            target, equals, value = text.partition("=")
            step, dot, param = target.partition(".")
            if not (equals and dot and step and param):
                raise BadInput(
                    f"'{text}' is not of the form STEP.PARAM=VALUE.",
                    "For example: --set train.model=forest",
                )
            values.setdefault(step, {})[param] = value
        return values


def _explain(step: Step, error: ValidationError) -> tuple[str, str]:
    """What was found and what is expected, for the first refused value."""
    first = error.errors()[0]
    name = str(first["loc"][0]) if first["loc"] else ""
    if first["type"] == "extra_forbidden":
        known = ", ".join(step.params.model_fields)
        return f"Step '{step.name}' has no param '{name}'.", f"Its params are: {known}."
    found = repr(first.get("input"))
    shown = found if len(found) <= 60 else found[:57] + "…"
    text = str(first["msg"])
    expected = text[:1].lower() + text[1:]
    field = step.params.model_fields.get(name)
    meaning = f" ({field.description})" if field is not None and field.description else ""
    return (
        f"{step.name}.{name} is {shown}, but {expected}{meaning}.".replace(".).", ".)"),
        "Nothing was run; set another value.",
    )

"""The MLflow server as every process of ours reaches it: its REST interface, one workspace a call.

In: a learner's workspace, an endpoint, values. Out: the answer as plain types, or one of our errors.
MLflow's own library keeps the workspace in a variable of the process, which pages and the gateway serve
several learners in, and importing it costs 1.4 s and 47 MB a process. So only what needs the library
(writing a model in MLflow's format, in tracking.py) imports it; all else is these few calls.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote, urlsplit

import httpx

from pipelines.errors import BadInput, FlightdeckError, Missing, Refused, Unavailable
from pipelines.settings import settings

if TYPE_CHECKING:
    import pandas as pd

MlflowStatus = Literal["RUNNING", "FINISHED", "FAILED", "KILLED"]

# MLflow's data types by pandas' kind of a column; anything else is shown as text.
_COLUMN_TYPES = {"i": "long", "u": "long", "f": "double", "b": "boolean", "M": "datetime"}

WORKSPACE_HEADER = "X-MLFLOW-WORKSPACE"

# A second try covers a server that is just being started again; more would make pages hang.
CONNECT_RETRIES = 1
CONNECT_TIMEOUT_S = 2.0
ANSWER_TIMEOUT_S = 30.0


def call(
    workspace: str,
    method: str,
    endpoint: str,
    query: dict[str, str] | None = None,
    **body: Any,
) -> dict[str, Any]:
    """The server's answer to one request, in `workspace`.

    Parameters
    ----------
    workspace : str
        Name of the learner's workspace, in which alone things are found and made.
    method, endpoint : str
        For example "POST", "runs/create": the path below /api/2.0/mlflow/.
    query : dict, optional
        Values for the address.
    **body
        Values for the JSON body; those that are None are left out.

    Raises
    ------
    Unavailable
        The server does not answer, or fails inside.
    Missing
        What was named does not exist in this workspace.
    Refused
        What was to be made is there already.
    BadInput
        The server refuses a value.
    """
    content = {key: value for key, value in body.items() if value is not None}
    answer = _send(
        method,
        f"/api/2.0/mlflow/{endpoint}",
        workspace,
        params=query,
        json=content if method != "GET" else None,
    )
    try:
        answered: dict[str, Any] = answer.json() if answer.content else {}
    except ValueError as error:
        raise _stranger(answer) from error
    return answered


def make_workspace(workspace: str) -> None:
    """Make the MLflow workspace of that name, unless it is there."""
    try:
        _send("GET", f"/api/3.0/mlflow/workspaces/{workspace}")
    except Missing:
        try:
            _send("POST", "/api/3.0/mlflow/workspaces", json={"name": workspace})
        except Refused:
            return  # another process was quicker


def upload(workspace: str, folder_uri: str, name: str, content: bytes) -> None:
    """Store `content` as artifact `name` below `folder_uri`, a run's or model's artifact address.

    Raises
    ------
    Unavailable
        The server does not answer or can't store it.
    """
    _send("PUT", _artifact_path(folder_uri, name), workspace, content=content)


def download(workspace: str, folder_uri: str, name: str) -> bytes:
    """The content of artifact `name` below `folder_uri`.

    Raises
    ------
    Missing
        There is no such artifact.
    Unavailable
        The server does not answer.
    """
    return _send("GET", _artifact_path(folder_uri, name), workspace).content


def search(workspace: str, method: str, endpoint: str, key: str, **values: Any) -> list[dict[str, Any]]:
    """All entries that a search endpoint finds, over all its pages, in the server's order."""
    found: list[dict[str, Any]] = []
    token: str | None = None
    while True:
        asked = {**values, "page_token": token} if token else values
        if method == "GET":
            answer = call(workspace, method, endpoint, query=asked)
        else:
            answer = call(workspace, method, endpoint, **asked)
        found += answer.get(key, [])
        token = answer.get("next_page_token")
        if not token:
            return found


def experiment_id(workspace: str, name: str) -> str:
    """The id of the experiment of that name: made when it is not there, restored when it was deleted."""
    try:
        found = call(workspace, "GET", "experiments/get-by-name", {"experiment_name": name})["experiment"]
    except Missing:
        try:
            kind = [{"key": "mlflow.experimentKind", "value": "custom_model_development"}]
            return str(call(workspace, "POST", "experiments/create", name=name, tags=kind)["experiment_id"])
        except Refused:
            return experiment_id(workspace, name)  # another process was quicker
    if found["lifecycle_stage"] == "deleted":
        call(workspace, "POST", "experiments/restore", experiment_id=found["experiment_id"])
    return str(found["experiment_id"])


def new_run(
    workspace: str, experiment: str, name: str, tags: Mapping[str, str], params: Mapping[str, Any]
) -> dict[str, Any]:
    """Make a run that is running, with params and those tags that are not empty; as MLflow has it."""
    made: dict[str, Any] = call(
        workspace,
        "POST",
        "runs/create",
        experiment_id=experiment,
        run_name=name,
        start_time=int(time.time() * 1000),
        tags=[{"key": key, "value": value} for key, value in tags.items() if value],
    )["run"]
    if params:
        call(
            workspace,
            "POST",
            "runs/log-batch",
            run_id=made["info"]["run_id"],
            params=[{"key": key, "value": str(value)} for key, value in params.items()],
        )
    return made


def set_status(workspace: str, run_id: str, status: MlflowStatus) -> None:
    """Say that a run is over, and how it ended, or that it goes on after all."""
    end_time = None if status == "RUNNING" else int(time.time() * 1000)
    call(workspace, "POST", "runs/update", run_id=run_id, status=status, end_time=end_time)


def run_info(workspace: str, run_id: str) -> dict[str, Any]:
    """What MLflow knows of a run besides its values: experiment_id, status, artifact_uri, times."""
    info: dict[str, Any] = call(workspace, "GET", "runs/get", {"run_id": run_id})["run"]["info"]
    return info


def describe_table(table: pd.DataFrame, name: str, digest: str, uri: str) -> dict[str, str]:
    """A table as MLflow wants a dataset described: name, digest, columns and size, not the rows."""
    columns = [
        {
            "name": str(column),
            "type": _COLUMN_TYPES.get(getattr(kind, "kind", ""), "string"),
            "required": True,
        }
        for column, kind in table.dtypes.items()
    ]
    return {
        "name": name,
        "digest": digest,
        "source_type": "local",
        "source": json.dumps({"uri": uri}),
        "schema": json.dumps({"mlflow_colspec": columns}),
        "profile": json.dumps({"num_rows": len(table), "num_elements": int(table.size)}),
    }


def read_tags(entry: Mapping[str, Any]) -> dict[str, str]:
    """Tags by name, of anything MLflow describes with a list of them."""
    return {tag["key"]: tag.get("value", "") for tag in entry.get("tags", [])}


def page_url(path: str, workspace: str) -> str:
    """The address of a page of MLflow's own UI: routes lie behind '#', the workspace is in their query.

    Unless told so, the UI shows itself as for language models.
    """
    return f"{settings().mlflow_url}/#/{path}?workspace={quote(workspace)}&workflowType=machine_learning"


def _artifact_path(folder_uri: str, name: str) -> str:
    """mlflow-artifacts:/workspaces/me/1/… and a name → the path that serves it."""
    return f"/api/2.0/mlflow-artifacts/artifacts{quote(urlsplit(folder_uri).path)}/{quote(name)}"


def _send(method: str, path: str, workspace: str | None = None, **content: Any) -> httpx.Response:
    url = settings().mlflow_url
    headers = {WORKSPACE_HEADER: workspace} if workspace else {}
    try:
        answer = _client().request(method, url + path, headers=headers, **content)
    except httpx.HTTPError as error:
        raise Unavailable(
            f"MLflow is not answering at {url} ({type(error).__name__}).", "Start it: make run"
        ) from error
    if answer.is_error:
        raise _explain(answer, workspace)
    return answer


@cache
def _client() -> httpx.Client:
    """One client a process. It keeps no connection open, so threads and forks can't share one."""
    return httpx.Client(
        transport=httpx.HTTPTransport(
            retries=CONNECT_RETRIES, limits=httpx.Limits(max_keepalive_connections=0)
        ),
        timeout=httpx.Timeout(ANSWER_TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
    )


def _explain(answer: httpx.Response, workspace: str | None) -> FlightdeckError:
    """Our error for an answer of MLflow's that says no."""
    try:
        error = answer.json()
        code, text = str(error["error_code"]), str(error["message"]).splitlines()[0][:300]
    except (ValueError, KeyError, TypeError, IndexError):
        return _stranger(answer)
    where = f"MLflow (workspace '{workspace}')" if workspace else "MLflow"
    if code == "RESOURCE_DOES_NOT_EXIST" or answer.status_code == 404:
        return Missing(f"{where} has no such thing: {text}", "Look it up in MLflow's own pages.")
    if code == "RESOURCE_ALREADY_EXISTS":
        return Refused(f"{where} has it already: {text}", "Use the one that is there.")
    if answer.status_code < 500:
        return BadInput(f"{where} refused a value: {text}", "Correct the value.")
    return Unavailable(f"{where} failed: {text}", "See mlflow.log in the home's folder logs.")


def _stranger(answer: httpx.Response) -> Unavailable:
    return Unavailable(
        f"What answers at {settings().mlflow_url} does not speak as MLflow does (HTTP {answer.status_code}).",
        "See which program listens there: python -m pipelines doctor",
    )

"""The gateway: HTTP in, HTTP out, and nothing else.

Comes in: requests of the Open Inference Protocol, feedback, questions about health and measurements.
Goes out: JSON answers, each only once what it rests on is on disk. Run it with
`python -m pipelines.serving.gateway`; it listens at the settings' address and port.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import sqlite3
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from pipelines import registry
from pipelines.errors import BadInput, FlightdeckError, Missing, Unavailable
from pipelines.promotion import change_mark
from pipelines.run import code_version
from pipelines.scenarios import SCENARIOS, find_scenario
from pipelines.scenarios.scenario import Scenario
from pipelines.serving import faults, trial
from pipelines.serving.feedback import ABOUT, read_told
from pipelines.serving.guards import Asgi, Unrecognised, guard_host, read_body, workspace_of
from pipelines.serving.infer_request import parse_request
from pipelines.serving.jobs import Infer, Look, Standing
from pipelines.serving.measurements import Measurements
from pipelines.serving.open_inference import SIMULATED, Answer, build_response, describe_model
from pipelines.serving.predictions import Label
from pipelines.serving.predictor import Predictor
from pipelines.settings import SINGLE_THREAD, settings
from pipelines.workspace import DEFAULT_WORKSPACE, Home, Workspace, open_home

log = logging.getLogger(__name__)

# Requests that were begun are finished before the process ends, unless they take longer.
GRACE_S = 3
# How long a new champion may lie in the ledger before the gateway begins to load it by itself.
WARM_EVERY_S = 0.5
# Connections that may wait to be accepted.
BACKLOG = 512
# A thread that waits for its turn in Python gets it after this long; by default, after 5 ms. With that,
# the slowest requests beside a model that is being loaded took twice as long (measured).
SWITCH_S = 0.0005


class Gateway:
    """The predictors of all workspaces that were asked for, and what was measured."""

    def __init__(self, home: Home) -> None:
        self.measurements = Measurements()
        self._home = home
        self._predictors: dict[str, Predictor] = {}

    def predictor(self, request: Request) -> Predictor:
        """The predictor of the workspace that the request is for.

        Raises
        ------
        Unrecognised
            There is no such workspace.
        """
        return self._of(workspace_of(request.headers.get("authorization"), self._home))

    async def keep_warm(self) -> None:
        """Load what was promoted as soon as the ledger says so, not when the first request asks.

        At the start that is done for this machine's own user alone: a class is loaded as it comes.
        """
        seen: dict[str, int] = {}
        while True:
            for workspace, mark in await asyncio.to_thread(self._marks):
                known = seen.get(workspace.name, 0 if workspace.name == DEFAULT_WORKSPACE else mark)
                seen[workspace.name] = mark
                if mark != known:
                    await self._look(workspace)
            await asyncio.sleep(WARM_EVERY_S)

    def _marks(self) -> list[tuple[Workspace, int]]:
        """How far each workspace's ledger is; without those that can't be read now."""
        found = []
        for workspace in self._home.workspaces():
            # A workspace that is damaged, locked or being removed is told so when it asks.
            with suppress(sqlite3.Error, OSError, FlightdeckError):
                found.append((workspace, change_mark(workspace)))
        return found

    async def _look(self, workspace: Workspace) -> None:
        for scenario in SCENARIOS.values():
            try:
                await self._of(workspace).do(Look(scenario))
            except FlightdeckError as error:
                log.warning("the champion of '%s' can't be loaded: %s", scenario.name, error)

    def unready(self) -> list[str]:
        """Scenarios that have a champion which is not loaded yet."""
        endpoints = [(name, each) for name, found in self._predictors.items() for each in found.endpoints()]
        return [
            f"{each.scenario.name} of '{name}'"
            for name, each in endpoints
            if each.wanted is None
            or (each.wanted.champion is not None and "champion" not in each.lineup.models)
        ]

    async def stop(self) -> None:
        """Finish what was asked for, and end every predictor."""
        await asyncio.gather(*(asyncio.to_thread(each.stop) for each in self._predictors.values()))

    def _of(self, workspace: Workspace) -> Predictor:
        if workspace.name not in self._predictors:
            self._predictors[workspace.name] = Predictor(workspace, self.measurements)
        return self._predictors[workspace.name]


def create_app(home: Home) -> Asgi:
    """The gateway as an ASGI application over the workspaces in `home`."""
    gateway = Gateway(home)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        warming = asyncio.create_task(gateway.keep_warm())
        yield
        warming.cancel()
        await gateway.stop()

    app = FastAPI(lifespan=lifespan, openapi_url=None)
    app.add_exception_handler(FlightdeckError, _explain)
    app.add_exception_handler(HTTPException, _explain)
    app.add_exception_handler(Exception, _explain)
    _add_questions(app, gateway)
    _add_models(app, gateway)
    _add_answers(app, gateway)
    return guard_host(app)


def _add_questions(app: FastAPI, gateway: Gateway) -> None:
    """Health, the server's own metadata, measurements."""

    @app.get("/v2")
    @app.get("/v2/")
    async def server() -> Response:
        version = await asyncio.to_thread(code_version)
        return _json({"name": "flightdeck", "version": version, "extensions": ["feedback", "metrics", "try"]})

    @app.get("/v2/health/live")
    async def live() -> Response:
        return _json({"live": True})

    @app.get("/v2/health/ready")
    async def ready() -> Response:
        loading = gateway.unready()
        if loading:
            raise Unavailable(f"Still loading: {', '.join(loading)}.", "Ask again in a moment.")
        return _json({"live": True, "ready": True})

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(gateway.measurements.text(), media_type="text/plain; version=0.0.4")


def _add_models(app: FastAPI, gateway: Gateway) -> None:
    """A model's metadata and readiness."""

    @app.get("/v2/models/{model}")
    async def describe(model: str, request: Request) -> Response:
        predictor, scenario = gateway.predictor(request), _scenario(model)
        standing: Standing = await predictor.do(Look(scenario))
        about = standing.describe() | {"feedback": ABOUT}
        try:
            found = await asyncio.to_thread(registry.versions, predictor.workspace.name, scenario.name)
            versions = sorted(version.number for version in found)
        except Unavailable as error:
            versions = sorted({each.version for each in standing.lineup.models.values()})
            about["versions_incomplete"] = str(error)
        return _json(describe_model(scenario, versions, about))

    @app.get("/v2/models/{model}/versions/{version}")
    async def describe_version(model: str, version: str, request: Request) -> Response:
        predictor, scenario = gateway.predictor(request), _scenario(model)
        loaded = await asyncio.to_thread(predictor.endpoint(scenario).shelf.fetch, _number(version))
        about = {
            "try": trial.ABOUT,
            "version": loaded.version,
            "run_id": loaded.run_id,
            "kind": loaded.card["kind"],
            "threshold": loaded.card["threshold"],
        }
        return _json(describe_model(scenario, [loaded.version], about))

    @app.get("/v2/models/{model}/ready")
    async def model_ready(model: str, request: Request) -> Response:
        predictor, scenario = gateway.predictor(request), _scenario(model)
        standing: Standing = await predictor.do(Look(scenario))
        standing.check_serves(scenario.name, standing.wanted.champion)
        return _json({"name": scenario.name, "ready": True})

    @app.get("/v2/models/{model}/versions/{version}/ready")
    async def version_ready(model: str, version: str, request: Request) -> Response:
        predictor, scenario, number = gateway.predictor(request), _scenario(model), _number(version)
        standing: Standing = await predictor.do(Look(scenario))
        if number in standing.promoted:
            standing.check_serves(scenario.name, number)
        else:
            await asyncio.to_thread(predictor.endpoint(scenario).shelf.fetch, number)
        return _json({"name": scenario.name, "version": version, "ready": True})


def _add_answers(app: FastAPI, gateway: Gateway) -> None:
    """Inference and feedback."""

    @app.post("/v2/models/{model}/infer")
    async def infer(model: str, request: Request) -> Response:
        return await _infer(gateway, request, model, None)

    @app.post("/v2/models/{model}/versions/{version}/infer")
    async def infer_version(model: str, version: str, request: Request) -> Response:
        return await _infer(gateway, request, model, version)

    @app.post("/v2/models/{model}/versions/{version}/try")
    async def try_version(model: str, version: str, request: Request) -> Response:
        predictor, scenario = gateway.predictor(request), _scenario(model)
        loaded = await asyncio.to_thread(predictor.endpoint(scenario).shelf.fetch, _number(version))
        scores = await asyncio.to_thread(trial.try_version, loaded, await _body(request))
        output = {"name": "score", "datatype": "FP64", "shape": [len(scores)], "data": scores}
        return _json({"model_name": scenario.name, "model_version": str(loaded.version), "outputs": [output]})

    @app.post("/feedback")
    async def feedback(request: Request) -> Response:
        status, name = 500, ""
        try:
            predictor = gateway.predictor(request)
            name = predictor.workspace.name
            task, is_list = read_told(await _body(request))
            labels: list[Label] = await predictor.do(task)
            status = 200
        except FlightdeckError as error:
            status = error.http_status
            raise
        finally:
            gateway.measurements.feedback.labels(name, status).inc()
        kept = [
            {
                "prediction_id": label.prediction_id,
                "event_id": label.event_id,
                "label": label.label,
                "label_time": label.label_time,
            }
            for label in labels
        ]
        return _json({"labels": kept} if is_list else kept[0])


async def _infer(gateway: Gateway, request: Request, model: str, version: str | None) -> Response:
    """Answer a request for inference, and measure it."""
    workspace, name, status = "", "", 500
    answers: list[Answer] = []
    received_s = time.perf_counter()
    try:
        predictor, scenario = gateway.predictor(request), _scenario(model)
        workspace, name = predictor.workspace.name, scenario.name
        body = await _body(request)
        received_s = time.perf_counter()
        asked = parse_request(body, scenario)
        named = None
        if version is not None:
            shelf = predictor.endpoint(scenario).shelf
            named = await asyncio.to_thread(shelf.fetch, _number(version))
        answers = await predictor.do(Infer(scenario, asked.events, named))
        if faults.waits_ms(predictor.endpoint(scenario).faults, answers[0].event_time):
            await asyncio.sleep(faults.SLOW_WAIT_S)
        status = 200
        return _json(build_response(scenario, asked.id, asked.outputs, answers))
    except FlightdeckError as error:
        status = error.http_status
        raise
    finally:
        gateway.measurements.answered(workspace, name, status, answers, time.perf_counter() - received_s)


async def _body(request: Request) -> bytes:
    try:
        return await read_body(request.headers.get("content-type", ""), request.stream())
    except ClientDisconnect as error:
        raise BadInput("The connection ended within the body.", "Send it again.") from error


def _scenario(name: str) -> Scenario:
    try:
        return find_scenario(name)
    except BadInput as error:
        raise Missing(f"There is no model '{name[:40]}'.", error.hint) from None


def _number(version: str) -> int:
    if not (version.isascii() and version.isdigit() and len(version) < 10):
        raise Missing(f"There is no version '{version[:40]}'.", "Versions are whole numbers: 1, 2, …")
    return int(version)


def _json(content: dict[str, Any], status: int = 200) -> Response:
    return Response(json.dumps(content, allow_nan=False), status, media_type="application/json")


async def _explain(request: Request, error: Exception) -> Response:
    """An error as every client gets it: {"error": what was found, what was expected, what to do}."""
    if isinstance(error, FlightdeckError):
        if error.http_status >= 500 and request.method == "POST" and not isinstance(error, faults.Broken):
            log.warning("%s %s: %s", request.method, request.url.path, error)
        headers = {"WWW-Authenticate": "Bearer"} if isinstance(error, Unrecognised) else {}
        headers |= {SIMULATED: "incident"} if isinstance(error, faults.Broken) else {}
        response = _json({"error": str(error)}, error.http_status)
        response.headers.update(headers)
        return response
    if isinstance(error, HTTPException):
        text = f"{request.method} {request.url.path[:100]} is not served here ({error.detail})."
        return _json({"error": f"{text} See GET /v2/models/<model>."}, error.status_code)
    # The server logs the rest.
    text = f"The gateway failed inside ({type(error).__name__}). See gateway.log in the home's folder logs."
    return _json({"error": text}, 500)


def main() -> None:
    """Serve until told to stop."""
    for name, value in SINGLE_THREAD.items():
        os.environ.setdefault(name, value)
    sys.setswitchinterval(SWITCH_S)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    chosen = settings()
    listening = _listen(chosen.listen, chosen.gateway_port)
    config = uvicorn.Config(
        create_app(open_home(chosen)),
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_S,
    )
    uvicorn.Server(config).run(sockets=[listening])


def _listen(address: str, port: int) -> socket.socket:
    """A socket that listens there; found to be taken before anything is started."""
    # With its protocol named, asyncio switches off Nagle's algorithm on it: else each answer takes 40 ms.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((address, port))
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        taken = Unavailable(
            f"The gateway can't listen on port {port}: {error.strerror}.",
            "End what uses it, or set FLIGHTDECK_GATEWAY_PORT to a free port.",
        )
        raise SystemExit(str(taken)) from error
    return listening


if __name__ == "__main__":
    main()

"""Services as real processes: started, killed, started again, ended, and never left over."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import sqlite3
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from pipelines import services
from pipelines.errors import BadInput, Refused, Unavailable
from pipelines.services import ports, started
from pipelines.services.programs import Service, services_of, shared_environment, with_free_ports
from pipelines.settings import REPOSITORY, Settings
from pipelines.workspace import open_home

pytestmark = [
    pytest.mark.skipif(os.name != "posix", reason="signals and process groups are POSIX's"),
    pytest.mark.xdist_group("services"),
]

# Stands in for a service: answers /health, and has a child in a session of its own, as kernels are.
STANDIN = """
import http.server, pathlib, subprocess, sys
port, folder = int(sys.argv[1]), pathlib.Path(sys.argv[2])
if (folder / "broken").exists():
    sys.exit("the cause of the trouble")
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print("standing in, with child", child.pid, flush=True)
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b"OK")
    def log_message(self, *_): pass
http.server.HTTPServer(("127.0.0.1", port), Answer).serve_forever()
"""

SUPERVISOR = """
import json, signal, sys
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # tests under nohup have it ignored, and children inherit that
from pipelines import services
from pipelines.errors import FlightdeckError
from pipelines.services.programs import Service
from pipelines.settings import settings
table = [Service(**{**each, "command": tuple(each["command"])}) for each in json.loads(sys.argv[1])]
try:
    sys.exit(services.start(settings(), False, services=table or None, only=sys.argv[2:] or None))
except FlightdeckError as error:
    print(type(error).__name__, error, flush=True)
    sys.exit(error.exit_code)
"""

# Where this Python's packages are: one that is started by another name does not find them itself.
PACKAGES = os.pathsep.join([sysconfig.get_paths()["purelib"], sysconfig.get_paths()["platlib"]])

WAIT_S = 60.0


@pytest.fixture
def chosen(tmp_path: Path) -> Settings:
    """Settings with an empty home, whose name needs quoting, and free ports."""
    free = [ports.free_port() for _ in range(3)]
    return Settings(tmp_path / "home of Ümit & co", *free, empty=True)


@pytest.fixture
def standins(tmp_path: Path) -> list[Service]:
    """Two services that stand in for ours, and start in a moment."""
    program = tmp_path / "standin.py"
    program.write_text(STANDIN)
    free = [ports.free_port(), ports.free_port()]
    return [
        Service(
            name, name, (str(program), str(port), str(tmp_path)), port=port, health="/health", expected="OK"
        )
        for name, port in zip(("one", "two"), free, strict=True)
    ]


@pytest.fixture
def start(chosen: Settings) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a supervisor process; at the end ends every process that it or its services started."""
    begun: list[subprocess.Popen[str]] = []

    def begin(table: list[Service], *only: str, python: str = sys.executable) -> subprocess.Popen[str]:
        described = json.dumps([{**vars(each), "environment": {}} for each in table])
        process = subprocess.Popen(
            [python, "-c", SUPERVISOR, described, *only],
            cwd=REPOSITORY,
            env={**os.environ, **chosen.environment(), "PYTHONPATH": PACKAGES},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        begun.append(process)
        return process

    yield begin
    for process in begun:
        with contextlib.suppress(psutil.Error):
            if process.poll() is None:
                process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=20)
        process.kill()
    started.end_leftovers(open_home(chosen))


def read_until(process: subprocess.Popen[str], beginning: str) -> str:
    """What the supervisor says, up to the line that begins so."""
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if line.startswith(beginning):
            return said
    raise AssertionError(f"it ended without saying '{beginning}…', but:\n{said}")


def eventually(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, f"not within {WAIT_S} s: {what}"
        time.sleep(0.05)


def family(settings: Settings) -> dict[int, psutil.Process]:
    """Every process of the start that is recorded for this home, the supervisor left out."""
    record = started.read(open_home(settings))
    assert record is not None
    return {process.pid: process for process in started.marked(record.mark)}


def record_of(settings: Settings) -> started.Record:
    record = started.read(open_home(settings))
    assert record is not None
    return record


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_ending_leaves_no_process_whatever_asks_for_it(number, chosen, standins, start):
    # given two services that answer, each with a child in its own session
    supervisor = start(standins)
    said = read_until(supervisor, "Ready after")
    assert all(service.url in said for service in standins)
    assert services.running(chosen) == frozenset()  # names that are not ours are not claimed
    before = family(chosen)
    assert len(before) == 4

    # when it is told to end
    began = time.monotonic()
    supervisor.send_signal(number)
    said, _ = supervisor.communicate(timeout=WAIT_S)

    # then all ended, soon, in order, and no trace says otherwise
    assert supervisor.returncode == 0, said
    assert "Everything has ended." in said
    assert time.monotonic() - began < 15
    assert [process for process in before.values() if not started.has_ended(process)] == []
    assert not open_home(chosen).services_file.exists()
    assert all(ports.is_free(service.port) for service in standins)


def test_the_next_start_ends_what_a_killed_one_left_behind(chosen, standins, start):
    # given a supervisor that was killed outright, and one of its services after it
    supervisor = start(standins)
    read_until(supervisor, "Ready after")
    before = family(chosen)
    supervisor.kill()
    supervisor.wait()
    first = record_of(chosen).services["one"].process
    assert first is not None
    os.kill(first.pid, signal.SIGKILL)
    orphans = [process for process in before.values() if process.pid != first.pid]
    assert not any(started.has_ended(process) for process in orphans)

    # when Flightdeck is started again
    again = start(standins)
    said = read_until(again, "Ready after")

    # then the left-over service and both children in their own sessions are gone
    assert "Ended what an earlier start had left behind" in said
    assert [process for process in orphans if not started.has_ended(process)] == []
    assert len(family(chosen)) == 4


def test_a_stranger_that_was_given_a_recorded_pid_is_left_alone(chosen):
    # given a record of a dead start that names the pid of a process that began at another time
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        home = open_home(chosen)
        record = started.new_record("up")
        gone = started.Process(stranger.pid, psutil.Process(stranger.pid).create_time() - 60)
        record.services["app"] = started.Entry(8501, "running", gone)
        started.write(home, record)

        # when the next start cleans up
        ended = started.end_leftovers(home)

        # then the stranger lives on and the record is gone
        assert ended == []
        assert stranger.poll() is None
        assert not home.services_file.exists()
    finally:
        stranger.kill()
        stranger.wait()


def test_a_damaged_record_counts_as_none(chosen):
    home = open_home(chosen)
    for text in ("", "[]", '{"supervisor": {"pid": 1}}', "\x00"):
        home.services_file.write_text(text)
        assert started.read(home) is None
        assert started.end_leftovers(home) == []


def test_a_killed_service_is_started_again_and_its_output_is_still_logged(chosen, standins, start):
    # given a service whose child holds on to its output
    supervisor = start(standins)
    read_until(supervisor, "Ready after")
    killed = record_of(chosen).services["one"].process
    untouched = record_of(chosen).services["two"].process
    assert killed is not None

    # when it is killed
    os.kill(killed.pid, signal.SIGKILL)

    # then another process takes its place, the other service is left alone, and both lives are logged
    said = read_until(supervisor, "one is running again")
    assert "one ended (killed by SIGKILL); starting it again." in said
    now = record_of(chosen).services
    assert now["one"].process != killed
    assert now["two"].process == untouched
    log = open_home(chosen).logs / "one.log"
    eventually(lambda: log.read_text().count("standing in") == 2, "the second life's line in one.log")


def test_a_service_that_keeps_dying_is_given_up_with_the_end_of_its_log(chosen, standins, start, tmp_path):
    # given services that end as soon as they begin
    (tmp_path / "broken").touch()

    # when they are started
    supervisor = start(standins)
    said, _ = supervisor.communicate(timeout=WAIT_S)

    # then it stops trying, shows why, and says so to scripts too
    assert supervisor.returncode == 1
    assert said.count("one ended (exit code 1); starting it again.") == 4
    assert "one ended 5 times right after its start" in said
    assert "the cause of the trouble" in said
    assert str(open_home(chosen).logs / "one.log") in said


def test_one_dying_service_does_not_take_the_others_down(chosen, standins, start):
    # given one good service and one whose program does not exist
    broken = replace(standins[1], command=("-c", "raise SystemExit(3)"))
    supervisor = start([standins[0], broken])
    read_until(supervisor, "two ended 5 times")

    # when somebody asks
    states = {name: entry.state for name, entry in record_of(chosen).services.items()}

    # then the good one answers
    assert states["two"] == "failed"
    eventually(standins[0].ready, "the good service")


def test_a_program_that_can_not_be_executed_is_given_up_at_once(chosen, standins, start, tmp_path):
    # given a Python that vanishes while Flightdeck runs
    python = tmp_path / "python"
    python.symlink_to(sys.executable)
    supervisor = start(standins[:1], python=str(python))
    read_until(supervisor, "Ready after")
    python.unlink()

    # when a service dies
    killed = record_of(chosen).services["one"].process
    assert killed is not None
    os.kill(killed.pid, signal.SIGKILL)
    said, _ = supervisor.communicate(timeout=WAIT_S)

    # then that is said and nothing is tried for ever
    assert f"one can't be executed (is {python} still there?) and is not started again" in said
    assert supervisor.returncode == 1


def test_a_taken_port_is_named_with_its_holder_and_the_remedy(chosen):
    # given a port that another program has
    holder = subprocess.Popen(
        [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(chosen.app_port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        eventually(lambda: not ports.is_free(chosen.app_port), "the other program's port")

        # when Flightdeck is started
        with pytest.raises(Unavailable) as caught:
            services.start(chosen, False, say=lambda _: None)

        # then the message names port, process and what to type, and nothing was started
        assert str(chosen.app_port) in caught.value.message
        assert f"process {holder.pid} " in caught.value.message
        assert "http.server" in caught.value.message
        assert "FLIGHTDECK_APP_PORT=" in caught.value.hint
        assert not open_home(chosen).services_file.exists()
    finally:
        holder.kill()
        holder.wait()


def test_a_second_start_for_the_same_home_is_refused(chosen, standins, start):
    # given Flightdeck running
    supervisor = start(standins)
    read_until(supervisor, "Ready after")

    # when it is started again
    second = start(standins)
    said, _ = second.communicate(timeout=WAIT_S)

    # then the second says which one runs, and the first goes on
    assert second.returncode == Refused.exit_code
    assert said.startswith("Refused")
    assert f"process {supervisor.pid}" in said
    assert all(service.ready() for service in standins)


def test_a_home_that_can_not_be_made_is_said_in_words(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(Unavailable, match="can't be made"):
        services.start(Settings(tmp_path / "file" / "home"), False)


def test_a_full_disk_is_said_before_anything_starts(chosen, monkeypatch):
    monkeypatch.setattr("pipelines.services.alone.LEAST_FREE_BYTES", 10**18)
    with pytest.raises(Unavailable, match="MB are free on the disk") as caught:
        services.start(chosen, False)
    assert "FLIGHTDECK_HOME" in caught.value.hint


def test_wrong_names_and_ports_are_refused_before_anything_starts(chosen):
    with pytest.raises(BadInput, match="no service 'mlfow'"):
        services.start(chosen, False, only=["mlfow"])
    with pytest.raises(BadInput, match="FLIGHTDECK_MLFLOW_PORT and FLIGHTDECK_APP_PORT are both"):
        services_of(replace(chosen, app_port=chosen.mlflow_port))
    with pytest.raises(BadInput, match="no service 'mlfow'"), services.ensure(chosen, ["mlfow"]):
        pass


def test_real_mlflow_starts_on_an_empty_home_and_again_for_a_command_on_other_ports(chosen, start):
    # given an empty home
    supervisor = start([], "mlflow")

    # when MLflow is started alone
    said = read_until(supervisor, "Ready after")

    # then it says what takes so long, answers, keeps learners apart, and has its files in the home
    assert "Preparing MLflow's database (once" in said
    assert services.running(chosen) == {"mlflow"}
    connection = http.client.HTTPConnection("127.0.0.1", chosen.mlflow_port, timeout=30)
    connection.request("GET", "/api/3.0/mlflow/workspaces")
    answer = json.loads(connection.getresponse().read())
    connection.close()
    assert [workspace["name"] for workspace in answer["workspaces"]] == ["default"]
    assert open_home(chosen).mlflow_db.stat().st_size > 0

    # and a second start does not prepare anything
    supervisor.send_signal(signal.SIGINT)
    supervisor.communicate(timeout=WAIT_S)
    assert supervisor.returncode == 0
    supervisor = start([], "mlflow")
    assert "Preparing" not in read_until(supervisor, "Ready after")

    # and a command whose environment names other ports is given the one that runs, and leaves it running
    with services.ensure(with_free_ports(replace(chosen, mlflow_port=1)), ["mlflow"]) as found:
        assert found.mlflow_port == chosen.mlflow_port
    assert services.running(chosen) == {"mlflow"}

    # and a service that was not started with it is refused, not waited for
    with pytest.raises(Unavailable, match="'gateway' is not among those"):
        services.ensure(chosen, ["gateway"]).__enter__()


def test_a_first_start_that_was_killed_while_mlflow_made_its_tables_does_no_harm(chosen, start):
    # given a home where everything was killed while MLflow made its tables
    supervisor = start([], "mlflow")
    store = open_home(chosen).mlflow_db

    def tables() -> set[str]:
        with contextlib.closing(sqlite3.connect(store)) as connection:
            return {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}

    eventually(lambda: store.exists() and "experiments" in tables(), "MLflow's first tables")
    # At once, before all that is marked as theirs is looked for: that takes long on a busy machine.
    for process in [supervisor, *psutil.Process(supervisor.pid).children(recursive=True)]:
        process.kill()
    for process in family(chosen).values():
        process.kill()
    supervisor.communicate()
    assert "webhooks" not in tables(), "it was too late to cut anything short"
    # and the one step among its steps that was done and not yet noted
    with contextlib.closing(sqlite3.connect(store)) as connection, contextlib.suppress(sqlite3.Error):
        connection.execute("ALTER TABLE experiments ADD COLUMN creation_time BIGINT")

    # when Flightdeck is started again
    supervisor = start([], "mlflow")
    said = read_until(supervisor, "Ready after")

    # then MLflow answers, and the start after that makes nothing anew
    assert "Preparing MLflow's database" in said
    assert "webhooks" in tables()
    assert not services_of(chosen)[0].is_first_start


def test_a_store_that_was_used_is_never_made_anew(chosen):
    # given a store with a run in it, and the mark of a first start that nobody took away
    mlflow = services_of(chosen)[0]
    open_home(chosen)
    mlflow.prepare()
    assert mlflow.store is not None
    with contextlib.closing(sqlite3.connect(mlflow.store)) as connection:
        connection.execute("CREATE TABLE runs (run_uuid TEXT)")
        connection.execute("INSERT INTO runs VALUES ('a')")
        connection.commit()
    assert mlflow.is_first_start

    # when MLflow is started again
    mlflow.prepare()

    # then the run is still there
    with contextlib.closing(sqlite3.connect(mlflow.store)) as connection:
        assert connection.execute("SELECT * FROM runs").fetchall() == [("a",)]
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_mlflow_is_started_with_the_names_and_command_of_the_pinned_version():
    # given what MLflow's own command line would hand on (read in a process of its own: it warns a lot)
    script = (
        "import json; from mlflow.server import _build_uvicorn_command, constants\n"
        "names = [value for name, value in vars(constants).items() if name.endswith('ENV_VAR')]\n"
        "command = _build_uvicorn_command('', '127.0.0.1', 5600, 1, 'mlflow.server.fastapi_app:app')\n"
        "print(json.dumps([names, command]))"
    )
    said = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, check=True
    ).stdout
    names, theirs = json.loads(said)

    # when we start its server
    mlflow = services_of(Settings(Path("/home")))[0]

    # then our variables are among its own, and our command has every word of its own but the log's form
    ours = {name for name in mlflow.environment if name.startswith("_MLFLOW_SERVER_")}
    assert len(ours) == 5
    assert ours <= set(names)
    position = theirs.index("--log-config")
    assert set(theirs[1:position] + theirs[position + 2 :]) <= set(mlflow.command)


def test_a_command_starts_what_it_needs_and_leaves_nothing(chosen):
    # given a home where nothing runs
    assert services.running(chosen) == frozenset()
    before = os.environ.get("FLIGHTDECK_MLFLOW_PORT")

    # when a command needs MLflow
    with services.ensure(chosen, ["mlflow"]) as found:
        answering = services.running(chosen)
        port_in_environment = os.environ["FLIGHTDECK_MLFLOW_PORT"]
        processes = family(chosen)
        # and a second one at the same time
        with services.ensure(chosen, ["mlflow"]) as shared:
            assert shared == found
            assert family(chosen).keys() == processes.keys()
        assert services.running(chosen) == {"mlflow"}

    # then it had it, and afterwards no process is left
    assert answering == {"mlflow"}
    assert port_in_environment == str(found.mlflow_port)
    assert os.environ.get("FLIGHTDECK_MLFLOW_PORT") == before
    assert [process for process in processes.values() if not started.has_ended(process)] == []
    assert not open_home(chosen).services_file.exists()


def test_the_services_of_a_killed_command_end_by_themselves(chosen):
    # given a command that has services of its own
    script = (
        "import time; from pipelines import services; from pipelines.settings import settings\n"
        "with services.ensure(settings(), ['mlflow']): print('has it', flush=True); time.sleep(600)"
    )
    command = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=REPOSITORY,
        env={**os.environ, **chosen.environment()},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert command.stdout is not None
    assert command.stdout.readline() == "has it\n"
    processes = family(chosen)
    with pytest.raises(Refused, match="command is running"), started.claim(open_home(chosen)):
        pass

    # when it is killed
    command.kill()
    command.wait()
    command.stdout.close()

    # then its services end
    eventually(lambda: all(started.has_ended(each) for each in processes.values()), "the services' end")
    eventually(lambda: not open_home(chosen).services_file.exists(), "the record's end")


def test_everything_we_start_reaches_this_machine_past_a_proxy_and_runs_in_one_thread():
    inherited = {
        "HTTP_PROXY": "http://proxy:3128",
        "NO_PROXY": "intranet",
        "MLFLOW_TRACKING_URI": "http://elsewhere",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    environment = shared_environment(Settings(Path("/home")), inherited)
    assert environment["NO_PROXY"] == environment["no_proxy"] == "intranet,127.0.0.1,localhost"
    assert environment["OMP_NUM_THREADS"] == "1"
    assert environment["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert "MLFLOW_TRACKING_URI" not in environment
    assert "PYTHONDONTWRITEBYTECODE" not in environment
    assert ports.past_proxies({"no_proxy": "*"})["NO_PROXY"] == "*"

"""The nursery: a process that has the libraries loaded, and forks a runner from itself on request.

Importing what a notebook needs takes seconds; a fork has it in milliseconds, as a process of its own.
The nursery itself only imports: it never fits, predicts or opens a connection, has one thread, and so
can be forked safely. It ends when the worker that started it does.

A request is one line of JSON with two file descriptors: a pipe to report to, and a lifeline. When the
lifeline's other end closes, because the worker was killed or has cancelled the run, the runner's whole
process group is killed.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import socket
import sys
import threading
import warnings
from pathlib import Path

from pipelines.execution import kernels

NICENESS = 10  # notebooks give way to the gateway and the pages
_REQUEST_BYTES = 8192


def main(descriptor: int) -> None:
    """Serve fork requests on the socket `descriptor` until its other end closes."""
    # Arrow's allocator would keep a thread of its own, and a process with two can't be forked safely.
    os.environ["JE_ARROW_MALLOC_CONF"] = "background_thread:false"
    # What these two say of themselves while they are imported is of no use to whoever reads the log.
    os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"
    warnings.filterwarnings("ignore", "IProgress not found")
    for name in kernels.PRELOADED:
        importlib.import_module(name)
    from pipelines.execution import runner as _  # noqa: F401  (loaded here, used in the forks)

    gc.collect()
    gc.freeze()  # the collector would touch, and so copy, every page that forks share
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # ended runners are reaped by the kernel
    if threading.active_count() != 1:
        names = ", ".join(thread.name for thread in threading.enumerate())
        raise RuntimeError(f"the nursery must have one thread to be forked, but has: {names}")
    with socket.socket(fileno=descriptor) as requests:
        requests.sendall(b"ready\n")
        while True:
            line, descriptors, _flags, _address = socket.recv_fds(requests, _REQUEST_BYTES, 2)
            if not line:
                return
            report, lifeline = descriptors
            pid = os.fork()
            if pid == 0:
                requests.close()
                _run(json.loads(line), report, lifeline)
            os.close(report)
            os.close(lifeline)
            requests.sendall(f"{pid}\n".encode())


def _run(request: dict[str, str], report: int, lifeline: int) -> None:
    """Be a runner: execute what was asked, report, and exit."""
    code = 1
    try:
        os.setsid()
        os.nice(NICENESS)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        # The kernel is forked before this process has a second thread, a lock or a socket.
        kernel = kernels.fork_kernel((report, lifeline)) if request["task"] != "close" else None
        hold_lifeline(lifeline)
        code = perform(request, report, kernel)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(code)


def hold_lifeline(lifeline: int) -> None:
    """Kill this process group as soon as the lifeline's other end closes."""

    def wait() -> None:
        while os.read(lifeline, 1):
            pass
        if kernels.CAN_FORK:
            os.killpg(os.getpgid(0), signal.SIGKILL)
        os._exit(1)

    threading.Thread(target=wait, name="lifeline", daemon=True).start()


def perform(request: dict[str, str], report: int, kernel: kernels.ForkedKernel | None = None) -> int:
    """Do one task and write its outcome to the descriptor `report`.

    `step` executes a step of the run in `root`, `close` ends the run's MLflow runs with `status`, and
    `notebook` executes the notebook `source` in the folder `root`, for the bench.
    """
    from pipelines.execution import runner

    root = Path(request["root"])
    if request["task"] == "close":
        runner.close_run(root, request["status"])  # type: ignore[arg-type]
        os.write(report, b"{}\n")
        return 0
    if request["task"] == "notebook":
        runner.run_notebook(Path(request["source"]), root, {"rows": int(request["rows"])}, kernel)
        os.write(report, b"{}\n")
        return 0
    try:
        outcome = runner.run_step(root, request["step"], kernel)
    except Exception as error:
        outcome = runner.refuse(root, request["step"], error)
    os.write(report, runner.report(outcome))
    if kernel is not None and kernel.poll() is None:
        kernel.kill()  # a step that was reused or refused never started it
    return 0 if outcome.status != "failed" else 1


if __name__ == "__main__":
    main(int(sys.argv[1]))

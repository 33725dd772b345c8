"""Kernels that are forked instead of started: a notebook's imports are there before it begins.

A runner forks its kernel from itself while it still has one thread; the libraries it had loaded come
along by copy-on-write. The kernel is a fresh process: what one notebook does, no other ever sees.
Where there is no fork, the ordinary kernel manager starts one, only slower.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from queue import Empty
from typing import TYPE_CHECKING, Any, cast

import psutil
from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning.local_provisioner import LocalProvisioner
from traitlets import default

if TYPE_CHECKING:
    from subprocess import Popen

CAN_FORK = hasattr(os, "fork") and sys.platform != "win32"

POLL_S = 0.005
SOCKETS_PREFIX = "flightdeck-kernel-"
CONNECTION_FILE = "kernel.json"

# What notebooks import. Loading it costs seconds once, in the parent; a fork has it in milliseconds.
PRELOADED = (
    "IPython.core.completerlib",
    "IPython.core.debugger",
    "IPython.core.oinspect",
    "IPython.extensions.storemagic",
    "ipykernel.debugger",
    "ipykernel.kernelapp",
    "ipykernel.zmqshell",
    "IPython.core.completer",
    "mlflow.sklearn",
    "mlflow.data.pandas_dataset",
    "mlflow.models.signature",
    "dulwich.worktree",
    "dvc.repo",
    "numpy",
    "pandas",
    "pandera.pandas",
    "papermill",
    "plotly.graph_objects",
    "plotly.io",
    "pyarrow.parquet",
    "skops.io",
    "sklearn.ensemble",
    "sklearn.linear_model",
    "sklearn.metrics",
    "sklearn.pipeline",
    "sklearn.preprocessing",
    "pipelines.cleaning",
    "pipelines.evaluation",
    "pipelines.features.parity",
    "pipelines.figures",
    "pipelines.ingestion",
    "pipelines.promotion",
    "pipelines.registry",
    "pipelines.scenarios",
    "pipelines.tasks.data_plots",
    "pipelines.tracking",
    "pipelines.training",
    "pipelines.validation",
    "pipelines.versioning",
)


@dataclass
class ForkedKernel:
    """A forked process that waits to be told its connection file, then is a kernel.

    Has the methods of `subprocess.Popen` that a provisioner uses.
    """

    pid: int
    orders: int
    returncode: int | None = None
    stdin = stdout = stderr = None

    def start(self, connection_file: str, cwd: str) -> None:
        """Tell the process to become the kernel of `connection_file`, working in `cwd`."""
        os.write(self.orders, json.dumps([connection_file, cwd]).encode() + b"\n")
        os.close(self.orders)

    def poll(self) -> int | None:
        if self.returncode is None:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:
                self.returncode = 0
            else:
                if pid:
                    self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout_s: float | None = None) -> int:
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while self.poll() is None:
            if deadline is not None and time.monotonic() > deadline:
                raise TimeoutError(f"kernel {self.pid} has not ended in {timeout_s} s")
            time.sleep(POLL_S)
        return self.returncode or 0

    def send_signal(self, signum: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, signum)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class QuickClient(AsyncKernelClient):
    """A kernel's client that is ready when the kernel is.

    The ordinary one listens for 0.2 s more, to be sure that nothing was left on the line; here the
    kernel's own "idle" says so.
    """

    async def wait_for_ready(self, timeout: float | None = None) -> None:
        deadline = time.monotonic() + (timeout or float("inf"))
        while time.monotonic() < deadline:
            asked = self.kernel_info()
            try:
                reply = await self.get_shell_msg(timeout=1)
                while True:
                    # Until the subscription is in place nothing arrives: then ask again.
                    said = await self.get_iopub_msg(timeout=0.05)
                    idle = said["content"].get("execution_state") == "idle"
                    if idle and said["parent_header"].get("msg_id") == asked:
                        break
            except Empty:
                if not await self.is_alive():
                    raise RuntimeError("Kernel died before replying to kernel_info") from None
            else:
                self._handle_kernel_info_reply(reply)
                return
        raise RuntimeError(f"Kernel didn't respond in {timeout} seconds")


def fork_kernel(not_for_it: Iterable[int] = ()) -> ForkedKernel:
    """Fork a kernel-to-be from this process, which must have one thread.

    The descriptors `not_for_it` are closed in the kernel: it would keep them open when its runner dies.
    """
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(reading)
        return ForkedKernel(pid, writing)
    try:
        for descriptor in (writing, *not_for_it):
            os.close(descriptor)
        _become_kernel(reading)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(1)


def manager_for(kernel: ForkedKernel, sockets: str) -> type[AsyncKernelManager]:
    """A kernel manager class whose kernel is `kernel`, reached by sockets in the private folder `sockets`."""

    class ForkedProvisioner(LocalProvisioner):
        async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> Any:  # noqa: ARG002
            # pgid stays unset: the kernel shares the runner's group, which a signal must not reach.
            kernel.start(str(Path(sockets) / CONNECTION_FILE), str(kwargs.get("cwd") or Path.cwd()))
            self.process = cast("Popen[bytes]", kernel)
            self.pid = kernel.pid
            return self.connection_info

    class ForkedKernelManager(AsyncKernelManager):
        async def _async_pre_start_kernel(self, **kwargs: Any) -> Any:
            if self.provisioner is None:
                self.provisioner = ForkedProvisioner(
                    kernel_id=str(kernel.pid), kernel_spec=self.kernel_spec, parent=self
                )
            return await super()._async_pre_start_kernel(**kwargs)

        async def _async_wait(self, pollinterval: float = POLL_S) -> None:
            # The ordinary one looks every 0.1 s, a tenth of what a whole short notebook takes.
            await super()._async_wait(min(pollinterval, POLL_S))

        @default("client_factory")
        def _quick_client(self) -> type[QuickClient]:
            return QuickClient

        @default("transport")
        def _private(self) -> str:
            return "ipc"

        @default("connection_file")
        def _connection_file(self) -> str:
            return str(Path(sockets) / CONNECTION_FILE)

        @default("ip")
        def _path_of_sockets(self) -> str:
            return str(Path(sockets) / "kernel")

    return ForkedKernelManager


def make_sockets_folder() -> str:
    """A private folder for one kernel's sockets, whose paths may have 107 characters and no more."""
    return tempfile.mkdtemp(prefix=f"{SOCKETS_PREFIX}{os.getpid()}-")


def sweep_sockets_folders() -> None:
    """Remove the folders of runners that were killed before they could."""
    for folder in Path(tempfile.gettempdir()).glob(f"{SOCKETS_PREFIX}*"):
        pid = folder.name.removeprefix(SOCKETS_PREFIX).split("-")[0]
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)


def _become_kernel(orders: int) -> None:
    with os.fdopen(orders) as pipe:
        line = pipe.readline()
    if not line:
        os._exit(0)  # the runner went before it needed a kernel
    connection_file, cwd = json.loads(line)
    import numpy as np
    from ipykernel.kernelapp import IPKernelApp

    os.chdir(cwd)
    # A fork inherits the parent's random state: without this, every notebook would draw the same numbers.
    random.seed()
    np.random.seed()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.environ["JPY_PARENT_PID"] = str(os.getppid())
    sys.argv = [sys.argv[0]]
    IPKernelApp.launch_instance(
        argv=["-f", connection_file, "--HistoryManager.enabled=False", "--quiet", "--log-level=ERROR"]
    )
    os._exit(0)

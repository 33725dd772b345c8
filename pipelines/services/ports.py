"""Ports of this machine: which are free, who holds one, and whether what answers is what we started.

Comes in: a port. Goes out: a fact about it. Only 127.0.0.1 is ever asked, and never through a proxy.
"""

from __future__ import annotations

import http.client
import os
import socket
from collections.abc import Mapping

import psutil

from pipelines.settings import LOOPBACK

ANSWER_TIMEOUT_S = 2.0
CONNECT_TIMEOUT_S = 0.5
_READ_BYTES = 65_536

_NO_PROXY = (LOOPBACK, "localhost")


def is_free(port: int) -> bool:
    """Whether a server of ours could listen on `port` of 127.0.0.1 now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        if os.name == "posix":
            # As servers do: without it a port counts as taken for a minute after its server ended.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return not _somebody_listens(port)


def free_port() -> int:
    """A port that was free when this returned."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def holder(port: int) -> str:
    """Who listens on `port`: "process 812 (python3 -m http.server)", or "another program".

    Other users' processes can't be named without their rights (on macOS: no process can).
    """
    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.Error:
        return "another program"
    for connection in connections:
        if connection.status != psutil.CONN_LISTEN or not connection.laddr or not connection.pid:
            continue
        if connection.laddr.port == port:
            return f"process {connection.pid} ({describe(connection.pid)})"
    return "another program"


def describe(pid: int) -> str:
    """The first words of a process's command line, as a person would recognise it."""
    try:
        process = psutil.Process(pid)
        words = process.cmdline() or [process.name()]
    except psutil.Error:
        return "already gone"
    words[0] = os.path.basename(words[0])  # noqa: PTH119  (a command's first word, not a path of ours)
    text = " ".join(words[:4])
    return text if len(text) <= 80 else text[:79] + "…"


def answers(port: int, path: str, expected: str = "") -> bool:
    """Whether GET http://127.0.0.1:`port``path` is answered with 200 and `expected` in its text.

    The text counts because Streamlit answers every unknown path with 200 and its own page.
    """
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=ANSWER_TIMEOUT_S)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status == 200 and expected in response.read(_READ_BYTES).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def past_proxies(environment: Mapping[str, str]) -> dict[str, str]:
    """Variables that make HTTP clients reach 127.0.0.1 directly, whatever proxy is set."""
    stored = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    hosts = [host.strip() for host in stored.split(",") if host.strip()]
    if "*" not in hosts:  # which already means every host, and counts only when it stands alone
        hosts += [host for host in _NO_PROXY if host not in hosts]
    return {"NO_PROXY": ",".join(hosts), "no_proxy": ",".join(hosts)}


def _somebody_listens(port: int) -> bool:
    """Whether a connection is taken: on some systems a port can be bound although another has it."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(CONNECT_TIMEOUT_S)
        return probe.connect_ex((LOOPBACK, port)) == 0

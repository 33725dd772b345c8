"""What a request must pass before it is read: its host, its workspace, its size.

Comes in: headers and bytes as they arrive. Goes out: the workspace meant and the whole body, or an
error. Small enough to be read as one, because all that keeps strangers out is here.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any

from pipelines.errors import BadInput, FlightdeckError
from pipelines.settings import LOOPBACK
from pipelines.workspace import DEFAULT_WORKSPACE, Home, Workspace

MAX_BODY = 1024 * 1024
# A body over the bound is still read up to here before it is refused: a client that is cut off while it
# sends does not see the answer.
MAX_DRAINED = 16 * MAX_BODY
BODY_WITHIN_S = 10.0

# Names of this machine by which a browser or client may call it.
LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Asgi = Callable[[Message, Receive, Send], Awaitable[None]]


class TooLarge(BadInput):
    """A body is over the bound."""

    http_status = 413


class WrongType(BadInput):
    """A body is not said to be JSON."""

    http_status = 415


class TooSlow(BadInput):
    """A body did not come in time."""

    http_status = 408


class Unrecognised(FlightdeckError):
    """A bearer token names no workspace."""

    http_status = 401


def guard_host(app: Asgi) -> Asgi:
    """`app` for callers who name this machine as itself.

    A web page can have its own name resolve to 127.0.0.1 (DNS rebinding) and would then speak to the
    gateway as to its own server; but it can't choose the Host header.
    """

    async def guarded(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            host = dict(scope["headers"]).get(b"host", b"").decode("latin-1").lower()
            name, _, port = host.rpartition(":")
            if (name if port.isdigit() else host) not in LOOPBACK_NAMES:
                await _refuse(send, f"The host '{host[:60]}' is not served here. Use {LOOPBACK}.")
                return
        await app(scope, receive, send)

    return guarded


def workspace_of(authorization: str | None, home: Home) -> Workspace:
    """The workspace a request is for: the one its bearer token names; without one, `me`.

    On loopback a token is the workspace's name: whoever runs programs on this machine can read all of
    its files anyway.

    Raises
    ------
    Unrecognised
        The header is not a bearer token, or there is no such workspace.
    """
    if authorization is None:
        return Workspace(home, DEFAULT_WORKSPACE)
    kind, _, token = authorization.partition(" ")
    try:
        found = Workspace(home, token.strip()) if kind.lower() == "bearer" else None
    except BadInput:
        found = None
    if found is None or not (found.root.is_dir() or found.name == DEFAULT_WORKSPACE):
        raise Unrecognised(
            "The Authorization header names no workspace there is.",
            "Send 'Authorization: Bearer <workspace>', or no such header for your own.",
        )
    return found


async def read_body(content_type: str, chunks: AsyncIterator[bytes]) -> bytes:
    """The whole body, if it is said to be JSON and of bearable size: counted as it comes.

    Raises
    ------
    WrongType
        It is said to be something else.
    TooLarge
        It has more than `MAX_BODY` bytes.
    TooSlow
        It was not complete in time.
    """
    kind = content_type.partition(";")[0].strip().lower()
    # A web page can send other types here without asking first; this one it may not.
    if kind != "application/json":
        raise WrongType(
            f"The body is of type '{kind[:40]}', but JSON is expected.",
            "Send the header Content-Type: application/json.",
        )
    kept: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_WITHIN_S):
            async for chunk in chunks:
                size += len(chunk)
                if size > MAX_DRAINED:
                    break
                if size <= MAX_BODY:
                    kept.append(chunk)
    except TimeoutError as error:
        raise TooSlow(f"The body was not complete after {BODY_WITHIN_S:g} s.", "Send it again.") from error
    if size > MAX_BODY:
        raise TooLarge(
            f"The body has more than {MAX_BODY:,} bytes.", "Send fewer rows at a time, in several requests."
        )
    return b"".join(kept)


async def _refuse(send: Send, text: str) -> None:
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps({"error": text}).encode()})

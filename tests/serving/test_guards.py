"""What a request must pass before it is read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pipelines.serving import guards
from pipelines.serving.guards import TooLarge, TooSlow, Unrecognised, WrongType, read_body, workspace_of
from pipelines.workspace import Home, open_workspace

JSON = "application/json"


async def parts(*chunks: bytes, pause_s: float = 0.0) -> AsyncIterator[bytes]:
    for chunk in chunks:
        await asyncio.sleep(pause_s)
        yield chunk


def read(content_type: str, *chunks: bytes, pause_s: float = 0.0) -> bytes:
    return asyncio.run(read_body(content_type, parts(*chunks, pause_s=pause_s)))


def test_without_a_token_the_workspace_is_me(tmp_path: Path) -> None:
    assert workspace_of(None, Home(tmp_path)).name == "me"


def test_a_bearer_token_names_its_workspace(tmp_path: Path) -> None:
    open_workspace("ada", Home(tmp_path))
    assert workspace_of("Bearer ada", Home(tmp_path)).name == "ada"
    assert workspace_of("bearer  ada ", Home(tmp_path)).name == "ada"


@pytest.mark.parametrize("header", ["Bearer bob", "Bearer ../ada", "Basic ada", "ada", "", "Bearer "])
def test_a_token_of_nobody_is_refused_and_makes_no_folder(tmp_path: Path, header: str) -> None:
    open_workspace("ada", Home(tmp_path))
    with pytest.raises(Unrecognised):
        workspace_of(header, Home(tmp_path))
    assert [path.name for path in (tmp_path / "learners").iterdir()] == ["ada"]


def test_a_body_in_parts_is_put_together() -> None:
    assert read(JSON, b"ab", b"", b"c") == b"abc"
    assert read("Application/JSON; charset=utf-8", b"ab") == b"ab"


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded", "json"])
def test_a_body_that_a_web_page_could_send_unasked_is_refused(kind: str) -> None:
    with pytest.raises(WrongType, match="application/json"):
        read(kind, b"{}")


def test_a_body_of_the_largest_size_passes_and_one_byte_more_does_not() -> None:
    assert len(read(JSON, b"x" * guards.MAX_BODY)) == guards.MAX_BODY
    with pytest.raises(TooLarge, match="1,048,576"):
        read(JSON, b"x" * guards.MAX_BODY, b"x")


def test_a_body_without_end_is_not_read_to_it() -> None:
    read_chunks = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read_chunks
        while True:
            read_chunks += 1
            yield b"x" * guards.MAX_BODY

    with pytest.raises(TooLarge):
        asyncio.run(read_body(JSON, endless()))
    assert read_chunks == guards.MAX_DRAINED // guards.MAX_BODY + 1


def test_a_body_that_trickles_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guards, "BODY_WITHIN_S", 0.05)
    with pytest.raises(TooSlow, match="not complete"):
        read(JSON, *[b"x"] * 100, pause_s=0.02)

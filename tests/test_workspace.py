"""A workspace's paths and its database: whose it is, and whether this Flightdeck can read it."""

from __future__ import annotations

import sqlite3

import pytest

from pipelines import promotion
from pipelines.errors import BadInput, Refused
from pipelines.serving.prediction_log import PredictionLog
from pipelines.workspace import APP_SCHEMA, Workspace


@pytest.mark.parametrize("name", ["", "a", "A-b", "-ab", "ab-", "a/b", "..", "api", "a" * 33, "ab\n"])
def test_a_name_that_could_lead_elsewhere_is_refused(workspace: Workspace, name: str) -> None:
    with pytest.raises(BadInput):
        Workspace(workspace.home, name)


def test_the_database_carries_its_schema_from_the_first_connection_on(workspace: Workspace) -> None:
    with workspace.connect() as connection:
        assert connection.execute("PRAGMA user_version").fetchone()[0] == APP_SCHEMA


def test_a_database_from_before_schemas_were_numbered_is_taken_on(workspace: Workspace) -> None:
    with sqlite3.connect(workspace.database) as connection:
        connection.execute("CREATE TABLE kept (it TEXT)")
    with workspace.connect() as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone()[0] == 0
        assert connection.execute("PRAGMA user_version").fetchone()[0] == APP_SCHEMA


def test_a_newer_database_is_refused_and_left_as_it_is(workspace: Workspace) -> None:
    # given
    with sqlite3.connect(workspace.database) as connection:
        connection.execute(f"PRAGMA user_version = {APP_SCHEMA + 1}")
    before = workspace.database.read_bytes()
    # when any owner of a table opens it
    with pytest.raises(Refused, match=f"schema {APP_SCHEMA + 1}"):
        promotion.serving(workspace, "fraud")
    with pytest.raises(Refused, match="newer"):
        PredictionLog(workspace).probe()
    # then
    connection = sqlite3.connect(workspace.database)
    assert connection.execute("PRAGMA user_version").fetchone()[0] == APP_SCHEMA + 1
    connection.close()
    assert len(workspace.database.read_bytes()) == len(before)

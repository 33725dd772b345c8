"""Settings: read from the environment, with a clear refusal of what is not one."""

from __future__ import annotations

import pytest

from pipelines.errors import BadInput
from pipelines.settings import read_settings


def test_what_is_handed_on_is_read_back() -> None:
    chosen = read_settings(
        {"FLIGHTDECK_HOME": "/tmp/x", "FLIGHTDECK_APP_PORT": "85", "FLIGHTDECK_EMPTY": "1"}
    )
    assert chosen.empty
    assert read_settings(chosen.environment()) == chosen
    assert not read_settings({}).empty
    assert not read_settings({"FLIGHTDECK_EMPTY": "0"}).empty


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FLIGHTDECK_EMPTY", "yes"),
        ("FLIGHTDECK_EMPTY", "2"),
        ("FLIGHTDECK_APP_PORT", "x"),
        ("FLIGHTDECK_MLFLOW_PORT", "70000"),
    ],
)
def test_what_is_no_setting_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(BadInput, match=name):
        read_settings({name: value})

"""The libraries that a packaged model needs: few, and each at one exact version.

Comes in: which Python the image has, and with which versions the model was trained. Goes out: the lines of
a requirements.txt.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import requires

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from pipelines.settings import REPOSITORY

# What serve.py imports, and what the model file is made of.
SERVED_BY = ("numpy", "pyarrow", "scikit-learn", "skops")
# What a stored model means depends on the version of these: they are the ones it was trained with.
AS_TRAINED = ("scikit-learn", "skops")


def pins(python: str, trained_with: Mapping[str, str], needed: Iterable[str] = SERVED_BY) -> list[str]:
    """`name==version` of every library that is needed, those that they need included, by name.

    Parameters
    ----------
    python : str
        The image's Python, such as "3.12"; some libraries have another version for another Python.
    trained_with : mapping of str to str
        Versions by library, as the run recorded them.
    """
    versions = _pinned(python) | {name: trained_with[name] for name in AS_TRAINED if name in trained_with}
    found: set[str] = set()
    waiting: list[str] = [canonicalize_name(name) for name in needed]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _needs(name, python)
    return [f"{name}=={versions[name]}" for name in sorted(found)]


def platform_size() -> int:
    """How many libraries Flightdeck itself installs."""
    return len(_pinned("3.11"))


@cache
def _pinned(python: str) -> dict[str, str]:
    """Flightdeck's own pins, as they are for `python` on Linux."""
    found: dict[str, str] = {}
    for line in (REPOSITORY / "requirements.txt").read_text("utf-8").splitlines():
        if line and not line.startswith((" ", "#", "-")):
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate(_environment(python)):
                (version,) = requirement.specifier
                found[canonicalize_name(requirement.name)] = version.version
    return found


def _needs(name: str, python: str) -> list[str]:
    """What a library asks for besides itself, extras left out."""
    asked = [Requirement(text) for text in requires(name) or ()]
    return [
        canonicalize_name(each.name)
        for each in asked
        if each.marker is None or each.marker.evaluate(_environment(python))
    ]


def _environment(python: str) -> dict[str, str]:
    return {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "platform_machine": "x86_64",
        "platform_python_implementation": "CPython",
        "implementation_name": "cpython",
        "os_name": "posix",
        "extra": "",
    }

"""Versions of the data: which rows a model came from can be told, compared and had again."""

from pipelines.versioning.comparison import ColumnChange, Comparison, compare
from pipelines.versioning.repository import DataVersion
from pipelines.versioning.snapshots import (
    check_out,
    find_version,
    read_file,
    read_version,
    take,
    verify,
    versions,
)

__all__ = [
    "ColumnChange",
    "Comparison",
    "DataVersion",
    "check_out",
    "compare",
    "find_version",
    "read_file",
    "read_version",
    "take",
    "verify",
    "versions",
]

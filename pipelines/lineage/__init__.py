"""Lineage: one prediction followed back to the data, and forward to what turned out to be true."""

from pipelines.lineage.following import follow
from pipelines.lineage.records import Lineage

__all__ = ["Lineage", "follow"]

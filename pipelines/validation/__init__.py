"""Validation: is what arrived fit to be worked with? A schema for each value, expectations for the batch.

Comes in: the table as the source delivered it. Goes out: a report of checks, each with what was found,
what was expected, examples and what it means. A failed check stops the run; some leave rows to cleaning.

A schema looks at one value at a time. It can't see that a whole day came in another unit, when each value
by itself is possible. So days are compared with each other, too.
"""

from pipelines.validation.check import Check, Example
from pipelines.validation.report import checks_of, require, validate

__all__ = ["Check", "Example", "checks_of", "require", "validate"]

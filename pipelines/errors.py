"""What can go wrong, sorted by what the reader can do about it.

Every error says what happened, on what, and what to do next. A page, the CLI and the gateway catch
`FlightdeckError` and show its two sentences; anything else that escapes is a defect of ours.
"""

from __future__ import annotations


class FlightdeckError(Exception):
    """Something a user should read: what happened, and what to do about it.

    Parameters
    ----------
    message : str
        What was found, on what, and what was expected. One or two sentences.
    hint : str
        The next step, as an instruction.
    """

    exit_code = 1
    http_status = 500

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class BadInput(FlightdeckError):
    """A value, file or request is not of the form expected: the reader corrects it."""

    exit_code = 2
    http_status = 422


class Missing(FlightdeckError):
    """A run, artifact, model or version that was named does not exist."""

    http_status = 404


class Refused(FlightdeckError):
    """A rule said no (a gate, a lock, a limit): the reader meets the rule first."""

    http_status = 409


class Unavailable(FlightdeckError):
    """A service, port, disk or tool that is needed is not there now: the reader starts or frees it."""

    http_status = 503


class Damaged(FlightdeckError):
    """A stored file is not what was written: the reader makes it again."""


class StepFailed(FlightdeckError):
    """A step's notebook stopped with an error.

    Attributes
    ----------
    step, cell : str, int
        Which step, and the index of the failing cell in the executed notebook (0 is the first).
    cause : str
        Name and text of the exception raised in the notebook, without colour codes.
    """

    def __init__(self, step: str, cell: int, cause: str, hint: str = "") -> None:
        super().__init__(f"Step '{step}' stopped in cell {cell + 1}: {cause}", hint)
        self.step = step
        self.cell = cell
        self.cause = cause

    def __reduce__(self) -> tuple[type, tuple[str, int, str, str]]:
        return type(self), (self.step, self.cell, self.cause, self.hint)

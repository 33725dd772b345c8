"""Times, numbers and names as a page says them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from datetime import date
from typing import Any

_WORDS = (
    "no",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
)
NARROW = "\u00a0"  # A space at which no line is broken.


def plain(text: Any) -> str:
    """`text` for Markdown, so that every character of it is shown as it is."""
    escaped = "".join("\\" + letter if letter in "\\`*_{}[]()<>#+-!|~$:&" else letter for letter in str(text))
    return escaped.replace("\n", "  \n")


def distinct(labels: Mapping[str, str]) -> dict[str, str]:
    """The same labels with a number after each that is the label of another too.

    A select box sends back what it shows: of two options that read alike the first would be taken.
    """
    met: Counter[str] = Counter()
    found = {}
    for name, label in labels.items():
        met[label] += 1
        found[name] = label if met[label] == 1 else f"{label} ({met[label]})"
    return found


def clock(at: float | None) -> str:
    """A time of day, with the date when it was another day."""
    if at is None:
        return ""
    then, now = time.localtime(at), time.localtime()
    return time.strftime("%H:%M" if then[:3] == now[:3] else "%d %b %H:%M", then)


def seconds(value: float | None) -> str:
    """A duration: "2.9 s", "1 min 20 s"; number and unit stay on one line."""
    if value is None:
        return ""
    if value < 60:
        return f"{value:.1f}{NARROW}s"
    return f"{int(value) // 60}{NARROW}min {int(value) % 60}{NARROW}s"


def share(value: float) -> str:
    """A share as a percentage; with a decimal where it is small."""
    return f"{value:.1%}" if 0 < value < 0.01 else f"{value:.0%}"


def several(count: int, one: str, many: str) -> str:
    """A number with its noun: "1 payment", "1,204 payments"."""
    return f"{count:,} {one if count == 1 else many}"


def article(noun: str) -> str:
    """The noun with its article: "a payment"."""
    return f"an {noun}" if noun[:1] in "aeiou" else f"a {noun}"


def spelt(count: int) -> str:
    """A small number as a word: "nine"."""
    return _WORDS[count] if count < len(_WORDS) else f"{count:,}"


def money(value: float, unit: str) -> str:
    """An amount without its sign, in whole units: "€8,420", "340 harm points"."""
    amount = f"{abs(value):,.0f}"
    return f"€{amount}" if unit == "EUR" else f"{amount} {unit}"


def signed(value: float, unit: str) -> str:
    """An amount with a minus where it is below zero: "−€8,420"."""
    return ("−" if round(value) < 0 else "") + money(value, unit)


def date_words(day: date) -> str:
    """A date: "Sunday 8 July 2018"."""
    return f"{day:%A} {day.day} {day:%B %Y}"

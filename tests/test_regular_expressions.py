"""Every regular expression of the project takes time in proportion to its text, whatever the text."""

import re
import time

import pytest
from patterns import ROOT, Pattern, hurting, modules, patterns

FOUND = patterns()
SIZES = (16, 20, 24, 30, 40, 60, 100, 200, 1000, 12000)
"""Characters. From one to the next exponential time would show before it could hang the test."""
SHORT = 0.02
"""Seconds of CPU that any text may take: 12,000 characters take a linear pattern a thousandth, a quadratic one ten times as long."""


def seconds(pattern: Pattern, text: str) -> float:
    """CPU seconds of the slowest way in which a pattern is applied.

    The best of three, or of two that are long by far: others use the machine too.
    """
    compiled = re.compile(pattern.text, pattern.flags)
    slowest = 0.0
    for method in pattern.methods:
        best = float("inf")
        for attempt in range(3):
            begin = time.thread_time()
            match method:
                case "sub":
                    compiled.sub("", text)
                case "finditer":
                    list(compiled.finditer(text))
                case _:
                    getattr(compiled, method)(text)
            best = min(best, time.thread_time() - begin)
            if best < SHORT or (attempt and best > 10 * SHORT):
                break
        slowest = max(slowest, best)
    return slowest


def slow_text(pattern: Pattern) -> str:
    """The first and shortest text that takes too long; empty where none does."""
    for size in SIZES:
        for text in hurting(pattern, size):
            if seconds(pattern, text) > SHORT:
                return text
    return ""


@pytest.mark.parametrize("pattern", FOUND, ids=lambda one: one.place)
def test_a_pattern_is_linear(pattern):
    slow = slow_text(pattern)
    assert not slow, f"{pattern.text!r} is slow on {len(slow)} characters: {slow[:60]!r}..."


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "method"),
    [
        (r"a*a*b", "search"),
        (r"(a+)+b", "match"),
        (r"^\s*Models:", "search"),
        (r"\[\^[^\]]*\]", "sub"),
        (r"lr=(\d*\.?\d+)(?!\w)", "search"),
        (r"GPU: (.+?)\s*$", "findall"),
        (r"<(\w+)>\s*.*?\s*</x>", "search"),
    ],
)
def test_the_walk_would_find_a_pattern_that_is_not(text, method):
    assert slow_text(Pattern("", text, re.MULTILINE | re.DOTALL, (method,)))


def test_the_walk_finds_every_call():
    """Those of every line on which a plain search finds a call of `re` or `pattern=`."""
    call = re.compile(r"\bre\.(?:compile|search|match|fullmatch|findall|finditer|sub|split)\(|\bpattern=")
    lines = [
        f"{path.relative_to(ROOT).as_posix()}:{number}"
        for path in modules()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if call.search(line)
    ]
    missing = set(lines) - {one.place for one in FOUND}
    assert not missing

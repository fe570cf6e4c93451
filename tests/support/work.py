"""Work counted instead of timed: the lines of Python that a call runs, which no other load of the machine changes."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

OURS = str(Path(__file__).resolve().parents[2])
OF_TESTS = str(Path(OURS, "tests"))


def lines_run(call: Callable[[], Any]) -> int:
    """How many lines of this project's code a call runs, each turn of a loop counted."""
    count = 0

    def in_frame(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        count += event == "line"
        return in_frame

    def entered(frame: FrameType, event: str, argument: Any) -> Any:
        name = frame.f_code.co_filename
        return (
            in_frame
            if name.startswith(OURS) and "/.venv" not in name and not name.startswith(OF_TESTS)
            else None
        )

    before = sys.gettrace()
    sys.settrace(entered)
    try:
        call()
    finally:
        sys.settrace(before)
    return count


def cpu_seconds(call: Callable[[], Any]) -> float:
    """CPU seconds of the best of three calls: what counts lines does not see, such as patterns and copies."""
    found = []
    for _ in range(3):
        begin = time.thread_time()
        call()
        found.append(time.thread_time() - begin)
    return min(found)

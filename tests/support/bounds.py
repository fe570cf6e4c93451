"""What no reader and no writer may exceed for one input, and how many inputs there are."""

import os
import resource
import time
from contextlib import contextmanager

EXAMPLES = float(os.environ.get("ZOO_FUZZ_EXAMPLES", "1"))
"""Factor on the number of inputs; `make fuzz` raises it."""
CPU_SECONDS = 4.0
"""For one input of at most `mutation.LARGEST` bytes; what is linear takes a tenth of it on a slow machine."""
MEMORY_KIB = 400_000
"""By which one input may raise the process's high-water mark."""


def examples(number):
    """So many inputs, by the factor of the run."""
    return max(1, int(number * EXAMPLES))


@contextmanager
def bounded():
    """The body takes bounded time and memory, whatever it reads."""
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    yield
    seconds = time.process_time() - began
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert seconds < CPU_SECONDS, f"{seconds:.1f} s of CPU for one input"
    assert grown < MEMORY_KIB, f"{grown} KiB more for one input"

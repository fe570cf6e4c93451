"""`make fuzz`: round after round with other inputs, until the time is over; says what every round found.

    python tests/fuzz/rounds.py SECONDS

A failure is printed with the input that made it and with the seed that makes it again:
`ZOO_FUZZ_PROFILE=fuzz ZOO_FUZZ_EXAMPLES=3 python -m pytest tests/fuzz --hypothesis-seed SEED`.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

FACTOR = "3"
"""Times the suite's number of inputs in one round."""


def main(seconds):
    """Run rounds until `seconds` have passed; the number of rounds that found something."""
    environment = os.environ | {
        "ZOO_FUZZ_PROFILE": "fuzz",
        "ZOO_FUZZ_EXAMPLES": FACTOR,
        "OMP_NUM_THREADS": "1",
    }
    began, seed, found = time.monotonic(), int(time.time()), 0
    while (left := seconds - (time.monotonic() - began)) > 0:
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-n0",
            "--timeout",
            "0",
            "--hypothesis-seed",
            str(seed),
        ]
        try:
            done = subprocess.run(
                [*command, str(Path(__file__).parent)],
                env=environment,
                capture_output=True,
                check=False,
                text=True,
                timeout=left,
            )
        except subprocess.TimeoutExpired:
            print("the last round was ended by the clock")
            break
        if done.returncode:
            found += 1
            print(done.stdout)
        print(f"seed {seed}: {done.stdout.strip().rpartition(chr(10))[2]}", flush=True)
        seed += 1
    return found


if __name__ == "__main__":
    sys.exit(min(main(float(sys.argv[1])), 1))

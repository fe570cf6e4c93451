"""Progress bars on stderr for downloads and images; data go to stdout.

Where stderr is no terminal there are none, but that of counted images: a job of hours gives a sign of life to its log
every half a minute.
"""

from __future__ import annotations

import sys
import time
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, TypeVar

from tqdm import tqdm

from ....evaluate.data.datasets import ImageFault
from ....reports.media import one_line, unfiltered
from ...console.streams import answers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from typing_extensions import Self

    from ....evaluate.data.datasets import Dataset, Sample
    from ...engines.own_pictures import Prediction
    from ...fetch import Progress
    from ...manifest import Checkpoint, Claim
    from ...measuring.early import Foresight
    from ...measuring.speed import SpeedRun
    from ...runs.diagnosis import Diagnosis


Item = TypeVar("Item")

_LOG_SECONDS = 30
"""Between two lines of the bar of images, where they go to a file."""
_TELLING_SECONDS = 3
"""Between two looks at what a score will become."""
_TELLING_SHARE = 100
"""Of the time that a look takes, so that no more than a hundredth of a run goes into looking."""


class Bar(tqdm):
    """A bar on stderr, which it moves about in; its label may be of others."""

    def __init__(
        self, iterable: Iterable[Any] | None = None, *, desc: str | None = None, **settings: Any
    ) -> None:
        """As tqdm's."""
        label = desc and one_line(desc)
        super().__init__(iterable, desc=label, file=unfiltered(sys.stderr), **settings)


class ByteBar(Bar):
    """A bar that counts bytes; those of an earlier run count as there, not as fast."""

    def begin(self, total: int | None, arrived: int) -> None:
        """Show `arrived` of `total` bytes and measure speed from here on."""
        self.reset(total)
        self.initial = self.n = self.last_print_n = arrived
        self.refresh()


def byte_bar(label: str, *, quiet: bool) -> AbstractContextManager[Progress | None]:
    """A bar that counts bytes; nothing where `quiet`."""
    if quiet:
        return nullcontext()
    return ByteBar(
        desc=label,
        unit="B",
        unit_scale=True,
        unit_divisor=1024,
        delay=0.2,
        leave=False,
        disable=None,
    )


def picture_bar(made: Iterator[Prediction], *, total: int, quiet: bool) -> Iterable[Prediction]:
    """A bar that counts pictures; gone when all are done."""
    return Bar(made, total=total, unit="img", disable=quiet or None, leave=False)


def diagnosis_bar(steps: Iterator[tuple[int, int, Diagnosis]], *, quiet: bool) -> Diagnosis:
    """A bar that counts images and returns the last diagnosis."""
    answers = []
    with Bar(unit="img", desc="diagnosis", disable=quiet or None, leave=False) as bar:
        for done, total, diagnosis in steps:
            bar.total = total
            bar.update(done - bar.n)
            answers.append(diagnosis)
    return answers[-1]


def row_bar(rows: Sequence[Checkpoint], label: str, *, quiet: bool) -> Iterable[Checkpoint]:
    """The rows as they come, with a bar that counts them once a second has passed."""
    return Bar(rows, desc=label, unit="row", delay=1, leave=False, disable=quiet or None)


def counted_bar(items: Sequence[Item], label: str) -> Iterable[Item]:
    """The items as they come, with a bar that counts them once a second has passed."""
    return Bar(items, desc=label, delay=1, leave=False, disable=None)


def timing_bar(steps: Iterator[tuple[int, int, SpeedRun | None]], label: str, *, quiet: bool) -> SpeedRun:
    """A bar that counts images, between them and so outside the clock; returns the finished run."""
    finished: list[SpeedRun] = []
    with Bar(unit="img", desc=label, disable=quiet or None, leave=False) as bar:
        for done, total, run in steps:
            bar.total = total
            bar.update(done - bar.n)
            finished += [run] if run is not None else []
    return finished[-1]


class DownloadBars:
    """A `batch.Display`: a bar for every file on its way and, for more than one, a bar for all below them."""

    def __init__(self, count: int, *, quiet: bool = False, unit: str = "file") -> None:
        self.quiet = quiet
        self._total: Bar | None = None
        if count > 1 and not quiet:
            self._total = Bar(desc=f"all {unit}s", total=count, unit=unit, leave=False, disable=None)

    def file(self, label: str) -> AbstractContextManager[Progress | None]:
        """A byte bar that appears once bytes arrive."""
        return byte_bar(label, quiet=self.quiet)

    def done(self) -> None:
        """One more file of all."""
        if self._total is not None:
            self._total.update()

    def say(self, sentence: str) -> None:
        """A sentence on stderr, above the bars."""
        tqdm.write(f"zoo: {sentence}", file=sys.stderr)

    def write(self, line: str) -> None:
        """A line on stdout, above the bars of the same terminal."""
        tqdm.write(line, file=answers())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._total is not None:
            self._total.close()


class _Telling:
    """What is known of a score while its images are counted; what takes more than adding up, every few seconds."""

    def __init__(self, foresight: Foresight, printed: str) -> None:
        self._foresight = foresight
        self._printed = printed
        self._due = 0.0
        self._ahead = ""

    def text(self) -> str:
        """`mIoU 76.91 so far; certain 12.30 to 94.02; reproduced 81 %, ... (bootstrap of 50 images)`."""
        miou = self._foresight.miou()
        if miou is None:
            return ""
        if self._foresight.done == self._foresight.total:
            return f"mIoU {miou:.2f}"
        now = time.monotonic()
        if now >= self._due:
            self._ahead = self._foresight.sample().bar_text(self._printed)
            spent = time.monotonic() - now
            self._due = now + max(_TELLING_SECONDS, _TELLING_SHARE * spent)
        return f"mIoU {miou:.2f} so far{self._ahead and '; '}{self._ahead}"


class Bars:
    """A `verify.Watcher` that shows a bar a download and a bar a claim, and names faulty images at once."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet
        self.counted = 0
        """Images whose counts were stored since the start."""

    def timing(self, steps: Iterator[tuple[int, int, SpeedRun | None]], checkpoint: Checkpoint) -> SpeedRun:
        """A bar that counts timed images."""
        return timing_bar(steps, f"{checkpoint.id} fps", quiet=self.quiet)

    def download(self, checkpoint: Checkpoint) -> AbstractContextManager[Progress | None]:
        """A byte bar that appears once bytes arrive."""
        return byte_bar(checkpoint.id, quiet=self.quiet)

    def images(
        self,
        found: Iterator[Sample | ImageFault],
        checkpoint: Checkpoint,
        claim: Claim,
        *,
        total: int,
        stored: int,
        running: Foresight | None,
    ) -> Iterable[Sample | ImageFault]:
        """A bar with images/s, the time left, mIoU so far and what it will become; stored images count as done."""
        label, telling = f"{checkpoint.id} {claim.metric}", running and _Telling(running, claim.printed or "")
        with Bar(
            found,
            desc=label,
            total=total,
            initial=stored,
            unit="img",
            disable=self.quiet,
            mininterval=0.1 if sys.stderr.isatty() else _LOG_SECONDS,
        ) as bar:
            for result in bar:
                if isinstance(result, ImageFault):
                    tqdm.write(f"zoo: {result.message}", file=sys.stderr)
                else:
                    self.counted += 1
                    if telling and not bar.disable:
                        bar.set_postfix_str(telling.text(), refresh=False)
                yield result

    def labels(self, dataset: Dataset) -> Iterable[Sample]:
        """A bar that counts labels read, once that takes longer than a moment."""
        return Bar(
            dataset.samples,
            desc=f"{dataset.spec.name} labels",
            unit="img",
            delay=0.5,
            leave=False,
            disable=self.quiet or None,
        )

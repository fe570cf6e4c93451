"""Commands over manifests of 625 to 5,000 rows: CPU seconds, growth, and the HTML report in a browser.

No other tool reads these manifests: the rival is a command whose time grows as its rows do, n to the power of 1.
Each command is a process of its own. Scrolling is measured in headless Chromium, where it and playwright are there.

    python benchmarks/rows.py --rows 625 1250 2500 5000
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from segbench.zoo.manifest import load_manifest
from segbench.zoo.measuring.measurement import Measurement

COMMANDS = (
    "list",
    "audit",
    "export",
    "fetch --list",
    "report --ledger LEDGER --format md",
    "report --ledger LEDGER --out PAGE",
)
HEAD = """\
version: 1
include: ["segbench:datasets.yaml", "segbench:protocols.yaml"]
documents:
  page: {title: Page, publisher: me}
sections:
  - defaults:
      publisher: me
      method: ISANet
      backbone: R-50-D8
      dataset: cityscapes
      crop: [512, 1024]
      schedule: "40000"
      source: {document: page, section: Streets}
      aliases: ["{name}"]
      architecture: {builder: isanet_mmseg, depth: 50, num_classes: 19}
      weights: {layout: mmseg, urls: ["https://example.org/{id}_{time}-{hash}.pth"], sha256_prefix: "{hash}"}
      figures: {miou: {protocol: mmseg-cityscapes-whole}}
    rows:
"""
SCROLL = """async () => {
  const steps = [], height = document.documentElement.scrollHeight;
  scrollTo(0, height / 3);
  for (let step = 0, last = performance.now(); step < 200; step++) {
    scrollBy(0, 100);
    await new Promise(requestAnimationFrame);
    const now = performance.now();
    steps.push(now - last);
    last = now;
  }
  steps.sort((a, b) => a - b);
  return {elements: document.querySelectorAll("*").length,
    load: performance.getEntriesByType("navigation")[0].loadEventEnd, median: steps[100], p95: steps[190]};
}"""
"""200 turns of a wheel, from a third of the page on."""


def main() -> None:
    """Print a table of the commands and one of the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, nargs="+", default=[625, 1250, 2500, 5000])
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as folder:
        files = {count: make_files(Path(folder), count) for count in rows}
        print("| command | " + " | ".join(f"{count} rows, s" for count in rows) + " | growth |")
        print("| --- |" + " ---: |" * (len(rows) + 1))
        cold = [run("list", *files[count], forget=True) for count in rows]
        print("| list, nothing kept | " + " | ".join(f"{one:.2f}" for one in cold) + " | |")
        for command in COMMANDS:
            seconds = [run(command, *files[count]) for count in rows]
            power = math.log(seconds[-1] / seconds[0], rows[-1] / rows[0]) if len(rows) > 1 else math.nan
            print(f"| {command} | " + " | ".join(f"{one:.2f}" for one in seconds) + f" | n^{power:.2f} |")
        print()
        browse({count: page for count, (_, _, page) in files.items()})


def make_files(folder: Path, count: int) -> tuple[Path, Path, Path]:
    """A manifest of one table, its ledger, and the place of its page."""
    manifest, ledger, page = (folder / f"{count}{ending}" for ending in (".yaml", ".jsonl", ".html"))
    figures = [40 + (number * 7919 % 4000) / 100 for number in range(count)]
    rows = "".join(
        f"""\
      - id: x{number}
        parts: {{name: y{number}, time: "20210901_054739", hash: "{number:08x}"}}
        figures: {{miou: "{figure:.2f}"}}
"""
        for number, figure in enumerate(figures)
    )
    manifest.write_text(HEAD + rows, encoding="utf-8")
    zoo = load_manifest(manifest)
    with ledger.open("wb") as file:
        for number, (one, figure) in enumerate(zip(zoo, figures, strict=True)):
            file.write(json_line(one.id, one.protocol("miou").digest(), figure + (number % 41 - 20) / 200))
    return manifest, ledger, page


def json_line(row: str, digest: str, value: float) -> bytes:
    """A measurement as `zoo verify` records it."""
    record = Measurement(
        checkpoint=row, metric="miou", value=value, protocol="mmseg-cityscapes-whole", protocol_digest=digest,
        weights_sha256="0" * 64, dataset="cityscapes", dataset_fingerprint="0" * 64, image_count=500, seconds=1,
        new_images=500, precision="fp32", environment={"device": "cpu"}, taken_at="2026-11-25T00:00:00+00:00",
    )  # fmt: skip
    return json.dumps({name: getattr(record, name) for name in record.__struct_fields__}).encode() + b"\n"


def run(command: str, manifest: Path, ledger: Path, page: Path, *, forget: bool = False) -> float:
    """CPU seconds of one command in a process of its own, Python's start included.

    The manifest's copy in the cache is used; `forget` gives the command an empty cache.
    """
    words = command.replace("LEDGER", str(ledger)).replace("PAGE", str(page)).split()
    program = "import sys; from segbench.zoo.cli import main; sys.exit(main())"
    line = [sys.executable, "-c", program, *words, "--manifest", str(manifest)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    own = {"ZOO_HOME": tempfile.mkdtemp(dir=manifest.parent)} if forget else {}
    done = subprocess.run(
        line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False, env=os.environ | own
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in {0, 1}:
        sys.exit(f"{command}: exit {done.returncode}: {done.stderr}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def browse(pages: dict[int, Path]) -> None:
    """Load and scroll every page at the widths of a desk and of a phone."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    try:
        from playwright.sync_api import sync_playwright  # noqa: PLC0415
    except ImportError:
        chromium = None
    if chromium is None:
        print("No browser: Chromium or playwright is not installed.")
        return
    print("| page | width | MB | elements | load ms | frame ms, median | frame ms, 95 % |")
    print("| --- |" + " ---: |" * 6)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium)
        for count, page in pages.items():
            for width in (1280, 390):
                tab = browser.new_page(viewport={"width": width, "height": 800}, offline=True)
                tab.goto(page.as_uri(), timeout=0)
                found = tab.evaluate(SCROLL)
                size = page.stat().st_size / 1e6
                print(
                    f"| {count} rows | {width} | {size:.1f} | {found['elements']} | {found['load']:.0f} "
                    f"| {found['median']:.0f} | {found['p95']:.0f} |"
                )
                tab.close()
        browser.close()


if __name__ == "__main__":
    main()

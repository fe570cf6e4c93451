"""Four times the rows are four times the work, whatever the rows say: counted in lines run, never timed."""

import contextlib
import io
import re
import shutil

import msgspec
import pytest
from full_zoo import YAML
from work import lines_run

from segbench.zoo.audit import audit
from segbench.zoo.cli import main
from segbench.zoo.manifest import load_manifest
from segbench.zoo.manifest.places import find_places
from segbench.zoo.measuring.measurement import Measurement
from segbench.zoo.publishers import read_sources

pytestmark = pytest.mark.slow

HEAD = re.split(r"(?m)^checkpoints:\n", YAML)[0]
GROWTH = 5
"""Less than this many times the work for four times the rows; work on pairs of rows would be sixteen times."""
SHAPES = {
    "one row again and again": lambda n: {},
    "longer and longer schedules, worse and worse": lambda n: {"schedule": n + 1, "miou": 79 - n / 100},
    "larger and larger models, worse and worse": lambda n: {
        "backbone": f"R-{n}-D8",
        "parameters": n + 1,
        "miou": 79 - n / 100,
    },
    "one figure under every schedule": lambda n: {"schedule": n + 1, "extra": 70 + n / 100},
    "one figure in every other column": lambda n: {"schedule": n + 1, "miou": 70 + n / 100, "extra": 76},
    "figures a thousand times apart": lambda n: {"miou": (0.5, 76.5)[n % 2], "schedule": n % 7},
}


def zoo(folder, rows, shape):
    """A manifest of so many rows, and a publisher's table that has each of them with another figure."""
    entries, cells = [], []
    for number in range(rows):
        row = {"schedule": 40000, "miou": 76.5, "extra": 77.5, "backbone": "R-50-D8", "parameters": 37707398}
        row |= SHAPES[shape](number)
        entries.append(f"""\
  - id: x{number}
    publisher: mmsegmentation
    method: ISANet
    backbone: {row["backbone"]}
    dataset: cityscapes
    crop: [512, 1024]
    schedule: "{row["schedule"]}"
    architecture: {{builder: isanet_mmseg, depth: 50, num_classes: 19}}
    parameters: {row["parameters"]}
    weights: {{layout: mmseg, urls: ["https://a.org/x{number}.pth"]}}
    claims:
      - {{metric: miou, printed: "{row["miou"]:.2f}", protocol: mmseg-cityscapes-whole}}
      - {{metric: miou_ms_flip, printed: "{row["extra"]:.2f}", protocol: mmseg-cityscapes-whole-ms-flip}}
      - {{metric: fps, printed: "{2 + number % 3}.31", device: V100}}
""")
        link = f"[model](https://a.org/x{number}.pth)"
        cells.append(
            f"| ISANet | {row['backbone']} | 512x1024 | {row['schedule']} | 1.00 | 70.00 | {link} |\n"
        )
    path, table = folder / f"{rows}.yaml", folder / f"{rows}.md"
    path.write_text(f"{HEAD}checkpoints:\n{''.join(entries)}", encoding="utf-8")
    titles = "| Method | Backbone | Crop Size | Lr schd | Inf time (fps) | mIoU | download |\n"
    table.write_text(f"## Cityscapes\n\n{titles}| --- |\n{''.join(cells)}", encoding="utf-8")
    ledger = folder / f"{rows}.jsonl"
    manifest = load_manifest(path)
    lines = (msgspec.json.encode(measured(one.id, manifest)) + b"\n" for one in manifest)
    ledger.write_bytes(b"".join(lines))
    return path, table, ledger


def measured(row, manifest):
    """A measurement of a row, as its manifest says that it has to be taken."""
    one = manifest[row]
    return Measurement(
        checkpoint=row, metric="miou", value=76.4, protocol="mmseg-cityscapes-whole",
        protocol_digest=one.protocol("miou").digest(), weights_sha256="0" * 64, dataset="cityscapes",
        dataset_fingerprint="f" * 64, image_count=500, seconds=1, new_images=500, precision="fp32",
        environment={"device": "cpu"}, taken_at="2026-11-25T00:00:00+00:00",
    )  # fmt: skip


def growth(work, few=40, many=160):
    """How many times the work is done for four times the rows."""
    work(few)  # what is read and remembered once is no part of it
    return lines_run(lambda: work(many)) / lines_run(lambda: work(few))


@pytest.mark.parametrize("shape", SHAPES)
def test_an_audit_of_four_times_the_rows_is_four_times_the_work(tmp_path, shape):
    made = {}
    for rows in (40, 160):
        path, table, _ = zoo(tmp_path, rows, shape)
        find_places(path)  # kept from here on; the command below finds them each time
        made[rows] = load_manifest(path), read_sources(table)
    assert growth(lambda rows: audit(*made[rows])) < GROWTH


@pytest.mark.parametrize(
    "command",
    [
        "audit --source TABLE",
        "list",
        "show x1",
        "plan --tflops 10",
        "fetch --list",
        "export",
        "import TABLE --into INTO",
        "report --ledger LEDGER",
        "report --ledger LEDGER --out OUT.html",
        "report --ledger LEDGER --out OUT.xml",
        *(
            pytest.param(one, marks=pytest.mark.golden)
            for one in (
                "list --where method=ISANet",
                "export --format csv",
                "report --ledger LEDGER --format md",
                "report --ledger LEDGER --format csv",
                "report --ledger LEDGER --json",
            )
        ),
    ],
)
def test_a_command_over_four_times_the_rows_is_four_times_the_work(tmp_path, monkeypatch, command):
    few = 20 if re.search("INTO|html", command) else 40  # what does much with every row
    made = {
        rows: zoo(tmp_path, rows, "longer and longer schedules, worse and worse") for rows in (few, 4 * few)
    }
    monkeypatch.setattr("segbench.zoo.manifest.compiled._WORTH_BYTES", 10**9)  # lines are read each time

    def run(rows):
        path, table, ledger = made[rows]
        shutil.copy(path, into := tmp_path / "into.yaml")
        shutil.rmtree(tmp_path / "into", ignore_errors=True)  # what was imported the last time
        names = {
            "TABLE": table,
            "LEDGER": ledger,
            "OUT": tmp_path / "out",
            "INTO": f"{into} --date 2026-11-01",
        }
        words = re.sub("TABLE|LEDGER|OUT|INTO", lambda found: str(names[found[0]]), command).split()
        words += [] if "INTO" in command else ["--manifest", str(path)]
        with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(out):
            code = main(words)
        assert code in {0, 1}, out.getvalue()[-500:]

    assert growth(run, few, 4 * few) < GROWTH

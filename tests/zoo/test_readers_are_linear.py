"""Every reader of text takes four times the work for four times the text: grown fixtures, and texts made to hurt."""

import contextlib
import json
from pathlib import Path

import pytest
from full_zoo import YAML, ZOO
from publisher_pages import metafile, mmseg_readme
from work import cpu_seconds, lines_run

from segbench.evaluate.data.datasets import DatasetError
from segbench.evaluate.data.folder import folder_spec
from segbench.reports.ledger import LedgerError
from segbench.reports.ledger import read as read_ledger
from segbench.zoo.manifest import ManifestError, load_manifest
from segbench.zoo.measuring.measurement import Measurement
from segbench.zoo.publishers import SourceError, read_sources
from segbench.zoo.publishers.training_logs import LogError, read_log
from segbench.zoo.results.baseline import BaselineError, read_state

pytestmark = pytest.mark.slow

RESULTS = Path(__file__).resolve().parents[2] / "results"
README, META = mmseg_readme(ZOO), metafile(ZOO)
ROW = next(line for line in README.splitlines() if line.startswith("| ISANet | R-50"))
ENTRY = YAML.partition("\ncheckpoints:\n")
CELLS = ("Method", "Backbone", "Crop Size", "Lr schd", "mIoU", "download")
PAGE = [f"{cell} |" for cell in CELLS]
JSON_LINE = json.dumps({"mode": "train", "iter": 50, "loss": 1.0, "memory": 5000}) + "\n"
TEXT_LINE = "{'cur_epoch': 1, 'max_epochs': 60, 'cur_iter': 2, 'learning_rate': 0.01}\n"


def entries(count):
    """The packaged manifest's first entry, under as many names."""
    first = f"  - id:{ENTRY[2].split('  - id:')[1]}".rstrip()
    name = first.split("id: ")[1].split("\n")[0]
    return "\n\n".join(
        first.replace(f"id: {name}", f"id: row{number}").replace("aliases:", "#") for number in range(count)
    )


SOURCES = {
    "a table": lambda n: README + f"{ROW}\n" * n,
    "many tables": lambda n: README * (n // 50),
    "a cell of footnotes": lambda n: README.replace("| 78.49 |", f"| 78.49{'[^' * n} |"),
    "a cell of marks": lambda n: README.replace("| 78.49 |", f"| 78.49{'<sup>' * n} |"),
    "a cell of links": lambda n: README.replace("| 78.49 |", f"| {'[model](' * n} |"),
    "a cell of bars": lambda n: README.replace("| 78.49 |", "\\|" * n),
    "blank lines": lambda n: "\n" * 9 * n + README,
    "spaces": lambda n: " " * 9 * n + README,
    "headings": lambda n: "#\n" * n + README,
    "a page": lambda n: "\n".join(PAGE + [f"{number} |" for number in range(6)] * n),
    "a page of other rows": lambda n: "\n".join(PAGE + [f"{number} |" for number in range(6 * n)]),
    "a metafile": lambda n: META + META.partition("Models:")[2] * (n // 100),
    "keys": lambda n: "Models: []\n" + "".join(f"k{number}: 1\n" for number in range(n)),
}
LOGS = {
    "json lines": lambda n: JSON_LINE * n,
    "an environment of spaces": lambda n: (
        json.dumps({"env_info": f"GPU 0: {' ' * 9 * n}x"}) + "\n" + JSON_LINE
    ),
    "a rate of digits": lambda n: (
        json.dumps({"config": f"optimizer = dict(lr={'1' * 9 * n}x"}) + "\n" + JSON_LINE
    ),
    "text lines": lambda n: TEXT_LINE * n,
    "a result of letters": lambda n: TEXT_LINE + f"'miou': {'a' * 9 * n}\n",
    "a rate of letters": lambda n: TEXT_LINE.replace("0.01", "a" * 9 * n),
    "a scheduler without end": lambda n: TEXT_LINE + "'scheduler': {" + "'type': " * n + "\n",
    "torn lines": lambda n: "{\n" * n + JSON_LINE,
}
MANIFESTS = {
    "entries": lambda n: f"{ENTRY[0]}\ncheckpoints:\n{entries(n // 50)}\n",
    "entries of no data set": lambda n: f"{ENTRY[0]}\ncheckpoints:\n{entries(n // 50)}\n".replace(
        "dataset: cityscapes", "dataset: nothing"
    ),
    "claims by an alias": lambda n: (
        f"{ENTRY[0]}\ncheckpoints:\n  - &row {{id: a, claims: [&c {{metric: fps, printed: null}}{', *c' * n}]}}\n"
        + "  - *row\n" * n
    ),
    "lists of lists": lambda n: "version: 1\n" + "".join(f"a{i}: &a{i} [{f'*a{i - 1},' * n}]\n" for i in range(9)),
    "open brackets": lambda n: "version: 1\na: " + "[" * n,
    "unknown keys": lambda n: ENTRY[0] + "\n" + "".join(f"key{number}: 1\n" for number in range(n)),
    "categories of unknown classes": lambda n: ENTRY[0].replace(
        "classes:", f"categories: {{a: [{', '.join(f'c{number}' for number in range(n))}]}}\n    classes:", 1
    ),
}  # fmt: skip
LEDGERS = {
    "lines": lambda n: (RESULTS / "measurements.jsonl").read_text().splitlines()[0] + "\n",
    "blank lines": lambda n: "\n" * 9 * n,
}
CLASSES = {
    "names": lambda n: "".join(f"class {number}\n" for number in range(n)),
    "one long name": lambda n: "a b " * n,
    "an index and spaces": lambda n: f"1{' ' * 9 * n}\0",
    "commas": lambda n: "a," * n,
    "digits": lambda n: "1 " * n,
    "blank lines": lambda n: "\n" * 9 * n + "road\n",
}
BASELINES = {
    "claims": lambda n: json.dumps(
        (state := json.loads((RESULTS / "baseline.json").read_text()))
        | {"claims": state["claims"] * (1 + n // 10)}
    ),
    "spaces": lambda n: " " * 9 * n + "{",
}


def classes(path):
    (path.parent / "images").mkdir(exist_ok=True)
    (path.parent / "images/a.jpg").touch()
    return folder_spec(path.parent)


READERS = {
    "page.md": (SOURCES, read_sources),
    "a.log": (LOGS, read_log),
    "zoo.yaml": (MANIFESTS, load_manifest),
    "ledger.jsonl": (LEDGERS, lambda path: read_ledger(path, Measurement)),
    "classes.txt": (CLASSES, classes),
    "baseline.json": (BASELINES, lambda path: read_state(path, ZOO)),
}
DOCUMENTED = (BaselineError, DatasetError, LedgerError, LogError, ManifestError, SourceError)


@pytest.mark.parametrize(
    ("name", "text"), [(name, text) for name, (texts, _) in READERS.items() for text in texts]
)
def test_a_reader_is_linear(tmp_path, monkeypatch, name, text):
    monkeypatch.setattr("segbench.zoo.manifest.compiled._WORTH_BYTES", 10**9)  # read each time, kept nowhere
    texts, read = READERS[name]

    def work(size):
        folder = tmp_path / str(size)
        folder.mkdir(exist_ok=True)
        path = folder / name
        path.write_text(texts[text](size), encoding="utf-8")

        def call():
            with contextlib.suppress(*DOCUMENTED):
                read(path)

        return call

    few, many = work(500), work(2000)
    few()
    assert lines_run(many) < 5 * lines_run(few) + 2000
    # A floor, for a moment's work is measured badly, and twice as much as is due, for others use the machine.
    assert cpu_seconds(many) < 9 * max(cpu_seconds(few), 0.01)

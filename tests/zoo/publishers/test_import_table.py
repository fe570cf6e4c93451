"""`zoo import`: the publishers' tables give the packaged manifest's entries, and leave files as they were."""

import datetime as dt
import re
from collections import Counter

import pytest
import yaml
from full_zoo import YAML, ZOO
from publisher_pages import metafile, mmseg_readme, ssseg_readme

from segbench.zoo.audit.sources import latest
from segbench.zoo.cli import main
from segbench.zoo.manifest import CheckpointEntry, load_manifest

pytestmark = pytest.mark.slow

COUNTED = {"parameters", "cost"}
"""Fields that no table has and no rule gives: they are counted on the built models."""
REVISED_LATER = ("isnet_resnet50os8_cityscapes", "isnet_resnest101os8_cityscapes")


def entry(row):
    return {name: getattr(row, name) for name in CheckpointEntry.__struct_fields__ if name not in COUNTED}


def run(*arguments):
    assert main([str(argument) for argument in arguments]) == 0


def write(folder, text, name="page.md"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def import_today(page, into):
    """Today's ISNet page with the days its revised figures were first listed."""
    common = ("import", page, "--into", into, "--document", "ssseg-isnet-readme", "--date", "2025-11-08")
    run(*common, "--listed", "2024-12-03", *(part for name in REVISED_LATER for part in ("--only", name)))
    run(*common, "--listed", "2023-11-22")


def test_the_stored_sources_give_the_packaged_entries(golden, tmp_path):
    """All five sources and today's ISNet page, one after the other: 34 entries equal in every field."""
    into = tmp_path / "zoo.yaml"
    keys = {
        "001": ["mmseg-isanet-readme"],
        "003": ["mmseg-isanet-docs"],
        "000": ["mmseg-isanet-draft"],
        "002": ["ssseg-isanet-readme"],
        "004": ["ssseg-isnet-readme-2021", "--date", "2021-10-13"],
    }
    for number, key in keys.items():
        page = write(tmp_path, golden(f"sources/{number}.txt"))
        run("import", page, "--into", into, "--document", *key)
    import_today(write(tmp_path, ssseg_readme(ZOO, "ISNet")), into)
    imported = load_manifest(into)
    assert [one.id for one in imported] == [one.id for one in ZOO]
    for one in imported:
        assert entry(one) == entry(ZOO[one.id])
    assert set(imported.protocols.values()) == set(ZOO.protocols.values())


def test_pages_written_from_the_manifest_give_its_claims_again(tmp_path):
    """The same round trip without the stored sources: figures, protocols, sources, revisions, dates, notes."""
    into = tmp_path / "zoo.yaml"
    run("import", write(tmp_path, mmseg_readme(ZOO)), "--into", into, "--document", "mmseg-isanet-readme")
    run(
        "import",
        write(tmp_path, ssseg_readme(ZOO, "ISANet")),
        "--into",
        into,
        "--document",
        "ssseg-isanet-readme",
    )
    page = write(tmp_path, ssseg_readme(ZOO, "ISNet", latest=False))
    run("import", page, "--into", into, "--document", "ssseg-isnet-readme-2021", "--date", "2021-10-13")
    import_today(write(tmp_path, ssseg_readme(ZOO, "ISNet")), into)
    imported = load_manifest(into)
    assert {one.id: one.claims for one in imported} == {one.id: one.claims for one in ZOO}


@pytest.mark.parametrize("version", ["0.18", "0.30", "1.2"])
def test_a_metafile_gives_entries_too(tmp_path, version):
    into = tmp_path / "zoo.yaml"
    run("import", write(tmp_path, metafile(ZOO, version), "isanet.yml"), "--into", into)
    imported = load_manifest(into)
    assert len(imported) == 16
    for one in imported:
        own = ZOO[one.id]
        for metric in ("miou", "miou_ms_flip", "train_memory"):
            ours, theirs = latest(one, metric), latest(own, metric)
            assert (float(ours.printed), ours.protocol, ours.batch, ours.crop) == (
                float(theirs.printed),
                theirs.protocol,
                theirs.batch,
                theirs.crop,
            )
        assert (one.architecture, one.weights, one.training) == (own.architecture, own.weights, own.training)
        (speed,) = [claim for claim in one.claims if claim.metric == "fps"]
        printed = None if version == "1.2" else latest(own, "fps").printed
        assert (speed.printed, speed.device) == (printed, "V100" if printed else None)
        assert speed.note


def removed(text, *names):
    """The manifest without some entries."""
    for name in names:
        text = re.sub(rf"  - id: {re.escape(name)}\n.*?(?=\n  - id: |\n  # |\Z)", "", text, flags=re.DOTALL)
    return text


def test_an_existing_file_keeps_every_line_of_its_own(tmp_path):
    """Comments, order and layout: nothing is taken away, lines are only added."""
    last = "isnet_resnest101os8_lip"
    own = removed(YAML, last)
    into = write(tmp_path, own, "zoo.yaml")
    page = write(tmp_path, ssseg_readme(ZOO, "ISNet"))
    run("import", page, "--into", into, "--document", "ssseg-isnet-readme")
    after = into.read_text(encoding="utf-8")
    remaining = iter(after.splitlines())
    assert all(line in remaining for line in own.rstrip().splitlines())
    assert [one.id for one in load_manifest(into)] == [one.id for one in ZOO]


def test_a_new_figure_supersedes_the_old_one_in_place(tmp_path):
    into = write(tmp_path, YAML, "zoo.yaml")
    text = ssseg_readme(ZOO, "ISANet").replace("76.99%", "77.05%")
    day = dt.date(2026, 1, 2).isoformat()
    run("import", write(tmp_path, text), "--into", into, "--document", "ssseg-isanet-2026", "--date", day)
    row = load_manifest(into)["isanet_resnet50os8_voc"]
    old, new = [claim for claim in row.claims if claim.metric == "miou"]
    assert (old.printed, old.date, old.note) == ("76.99", "2023-11-21", None)
    assert (new.printed, new.supersedes, new.date, new.source.document) == (
        "77.05",
        "76.99",
        day,
        "ssseg-isanet-2026",
    )
    assert new.protocol == old.protocol
    assert row.listed_in[-1].document == "ssseg-isanet-2026"
    assert into.read_text(encoding="utf-8") == YAML.replace(
        "version: 1\n", "version: 1\ninclude: [zoo/*.yaml]\n", 1
    )


@pytest.mark.parametrize("style", ["blocks", "CRLF", "blank lines at the end"])
def test_files_of_another_layout_are_added_to_in_their_own(tmp_path, style):
    """A manifest written by PyYAML, one with Windows' line ends, one with more at its end."""
    text = {
        "blocks": yaml.safe_dump(yaml.safe_load(YAML), sort_keys=False, allow_unicode=True, width=10000),
        "CRLF": YAML.replace("\n", "\r\n"),
        "blank lines at the end": YAML + "\n\n# the end\n",
    }[style]
    into = tmp_path / "zoo.yaml"
    into.write_bytes(text.encode())
    page = ssseg_readme(ZOO, "ISNet").replace("40.39%", "40.50%").replace(".pth)", "_v2.pth)")
    run("import", write(tmp_path, page), "--into", into, "--document", "later", "--date", "2026-01-02")
    after = into.read_bytes().decode()
    row = load_manifest(into)["isnet_resnet50os8_cocostuff10k"]
    assert [claim.printed for claim in row.claims if claim.metric == "miou_ms_flip"] == [
        "40.16",
        "40.39",
        "40.50",
    ]
    assert (row.aliases[-1], row.listed_in[-1].document) == (f"{row.id}_v2", "later")
    assert row.weights.urls[0].endswith("_v2.pth")
    changed = Counter(text.split("\n")) - Counter(after.split("\n"))
    assert [line for line in changed if not line.startswith("    aliases: [")] == []
    assert after.count("\r\n") == (after.count("\n") if style == "CRLF" else 0)


def test_a_manifest_without_the_protocols_is_not_touched(tmp_path, capsys):
    into = write(tmp_path, YAML.replace("ssseg-2048x512-whole", "renamed"), "zoo.yaml")
    before = into.read_text(encoding="utf-8")
    page = ssseg_readme(ZOO, "ISANet").replace("isanet_resnet50os8_voc", "isanet_resnet50os8_voc_b")
    page = page.replace(
        "| R-50-D8 | 512x512 | LR/POLICY/BS/EPOCH: 0.01/poly/16/60 |", "| R-50-D8 | 512x512 | new |"
    )
    assert main(["import", str(write(tmp_path, page)), "--into", str(into)]) == 2
    assert "the result would be no manifest" in capsys.readouterr().err
    assert into.read_text(encoding="utf-8") == before


def test_importing_twice_changes_nothing_more(tmp_path, capsys):
    into = write(tmp_path, YAML, "zoo.yaml")
    page = write(tmp_path, mmseg_readme(ZOO))
    run("import", page, "--into", into, "--document", "mmseg-isanet-readme")
    assert into.read_text(encoding="utf-8") == YAML
    assert capsys.readouterr().out == f"{into}: 0 entries added, 0 extended, 16 as they were\n"


def test_without_a_file_the_entries_are_printed(tmp_path, capsys):
    run("import", write(tmp_path, ssseg_readme(ZOO, "ISANet")), "--date", "2023-11-21", "--only", "*_voc")
    text = capsys.readouterr().out
    assert text.startswith(
        "documents:\n"
        '  ssseg-isanet-readme: {title: ISANet README of sssegmentation, publisher: sssegmentation, date: "2023-11-21"}\n'
        "sections:\n"
    )
    assert re.findall("- id: (.*)", text) == ["isanet_resnet50os8_voc", "isanet_resnet101os8_voc"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("### ADE20K", "### Mapillary", "no data set is known by the heading 'Mapillary'"),
        ("| R-50-D8 |", "| R-18-D8 |", "no rule gives a network for ISANet R-18-D8 of mmsegmentation"),
        ("[model](", "[file](", "a new entry needs weights link, which the row has not"),
    ],
)
def test_a_row_that_cannot_become_an_entry_is_refused(tmp_path, capsys, old, new, message):
    page = write(tmp_path, mmseg_readme(ZOO).replace(old, new, 1))
    assert main(["import", str(page)]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--date", "yesterday"], "expected a date such as 2021-10-13, found 'yesterday'"),
        (["--only", "nothing*"], "--only nothing* fits none of 16 rows"),
        (["--into", "/"], "--into /: expected a file that can be written, found a folder"),
    ],
)
def test_mistakes_have_one_message(tmp_path, capsys, arguments, message):
    page = write(tmp_path, mmseg_readme(ZOO))
    assert main(["import", str(page), *arguments]) == 2
    assert message in capsys.readouterr().err


def test_a_documents_address_is_written_without_what_grants_access(tmp_path):
    into = tmp_path / "zoo.yaml"
    secret = "https://user:SECRET@x.example/README.md?token=SECRET"
    for _ in range(2):
        run("import", write(tmp_path, mmseg_readme(ZOO)), "--into", into, "--url", secret)
    assert "SECRET" not in into.read_text()
    assert [document.url for document in load_manifest(into).documents.values()] == [
        "https://***@x.example/README.md?token=***"
    ]


def test_a_later_state_of_a_known_page_becomes_a_document_of_its_own(tmp_path):
    into, page = tmp_path / "zoo.yaml", mmseg_readme(ZOO)
    run("import", write(tmp_path, page), "--into", into, "--date", "2021-10-13")
    later = page.replace("| 78.68 |", "| 78.86 |")
    run(
        "import",
        write(tmp_path, later),
        "--into",
        into,
        "--date",
        "2024-01-01",
        "--url",
        "https://x.example/b",
    )
    imported = load_manifest(into)
    dates = {key: (document.date, document.url) for key, document in imported.documents.items()}
    assert dates == {
        "mmseg-isanet-readme": ("2021-10-13", None),
        "mmseg-isanet-readme-2024-01-01": ("2024-01-01", "https://x.example/b"),
    }
    row = imported["isanet_r50-d8_512x1024_80k_cityscapes"]
    old, new = [claim for claim in row.claims if claim.metric == "miou"]
    assert (old.source.document, new.source.document, new.date) == (
        "mmseg-isanet-readme",
        "mmseg-isanet-readme-2024-01-01",
        "2024-01-01",
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "say with --date when this state was published"),
        (
            ["--date", "2024-01-01", "--document", "mmseg-isanet-readme"],
            "'mmseg-isanet-readme' is already the state of 2021-10-13; name this one otherwise with --document",
        ),
    ],
)
def test_figures_that_replace_others_need_a_day_and_a_document(tmp_path, capsys, arguments, message):
    into, page = tmp_path / "zoo.yaml", mmseg_readme(ZOO)
    run("import", write(tmp_path, page), "--into", into, "--date", "2021-10-13")
    before = into.read_text(encoding="utf-8")
    later = write(tmp_path, page.replace("| 78.68 |", "| 78.86 |"))
    assert main(["import", str(later), "--into", str(into), *arguments]) == 2
    assert message in capsys.readouterr().err
    assert into.read_text(encoding="utf-8") == before


def test_ms_that_leave_the_fps_open_are_not_made_a_figure(tmp_path):
    page = metafile(ZOO).replace("value: 343.64", "value: 3.4")
    into = tmp_path / "zoo.yaml"
    run("import", write(tmp_path, page, "isanet.yml"), "--into", into)
    speeds = [claim for claim in next(iter(load_manifest(into))).claims if claim.metric == "fps"]
    assert [(claim.printed, claim.note) for claim in speeds] == [
        (None, "3.4 ms an image are too few digits for a figure in fps")
    ]


def test_a_row_that_stands_twice_is_refused_with_both_lines(tmp_path, capsys):
    lines = mmseg_readme(ZOO).split("\n")
    page = write(tmp_path, "\n".join([*lines[:5], *lines[4:]]))
    for into in ([], ["--into", str(write(tmp_path, YAML, "zoo.yaml"))]):
        assert main(["import", str(page), *into]) == 2
        assert (
            f"{page}:6: the row of line 5 again (isanet_r50-d8_512x1024_40k_city" in capsys.readouterr().err
        )


def test_an_older_document_does_not_supersede(tmp_path, capsys):
    into = write(tmp_path, YAML, "zoo.yaml")
    before = into.read_text(encoding="utf-8")
    page = write(tmp_path, ssseg_readme(ZOO, "ISANet").replace("76.99%", "75.00%"))
    assert main(["import", str(page), "--into", str(into), "--document", "old", "--date", "2021-01-01"]) == 2
    assert "import documents from the oldest to the newest" in capsys.readouterr().err
    assert into.read_text(encoding="utf-8") == before

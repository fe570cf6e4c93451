"""The publishers' tables, whole: every expected text stands here as a reader sees it."""

import csv
import io
import json
from textwrap import dedent

import pytest

from segbench.reports.background import Background, Origin
from segbench.reports.forms import DEFAULT_FORM
from segbench.reports.table import (
    FORMATS,
    MEANINGS,
    Row,
    format_csv,
    format_json,
    format_markdown,
    format_text,
    summary,
    tables,
)
from segbench.reports.tolerance import Tolerance
from segbench.reports.verdict import Status, judge
from segbench.zoo.manifest import load_manifest


def verdict(checkpoint, metric, printed, measured=None, **more):
    return judge(
        checkpoint=checkpoint,
        metric=metric,
        printed=printed,
        measured=measured,
        tolerance=Tolerance(),
        **more,
    )


def mmseg(checkpoint, *claims, **changes):
    fields = {
        "publisher": "mmsegmentation", "dataset": "Cityscapes", "method": "ISANet", "backbone": "R-50-D8",
        "crop": "512x1024", "schedule": "40000", "device": "V100",
    }  # fmt: skip
    verdicts = tuple(verdict(checkpoint, *claim[:-1], **claim[-1]) for claim in claims)
    return Row(checkpoint=checkpoint, verdicts=verdicts, **fields | changes)


def ssseg(checkpoint, method, *claims, **changes):
    plain = {"publisher": "sssegmentation", "device": "", "schedule": "LR/POLICY/BS/EPOCH: 0.01/poly/16/130"}
    form = load_manifest().publishers["sssegmentation"].form(method)
    return mmseg(checkpoint, *claims, method=method, **{"form": form} | plain | changes)


DEMO = mmseg(
    "demo",
    ("miou", "76.63", 76.6284764748448, {"images": 12}),
    ("miou_ms_flip", "78.23", 78.23256082424456, {"images": 12}),
    dataset="Streets (demo)", backbone="R-50-D8 (w16)", crop="256x512", schedule="800", device="",
)  # fmt: skip
NO_DATA = {"reason": "Cityscapes not found under data"}
LATER = {"reason": "not measured by this version"}


def text_of(rows, formatter=format_text):
    return "\n" + formatter(rows)


def test_the_demo_fits_a_terminal():
    text = text_of([DEMO])
    assert text == dedent("""
        mmsegmentation, Streets (demo)

        Method    Backbone       Crop Size    Lr schd    mIoU                              mIoU(ms+flip)
        --------  -------------  -----------  ---------  --------------------------------  --------------------------------
        ISANet    R-50-D8 (w16)  256x512      800        76.63 → 76.63 (+0.00) reproduced  78.23 → 78.23 (+0.00) reproduced

        Columns left out: Device, config, download (nothing known)

        reproduced: our figure agrees with the printed one

        2 claims of 1 checkpoint: 2 reproduced, 0 drift, 0 refuted
        """)
    assert max(map(len, text.splitlines())) <= 120


def test_mmsegmentation_has_its_nine_columns_and_reasons_share_footnotes():
    rows = [
        mmseg("a", ("miou", "78.49", NO_DATA), ("miou_ms_flip", "79.44", NO_DATA),
              ("train_memory", "9.0", LATER), ("fps", "2.91", LATER)),
        mmseg("b", ("miou", "79.58", NO_DATA), ("miou_ms_flip", "81.05", NO_DATA),
              ("train_memory", "9.425", LATER), ("fps", "2.35", LATER), backbone="R-101-D8"),
    ]  # fmt: skip
    assert text_of(rows) == dedent("""
        mmsegmentation, Cityscapes

        Method    Backbone    Crop Size    Lr schd    Mem (GB)                Inf time (fps)         Device    mIoU                    mIoU(ms+flip)
        --------  ----------  -----------  ---------  ----------------------  ---------------------  --------  ----------------------  ----------------------
        ISANet    R-50-D8     512x1024     40000      9.0 not measured [1]    2.91 not measured [1]  V100      78.49 not measured [2]  79.44 not measured [2]
        ISANet    R-101-D8    512x1024     40000      9.425 not measured [1]  2.35 not measured [1]  V100      79.58 not measured [2]  81.05 not measured [2]

        Columns left out: config, download (nothing known)
        [1] not measured by this version
        [2] Cityscapes not found under data

        not measured: we have no figure, for the reason given

        8 claims of 2 checkpoints: 0 reproduced, 0 drift, 0 refuted, 8 not measured
        """)


def test_isnet_puts_both_numbers_into_one_column_and_keeps_revised_ones_apart():
    row = ssseg(
        "isnet", "ISNet",
        ("miou", "79.32", 79.2, {}),
        ("miou_ms_flip", "80.88", 81.314, {"date": "2021-10-13"}),
        ("miou_ms_flip", "81.31", 81.314, {"date": "2024-12-03"}),
        ("train_memory", None, {"reason": "sssegmentation prints no memory for any row"}),
        ("fps", None, {"reason": "sssegmentation prints no speed for any row"}),
    )  # fmt: skip
    assert text_of([row]) == dedent("""
        sssegmentation ISNet, Cityscapes

        Backbone    Crop Size    Schedule                              mIoU/mIoU(ms+flip)
        ----------  -----------  ------------------------------------  ------------------------------------------------
        R-50-D8     512x1024     LR/POLICY/BS/EPOCH: 0.01/poly/16/130  79.32% → 79.20% (-0.12) drift [1] /
                                                                       80.88% (2021-10-13) → 81.31% (+0.43) refuted [2]
                                                                       81.31% (2024-12-03) → 81.31% (+0.00) reproduced

        Not published: Mem (GB) [3], Inf time (fps) [4]
        Columns left out: Train/Eval Set, Download (nothing known)
        [1] differs by more than 0.055 points: 0.05 and half a unit of the last printed digit
        [2] differs by more than 0.155 points: 0.15 and half a unit of the last printed digit
        [3] sssegmentation prints no memory for any row
        [4] sssegmentation prints no speed for any row

        reproduced: our figure agrees with the printed one
        drift: our figure is near the printed one, but farther off than a repeated run should be
        refuted: our figure contradicts the printed one
        not published: the source prints no figure

        3 claims of 1 checkpoint: 1 reproduced, 1 drift, 1 refuted; 2 figures not published
        """)


def test_markdown_keeps_a_cell_on_one_line_and_a_footnote_whole():
    lip = {"dataset": "LIP", "crop": "473x473", "schedule": "S|1"}
    long = {"reason": "LIP not found under data; download TrainVal_images.zip and\n TrainVal_parsing_annotations.zip "
                      "of the single-person track"}  # fmt: skip
    rows = [
        ssseg("a", "ISNet", ("miou", "53.14", 53.141, {}), ("miou_flip", "53.41", 53.42, {}), **lip),
        ssseg(
            "b", "ISNet", ("miou", "54.96", long), ("miou_flip", "55.41", long), backbone="R-101-D8", **lip
        ),
    ]
    assert text_of(rows, format_markdown) == dedent("""
        ### sssegmentation ISNet, LIP

        | Backbone   | Crop Size   | Schedule   | mIoU/mIoU(flip)                                                         |
        |------------|-------------|------------|-------------------------------------------------------------------------|
        | R-50-D8    | 473x473     | S\\|1       | 53.14% → 53.14% (+0.00) reproduced / 53.41% → 53.42% (+0.01) reproduced |
        | R-101-D8   | 473x473     | S\\|1       | 54.96% not measured [1] / 55.41% not measured [1]                       |

        - Columns left out: Train/Eval Set, Download (nothing known)
        - [1] LIP not found under data; download TrainVal_images.zip and TrainVal_parsing_annotations.zip of the single-person track

        - reproduced: our figure agrees with the printed one
        - not measured: we have no figure, for the reason given

        4 claims of 2 checkpoints: 2 reproduced, 0 drift, 0 refuted, 2 not measured
        """)


def test_long_reasons_are_wrapped_in_a_terminal_and_paths_stay_whole():
    path = "/data/" + "very-long-folder/" * 8
    row = mmseg(
        "a", ("miou", "78.49", {"reason": f"Cityscapes not found under {path} for want of disks"}), device=""
    )
    assert text_of([row]).split("\n\n")[2].split("\n", 1)[1] == (
        f"[1] Cityscapes not found under\n    {path}\n    for want of disks"
    )


def test_a_number_without_a_column_in_its_publishers_form_gets_one_at_the_end():
    """The publisher prints one number for ISANet; what we measured beyond it is shown all the same."""
    row = ssseg(
        "a", "ISANet", ("miou", "42.60", 42.6, {}), ("miou_ms_flip", None, 43.456, {}), ("fps", None, {}),
        dataset="ADE20K", crop="512x512",
    )  # fmt: skip
    assert text_of([row]) == dedent("""
        sssegmentation ISANet, ADE20K

        Backbone    Crop Size    Schedule                              mIoU                                mIoU(ms+flip)
        ----------  -----------  ------------------------------------  ----------------------------------  ------------------------
        R-50-D8     512x512      LR/POLICY/BS/EPOCH: 0.01/poly/16/130  42.60% → 42.60% (+0.00) reproduced  – → 43.46% not published

        Not published: Inf time (fps)
        Columns left out: Pretrain, Train/Eval Set, Download (nothing known)

        reproduced: our figure agrees with the printed one
        not published: the source prints no figure

        1 claim of 1 checkpoint: 1 reproduced, 0 drift, 0 refuted; 2 figures not published
        """)


def test_an_unknown_publisher_gets_mmsegmentations_form():
    row = mmseg(
        "a", ("miou", "70.1", 70.1, {}), ("miou_ms_flip", None, {"reason": "single scale only"}),
        ("fps", "9.0", 31.4159, {"comparable": False, "reason": "published for V100, measured on cpu"}),
        publisher="somebody",
    )  # fmt: skip
    assert text_of([row]) == dedent("""
        somebody, Cityscapes

        Method    Backbone    Crop Size    Lr schd    Inf time (fps)                  Device    mIoU                             mIoU(ms+flip)
        --------  ----------  -----------  ---------  ------------------------------  --------  -------------------------------  -------------------
        ISANet    R-50-D8     512x1024     40000      9.0 → 31.42 not comparable [1]  V100      70.1 → 70.10 (+0.00) reproduced  – not published [2]

        Columns left out: config, download (nothing known)
        [1] published for V100, measured on cpu
        [2] single scale only

        reproduced: our figure agrees with the printed one
        not published: the source prints no figure
        not comparable: both figures are there, but were taken under different conditions

        2 claims of 1 checkpoint: 1 reproduced, 0 drift, 0 refuted, 1 not comparable; 1 figure not published
        """)


def test_one_table_a_publisher_and_data_set_in_the_order_of_appearance():
    claim = ("miou", "42.60", 42.6, {})
    rows = [
        mmseg("a", claim), ssseg("b", "ISNet", claim), mmseg("c", claim, dataset="ADE20K"), mmseg("d", claim),
        ssseg("e", "ISANet", claim),
    ]  # fmt: skip
    assert [(table.heading, [row.checkpoint for row in table.rows]) for table in tables(rows)] == [
        ("mmsegmentation, Cityscapes", ["a", "d"]),
        ("sssegmentation ISNet, Cityscapes", ["b"]),
        ("mmsegmentation, ADE20K", ["c"]),
        ("sssegmentation ISANet, Cityscapes", ["e"]),
    ]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], "0 claims of 0 checkpoints: 0 reproduced, 0 drift, 0 refuted"),
        (
            [mmseg("a", ("miou", "1.00", 1.0, {}))],
            "1 claim of 1 checkpoint: 1 reproduced, 0 drift, 0 refuted",
        ),
        (
            [mmseg("a", ("miou", "1.00", 2.0, {}), ("fps", None, {})), mmseg("b", ("miou", "1.00", 1.1, {}))],
            "2 claims of 2 checkpoints: 0 reproduced, 1 drift, 1 refuted; 1 figure not published",
        ),
        (
            [mmseg("a", ("miou", "1.00", {"consistent": False}), ("fps", "1.00", {}))],
            "2 claims of 1 checkpoint: 0 reproduced, 0 drift, 0 refuted, 1 not measured, 1 source inconsistent",
        ),
    ],
)
def test_the_summary_counts_and_knows_its_plurals(rows, words):
    assert summary(rows) == words


def test_csv_has_one_line_a_claim():
    rows = [
        DEMO,
        ssseg(
            "b",
            "ISNet",
            ("miou", "78.70", {"reason": "no data,\nno weights"}),
            ("fps", None, {"reason": "none"}),
        ),
    ]
    assert text_of(rows, format_csv) == dedent("""
        checkpoint,publisher,dataset,method,backbone,crop,schedule,metric,published,measured,rounded,delta,status,reason,images,date,reproduced_up_to,drift_up_to,protocol,device,precision,taken_at,environment
        demo,mmsegmentation,Streets (demo),ISANet,R-50-D8 (w16),256x512,800,miou,76.63,76.6284764748448,76.63,0.0,reproduced,,12,,,,,,,,
        demo,mmsegmentation,Streets (demo),ISANet,R-50-D8 (w16),256x512,800,miou_ms_flip,78.23,78.23256082424456,78.23,0.0,reproduced,,12,,,,,,,,
        b,sssegmentation,Cityscapes,ISNet,R-50-D8,512x1024,LR/POLICY/BS/EPOCH: 0.01/poly/16/130,miou,78.70,,,,not measured,"no data, no weights",,,,,,,,,
        b,sssegmentation,Cityscapes,ISNet,R-50-D8,512x1024,LR/POLICY/BS/EPOCH: 0.01/poly/16/130,fps,,,,,not published,none,,,,,,,,,
        """)
    assert len(list(csv.DictReader(io.StringIO(format_csv(rows))))) == 4


def test_json_is_a_list_of_verdicts_with_their_rows_bands_and_origins():
    rows = [DEMO, mmseg("b", ("fps", "9.0", {"reason": "no such device", "date": "2021-10-13"}))]
    origin = Origin(
        protocol="whole",
        device="cpu",
        precision="fp32",
        taken_at="2026-11-21T11:01:02+00:00",
        environment="torch 2",
    )
    key = ("demo", "miou_ms_flip", "")
    about = Background(limits={key: (0.055, 0.155)}, origins={key: origin})
    assert json.loads(format_json(rows, about))[1:] == [
        {
            "checkpoint": "demo", "publisher": "mmsegmentation", "dataset": "Streets (demo)", "method": "ISANet",
            "backbone": "R-50-D8 (w16)", "crop": "256x512", "schedule": "800", "metric": "miou_ms_flip",
            "published": "78.23", "measured": 78.23256082424456, "rounded": 78.23, "delta": 0.0,
            "status": "reproduced", "reason": "", "images": 12, "date": "", "reproduced_up_to": 0.055,
            "drift_up_to": 0.155, "protocol": "whole", "device": "cpu", "precision": "fp32",
            "taken_at": "2026-11-21T11:01:02+00:00", "environment": "torch 2",
        },
        {
            "checkpoint": "b", "publisher": "mmsegmentation", "dataset": "Cityscapes", "method": "ISANet",
            "backbone": "R-50-D8", "crop": "512x1024", "schedule": "40000", "metric": "fps", "published": "9.0",
            "measured": None, "rounded": None, "delta": None, "status": "not measured", "reason": "no such device",
            "images": None, "date": "2021-10-13", "reproduced_up_to": None, "drift_up_to": None, "protocol": None,
            "device": None, "precision": None, "taken_at": None, "environment": None,
        },
    ]  # fmt: skip


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_of_nothing_is_a_text(name):
    assert FORMATS[name]([]).endswith("\n")


def test_every_status_has_a_meaning():
    assert set(MEANINGS) == set(Status)


def test_forms_have_the_publishers_columns_in_their_order():
    def titles(publisher, method):
        return [column.title for column in load_manifest().publishers[publisher].form(method).columns]

    assert titles("mmsegmentation", "ISANet") == [
        "Method", "Backbone", "Crop Size", "Lr schd", "Mem (GB)", "Inf time (fps)", "Device", "mIoU", "mIoU(ms+flip)",
        "config", "download",
    ]  # fmt: skip
    assert load_manifest().publishers["mmsegmentation"].form("another") == DEFAULT_FORM
    assert titles("sssegmentation", "ISANet") == [
        "Backbone", "Pretrain", "Crop Size", "Schedule", "Train/Eval Set", "mIoU", "Download",
    ]  # fmt: skip
    assert titles("sssegmentation", "ISNet")[:4] == ["Backbone", "Crop Size", "Schedule", "Train/Eval Set"]


def test_a_table_has_its_publishers_heading_columns_signs_and_links():
    row = ssseg(
        "a", "ISANet", ("miou", "76.99", 76.95, {}), dataset="Pascal VOC 2012 + Aug", section="PASCAL VOC",
        pretrain="ImageNet-1k-224x224", train_eval_set="trainaug/val", crop="512x512", schedule="s",
        links={"config": "https://a.org/c.py", "weights": "https://a.org/w.pth", "log": "https://a.org/w.log"},
    )  # fmt: skip
    links = "[cfg](https://a.org/c.py) \\| [model](https://a.org/w.pth) \\| [log](https://a.org/w.log)"
    lines = text_of([row], format_markdown).splitlines()
    cells = [
        [cell.strip() for cell in line.strip("| ").replace(" \\| ", " / ").split(" | ")] for line in lines
    ]
    assert lines[1] == "### sssegmentation ISANet, PASCAL VOC"
    assert cells[3] == ["Backbone", "Pretrain", "Crop Size", "Schedule", "Train/Eval Set", "mIoU", "Download"]
    assert cells[5][:5] == ["R-50-D8", "ImageNet-1k-224x224", "512x512", "s", "trainaug/val"]
    assert cells[5][5] == "76.99% → 76.95% (-0.04) reproduced"
    assert links in lines[5]
    assert "Columns left out: Download (links: --format md or html)\n" in text_of([row])


def test_a_column_of_which_nothing_is_known_is_named_below_its_table():
    assert "\n- Columns left out: Device, config, download (nothing known)\n" in format_markdown([DEMO])


def test_what_people_wrote_stays_words_in_markdown():
    row = mmseg(
        "a", ("miou", "1.00", {"reason": "no <data> & no &lt;"}), backbone="R-50 <b>x</b> | y", dataset="<A>"
    )
    text = format_markdown([row])
    for words in (
        "### mmsegmentation, &lt;A>\n",
        "| R-50 &lt;b>x&lt;/b> \\| y |",
        "[1] no &lt;data> &amp; no &amp;lt;\n",
    ):
        assert words in text
    assert "<" not in text

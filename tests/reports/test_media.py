"""Text of others in each medium: what acts there no longer does, and what is only words is still the same."""

import csv
import html
import io
import json
import re
import sys
import time
import unicodedata
import xml.etree.ElementTree as ET

import pytest
from tqdm import tqdm

from segbench.reports import media

# Unicode's own lists: https://www.unicode.org/Public/UCD/latest/ucd/PropList.txt (Bidi_Control) and general categories.
BIDI_CONTROL = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
CONTROLS = [
    sign for sign in map(chr, range(sys.maxunicode + 1))
    if unicodedata.category(sign) in {"Cc", "Cs", "Zl", "Zp"} and sign != "\n"
]  # fmt: skip
NO_WIDTH = "\u00ad\u200b\u200c\u200d\u2060\ufeff\U000e0041"
WORDS = "Straße 3 %, naïve café → 78.49 (+0.02), 数据集, 👩‍🚀".replace("\u200d", "")
COMMANDS = [
    "::error::x",
    " \t::set-env name=A::b",
    "##[error]x",
    "a ##[group]",
    "##vso[task.x]",
    "##teamcity[x]",
]


@pytest.mark.parametrize(
    "sign", [*BIDI_CONTROL, *NO_WIDTH, *CONTROLS[:32], "\x9b", "\u2028", "\udcff"], ids=ascii
)
def test_a_sign_that_acts_is_shown_as_json_writes_it(sign):
    shown = media.visible(f"a{sign}b")
    assert shown.isascii()
    assert json.loads(f'"{shown}"') == f"a{sign}b"


def test_every_control_character_but_the_end_of_line_is_shown():
    assert [sign for sign in CONTROLS if sign in media.visible(f"a{sign}b")] == []
    assert media.visible(f"{WORDS}\r\nsecond\n") == f"{WORDS}\nsecond\n"


@pytest.mark.parametrize("text", COMMANDS)
def test_no_line_of_a_log_is_a_command_of_its_runner(text):
    file = io.StringIO()
    stream = media.TerminalStream(file)
    print("first", text, sep="\n", file=stream)
    print("", text, file=stream)
    assert not re.search(r"^\s*::|##(\[|vso\[|teamcity\[)", file.getvalue(), re.MULTILINE)
    assert json.loads(f'"{media.terminal(text.strip())}"') == text.strip()


def test_colons_within_a_line_stay():
    file = io.StringIO()
    stream = media.TerminalStream(file)
    print("std", "::vector", "a::b", sep="", file=stream)
    assert file.getvalue() == "std::vectora::b\n"


def test_a_line_of_megabytes_is_cut_and_says_so():
    text = f"key {'k' * 3_000_000}\nnext"
    assert media.short_lines(text) == f"key {'k' * 9_996}... (2990004 more characters)\nnext"


def test_a_bar_below_a_cleaned_stream_still_makes_way_for_a_sentence(monkeypatch):
    file = io.StringIO()
    stream = media.TerminalStream(file)
    monkeypatch.setattr(sys, "stderr", stream)
    with tqdm(total=2, file=media.unfiltered(stream), mininterval=0):
        tqdm.write("said\x1b[2J", file=stream)
    assert "\r" in file.getvalue()
    assert re.search(r"\r *\rsaid\\u001b\[2J\n", file.getvalue())


def test_a_cell_of_a_table_loses_nothing_to_line_separators():
    shown = media.tabulate([["a\u2028b\x85c\nd", "e"]], ["x", "y"])
    assert [line.rstrip() for line in shown.splitlines()] == [
        "x                y", "---------------  ---", r"a\u2028b\u0085c  e", "d"
    ]  # fmt: skip


def test_a_path_in_a_folded_cell_stays_whole():
    path = "/data/pytest-of-me/popen-gw0/LIP-val images"
    shown = media.tabulate([["images", f"4 of 4 in {path}"]], tablefmt="plain", maxcolwidths=[None, 20])
    assert shown == "images  4 of 4 in\n        /data/pytest-of-me/popen-gw0/LIP-val\n        images"


def test_an_annotation_is_one_line_of_its_own():
    made = media.annotation("a,b:\n::x", 3, "t\r\n::warning::", "100 %\n::error::\x1b")
    assert (
        made
        == "::error file=a%2Cb%3A%0A%3A%3Ax,line=3,title=t%0A%3A%3Awarning%3A%3A::100 %25%0A::error::\\u001b"
    )


def test_csv_has_no_formula_and_one_line_a_record_and_its_numbers_stay():
    values = [
        "=1+1",
        "+A1",
        "-B2",
        "@SUM(1)",
        "\t=1",
        "\r=1",
        " =1",
        "\uff1d1",
        "a\nb",
        'q"q',
        "-0.12",
        "+3",
        "1e-5",
        -0.5,
        None,
    ]
    text = media.csv_text(["value"], [{"value": value} for value in values])
    read = [row[0] for row in csv.reader(io.StringIO(text))][1:]
    assert read == [
        "'=1+1", "'+A1", "'-B2", "'@SUM(1)", "\\t=1", "' =1", "' =1", "'\uff1d1", "a b", 'q"q', "-0.12", "+3", "1e-5", "-0.5", "",
    ]  # fmt: skip
    assert len(text.splitlines()) == len(values) + 1


def test_xml_holds_whatever_text_there_is():
    signs = "".join(sign for sign in CONTROLS if not "\ud800" <= sign <= "\udfff") + "\ufffe"
    root = ET.Element("a", {"name": f"<&\"'{signs}"})
    root.text = "]]>\x00\n\ud800"
    read = ET.fromstring(ET.tostring(media.xml_tree(root), encoding="unicode"))
    assert json.loads(f'"{read.attrib["name"][4:]}"') == signs
    assert read.text == "]]>\\u0000\n\\ud800"


def test_json_holds_whatever_text_there_is():
    assert (
        json.dumps(media.json_value("\x00\ud800é"), ensure_ascii=False).encode()
        == '"\\u0000\\\\ud800é"'.encode()
    )
    assert media.json_value(1.5) == 1.5


@pytest.mark.parametrize("text", ["a|b", "`c`", "<b>&lt;", "$x$ $`y`$", "_u_ a_b *c* ~d~", "[x](y)", "[1](y)", "![i](j)", "# h", "1. i", "- l", "> q", "+ p", "\\|"])  # fmt: skip
def test_markdown_of_words_is_words(text):
    shown = media.markdown_line(text)
    assert not re.search(
        r"(?<!\\)[|`$*~]|(?<!\\)\[(?!\d+\])|\]\(y\)(?<!\\\[x\]\(y\))(?<!\\\[1\]\(y\))|<|^([#>+-]|\d+\.)",
        shown,
    )
    assert html.unescape(re.sub(r"\\([\W_])", r"\1", shown)) == text


def test_the_mark_of_a_footnote_stays_in_markdown():
    assert media.markdown("78.49 not measured [1]") == "78.49 not measured [1]"


def test_a_link_is_one_whatever_its_address_holds():
    assert media.markdown_link("log", "https://a.org/x y|z)(<b>\n?q=1#é") == (
        "[log](https://a.org/x%20y%7Cz%29%28%3Cb%3E%0A?q=1#%C3%A9)"
    )


@pytest.mark.slow
@pytest.mark.parametrize("unit", ["\n", " ", "\r", "1", ":", "#", "_", "\t", "[1", "-\n ", "\x1b"], ids=ascii)
@pytest.mark.parametrize("begin", ["", "+"])
def test_a_long_text_takes_a_moment(unit, begin):
    """A hundred thousand signs; time that grew with their square would be minutes."""
    text = begin + unit * (100_000 // len(unit)) + "x"
    start = time.process_time()
    for escape in (media.terminal, media.short_lines, media.markdown_line, media.plot_text):
        escape(text)
    media.csv_text([text], [{text: text}])
    media.annotation(text, 1, text, text)
    assert time.process_time() - start < 10


def test_a_name_in_a_plot_is_short_and_one_line():
    assert media.plot_text("a\n\x1b" + "b" * 500) == "a \\u001b" + "b" * 69 + "..."

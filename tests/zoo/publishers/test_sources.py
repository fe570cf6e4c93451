"""Publishers' documents as records: the real ones whole, small ones for every form, and what is refused."""

import pytest
from full_zoo import ZOO
from golden_files import GOLDEN
from publisher_pages import metafile, mmseg_readme, ssseg_readme

from segbench.zoo.publishers import SourceError, read_source, read_sources

PAGE = """Some Title
Method |
Backbone |
Crop Size |
Lr schd |
mIoU |
download |
ISANet |
R-50-D8 |
512x1024 |
40000 |
78.49 |
model | log |
@article{somebody,
"""


def read(folder, text):
    path = folder / "page"
    path.write_text(text, encoding="utf-8")
    return read_source(path)


@pytest.mark.parametrize(
    ("source", "form", "publisher", "rows"),
    [
        ("000", "readme", "mmsegmentation", 16),
        ("001", "readme", "mmsegmentation", 16),
        ("002", "readme", "sssegmentation", 6),
        ("003", "page", "mmsegmentation", 16),
        ("004", "readme", "sssegmentation", 12),
    ],
)
def test_the_stored_sources_are_recognised_and_read_whole(tmp_path, golden, source, form, publisher, rows):
    text = golden(f"sources/{source}.txt")
    document = read(tmp_path, text)
    assert (document.form, document.publisher, len(document.rows)) == (form, publisher, rows)
    lines = text.splitlines()
    for row in document.rows:
        cells = " ".join(lines[row.line - 1 : row.line + 10] if form == "page" else [lines[row.line - 1]])
        assert all(text in cells for text in row.figures.values() if text)
        assert row.backbone in cells


def test_a_readme_row_has_everything_that_is_printed(tmp_path):
    first, row = ZOO["isanet_r50-d8_512x1024_40k_cityscapes"], read(tmp_path, mmseg_readme(ZOO)).rows[0]
    assert (row.section, row.row, row.line, row.dataset) == ("Cityscapes", 1, 5, "cityscapes")
    assert (row.method, row.backbone, row.crop, row.schedule) == ("ISANet", "R-50-D8", (512, 1024), "40000")
    assert row.figures == {"train_memory": "5.869", "fps": "2.91", "miou": "78.49", "miou_ms_flip": "79.44"}
    assert (row.weights_url, row.log_url, row.config) == (
        first.weights.urls[0],
        first.log_urls[0],
        first.config_urls[0],
    )


@pytest.mark.parametrize(("version", "form"), [("0.18", "0.x"), ("0.30", "0.x"), ("1.2", "1.x")])
def test_metafiles_of_every_version_give_the_same_facts(tmp_path, version, form):
    document = read(tmp_path, metafile(ZOO, version))
    assert document.form == f"metafile-{form}"
    readme = read(tmp_path, mmseg_readme(ZOO))
    for row, printed in zip(document.rows, readme.rows, strict=True):
        assert (row.backbone, row.crop, row.schedule) == (printed.backbone, printed.crop, printed.schedule)
        for metric in ("miou", "miou_ms_flip", "train_memory"):
            assert float(row.figures[metric]) == float(printed.figures[metric])
        assert row.device == "V100"
        assert row.weights_url == printed.weights_url


def test_figures_of_a_metafile_have_lines_of_their_own(tmp_path):
    document = read(tmp_path, metafile(ZOO))
    lines = (tmp_path / "page").read_text(encoding="utf-8").splitlines()
    for row in document.rows:
        assert row.name in lines[row.line - 1]
        assert all(row.figures[metric] in lines[row.line_of(metric) - 1] for metric in row.figures)


def test_two_figures_in_one_column_are_told_apart(tmp_path):
    rows = read(tmp_path, ssseg_readme(ZOO, "ISNet")).rows
    assert rows[0].figures == {"miou": "38.06", "miou_ms_flip": "40.39"}
    assert rows[-1].figures == {"miou": "56.52", "miou_flip": "56.81"}
    assert {row.method for row in rows} == {"ISNet"}


@pytest.mark.parametrize(
    ("column", "cell", "figures"),
    [
        ("mIoU/mIoU (flip)/mIoU (ms+flip)", "60.53%/60.83%/61.17%", ("60.53", "60.83", "61.17")),
        ("mIoU (ms+flip)", "79.90%", {"miou_ms_flip": "79.90"}),
        ("mIoU (EMA)", "", {"miou": None}),
        ("mDice | Dice", "88.92% | 79.57%", {"mdice": "88.92", "dice": "79.57"}),
    ],
)
def test_a_page_of_several_segmentors_says_which(tmp_path, column, cell, figures):
    """The columns of sssegmentation's pages about backbones; the method is the folder of the configuration."""
    link = "https://example.org/ssseg/configs/mobilevitv2/deeplabv3_mobilevitv2050_voc.py"
    text = (
        f"# PASCAL-VOC\n\n| Segmentor | Pretrain | Backbone | Crop Size | Schedule | {column} | Download |\n"
        f"| :-: |\n| DeepLabV3 | - | MobileViTV2-0.50 | 512x512 | 0.0005/cosine/64/50 | {cell} | "
        f"[cfg]({link}) &#124; [model](https://example.org/fcn_x.pth) |\n"
    )
    document = read(tmp_path, text)
    (row,) = document.rows
    assert (document.publisher, row.method, row.segmentor, row.backbone, row.dataset, row.stated) == (
        "sssegmentation", "MobileViTV2", "DeepLabV3", "MobileViTV2-0.50", "voc2012aug", {},
    )  # fmt: skip
    expected = (
        figures
        if isinstance(figures, dict)
        else dict(zip(("miou", "miou_flip", "miou_ms_flip"), figures, strict=True))
    )
    assert row.figures == expected


def test_a_rendered_page_is_read_without_headings_and_links(tmp_path):
    (row,) = read(tmp_path, PAGE).rows
    assert (row.section, row.dataset, row.weights_url, row.line) == ("", "", "", 8)
    assert row.figures == {"miou": "78.49"}


def test_layout_does_not_matter(tmp_path):
    page = mmseg_readme(ZOO)
    squeezed = page.replace(" | ", "|").replace("### ", "#### ")
    rows, plain = read(tmp_path, squeezed).rows, read(tmp_path, page).rows
    assert rows == plain


def test_tables_of_other_things_and_fenced_code_are_passed_over(tmp_path):
    page = "# Speed\n\n| GPU | ms |\n| --- | --- |\n| V100 | 3 |\n\n```\n# no heading\n| x |\n```\n"
    assert len(read(tmp_path, page + mmseg_readme(ZOO)).rows) == 16


def test_a_second_table_of_a_section_counts_its_rows_on(tmp_path):
    page = mmseg_readme(ZOO).replace("### ADE20K\n", "")
    rows = [row.row for row in read(tmp_path, page).rows if row.section == "Cityscapes"]
    assert rows == list(range(1, 13))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("| 78.49 |", "| 78.49? |", "page:5: expected a plain number in column 'miou', found '78.49?'"),
        ("| 78.49 |", "| 078.49 |", "page:5: expected a plain number in column 'miou', found '078.49'"),
        ("| 512x1024 |", "| large |", "page:5: expected a size such as 512x1024, found 'large'"),
        ("| Device |", "| FWIoU |", "page:3: unknown column 'fwiou' in the results table"),
        ("| R-50-D8 |", "|", "page:5: expected 11 cells, found 10"),
        ("| mIoU |", "| BIoU |", "page:3: unknown column 'biou' in the results table"),
        ("Crop Size |", "Backcrop Size | x |", "page:3: unknown column 'backcrop size' in the results table"),
    ],
)
def test_what_cannot_be_understood_is_refused_with_its_line(tmp_path, old, new, message):
    with pytest.raises(SourceError) as refused:
        read(tmp_path, mmseg_readme(ZOO).replace(old, new, 1))
    assert str(refused.value) == f"{tmp_path}/{message}"


@pytest.mark.parametrize(
    "cell",
    ["**78.49**", "78.49<sup>1</sup>", "78.49 [^1]", "<b>78.49</b>", "78.49*", "78.49 %", "**78.49**†"],
)
def test_type_and_footnotes_do_not_change_a_figure(tmp_path, cell):
    page = mmseg_readme(ZOO)
    assert read(tmp_path, page.replace("| 78.49 |", f"| {cell} |")).rows == read(tmp_path, page).rows


@pytest.mark.parametrize(
    ("old", "new", "faults", "figures"),
    [
        ("| 78.49 |", "| 78,49 |", {5: "'miou', found '78,49'"}, {"train_memory": "5.869", "fps": "2.91"}),
        ("| 78.49 |", "| tbd |", {5: "'miou', found 'tbd'"}, {"train_memory": "5.869", "fps": "2.91"}),
        (
            "| V100 | 78.49 |",
            "| 78.49 |",
            {5: "expected 11 cells, found 10"},
            {},
        ),
        (
            "| Mem (GB) |",
            "| Mem (MiB) |",
            {3: "unknown column 'mem (mib)'"},
            {"fps": "2.91", "miou": "78.49"},
        ),
        (
            "| 512x1024 |",
            "| large |",
            {5: "found 'large'"},
            {"train_memory": "5.869", "fps": "2.91", "miou": "78.49"},
        ),
    ],
)
def test_the_rest_of_a_row_is_read_where_faults_are_tolerated(tmp_path, old, new, faults, figures):
    path = tmp_path / "page"
    path.write_text(mmseg_readme(ZOO).replace(old, new, 1), encoding="utf-8")
    (document,) = read_sources(path)
    assert len(document.rows) == 16
    assert [fault.line for fault in document.faults] == list(faults)
    assert all(words in fault.message for words, fault in zip(faults.values(), document.faults, strict=True))
    row = document.rows[0]
    assert (row.backbone, row.schedule) == ("R-50-D8", "40000")
    assert {metric: text for metric, text in row.figures.items() if metric != "miou_ms_flip"} == figures


def test_a_metafile_with_an_odd_value_is_read_without_it(tmp_path):
    path = tmp_path / "page"
    path.write_text(metafile(ZOO).replace("mIoU: 78.49", "mIoU: 78,49"), encoding="utf-8")
    (document,) = read_sources(path)
    (fault,) = document.faults
    assert "78,49" in path.read_text(encoding="utf-8").splitlines()[fault.line - 1]
    assert document.rows[0].figures["miou_ms_flip"] == "79.44"


def test_several_metafiles_in_one_file_are_documents_of_their_own():
    path = GOLDEN / "facts/mmseg_metafile.json"
    assert [(one.form, len(one.rows)) for one in read_sources(path)] == [
        ("metafile-0.x", 16),
        ("metafile-0.x", 16),
        ("metafile-1.x", 16),
    ]
    lines = path.read_text(encoding="utf-8").splitlines()
    assert all(row.name in lines[row.line - 1] for one in read_sources(path) for row in one.rows)
    with pytest.raises(SourceError, match="expected one document, found 3 metafiles"):
        read_source(path)


def test_each_cell_of_a_rendered_page_has_its_line(tmp_path):
    document = read(tmp_path, PAGE)
    assert {field: document.rows[0].line_of(field) for field in ("backbone", "miou", "weights")} == {
        "backbone": 9,
        "miou": 12,
        "weights": 13,
    }


def test_a_dropped_cell_of_a_rendered_page_is_told_at_its_line_and_costs_one_row(tmp_path):
    row = PAGE[PAGE.index("ISANet |") : PAGE.index("@article")]
    text = PAGE.replace("@article", f"{row.replace('512x1024', '769x769')}@article")
    path = tmp_path / "page"
    path.write_text(text.replace("40000 |\n", "", 1), encoding="utf-8")
    (document,) = read_sources(path)
    assert [(fault.line, fault.message) for fault in document.faults] == [(11, "expected 6 cells, found 5")]
    assert [one.crop for one in document.rows] == [(512, 1024), (769, 769)]
    assert document.rows[1].figures == {"miou": "78.49"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "no table here\n",
            "expected a results table (with Backbone and accuracy columns) or a metafile with Models",
        ),
        ("Models: [\n", "page:2: not valid YAML"),
        ("Models: 3\n", "expected a list of Models"),
        ("Models:\n- Name: a\n", "page:2: expected the key 'Metadata'"),
    ],
)
def test_other_files_are_refused(tmp_path, text, message):
    with pytest.raises(SourceError, match="page") as refused:
        read(tmp_path, text)
    assert message in str(refused.value)


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(SourceError, match="absent: cannot read the document: No such file"):
        read_source(tmp_path / "absent")


def test_a_binary_file_is_no_document(tmp_path):
    path = tmp_path / "weights.pth"
    path.write_bytes(b"PK\x03\x04\xff\xfe")
    with pytest.raises(SourceError, match="expected text in UTF-8, found byte 0xff in line 1"):
        read_source(path)


@pytest.mark.parametrize("value", ["foo", "7", "[[a, b], [c, d]]"])
def test_metadata_without_keys_are_refused_with_their_line(tmp_path, value):
    """A single value or a list where a mapping belongs."""
    text = (
        f"Models:\n- Name: a\n  Metadata: {value}\n  Results: [{{Dataset: ADE20K, Metrics: {{mIoU: 1}}}}]\n"
    )
    with pytest.raises(SourceError, match=r"page:3: expected keys with their values$"):
        read(tmp_path, text)


def test_a_key_that_is_a_list_is_passed_over(tmp_path):
    """YAML allows it, and nothing is said by it."""
    text = "Models:\n- Name: a\n  Metadata:\n    ? [a, b]\n    : c\n    lr schd: 40000\n"
    text += "  Results: [{Dataset: ADE20K, Metrics: {mIoU: 1}}]\n"
    assert [row.schedule for row in read(tmp_path, text).rows] == ["40000"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("value: 1", "value: 1e99999999", r"5: expected a plain number in .*, found '1e99999999'"),
        ("value: 1", "value: nan", r"5: expected a plain number in .*, found 'nan'"),
        ("value: 1", f"value: {'9' * 5000}", rf"5: expected a plain number in .*, found '{'9' * 60}\.\.\.'"),
        ("Size: 8", f"Size: {'9' * 5000}", rf"4: expected a whole number, found '{'9' * 60}\.\.\.'"),
        ("(1,1)", f"({'9' * 5000},1)", rf"6: expected a size such as 512x1024, found '\({'9' * 59}\.\.\.'"),
    ],
)
def test_numbers_of_a_metafile_that_are_none_are_told_with_their_line(tmp_path, old, new, message):
    """However long they are, the message is short."""
    text = "Models:\n- Name: a\n  Metadata:\n    Batch Size: 8\n    inference time (ms/im): [{value: 1}]\n"
    text += "    crop size: (1,1)\n  Results: [{Dataset: ADE20K, Metrics: {mIoU: 1}}]\n"
    assert read(tmp_path, text).rows[0].batch == 8
    with pytest.raises(SourceError, match=rf"page:{message}$"):
        read(tmp_path, text.replace(old, new))


def test_a_document_that_its_reader_fails_on_is_a_fault_of_it(monkeypatch, tmp_path):
    """Whatever it is: an audit goes on with the other documents."""

    def failing(*arguments):
        raise TypeError("unhashable")

    monkeypatch.setattr("segbench.zoo.publishers.read_markdown", failing)
    with pytest.raises(SourceError, match=r"page:1: cannot be understood \(TypeError: unhashable\)$"):
        read(tmp_path, "text")


@pytest.mark.parametrize("is_page", [True, False])
def test_a_table_of_more_columns_than_any_publishers_is_refused(tmp_path, is_page):
    """Every row is held against every column: 10,000 of each would take hours."""
    names = ["Method", "Backbone", "mIoU", *(f"c{number}" for number in range(10_000)), "download"]
    text = (
        "\n".join(f"{name} |" for name in names) + "\nM |" * 10_000 if is_page else f"|{'|'.join(names)}|\n"
    )
    message = r"page:1: expected a results table of up to 100 columns, found 10004$"
    with pytest.raises(SourceError, match=message):
        read(tmp_path, text)

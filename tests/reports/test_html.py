"""The HTML report: valid, whole in one file, readable by everybody, and opened in a browser where there is one."""

import io
import re
import shutil
from pathlib import Path

import html5lib
import pytest
from PIL import Image

from segbench.reports.background import Background, ClassFigures, Scene
from segbench.reports.html import format_html
from segbench.reports.table import Row
from segbench.reports.tolerance import Tolerance
from segbench.reports.verdict import judge

SVG = "{http://www.w3.org/2000/svg}"
TEMPLATE = Path(__file__).resolve().parents[2] / "reports/report.html.j2"
FPS = {"r0": ("9.0", 31.0), "r1": ("7.0", 24.0), "r2": ("5.0", 17.2), "r3": ("2.0", 14.0), "r4": ("1.5", 5.1)}


def verdict(checkpoint, metric, printed, measured, **more):
    return judge(
        checkpoint=checkpoint,
        metric=metric,
        printed=printed,
        measured=measured,
        tolerance=Tolerance(),
        **more,
    )


def row(checkpoint, miou, memory, **more):
    printed, fps = FPS[checkpoint]
    verdicts = (
        verdict(checkpoint, "miou", "76.63", miou),
        verdict(checkpoint, "miou_ms_flip", "78.23", None, reason="no <data> & no weights"),
        verdict(checkpoint, "train_memory", "9.0", memory),
        verdict(checkpoint, "fps", printed, fps, comparable=False, reason="published for V100"),
    )
    fields = {
        "publisher": "mmsegmentation", "dataset": "Streets", "method": "ISANet", "backbone": f"R-{checkpoint}",
        "crop": "256x512", "schedule": "800", "device": "V100",
        "links": {"config": "https://a.org/c.py", "weights": "https://a.org/w.pth?a=1&b=2"} if checkpoint != "r3" else {},
    }  # fmt: skip
    return Row(checkpoint=checkpoint, verdicts=verdicts, **fields | more)


def jpeg(colour):
    file = io.BytesIO()
    Image.new("RGB", (64, 32), colour).save(file, format="JPEG")
    return file.getvalue()


ROWS = [
    row("r0", 76.63, 9.001, parameters=37_707_398, gflops=402.9), row("r1", 76.50, 9.2, parameters=4e7, gflops=612.1), row("r2", 75.0, 8.0), row("r3", None, None, dataset="ADE20K"),
    row("r4", 76.65, 9.0),
]  # fmt: skip
BACKGROUND = Background(
    title="Tables & figures",
    note="Made by `zoo report`.",
    bands=("mIoU: up to 0.05 is reproduced",),
    environments=("1 x mIoU: cpu",),
    limits={(one.checkpoint, metric, ""): (0.055, 0.155) for one in ROWS for metric in ("miou", "train_memory")},
    classes=(
        ClassFigures(checkpoint="r0", dataset="Streets", iou_percent={"road": 92.5, "pole": None}),
        ClassFigures(checkpoint="r1", dataset="Streets", iou_percent={"road": 90.1, "pole": 10.0}),
    ),
    scenes=(
        Scene(
            checkpoint="r0", image="street_001", input=jpeg("blue"), truth=jpeg("red"), prediction=jpeg("green"),
            errors=jpeg("white"), wrong_percent=5.04, classes={"road": "#804080", "pole": "#999999"},
        ),
    ),
)  # fmt: skip


@pytest.fixture(scope="module")
def page():
    return format_html(ROWS, BACKGROUND)


@pytest.fixture(scope="module")
def tree(page):
    """Strictly parsed: the first error of the HTML standard raises."""
    return html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(page)


def test_nothing_is_valid_too():
    html5lib.HTMLParser(strict=True).parse(format_html([]))


@pytest.mark.slow
def test_nothing_is_fetched(tree, page):
    """No address but those within the page, data and links; no import in styles or scripts."""
    links = [one.get("href") for one in tree.iter("a") if one.get("href").startswith("https:")]
    assert links == ["https://a.org/c.py", "https://a.org/w.pth?a=1&b=2"] * 4
    for link in set(links):
        page = page.replace(f'<a href="{link.replace("&", "&amp;")}">', "")
    for element in tree.iter():
        if element.get("href") in links:
            continue
        for name in ("src", "href", "srcset", "action", "data", "poster"):
            assert element.get(name, "#").startswith(("#", "data:")), (element.tag, name, element.get(name))
    assert not re.search(r"@import|url\((?!#)|https?:|fetch\(|XMLHttpRequest", page)


def test_identifiers_are_unique_and_links_lead_somewhere(tree):
    names = [element.get("id") for element in tree.iter() if element.get("id")]
    assert len(names) == len(set(names))
    for element in tree.iter():
        for link in (element.get("href"), *re.findall(r"url\((#[^)]*)\)", element.get("clip-path", ""))):
            assert link is None or not link.startswith("#") or link[1:] in names, link
        for label in element.get("aria-labelledby", "").split():
            assert label in names


def test_tables_speak_to_a_screen_reader(tree):
    tables = tree.findall(".//table")
    assert tables
    for table in tables:
        assert table.find("caption").text
        assert {head.get("scope") for head in table.findall("thead/tr/th")} == {"col"}
        assert all(line.find("th").get("scope") == "row" for line in table.findall("tbody/tr"))
    sortable = [table for table in tables if table.get("data-sortable") is not None]
    assert len(sortable) == 2
    for head in sortable[0].findall("thead/tr/th"):
        assert head.get("aria-sort") == "none"
        assert head.find("button").get("type") == "button"
    regions = [element for element in tree.iter("div") if element.get("role") == "region"]
    assert all(r.get("tabindex") == "0" for r in regions)
    assert all(r.get("aria-labelledby") or r.get("aria-label") for r in regions)


def test_a_row_is_named_by_its_checkpoint_and_a_cell_by_its_column(tree):
    """What a phone shows beside each figure, and what tells sixteen rows of one method apart."""
    table = tree.find(".//table[@class='cards']")
    heads = ["".join(head.itertext()).strip() for head in table.findall("thead/tr/th")]
    for line in table.findall("tbody/tr"):
        assert [cell.get("data-label") for cell in line.findall("td")] == heads[1:]
    names = ["".join(line.find("th").itertext()) for line in table.findall("tbody/tr")]
    assert names == ["ISANet r0", "ISANet r1", "ISANet r2", "ISANet r4"]
    roles = {(one.tag, one.get("role")) for one in table.iter() if one.tag in {"table", "tr", "th", "td"}}
    assert roles == {
        ("table", "table"), ("tr", "row"), ("th", "columnheader"), ("th", "rowheader"), ("td", "cell")
    }  # fmt: skip


def test_bands_have_names_in_the_plot_and_in_its_caption(tree):
    figure = next(one for one in tree.iter("figure") if one.find(f".//{SVG}svg") is not None)
    words = {"".join(text.itertext()).strip() for text in figure.iter(f"{SVG}text")}
    assert {"band of reproduced", "band of drift"} <= words
    assert figure.find("figcaption").text.strip() == (
        "The inner band (green) is what counts as reproduced, the outer one (yellow) as drift; "
        "disc = reproduced, diamond = drift, cross = refuted."
    )


def test_pictures_say_what_they_show(tree):
    assert [image.get("alt") for image in tree.iter("img")] == [
        "The image street_001",
        "Labels of street_001, mostly road, pole",
        "What r0 predicts for street_001",
        "Pixels of street_001 predicted wrong: 5.0 % of the labelled ones",
    ]


def test_every_plot_has_its_numbers_as_a_table(tree):
    figures = [figure for figure in tree.iter("figure") if figure.find(f".//{SVG}svg") is not None]
    assert [figure.find("h3").text for figure in figures] == [
        "Accuracy: measured minus published",
        "Training memory: measured minus published",
        "Training memory: foretold against published",
        "Shape of the speed column",
        "IoU of every class, Streets",
    ]
    speed = figures[3].findall("figcaption//tbody/tr")
    assert [[cell.text for cell in line] for line in speed if line[-1].text == "no"] == [["r3", "2.03", "no"]]
    deltas = figures[0].findall("figcaption//tbody/tr")
    assert [[cell.text for cell in line] for line in deltas][2] == ["r2 mIoU", "76.63", "-1.63", "refuted"]


def test_plots_keep_text_as_text_and_take_the_pages_colours(tree, page):
    words = {"".join(text.itertext()).strip() for text in tree.iter(f"{SVG}text")}
    assert {"r0 mIoU", "measured minus published, points", "road"} <= words
    assert "#0102" not in page
    assert "var(--reproduced)" in page


@pytest.mark.slow
def test_the_same_report_is_the_same_text(page):
    assert format_html(ROWS, BACKGROUND) == page


def test_what_people_wrote_is_escaped(page):
    assert "no &lt;data&gt; &amp; no weights" in page
    assert "<data>" not in page


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_words_stand_out_from_the_paper(scheme):
    """WCAG's 4.5 to 1 in both schemes."""
    colours = dict(
        re.findall(r"--([\w-]+): (#[0-9a-f]{6})", TEMPLATE.read_text().split(":root {")[1 + scheme])
    )
    paper = luminance(colours["paper"])
    for name in ("ink", "quiet", "link", "reproduced", "drift", "refuted", "other"):
        lighter, darker = sorted((luminance(colours[name]), paper), reverse=True)
        assert (lighter + 0.05) / (darker + 0.05) >= 4.5, name


# --- in a browser ---------------------------------------------------------------------------------------

CHROMIUM = next(
    filter(
        None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chromium-headless-shell"))
    ),
    None,
)


@pytest.fixture
def open_page(tmp_path, page):
    """A function from a width and a colour scheme to the opened page and what its console said."""
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed: no chromium, chromium-browser or google-chrome on PATH")
    playwright_api = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: pip install playwright"
    )

    (tmp_path / "report.html").write_text(page, encoding="utf-8")
    with playwright_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)

        def opened(width, scheme):
            tab = browser.new_page(
                viewport={"width": width, "height": 800}, color_scheme=scheme, offline=True
            )
            said = []
            tab.on("console", lambda message: said.append(message.text))
            tab.on("pageerror", lambda error: said.append(str(error)))
            tab.goto((tmp_path / "report.html").as_uri())
            return tab, said

        yield opened
        browser.close()


@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_a_browser_shows_it_without_a_word(open_page, width, scheme):
    """No error, no sideways scrolling of the page, pictures decoded, plots with a size."""
    tab, said = open_page(width, scheme)
    assert said == []
    assert tab.evaluate("document.documentElement.scrollWidth") == width
    assert set(tab.evaluate("[...document.images].map((image) => image.naturalWidth)")) == {64}
    assert (
        min(
            tab.evaluate(
                "[...document.querySelectorAll('.scroll svg')].map((s) => s.clientHeight).filter(Boolean)"
            )
        )
        > 50
    )


@pytest.mark.slow
def test_a_phone_shows_every_figure_verdict_and_plot_without_scrolling_sideways(open_page):
    """Nothing begins or ends beside the screen, and the plots' words are not smaller than nine pixels."""
    tab, _ = open_page(390, "light")
    places = tab.evaluate(
        """[...document.querySelectorAll("tbody td span, tbody td, tbody th, caption, thead button, svg")]
        .filter((one) => one.checkVisibility() && !one.closest("details"))
        .map((one) => one.getBoundingClientRect()).map((box) => [box.left, box.right])"""
    )
    assert len(places) > 60
    assert min(left for left, _ in places) >= 0
    assert max(right for _, right in places) <= 390
    heights = tab.evaluate(
        """[...document.querySelectorAll("figure svg text")].filter((one) => one.checkVisibility())
        .map((one) => one.getBoundingClientRect().height)"""
    )
    assert len(heights) > 30
    assert min(heights) >= 9
    label = "getComputedStyle(document.querySelector('td[data-label=\"mIoU\"]'), '::before').content"
    assert tab.evaluate(label).startswith('"mIoU"')


@pytest.mark.slow
def test_a_wide_screen_shows_a_plot_once_and_no_cards(open_page):
    tab, _ = open_page(1280, "light")
    assert tab.evaluate("getComputedStyle(document.querySelector('table.cards')).display") == "table"
    sideways = (
        "[...document.querySelectorAll('main > section > .scroll')].map((s) => s.scrollWidth - s.clientWidth)"
    )
    assert max(tab.evaluate(sideways)) == 0
    shown = "[...document.querySelectorAll('figure')].map((f) => [...f.querySelectorAll('.scroll svg')]"
    assert set(tab.evaluate(shown + ".filter((s) => s.checkVisibility()).length)")) == {0, 1}


@pytest.mark.slow
def test_headings_sort_by_keyboard(open_page):
    tab, said = open_page(1280, "light")
    heads = "[...document.querySelectorAll('table')[0].tHead.rows[0].cells]"
    names = "[...document.querySelectorAll('table')[0].tBodies[0].rows].map((row) => row.cells[0].title)"
    column = tab.evaluate(f"{heads}.findIndex((head) => head.textContent.startsWith('Mem'))")
    button = tab.locator("table").first.locator("thead button").nth(column)
    button.focus()
    tab.keyboard.press("Enter")
    assert tab.evaluate(names) == ["r2", "r4", "r0", "r1"]
    assert tab.evaluate(f"{heads}[{column}].ariaSort") == "ascending"
    assert tab.locator("#said").text_content() == "Sorted by Mem (GB), ascending"
    tab.keyboard.press("Space")
    assert tab.evaluate(names) == ["r1", "r0", "r4", "r2"]
    assert tab.evaluate(f"{heads}[{column}].ariaSort") == "descending"
    assert said == []


CHOSEN = "[...document.querySelectorAll('tbody tr[id]')].filter((row) => row.checkVisibility()).map((row) => row.id)"


@pytest.mark.slow
def test_rows_are_chosen_by_what_they_are_and_the_address_keeps_it(open_page):
    tab, said = open_page(1280, "light")
    everything = tab.evaluate(CHOSEN)
    assert everything == [f"row-r{number}" for number in (0, 1, 2, 4, 3)]
    tab.get_by_label("verdict").select_option("refuted")
    refuted = tab.evaluate(CHOSEN)
    assert refuted == ["row-r2"]
    assert tab.locator("#chosen").text_content() == "1 of 5 rows"
    assert tab.locator("main > section:visible:has(table.cards)").count() == 1
    address = tab.url
    tab.get_by_label("name has").fill("R4")
    assert tab.evaluate(CHOSEN) == []
    tab.get_by_role("button", name="all rows").click()
    tab.wait_for_function("document.getElementById('chosen').textContent === '5 of 5 rows'")
    assert tab.evaluate(CHOSEN) == everything
    tab.goto("about:blank")
    tab.goto(address)
    assert tab.evaluate(CHOSEN) == refuted
    assert said == []


@pytest.mark.slow
def test_accuracy_is_drawn_over_what_it_takes_of_the_chosen_rows(open_page):
    """A mark for each row with both figures; it leads to the row."""
    tab, said = open_page(1280, "light")
    marks = "[...document.querySelectorAll('#scatter a')].map((mark) => mark.getAttribute('href'))"
    assert tab.evaluate(marks) == ["#row-r0", "#row-r1"]
    title = "document.querySelector('#scatter title').textContent"
    assert tab.evaluate(title) == "row-r0: 76.63 %, 402.9"
    tab.locator("select[name=axis]").select_option("parameters")
    assert tab.evaluate(title) == "row-r0: 76.63 %, 37.71"
    tab.get_by_label("name has").fill("r1")
    assert tab.evaluate(marks) == ["#row-r1"]
    assert said == []


@pytest.mark.slow
def test_a_name_that_looks_like_a_formula_or_a_colour_is_drawn_as_it_stands():
    names = ["$\\bad{$", '$x$ id="a" #010203 url(#b)', "<script>", "a\x00b\u202e"]
    figures = ClassFigures(checkpoint="a", dataset="Streets", iou_percent=dict.fromkeys(names, 50.0))
    page = html5lib.parse(format_html([row("r0", 76.6, 9.0)], Background(classes=(figures,))))
    drawn = [text for element in page.iter(f"{SVG}text") if (text := "".join(element.itertext()))]
    shown = [*names[:3], r"a\u0000b\u202e"]
    assert [name for name in shown if name not in drawn] == []


def test_a_plot_that_cannot_be_drawn_is_told_and_the_rest_stands(monkeypatch):
    def fails(*_):
        raise ValueError("no <room>")

    monkeypatch.setattr("segbench.reports.plots._drawn", fails)
    text = "".join(html5lib.parse(format_html([row("r0", 76.6, 9.0)])).itertext())
    assert text.count("This plot could not be drawn: ValueError: no <room>") == 3
    assert "r0 mIoU" in text
    assert "What the words mean" in text

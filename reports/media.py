"""Text of others, made harmless for the medium that it goes into: one function a medium.

Names, notes, keys and paths come from servers, weights, manifests and ledgers, and every medium has signs that act: a
terminal has control characters, a runner has lines that begin with `::`, a spreadsheet has formulas. What acts is
written so that it can be seen; what is only words stays as it is. HTML escapes markup by itself (jinja's autoescape).
"""

from __future__ import annotations

import base64
import csv
import io
import json
import re
import sys
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote

if TYPE_CHECKING:
    import xml.etree.ElementTree as ET
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import TextIO

LINE_CHARACTERS = 10_000
"""Of a line for people; what is longer is cut, and says so."""
LABEL_CHARACTERS = 80
"""Of a name within a plot; the longest of the packaged zoo has 68."""

_UNSEEN = re.compile(
    r"\r(?!\n)|["
    r"\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f"  # C0 and C1, without the end of line
    r"\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u3164\ufeff\uffa0"  # of no width
    r"\u2028-\u202e\u2060-\u206f\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
    r"\ud800-\udfff\ufffe\uffff]"  # no characters at all
)
"""Control characters, line separators, Unicode's Bidi_Control and Default_Ignorable_Code_Point, lone surrogates; but
not variation selectors, which belong to the sign before them."""
_LONE = re.compile(r"[\ud800-\udfff]")
_COMMAND = re.compile(r"^([^\S\n]*):(?=:)|#(?=#(?:\[|vso\[|teamcity\[))", re.MULTILINE)
"""What GitHub's and Azure's runners and TeamCity read as a command in the log of a job."""
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
_FORMULA = re.compile(r"[=+\-@\uff1d\uff0b\uff0d\uff20]")
"""What a spreadsheet takes for the beginning of a formula (OWASP, CSV Injection)."""
_MARKDOWN = re.compile(r"[\\`*|~$]|\[(?![0-9]+\](?![(:\[]))|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
"""What acts within a line. `[1]`, the mark of a footnote, does not, unless an address follows."""
_BLOCK = re.compile(r"[#>+=-]|[0-9]+(?=[.)])")
"""What makes a heading, a quotation or a list of a line that it begins."""


def visible(text: str) -> str:
    r"""Every sign that acts or cannot be seen as JSON escapes it, `\u001b`; ends of lines stay.

    In JSON the value is still the same.
    """
    if text.isascii() and text.isprintable():  # nearly every cell of a table: nothing to look for
        return text
    return _UNSEEN.sub(_escaped, text).replace("\r\n", "\n")


def _escaped(found: re.Match[str]) -> str:
    return json.dumps(found[0])[1:-1]


def one_line(text: str) -> str:
    """`visible`, with single spaces between words and nothing else."""
    return visible(re.sub(r"\s+", " ", text))


# --- terminal and log ---------------------------------------------------------------------------------


def terminal(text: str) -> str:
    """For stdout and stderr, which may be a screen or the log of a job: nothing moves, hides or commands."""
    return _COMMAND.sub(lambda found: f"{found[1] or ''}\\u00{ord(found[0].lstrip()[0]):02x}", visible(text))


def short_lines(text: str) -> str:
    """The same with lines that a person can read: none is longer than `LINE_CHARACTERS` and a few words."""
    if len(text) <= LINE_CHARACTERS:
        return text
    return "\n".join(map(_short, text.split("\n")))


def _short(line: str) -> str:
    left_out = len(line) - LINE_CHARACTERS
    return line if left_out <= 0 else f"{line[:LINE_CHARACTERS]}... ({left_out} more characters)"


class TerminalStream:
    """A stream for people and runners: what is written goes through `terminal` first."""

    def __init__(self, stream: TextIO, *, short: bool = False) -> None:
        """`short`: lines are cut as `short_lines` cuts them."""
        self._wrapped = stream  # tqdm compares streams by this name
        self._is_short = short
        self._line_began = False

    def write(self, text: str) -> int:
        """Write a text; what cannot begin a line's command stays as it is."""
        shown = text
        if self._is_short:
            shown = short_lines(shown)
        # A sign that is no space stands for what the line holds already.
        shown = terminal(f"-{shown}")[1:] if self._line_began else terminal(shown)
        last = text.rpartition("\n")[2]
        self._line_began = bool(last.strip()) or (self._line_began and "\n" not in text)
        self._wrapped.write(shown)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write several texts."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._wrapped, name)


@contextmanager
def terminal_streams() -> Iterator[None]:
    """Within the body, stdout and stderr are `TerminalStream`s; messages on stderr have short lines."""
    out, errors = TerminalStream(sys.stdout), TerminalStream(sys.stderr, short=True)
    with redirect_stdout(cast("TextIO", out)), redirect_stderr(cast("TextIO", errors)):
        yield


def unfiltered(stream: TextIO) -> TextIO:
    """The stream below a `TerminalStream`, for what is ours: a bar that moves the cursor, an annotation."""
    return stream._wrapped if isinstance(stream, TerminalStream) else stream  # noqa: SLF001


def annotation(file: str, line: int, title: str, text: str) -> str:
    """`::error file=zoo.yaml,line=12,title=...::...`, one line whatever the texts hold.

    The escapes are those of GitHub's own toolkit (`@actions/core`, command.ts).
    """
    return f"::error file={_property(file)},line={line},title={_property(title)}::{_data(text)}"


def _data(text: str) -> str:
    return visible(text).replace("%", "%25").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def tabulate(rows: Iterable[Sequence[object]], headers: Sequence[str] = (), **options: Any) -> str:
    """A table as the library of this name makes it, of cells that hold nothing it would count wrong or drop.

    Cells are folded between words, so that a path stays one: a word longer than its column makes it wider.
    """
    from tabulate import tabulate as laid_out  # noqa: PLC0415  (only tables need it)

    cells = [[visible(cell) if isinstance(cell, str) else cell for cell in row] for row in rows]
    return laid_out(cells, headers, break_long_words=False, break_on_hyphens=False, **options)


# --- files --------------------------------------------------------------------------------------------


def csv_text(fields: Sequence[str], records: Iterable[Mapping[str, Any]]) -> str:
    """A header and a line a record; what is absent or None is empty, text that would be a formula begins with `'`.

    Numbers stay numbers, and so does text that is one, as `-0.12` or `78.70`.
    """
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([_csv_cell(name) for name in fields])
    writer.writerows([_csv_cell(record.get(name)) for name in fields] for record in records)
    return file.getvalue()


def _csv_cell(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    text = visible(" ".join(re.split(r"[\r\n]+", value)))
    acts = _FORMULA.match(text.lstrip()) and not _NUMBER.fullmatch(text)
    return f"'{text}" if acts else text


def json_value(value: Any) -> Any:
    """A value of a record: lone surrogates, which JSON in UTF-8 cannot hold, are written out as they would be escaped."""
    return _LONE.sub(_escaped, value) if isinstance(value, str) else value


def xml_tree(root: ET.Element) -> ET.Element:
    """The tree, with texts and attributes that XML 1.0 can hold; markup is escaped when it is written."""
    for element in root.iter():
        element.text = element.text and visible(element.text)
        for name, value in element.items():
            element.set(name, visible(value))
    return root


def markdown(text: str) -> str:
    """Words in one line of GitHub's Markdown, in a cell or anywhere else: no markup, no HTML, no formula."""
    escaped = _MARKDOWN.sub(r"\\\g<0>", one_line(text))
    return escaped.replace("&", "&amp;").replace("<", "&lt;")


def markdown_line(text: str) -> str:
    """Words that begin a line of their own, or an item of a list."""
    escaped = markdown(text).lstrip()
    block = _BLOCK.match(escaped)
    if block is None:
        return escaped
    end = block.end() if block[0].isdigit() else 0
    return f"{escaped[:end]}\\{escaped[end:]}"


def markdown_link(word: str, address: str) -> str:
    """A link, wherever its address has brackets, spaces or signs of the table."""
    return f"[{markdown(word)}]({quote(address, safe=_IN_ADDRESSES, errors='replace')})"


_IN_ADDRESSES = "%:/?#@!$&'*+,;=~"


def jpeg_uri(jpeg: bytes) -> str:
    """A picture inside a page."""
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")


def html_value(value: object) -> object:
    """What jinja is to write, before its autoescape: plain text is made visible, markup of ours stays."""
    return visible(value) if type(value) is str else value


def plot_text(text: str, longest: int = LABEL_CHARACTERS) -> str:
    """A name within a plot: one line of bounded length; that it is no mathtext is said by `text.parse_math`."""
    line = one_line(text)
    return line if len(line) <= longest else f"{line[: longest - 3]}..."

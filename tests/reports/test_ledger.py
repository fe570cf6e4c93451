"""The ledger: nothing measured is lost, whatever happens to its writer."""

import concurrent.futures

import msgspec
import pytest

from segbench.reports.ledger import LedgerError, append, read, read_with_warnings


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """A small record in place of a measurement."""

    name: str
    value: float


A, B = Point(name="a", value=76.6284764748448), Point(name="b → β", value=2.5)


def test_records_come_back_as_they_went_in_oldest_first(tmp_path):
    path = tmp_path / "new/folder/ledger.jsonl"
    for record in (A, B, A):
        append(path, record)
    assert read(path, Point) == [A, B, A]
    assert path.read_text(encoding="utf-8").splitlines()[0] == '{"name":"a","value":76.6284764748448}'


def test_a_torn_last_line_is_skipped_with_a_warning(tmp_path):
    """A writer killed at any byte leaves the records before its own."""
    path = tmp_path / "ledger.jsonl"
    append(path, A)
    append(path, B)
    whole = path.read_bytes()
    start = whole.index(b"\n") + 1
    for end in range(start + 1, len(whole) - 1):
        path.write_bytes(whole[:end])
        warning = f"{path}:2: skipped a line whose end was never written"
        assert read_with_warnings(path, Point) == ([A], [warning])


def test_after_a_torn_line_the_next_record_stands_on_its_own(tmp_path):
    """Sealing keeps the file readable; the warning stays."""
    path = tmp_path / "ledger.jsonl"
    append(path, A)
    with path.open("ab") as file:
        file.write(b'{"name":"torn","val')
    append(path, B)
    append(path, A)
    records, warnings = read_with_warnings(path, Point)
    assert records == [A, B, A]
    assert warnings == [f"{path}:2: skipped a line whose end was never written"]


def test_a_last_line_without_its_end_is_whole_all_the_same(tmp_path):
    """An editor may leave out the final end of line."""
    path = tmp_path / "ledger.jsonl"
    append(path, A)
    path.write_bytes(path.read_bytes().rstrip(b"\n"))
    assert read_with_warnings(path, Point) == ([A], [])
    append(path, B)
    assert read_with_warnings(path, Point) == ([A, B], [])


def test_a_byte_order_mark_of_an_editor_does_no_harm(tmp_path):
    path = tmp_path / "ledger.jsonl"
    append(path, A)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    append(path, B)
    assert read_with_warnings(path, Point) == ([A, B], [])


def test_empty_lines_and_an_empty_file_are_nothing(tmp_path):
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(b"")
    assert read(path, Point) == []
    append(path, A)
    path.write_bytes(b"\n" + path.read_bytes() + b"\r\n\n")
    assert read(path, Point) == [A]


@pytest.mark.parametrize(
    ("line", "shown", "fault"),
    [
        (
            b'{"name":"x","value":"much"}',
            '{"name":"x","value":"much"}',
            "Expected `float`, got `str` - at `$.value`",
        ),
        (b'{"name":"x"}', '{"name":"x"}', "Object missing required field `value`"),
        (b'{"name":"x",', '{"name":"x",', "Input data was truncated"),
        (b"<<<<<<< HEAD", "<<<<<<< HEAD", "JSON is malformed: invalid character (byte 0)"),
        (
            b'{"name":"' + b"x" * 80 + b'"}',
            '{"name":"' + "x" * 48 + "...",
            "Object missing required field `value`",
        ),
    ],
)
def test_any_other_bad_line_is_an_error_that_says_where(tmp_path, line, shown, fault):
    path = tmp_path / "ledger.jsonl"
    append(path, A)
    path.write_bytes(path.read_bytes() + line + b"\n")
    append(path, B)
    with pytest.raises(LedgerError) as caught:
        read(path, Point)
    assert str(caught.value) == (
        f"{path}:2: expected one Point as a JSON object, found {shown} ({fault}); "
        "restore the line or delete it, the other lines stay as they are"
    )


def test_bytes_that_are_no_text_are_an_error_that_says_where(tmp_path):
    path = tmp_path / "ledger.jsonl"
    for line in (b'{"name":"\xff\xff","value":1}\n', b'{"name":"a","value":1,"new\xff":2}\n'):
        path.write_bytes(line)
        with pytest.raises(LedgerError, match=r"ledger\.jsonl:1: expected one Point"):
            read(path, Point)


def test_a_ledger_that_cannot_be_opened_is_named(tmp_path):
    with pytest.raises(LedgerError) as caught:
        read(tmp_path / "none.jsonl", Point)
    assert (
        str(caught.value) == f"{tmp_path / 'none.jsonl'}: cannot read the ledger: No such file or directory"
    )
    with pytest.raises(LedgerError) as caught:
        append(tmp_path, A)
    assert str(caught.value) == f"{tmp_path}: cannot append a measurement: Is a directory"


def test_several_writers_do_not_mix_their_lines(tmp_path):
    path = tmp_path / "ledger.jsonl"
    points = [Point(name="x" * 2000, value=float(number)) for number in range(60)]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda point: append(path, point), points))
    assert sorted(record.value for record in read(path, Point)) == [float(number) for number in range(60)]


def test_what_no_writer_of_ledgers_left_is_no_unfinished_line(tmp_path):
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(b"\xff\xfe\x00garbage")
    with pytest.raises(LedgerError) as caught:
        read(path, Point)
    assert str(caught.value).startswith(
        f"{path}:1: expected one Point as a JSON object, found \ufffd\ufffd\ufffdgarbage (JSON is malformed"
    )


def test_an_impossible_value_is_refused_with_its_line(tmp_path):
    path = tmp_path / "ledger.jsonl"
    append(path, A)
    append(path, B)
    with pytest.raises(LedgerError, match=r"ledger\.jsonl:2: too small; mend the line or delete it"):
        read_with_warnings(path, Point, lambda point: "too small" if point.value < 10 else "")


def test_fields_of_another_version_are_told_once_each(tmp_path):
    path = tmp_path / "ledger.jsonl"
    append(path, A)
    for number in (1, 2):
        path.write_bytes(path.read_bytes() + b'{"name":"c","value":%d,"schema":99}\n' % number)
    records, warnings = read_with_warnings(path, Point)
    assert records == [A, Point(name="c", value=1.0), Point(name="c", value=2.0)]
    assert warnings == [f"{path}:2: field 'schema', unknown to this version, is left out (2 such lines)"]


def test_a_file_larger_than_any_ledger_is_refused_unread(tmp_path, monkeypatch):
    path = tmp_path / "ledger.jsonl"
    append(path, A)
    monkeypatch.setattr("segbench.reports.ledger.MOST_BYTES", 10)
    with pytest.raises(
        LedgerError, match=f"{path}: it has more than 0 MiB, as no ledger has; name another file"
    ):
        read(path, Point)

"""Whole numbers of others: what Python refuses to convert, or converts from other scripts, is none."""

import pytest

from segbench.zoo.cli import main
from segbench.zoo.files.whole_number import whole_number


@pytest.mark.parametrize(("text", "number"), [
    ("0", 0), ("00080000", 80000), ("999999999", 999999999), ("1" * 10, None), ("9" * 5000, None), ("", None), ("²", None),
    ("٣", None), ("-1", None), ("1.0", None), ("1\n", None),
])  # fmt: skip
def test_a_number_is_one_or_none(text, number):
    assert whole_number(text) == number


MANY = "9" * 5000


@pytest.mark.slow
@pytest.mark.parametrize("cells", [
    ("ISANet", "R-50-D8", f"{MANY}x1024", "40000", "78.49"), ("ISANet", "R-50-D8", "512x1024", MANY, "78.49"),
    ("ISANet", "R-50-D8", "512x1024", "40000", MANY), ("ISANet", f"R-{MANY}-D8", "512x1024", "40000", "78.49"),
])  # fmt: skip
def test_a_table_of_endless_numbers_is_a_message(tmp_path, capsys, cells):
    page = tmp_path / "page.md"
    page.write_text(
        "### Cityscapes\n\n| Method | Backbone | Crop Size | Lr schd | mIoU |\n|---|---|---|---|---|\n"
        f"| {' | '.join(cells)} |\n"
    )
    assert main(["import", str(page)]) == 2
    assert main(["audit", "--source", str(page)]) == 0
    assert "internal error" not in capsys.readouterr().err

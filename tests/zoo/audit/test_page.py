"""The published page has exactly what is found in the kept documents, and every finding of it is one that was looked at."""

import resource
from collections import Counter

import audit_page
import pytest

from segbench.zoo.audit import audit_of
from segbench.zoo.cli import main

pytestmark = pytest.mark.slow


KNOWN = {
    "unit-mixup": 1,
    "row-differs": 11,
    "name-twice": 9,
    "dead-config": 3,
    "config-differs": 20,
    "unknown-row": 9,
    "link-differs": 2,
    "mistyped-host": 1,
    "log-path": 3,
    "weights-name": 3,
    "ms-flip-below-single": 7,
    "collection-differs": 5,
    "file-replaced": 10,
    "revised-claim": 9,
    "resolution-is-crop": 1,
    "fps-step": 12,
    "memory-step": 4,
    "mixed-unit": 1,
    "larger-model-worse": 7,
    "no-hash": 2,
    "lost-decimals": 2,
    "copied-cells": 1,
    "blank-cells": 2,
    "not-published": 2,
    "dropped-field": 2,
    "unstated-condition": 2,
    "renamed-field": 3,
    "row-order": 1,
    "old-and-new-names": 2,
}
"""Kind -> findings; each was looked up in its sources, and what was false mended where the rule is."""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty one that is the current one, and a cache without logs."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "documents").mkdir()
    monkeypatch.chdir(tmp_path / "documents")
    return tmp_path / "documents"


def test_the_page_is_what_the_command_writes_of_the_kept_documents_in_ten_seconds(folder, capsys):
    documents, configs = audit_page.files_of(folder)
    arguments = [f"--source={path}" for path in documents] + [f"--configs={path}" for path in configs]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    assert main(["audit", *arguments, "--format", "md"]) == 0
    assert resource.getrusage(resource.RUSAGE_SELF).ru_utime - before < 10
    assert capsys.readouterr().out == audit_page.PAGE.read_text("utf-8"), "run tests/support/audit_page.py"


def test_the_kept_documents_have_the_errors_that_another_reading_of_them_found(folder):
    """Those of the project's notes on rows that contradict themselves, made from the weights apart from this code."""
    found = audit_of(audit_page.sources_in(folder))
    by_kind: dict[str, set[str]] = {}
    for one in found:
        by_kind.setdefault(one.kind, set()).add(one.subject)
    assert by_kind["dead-config"] == {
        "deeplabv3plus_r101-d16-mg124_512x1024_40k_cityscapes",
        "emanet_r50-d8_512x1024_80k_cityscapes",
        "fpn_poolformer_s36_8x4_512x512_40k_ade20k",
    }
    assert by_kind["name-twice"] == {
        "bisenetv1_r50-d32-in1k-pre_4xb4-160k_coco-stuff164k-512x512",
        "pspnet_r50b-d32_4xb2-80k_cityscapes-512x1024",
        "twins_pcpvt-l_uperhead_8xb2-160k_ade20k-512x512",
        "deeplabv3plus_r101-d8_4xb4-160k_ade20k-512x512",
        *(f"fastfcn_r50-d32_jpu_{head}_4xb2-80k_cityscapes-512x1024" for head in ("aspp", "psp", "enc")),
        *(f"ocrnet_{width}_4xb4-80k_ade20k-512x512" for width in ("hr18", "hr18s")),
    }
    assert by_kind["row-differs"] | by_kind["weights-name"] >= {
        "bisenetv1_r101-d32_lr5e-3_4x4_512x512_160k_coco-stuff164k",
        "deeplabv3plus_r101-d8_480x480_40k_pascal_context",
        "pspnet_r50-d32_512x1024_80k_cityscapes",
        "twins_svt-l_uperhead_8x2_512x512_160k_ade20k",
    }
    assert "fpn_r101_512x512_160k_ade20k" in by_kind["config-differs"]


def test_nothing_else_is_found(folder):
    kinds = Counter(one.kind for one in audit_of(audit_page.sources_in(folder)))
    assert kinds == KNOWN

"""`zoo show`: everything known of a checkpoint: claims, protocols, links; a method in short."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from ...reports.media import tabulate
from ...reports.metrics import METRICS
from ..console.exit_codes import ExitCode
from ..manifest import load_manifest
from ..manifest.selection import methods_of
from .shared import flags
from .shared.answer import Data, json_text, write
from .shared.arguments import selected
from .shared.rows import by, method_text, row_record, shown_urls

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from ...evaluate.data.datasets import DatasetSpec
    from ...evaluate.protocol import EvalProtocol, Void
    from ..manifest import Checkpoint, Claim, Cost


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Which rows, and whether their protocols in place of them."""
    flags.add_selection(parser)
    flags.add_json(parser)
    parser.add_argument("--protocol", action="store_true", help="print the test protocols in words")
    parser.add_argument(
        "--yaml", action="store_true", help="print the full records as a manifest of their own"
    )


def run(arguments: argparse.Namespace) -> int:
    """Facts, or protocols in words."""
    chosen = selected(arguments)
    if arguments.json:
        write(json_text([_whole_record(row) for row in chosen]))
    elif arguments.yaml:
        write(Data(_manifest(chosen, arguments)))
    elif arguments.protocol:
        protocols = [row.protocol(claim.metric) for row in chosen for claim in row.claims if claim.protocol]
        write("\n\n".join(_protocol_text(protocol) for protocol in dict.fromkeys(protocols)))
    else:
        write("\n\n\n".join(_texts(chosen, arguments)))
    return ExitCode.OK


def _texts(chosen: Sequence[Checkpoint], arguments: argparse.Namespace) -> Iterator[str]:
    """A method that was named in short, any other row in full."""
    manifest = load_manifest(arguments.manifest)
    methods = [method for name in arguments.ids for method in methods_of(manifest, name)]
    for method in dict.fromkeys(methods):
        if rows := [row for row in chosen if row.method == method]:
            yield method_text(rows)
    yield from (_text(row) for row in chosen if row.method not in methods)


def _manifest(chosen: Sequence[Checkpoint], arguments: argparse.Namespace) -> str:
    from ..manifest.writing import manifest_text

    return manifest_text(chosen, load_manifest(arguments.manifest))


def _whole_record(row: Checkpoint) -> dict[str, Any]:
    """The list's object with architecture, training and whole protocols."""
    protocols = {
        claim.metric: msgspec.to_builtins(row.protocol(claim.metric))
        for claim in row.claims
        if claim.protocol
    }
    return row_record(row) | {
        "not_built": row.not_built,
        "architecture": msgspec.to_builtins(row.architecture),
        "training": msgspec.to_builtins(row.training),
        "protocols": protocols,
    }


def _text(checkpoint: Checkpoint) -> str:
    """Everything the manifest knows of one checkpoint, for a person."""
    facts = [
        ("also called", ", ".join(checkpoint.aliases)),
        ("publisher", checkpoint.publisher),
        ("model", ", ".join(filter(None, (checkpoint.method, checkpoint.segmentor, checkpoint.backbone)))),
        ("network", checkpoint.not_built),
        ("parameters", f"{checkpoint.parameters:,}" if checkpoint.parameters else ""),
        ("cost", _cost_text(checkpoint.cost)),
        ("data set", _dataset_text(checkpoint.dataset_spec)),
        ("trained", f"crop {by(checkpoint.crop)}, schedule {checkpoint.schedule}"),
        ("weights", "\n".join(shown_urls(checkpoint.weights.urls))),
        ("hash", _hash_text(checkpoint)),
        ("log", "\n".join(shown_urls(checkpoint.log_urls))),
        ("config", "\n".join(shown_urls(checkpoint.config_urls))),
    ]
    table = tabulate([(name, text) for name, text in facts if text], tablefmt="plain", disable_numparse=True)
    header = ["claim", "printed", "protocol", "source", "note"]
    claims = tabulate(
        [_claim_row(claim) for claim in checkpoint.claims],
        header,
        disable_numparse=True,
        maxcolwidths=[None] * 4 + [60],
    )
    return f"{checkpoint.id}\n\n{table}\n\n{claims}"


def _dataset_text(spec: DatasetSpec) -> str:
    return f"{spec.title}, {spec.split}, {spec.image_count} images, {len(spec.classes)} classes"


def _cost_text(cost: Cost | None) -> str:
    if cost is None:
        return ""
    size = f"one float32 forward pass on {by(cost.size)} (h x w)"
    return (
        f"{cost.gflops:,.1f} GFLOPs, {cost.peak_activations_mib:,.0f} MiB of live activations at most: {size}"
    )


def _hash_text(checkpoint: Checkpoint) -> str:
    weights = checkpoint.weights
    if weights.sha256:
        return f"sha256 {weights.sha256}"
    if weights.sha256_prefix:
        return f"sha256 begins with {weights.sha256_prefix} (from the file's name)"
    return "none published"


def _claim_row(claim: Claim) -> list[str]:
    metric = METRICS[claim.metric]
    source = claim.source
    where = f"{source.document}, {source.section}, row {source.row}" if source else ""
    return [
        metric.title,
        claim.printed or "not published",
        claim.protocol or claim.device or "",
        f"{where} ({claim.date})" if claim.date else where,
        claim.note or "",
    ]


def _protocol_text(protocol: EvalProtocol) -> str:
    """A protocol in words, one step a line, with its digest."""
    steps = [*_input_steps(protocol), *_score_steps(protocol), ("digest", protocol.digest())]
    table = tabulate([(name, text) for name, text in steps if text], tablefmt="plain", disable_numparse=True)
    title = f"{protocol.name}: {protocol.description}" if protocol.description else protocol.name
    return f"{title}\n{table}"


_VIEWS = {
    "base_scale": "the original image is resized again for each ratio of the base scale",
    "image_scale": "the original image is resized by each ratio of its own size",
    "tensor": "the resized and normalised image is interpolated by each ratio",
}


def _input_steps(protocol: EvalProtocol) -> Iterator[tuple[str, str]]:
    """From the image to the network; steps that are not taken have no words."""
    size = "the image's own size" if protocol.base_scale is None else _scale_text(protocol)
    window, once_more = protocol.window, f", then by {protocol.value_divisor:g}"
    mirrored = ", each mirrored too" * protocol.flip
    again = f", then once more to the next multiples of {protocol.resize_divisor}" * (
        protocol.resize_divisor > 1
    )
    yield "resize", f"{size}{again}, {protocol.interpolation} on uint8"
    yield (
        "normalise",
        f"{protocol.channels}, minus {list(protocol.mean)}, by {list(protocol.std)} ({protocol.normalisation})"
        + once_more * (protocol.value_divisor != 1),
    )
    yield "views", f"scales {', '.join(f'{ratio:g}' for ratio in protocol.scales)}{mirrored}"
    yield "made by", _VIEWS[protocol.views] if len(protocol.scales) > 1 else ""
    yield "swap on flip", ", ".join(f"{a}<->{b}" for a, b in protocol.flip_pairs)
    padding = f"zeros at the right and lower end, to multiples of {protocol.size_divisor}"
    yield "pad", padding * (protocol.size_divisor > 1)
    yield (
        "window",
        "whole image" if window is None else f"{by(window.crop)} (h x w), stride {by(window.stride)}",
    )


def _score_steps(protocol: EvalProtocol) -> Iterator[tuple[str, str]]:
    """From the network's scores to the number."""
    yield "channels", f"the first {protocol.score_channels} take part" * bool(protocol.score_channels)
    yield "upsampling", f"{protocol.upsampling}, bilinear, align_corners={protocol.align_corners}"
    softmax = f", softmax at {protocol.softmax_at}" * (protocol.average == "probabilities")
    yield "average", f"{protocol.average}{softmax}"
    resized = f"at the network's input size, labels resized to it ({protocol.label_resize})"
    yield "compare", resized * (protocol.compared_at == "input size")
    yield "void", _void_text(protocol.void) if protocol.void else ""


def _void_text(void: Void) -> str:
    words = {
        "counted": "in the unions like any other class",
        "labels ignored": "ignored where labelled, misses where predicted",
        "dropped": "dropped where labelled or predicted",
    }
    classes = ", ".join(map(str, void.classes))
    return f"{classes}: {words[void.pixels]}; no mean is over {'it' if len(void.classes) == 1 else 'them'}"


def _scale_text(protocol: EvalProtocol) -> str:
    assert protocol.base_scale is not None
    width, height = protocol.base_scale
    cut = ", the other side cut to a whole number" * (protocol.side_rounding == "down")
    return f"{'fit into' if protocol.keep_ratio else 'stretch to'} {width}x{height} (w x h){cut}"

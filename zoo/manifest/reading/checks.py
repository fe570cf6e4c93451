"""What types cannot express. Each check sees the fields that converted, so that one fault hides no other."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import msgspec

from ....evaluate.data.datasets import OWN_FOLDER, DatasetSpec
from ....evaluate.limits import (
    DEFAULT_IGNORED,
    Breach,
    channels_breach,
    class_breaches,
    colour_breaches,
    ignore_breach,
    pair_breaches,
    protocol_breach,
    value_map_breaches,
)
from ....evaluate.protocol import EvalProtocol, SlidingWindow, Void
from ....models.adapters import PROGRAM
from ....models.load.layouts import LAYOUTS
from ....reports.metrics import METRICS
from ....reports.tolerance import Tolerance
from ..names import unknown
from ..publisher import RULED, Publisher, Rule
from ..records import CheckpointEntry, Claim, Listing, Source, Weights
from .walk import BAD, ClassRules, nodes_of, place_from

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ....evaluate.limits import Checked
    from .walk import Found, Reader


def _fault_at(reader: Reader, found: Found, field: str, message: str) -> None:
    reader.fault(f"{found.path}.{field}", found.nodes.get(field, found.node), message)


def _check_reference(reader: Reader, found: Found, field: str, table: str) -> None:
    name, known = found.values.get(field), reader.keys.get(table)
    if name is not None and known is not None and name not in known:
        _fault_at(reader, found, field, unknown(field, name, known, hinted=reader.hints()))


def _check_document_reference(reader: Reader, found: Found) -> None:
    _check_reference(reader, found, "document", "documents")


def _check_name(reader: Reader, found: Found) -> None:
    if found.values.get("name"):
        _fault_at(reader, found, "name", "leave it out: the key above is the name")


def _breaches_at(reader: Reader, found: Found, field: str, breaches: Iterable[Breach]) -> None:
    """Put breaches on record, each at its item of the field's list."""
    for where, message in breaches:
        node, path = found.nodes.get(field, found.node), f"{found.path}.{field}"
        if where is None:
            reader.fault(path, node, message)
        else:
            reader.fault(f"{path}[{where}]", node.value[where], message)


def _check_dataset(reader: Reader, found: Found) -> None:
    _check_name(reader, found)
    if found.path.removeprefix("datasets.").startswith(OWN_FOLDER):
        reader.fault(
            found.path, found.node, f"a data set's name cannot begin with {OWN_FOLDER!r}: own folders have it"
        )
    for field in ("image_suffix", "labels"):
        if field in found.values and not found.values[field]:
            _fault_at(reader, found, field, "expected something here, found nothing")
    classes = found.values.get("classes")
    if classes is None:
        return
    reader.class_counts[found.path] = len(classes)
    if not found.values.get("unscored"):  # whose labels may be no classes
        _breaches_at(reader, found, "classes", class_breaches(classes))
    _breaches_at(reader, found, "palette", colour_breaches(found.values.get("palette", ()), len(classes)))
    _check_categories(reader, found, classes)
    void = found.values.get("void_class")
    if void and void not in classes:
        _fault_at(reader, found, "void_class", unknown("class", void, classes, hinted=reader.hints()))
    ignore_index = found.values.get("ignore_index") if "ignore_index" in found.nodes else DEFAULT_IGNORED
    if ignore_index is not None:
        _check_label_values(reader, found, len(classes), ignore_index)


def _check_categories(reader: Reader, found: Found, classes: tuple[str, ...]) -> None:
    first: dict[str, str] = {}
    known = set(classes)
    for category, members in (found.values.get("categories") or {}).items():
        for name in () if members is BAD else members:
            if name not in known:
                hint = unknown("class", name, classes, hinted=reader.hints())
                _fault_at(reader, found, "categories", f"{category}: {hint}")
            elif name in first:
                _fault_at(
                    reader, found, "categories", f"{category}: class {name!r} is in {first[name]!r} already"
                )
            first.setdefault(name, category)


def _check_label_values(reader: Reader, found: Found, classes: int, ignore_index: int) -> None:
    """The ignored value and every form's values against the classes."""
    forms = [form for form in found.values.get("labels", ()) if form is not BAD]
    reduced = any(form.reduce_zero for form in forms)
    if breach := ignore_breach(ignore_index, classes, reduce_zero=reduced):
        _fault_at(reader, found, "ignore_index", breach)
    for number, form in enumerate(found.values.get("labels", ())):
        if form is BAD:
            continue
        path, node = f"{found.path}.labels[{number}]", found.nodes["labels"].value[number]
        if not form.suffix:
            reader.fault(
                f"{path}.suffix", node, "expected what the label files' names end with, found nothing"
            )
        if form.reduce_zero and form.value_map:
            reader.fault(path, node, "reduce_zero and value_map exclude each other; give 1 and up in the map")
        lines = {key.value: key for key, _ in nodes_of(node)["value_map"].value} if form.value_map else {}
        for value, message in value_map_breaches(form.value_map, classes, ignore_index):
            reader.fault(f"{path}.value_map", lines.get(str(value), node), message)
    source = found.values.get("made_of")
    if source and source is not BAD:
        path, node = f"{found.path}.made_of.categories", nodes_of(found.nodes["made_of"])["categories"]
        lines = {key.value: key for key, _ in node.value}
        for value, message in value_map_breaches(source.categories, classes, ignore_index):
            reader.fault(path, lines.get(str(value), node), message)


def _check_own_rules(reader: Reader, found: Found, kind: type[Checked]) -> None:
    """The rules that a record holds itself to wherever it is made, each told at its field's line."""
    defaults = {
        field.name: field.default
        for field in msgspec.structs.fields(kind)
        if not field.required and field.name not in found.nodes
    }
    for field, breach in kind.breaches(defaults | found.values):
        _breaches_at(reader, found, field, [breach])


def _check_window(reader: Reader, found: Found) -> None:
    _check_own_rules(reader, found, SlidingWindow)


def _check_void(reader: Reader, found: Found) -> None:
    _check_own_rules(reader, found, Void)


def _check_protocol(reader: Reader, found: Found) -> None:
    _check_name(reader, found)
    _check_own_rules(reader, found, EvalProtocol)
    values = found.values
    void = values["void"].classes if values.get("void") else ()
    pairs = values.get("flip_pairs", ())
    if not any(pair_breaches(pairs)):
        reader.class_rules[found.path] = ClassRules(pairs, void, values.get("score_channels"))


def _check_tolerance(reader: Reader, found: Found) -> None:
    limits = Tolerance(reason="")
    reproduced = found.values.get("reproduced", limits.reproduced)
    drift = found.values.get("drift", limits.drift)
    if not 0 <= reproduced <= drift < math.inf:
        what = f"expected 0 <= reproduced <= drift, both finite, found {reproduced} and {drift}"
        reader.fault(found.path, found.node, what)


def _check_rule(reader: Reader, found: Found) -> None:
    for field in found.values.get("when", {}):
        if field not in RULED:
            _fault_at(reader, found, "when", unknown("field", field, RULED))


def _check_layout(reader: Reader, found: Found) -> None:
    layout = found.values.get("layout")
    if layout and layout not in LAYOUTS:
        _fault_at(reader, found, "layout", unknown("value", layout, LAYOUTS))


_PROGRAM = (
    "a program of torch.export can run code where it is read, which no manifest may bring about; publish the state dict "
    "or an ONNX file, and measure the program with zoo verify --file"
)


def _check_weights(reader: Reader, found: Found) -> None:
    _check_layout(reader, found)
    urls, prefix = found.values.get("urls"), found.values.get("sha256_prefix")
    if urls == ():
        _fault_at(reader, found, "urls", "expected at least one URL, found none")
    if urls and prefix and not any(prefix in url for url in urls if url is not BAD):
        _fault_at(reader, found, "sha256_prefix", f"{prefix!r} stands in none of the URLs")
    for number, url in enumerate(urls or ()):
        if url is not BAD and PROGRAM in url.lower():
            node = found.nodes["urls"].value[number]
            reader.fault(f"{found.path}.urls[{number}]", node, _PROGRAM)
    full = found.values.get("sha256")
    if full and prefix and not full.lower().startswith(prefix.lower()):
        _fault_at(reader, found, "sha256", f"does not begin with the prefix {prefix!r}")


def _check_metric(reader: Reader, found: Found, field: str, metric: str) -> None:
    if metric not in METRICS:
        _fault_at(reader, found, field, unknown("value", metric, METRICS))


def _check_listing(reader: Reader, found: Found) -> None:
    _check_document_reference(reader, found)
    for metric in found.values.get("blank", ()):
        _check_metric(reader, found, "blank", metric)


def _check_claim(reader: Reader, found: Found) -> None:
    values = found.values
    if "metric" in values:
        _check_metric(reader, found, "metric", values["metric"])
    _check_reference(reader, found, "protocol", "protocols")
    if "metric" not in values or "printed" not in values:
        return
    metric = values["metric"]
    if values["printed"] is None:
        if not values.get("note"):
            _fault_at(reader, found, "printed", "null needs a reason in 'note'")
        return
    needed = METRICS[metric].claim_needs if metric in METRICS else ()
    if not set(needed) <= found.nodes.keys() and not (needed == ("protocol",) and values.get("note")):
        what = " and ".join(repr(field) for field in needed)
        reason = ", or the reason in 'note'" if needed == ("protocol",) else ""
        reader.fault(
            found.path,
            found.node,
            f"a printed {metric} needs {'a ' if len(needed) == 1 else ''}{what}{reason}",
        )


def _check_entry(reader: Reader, found: Found) -> None:
    _check_reference(reader, found, "dataset", "datasets")
    _check_names(reader, found)
    _check_architecture(reader, found)
    _check_repeated_claims(reader, found)
    _check_class_rules(reader, found)


def _check_names(reader: Reader, found: Found) -> None:
    for field, names in (("id", (found.values.get("id"),)), ("aliases", found.values.get("aliases", ()))):
        for name in names:
            if name is None or name is BAD:
                continue
            if name in reader.taken:
                _fault_at(reader, found, field, f"{name!r} is taken by {_owner(reader, found, name)}")
            reader.taken.setdefault(name, (found.path, found.node))


def _owner(reader: Reader, found: Found, name: str) -> str:
    """The entry that has a name already, with its place where that is in another file."""
    path, node = reader.taken[name]
    same_file = node.start_mark.name == found.node.start_mark.name
    return path if same_file else f"{path} {place_from(found.node, node)}"


def _check_architecture(reader: Reader, found: Found) -> None:
    architecture = found.values.get("architecture")
    if architecture is None:
        return
    whole = "builder" in architecture or not {"backbone", "head"} & architecture.keys()
    for key in ("builder", "num_classes") if whole else ("backbone", "head", "num_classes"):
        if key not in architecture:
            _fault_at(reader, found, "architecture", f"missing key {key!r}")
    read = {key: value for key, value in architecture.items() if value is not BAD}
    fractions = {key: value for key, value in read.items() if isinstance(value, float) and value.is_integer()}
    for key, value in fractions.items():
        _fault_at(
            reader, found, "architecture", f"{key}: expected a whole number, found {value}; write {value:.0f}"
        )
    _check_outputs(reader, found, read.get("num_classes"))


def _rules_of_claims(reader: Reader, found: Found) -> list[tuple[int, str, ClassRules]]:
    """(position, protocol's name, what it says of classes) of every claim that has a protocol."""
    claims = [(index, one) for index, one in enumerate(found.values.get("claims", ())) if one is not BAD]
    return [
        (index, claim.protocol, reader.class_rules.get(f"protocols.{claim.protocol}", ClassRules()))
        for index, claim in claims
        if claim.protocol
    ]


def _check_outputs(reader: Reader, found: Found, outputs: Any) -> None:
    """The network's classes are the data set's, but for what each claim's protocol leaves out."""
    dataset = found.values.get("dataset")
    classes = reader.class_counts.get(f"datasets.{dataset}")
    if outputs is None or not classes:  # a data set that is never scored may have none
        return
    wrong = f"num_classes is {outputs!r}, but data set {dataset!r} has {classes} classes"
    if isinstance(outputs, bool) or not isinstance(outputs, int):
        _fault_at(reader, found, "architecture", wrong)
        return
    for index, name, rules in _rules_of_claims(reader, found) or [(0, "", ClassRules())]:
        breach = channels_breach(outputs, classes, rules.void, rules.score_channels)
        if breach and rules._replace(flip_pairs=()) == ClassRules():
            _fault_at(reader, found, "architecture", wrong)
            return
        if breach:
            _fault_of_protocol(reader, found, index, f"{name}: {breach}")


def _fault_of_protocol(reader: Reader, found: Found, index: int, message: str) -> None:
    """Put on record, at a claim's protocol, that it does not suit the row."""
    claim_node = found.nodes["claims"].value[index]
    path = f"{reader.place(claim_node, f'{found.path}.claims[{index}]')}.protocol"
    reader.fault(path, nodes_of(claim_node)["protocol"], message)


def _check_class_rules(reader: Reader, found: Found) -> None:
    """The classes that a claim's protocol names are classes of the data set."""
    classes = reader.class_counts.get(f"datasets.{found.values.get('dataset')}")
    for index, name, rules in _rules_of_claims(reader, found) if classes else ():
        if breach := protocol_breach(rules.flip_pairs, rules.void, classes or 0):
            _fault_of_protocol(reader, found, index, f"{name}: {breach}")


def _check_repeated_claims(reader: Reader, found: Found) -> None:
    """Claims of one metric are one figure and its revisions, measured once by one protocol: the row's file of today by its own."""
    first: dict[str, Claim] = {}
    printed: dict[str, set[str | None]] = {}
    for index, claim in enumerate(found.values.get("claims", ())):
        if claim is BAD:
            continue
        earlier = printed.setdefault(claim.metric, set())
        fault = _repetition_fault(claim, first.setdefault(claim.metric, claim), earlier)
        if fault:
            node = found.nodes["claims"].value[index]
            reader.fault(reader.place(node, f"{found.path}.claims[{index}]"), node, fault)
        earlier.add(claim.printed)


def _repetition_fault(claim: Claim, first: Claim, earlier: set[str | None]) -> str:
    if claim.supersedes is not None and claim.supersedes not in earlier:
        return f"supersedes {claim.supersedes!r}, which no earlier {claim.metric} claim prints"
    if earlier and claim.supersedes is None:
        return f"a second {claim.metric} claim needs 'supersedes', the earlier figure"
    if claim.protocol != first.protocol and not (first.earlier_file and first.protocol is None):
        return f"another protocol than the first {claim.metric} claim's {first.protocol!r}"
    return ""


CHECKS: dict[type[msgspec.Struct], Callable[[Reader, Found], None]] = {
    DatasetSpec: _check_dataset,
    EvalProtocol: _check_protocol,
    SlidingWindow: _check_window,
    Void: _check_void,
    Source: _check_document_reference,
    Listing: _check_listing,
    Weights: _check_weights,
    Tolerance: _check_tolerance,
    Rule: _check_rule,
    Publisher: _check_layout,
    Claim: _check_claim,
    CheckpointEntry: _check_entry,
}

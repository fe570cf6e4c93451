"""State dicts as training programs leave them: found and told, or named for what they are."""

from __future__ import annotations

import pytest
import torch

from segbench.models import WeightsError
from segbench.models.load.state_dict import locate, unwrapped

STATE = {
    "stem.conv.weight": torch.arange(4.0),
    "stem.bn.num_batches_tracked": torch.tensor(7),
    "head.bias": torch.ones(2),
}


def values(state: dict[str, torch.Tensor]) -> dict[str, object]:
    return {key: value.tolist() for key, value in state.items()}


def prefixed(prefix: str) -> dict[str, torch.Tensor]:
    return {prefix + key: value for key, value in STATE.items()}


@pytest.mark.parametrize("place", ["net", "model_state_dict", "params_ema", "module", "anything"])
def test_a_state_dict_under_any_one_key_is_found_and_told(place):
    found = locate({"epoch": 3, place: STATE, "optimizer": {"state": {}, "param_groups": []}})
    assert found == (STATE, place, (f"The state dict was found under '{place}'.",))


def test_a_state_dict_within_another_dictionary_is_found_and_told():
    assert locate({"model": {"state_dict": STATE, "epoch": 3}}) == (
        STATE,
        "model",
        ("It lies under 'state_dict' within 'model'.",),
    )


def test_dictionaries_within_dictionaries_are_opened_three_deep():
    """A file may nest them as deep as it likes; looking for weights does not follow."""
    content = {"model": {"state_dict": {"net": STATE}}}
    assert locate(content)[0] == STATE
    with pytest.raises(WeightsError, match="expected a state dict"):
        locate({"model": content})


def test_a_name_where_weights_usually_lie_is_no_state_dict():
    assert locate({"model": "ISANet", "weights": STATE})[1] == "weights"


def test_a_second_set_beside_the_usual_one_is_told():
    notes = locate({"model": STATE, "teacher": STATE, "model_ema": STATE, "scale": {"x": torch.ones(1)}})[2]
    assert notes == ("Under 'teacher' lies a second set of 3 tensors; it is not looked at.",)


def test_two_sets_of_equal_right_are_refused():
    with pytest.raises(WeightsError) as error:
        locate({"params": STATE, "params_ema": STATE})
    assert str(error.value) == (
        "expected one state dict; found 2 of equal right, under 'params', 'params_ema'. Nothing tells which of them "
        "the publisher evaluated: save that one alone with torch.save and use that."
    )


@pytest.mark.parametrize(
    ("value", "meaning"),
    [
        (torch.zeros(2, dtype=torch.complex64), "a tensor of type complex64"),
        (torch.zeros(2).to(torch.float8_e5m2), "a tensor of type float8_e5m2"),
        (torch.eye(2).to_sparse(), "a tensor of layout sparse_coo"),
        (torch.empty(2, device="meta"), "a tensor on the device 'meta', without values"),
        (torch.zeros(2).as_subclass(type("Mine", (torch.Tensor,), {})), "a tensor of the class Mine"),
        (None, "a NoneType"),
    ],
    ids=["complex", "float8", "sparse", "meta", "subclass", "none"],
)
def test_what_is_no_plain_tensor_is_named_with_its_key(value, meaning):
    with pytest.raises(WeightsError) as error:
        locate({"state_dict": STATE | {"x" * 200: value}})
    assert str(error.value) == (
        "expected a state dict of plain tensors of whole numbers, or of floats of 16 bits or more; found "
        f"'{'x' * 120}... (200 characters)', {meaning}. Use the file that the publisher offers for testing."
    )


@pytest.mark.parametrize(
    "prefix",
    ["module.", "module.module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module.", "_forward_module.module.", "model.",
     "model._orig_mod.", "module.model.", "model.net.", "teacher.", "_fsdp_wrapped_module."],
)  # fmt: skip
def test_names_of_wrappers_are_read_through(prefix):
    found = unwrapped(prefixed(prefix))
    assert values(found.state) == values(STATE)
    told = "".join(found.notes)
    assert [part for part in prefix[:-1].split(".") if f"'{part}.'" not in told] == []


def test_a_wrapped_part_is_read_through():
    state = {key.replace("stem.", "stem._orig_mod."): value for key, value in STATE.items()}
    found = unwrapped(state)
    assert values(found.state) == values(STATE)
    assert found.notes == (
        "Keys contain '_orig_mod.', a name of torch.compile; the tensors are read without it.",
    )


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod."])
@pytest.mark.parametrize("is_last", [True, False])
def test_two_keys_for_one_tensor_are_refused_in_either_order(prefix, is_last):
    one = {"head.bias": torch.zeros(2)}
    both = {**prefixed(prefix), **one} if is_last else {**one, **prefixed(prefix)}
    with pytest.raises(
        WeightsError, match=r"^expected one key for each tensor; found two keys that mean one"
    ):
        unwrapped(both)


def test_two_networks_side_by_side_are_refused():
    with pytest.raises(
        WeightsError, match=r"^expected one network; found 2 .* with student\. and teacher\. "
    ):
        unwrapped(prefixed("student.") | prefixed("teacher."))


def test_names_that_only_some_keys_begin_with_stay():
    state = prefixed("model.") | {"loss.weight": torch.ones(1)}
    found = unwrapped(state)
    assert (values(found.state), found.notes) == (values(state), ())


def test_what_tools_count_and_average_is_passed_over_and_told():
    flat = {f"ema_{key.replace('.', '_')}": value for key, value in STATE.items()}
    counts = {"total_ops": torch.zeros(1), "stem.total_params": torch.zeros(1), "n_averaged": torch.tensor(3)}
    found = unwrapped(prefixed("module.") | counts)
    assert values(found.state) == values(STATE)
    assert found.notes == (
        "Passed over: 'total_ops', 'stem.total_params': a profiler's counts.",
        "Passed over: 'n_averaged': an average's count.",
        "Keys contain 'module.', a name of DataParallel and its like; the tensors are read without it.",
    )
    averaged = unwrapped(STATE | flat)
    assert values(averaged.state) == values(STATE)
    assert [note[:49] for note in averaged.notes] == ["Passed over: 'ema_stem_conv_weight', 'ema_stem_bn"]

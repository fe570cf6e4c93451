"""ssseg key names -> canonical (mmseg-style) key names, for weights_rule.fill().

canonical(key) covers every key of ssseg's ISANet and ISNet models
(ResNet-50/101, ResNeSt-101).  For ISANet the result is the name mmseg's own
EncoderDecoder uses, so both libraries draw the same stream for the same
tensor (out_conv differs in shape: 3x3 in ssseg, 1x1 in mmseg; mmseg's
value_project.bias has no ssseg counterpart).  ISNet has no mmseg counterpart:
its head keys get the prefix ``decode_head.`` and the same conv/bn/conv_seg
suffixes.
"""

import re

_CONV_BN = {"0": "conv", "1": "bn"}
_RULES = [
    (r"^backbone_net\.(.*)$", lambda m: f"backbone.{m[1]}"),
    # auxiliary_decoder = [0 conv3x3, 1 bn, 2 act, 3 dropout, 4 conv1x1]
    (r"^auxiliary_decoder\.([01])\.(\w+)$", lambda m: f"auxiliary_head.convs.0.{_CONV_BN[m[1]]}.{m[2]}"),
    (r"^auxiliary_decoder\.4\.(\w+)$", lambda m: f"auxiliary_head.conv_seg.{m[1]}"),
    # ISANet decoder = [0 dropout, 1 conv1x1]
    (r"^decoder\.1\.(\w+)$", lambda m: f"decode_head.conv_seg.{m[1]}"),
    # ISNet decoders = [0 conv1x1, 1 bn, 2 act, 3 dropout, 4 conv1x1]; stage 2
    # without the shortcut is [0 dropout, 1 conv1x1] (2-D tensors: weight+bias only)
    (r"^decoder_stage1\.4\.(\w+)$", lambda m: f"decode_head.decoder_stage1.conv_seg.{m[1]}"),
    (r"^decoder_stage2\.4\.(\w+)$", lambda m: f"decode_head.conv_seg.{m[1]}"),
    (r"^(decoder_stage[12])\.([01])\.(\w+)$", lambda m: f"decode_head.{m[1]}.{_CONV_BN[m[2]]}.{m[3]}"),
    # plain conv without norm
    (r"^(\w+\.value_project)\.(weight)$", lambda m: f"decode_head.{m[1]}.{m[2]}"),
    # everything else ends in <block>.<0|1>.<tensor>
    (r"^(.*)\.([01])\.(\w+)$", lambda m: f"decode_head.{m[1]}.{_CONV_BN[m[2]]}.{m[3]}"),
]


def canonical(key, shortcut=None):
    """The name of one key; `shortcut=False` where decoder_stage2.1 is ISNet's classifier, not a norm layer."""
    if shortcut is False and key.startswith("decoder_stage2.1."):
        return "decode_head.conv_seg." + key.rsplit(".", 1)[1]
    for pattern, build in _RULES:
        match = re.match(pattern, key)
        if match:
            return build(match)
    raise KeyError(key)


def canonical_for(state_dict):
    """The mapping for one whole state dict (detects the shortcut itself)."""
    shortcut = any(k.startswith("shortcut.") for k in state_dict)
    return {k: canonical(k, shortcut) for k in state_dict}

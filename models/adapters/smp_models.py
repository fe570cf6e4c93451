"""segmentation_models_pytorch's networks as a builder (the extra `segbench[smp]`).

`{builder: segmentation_models_pytorch, model: unet, encoder: resnet34, num_classes: 12}`: the library's own keys (layout `plain`)
and scores, at the input's size. Its networks of depth 5 take sides that are multiples of 32: `size_divisor` of the protocol.
"""

from __future__ import annotations

from typing import Any

from torch import nn  # noqa: TC002  (`build_model` reads the annotations)

from . import AdapterError, missing_library


def build(
    *,
    model: str,
    encoder: str,
    num_classes: int,
    in_channels: int = 3,
    depth: int = 5,
    attention: str = "",
    auxiliary: bool = False,
) -> nn.Module:
    """The library's network with random weights; nothing is fetched.

    Args:
        model: Its name in the library: unet, unetplusplus, manet, linknet, fpn, pspnet, deeplabv3, deeplabv3plus, pan,
            upernet, segformer, dpt.
        encoder: The encoder's name in the library, such as `resnet34` or `tu-convnext_tiny`.
        num_classes: Channels of the scores.
        in_channels: Of the images.
        depth: Stages of the encoder.
        attention: `scse`, of the decoders that know it; empty for none.
        auxiliary: With the classification head that training alone looks at.

    Raises:
        AdapterError: The library is not installed, or refuses the names or numbers.
    """
    try:
        import segmentation_models_pytorch as library  # pyright: ignore[reportMissingImports]  # noqa: PLC0415  (an extra)
    except ModuleNotFoundError as error:
        if error.name != "segmentation_models_pytorch":
            raise
        raise missing_library("segmentation_models_pytorch") from error
    more: dict[str, Any] = {"encoder_depth": depth} if depth != 5 else {}
    if attention:
        more["decoder_attention_type"] = attention
    if auxiliary:
        more["aux_params"] = {"classes": num_classes}
    try:
        network: Any = library.create_model(
            model,
            encoder_name=encoder,
            encoder_weights=None,
            in_channels=in_channels,
            classes=num_classes,
            **more,
        )
    except Exception as error:  # the library raises whatever it meets
        said = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise AdapterError(
            f"segmentation_models_pytorch {library.__version__}: {model} on {encoder}: {said[:300]}"
        ) from error
    network.training_only = ("classification_head",)
    network.register_forward_hook(lambda _, __, output: output[0] if isinstance(output, tuple) else output)
    return network

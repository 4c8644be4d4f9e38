"""Auto-AVSR's released files (Ma et al., ICASSP 2023), told by the names and shapes of their entries. Light: no torch.

They are flat state dicts. Those of one modality come in two layouts: since 2025 the front end stands at the top
(`frontend.`, `proj_encoder.`), and before it lay in the encoder. Older training code names a few parts otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeVar

from faces.errors import DataError
from models.lipreader.sizes import AUDIO_VISUAL, VIDEO, Sizes
from models.recognise import Shapes, layers

V = TypeVar("V")

SIGNATURE = (
    "encoder.embed.0.weight",
    "encoder.encoders.0.self_attn.pos_bias_u",
    "encoder.encoders.0.feed_forward_macaron.w_1.weight",
    "encoder.encoders.0.conv_module.depthwise_conv.weight",
    "decoder.embed.0.weight",
    "decoder.decoders.0.src_attn.linear_q.weight",
    "decoder.decoders.0.feed_forward.w_1.weight",
    "ctc.ctc_lo.weight",
)
"""What every file has, in our names."""
SIZES = ("front_width", "width", "layers", "heads", "feedforward", "kernel", "decoder_layers", "decoder_feedforward")
SIZES_OF_EARS = ("audio_width", "audio_layers", "audio_heads", "audio_feedforward", "fusion_width")
LIPS, EARS = "encoder.frontend.frontend3D.0.weight", "encoder.frontend.trunk.conv1.weight"
"""What a reader of lips has, and one of sound alone."""
HEARD = (
    "aux_encoder.embed.0.weight",
    "aux_encoder.encoders.0.self_attn.pos_bias_u",
    "aux_encoder.encoders.0.feed_forward_macaron.w_1.weight",
    "fusion.fc1.weight",
)
"""What an audio-visual one has beside."""
_OURS = (
    (re.compile(r"^(module|model)\."), ""),
    (re.compile(r"^frontend\."), "encoder.frontend."),
    (re.compile(r"^proj_encoder\."), "encoder.embed.0."),
    (re.compile(r"^(encoder|aux_encoder|decoder)\.input_layer\."), r"\1.embed."),
    (re.compile(r"^(encoder|aux_encoder)\.norm\."), r"\1.after_norm."),
    (re.compile(r"^decoder\.output_norm\."), "decoder.after_norm."),
)
_TABLE = re.compile(r"(^|\.)pe$")
"""Positions, which a formula gives."""


def own_name(name: str) -> str:
    """A released entry's name → ours."""
    for theirs, ours in _OURS:
        name = theirs.sub(ours, name)
    return name


def own_state(state: Mapping[str, V]) -> dict[str, V]:
    """A released state dict, or its shapes, under our names and without tables of positions."""
    return {own_name(name): value for name, value in state.items() if not _TABLE.search(name)}


def settings_of(shapes: Shapes, source: str) -> Sizes:
    """Sizes of the network in a released file, from names (ours or theirs) and shapes. source: it is called in errors.

    The decoder's heads show in no shape: they are as many as the encoder's, as published. DataError for other files.
    """
    own = own_state(shapes)
    if LIPS not in own and EARS in own:
        raise DataError(f"{source} is a recogniser of sound alone: give the audio-visual or the video one")
    if missing := [name for name in (LIPS, *SIGNATURE) if name not in own]:
        few = ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
        raise DataError(f"{source} is no lip reader of Auto-AVSR: it lacks {few}")
    if "proj_decoder.weight" in own:
        raise DataError(f"{source} has a decoder of another width than its encoder, which no released lip reader has")
    hears = any(name.startswith(("aux_encoder.", "fusion.")) for name in own)
    if hears and (lost := [name for name in HEARD if name not in own]):
        raise DataError(f"{source} is audio-visual and damaged: it lacks {', '.join(lost)}")
    try:
        settings = _sizes(own)
    except (IndexError, ValueError) as error:
        raise DataError(f"{source} is damaged: the shapes of its entries do not go together") from error
    for problem in settings.problems():
        raise DataError(f"{source} is damaged or another model's: {problem}")
    return settings


def _sizes(own: Shapes) -> Sizes:
    encoder = _encoder(own, "encoder")
    told = {
        **encoder,
        "classes": own["ctc.ctc_lo.weight"][0],
        "front_width": own[LIPS][0],
        "kernel": own["encoder.encoders.0.conv_module.depthwise_conv.weight"][2],
        "decoder_layers": layers(own, r"decoder\.decoders\.(\d+)\."),
        "decoder_feedforward": own["decoder.decoders.0.feed_forward.w_1.weight"][0],
    }
    hears = HEARD[0] in own
    if hears:
        told |= {f"audio_{name}": value for name, value in _encoder(own, "aux_encoder").items()}
        told["fusion_width"] = own["fusion.fc1.weight"][0]
    if min(told.values()) < 1:
        raise ValueError("a size is nothing")
    # What is as the video encoder's says so, so that equal networks have equal settings.
    same = {f"audio_{name}": value for name, value in encoder.items()} | {"decoder_feedforward": encoder["feedforward"]}
    told = {name: 0 if same.get(name) == value else value for name, value in told.items()}
    return Sizes(modality=AUDIO_VISUAL if hears else VIDEO, **told)


def _encoder(own: Shapes, part: str) -> dict[str, int]:
    first = f"{part}.encoders.0"
    return {
        "width": own[f"{part}.embed.0.weight"][0],
        "layers": layers(own, rf"{part}\.encoders\.(\d+)\."),
        "heads": own[f"{first}.self_attn.pos_bias_u"][0],
        "feedforward": own[f"{first}.feed_forward_macaron.w_1.weight"][0],
    }


def other_sizes(told: Sizes, own: Sizes) -> str:
    """What a file's sizes have otherwise, as settings say it ("width = 16, heads = 2"); "" for nothing."""
    names = [*SIZES, *(SIZES_OF_EARS if told.modality == AUDIO_VISUAL else ())]
    return ", ".join(f"{name} = {getattr(told, name)}" for name in names if getattr(told, name) != getattr(own, name))

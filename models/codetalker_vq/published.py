"""What a released file of CodeTalker says of its own sizes, so that one that does not fit is refused in plain words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

from faces.errors import DataError
from models.codetalker_vq.settings import Settings
from models.official import OfficialState

CODEBOOK = "quantize.embedding.weight"
OUTWARD = "decoder.vertice_map_reverse"
INWARD = "encoder.vertice_mapping.0.weight"
WIDE = "encoder.encoder_transformer.net.1.fn.fn.l1.weight"
AROUND = "decoder.decoder_linear_embedding_pre.net.weight"
SECOND_STAGE = ("learnable_style_emb.weight", "audio_feature_map.weight")


def check_sizes(state: Mapping[str, Tensor], settings: Settings, vertices: int) -> None:
    """DataError where a file is the second stage's, or was made with other settings or for another topology."""
    source = getattr(state, "source", OfficialState.source)
    found = {name.removeprefix("module."): value for name, value in state.items()}
    if CODEBOOK not in found and any(name in found for name in SECOND_STAGE):
        raise DataError(f"{source} is CodeTalker's second stage, the talking face; give the first stage's file")
    ours = {"vertices": vertices} | vars(settings)
    wrong = [
        f"{name} = {_word(value)} (here {_word(ours[name])})" for name, value in _sizes(found) if value != ours[name]
    ]
    if wrong:
        raise DataError(f"{source} was made with {', '.join(wrong)}: it is another data set's, or of another size")


def _sizes(found: Mapping[str, Tensor]) -> Iterator[tuple[str, Any]]:
    """(setting, or "vertices", and its value) as far as the file tells."""
    if INWARD in found:
        yield "vertices", found[INWARD].shape[-1] // 3
        yield "hidden_size", found[INWARD].shape[0]
    if CODEBOOK in found:
        codes, width = found[CODEBOOK].shape
        yield "codes", codes
        yield "token_width", width
        if AROUND in found:
            yield "tokens", found[AROUND].shape[-1] // width
    if WIDE in found:
        yield "feedforward", found[WIDE].shape[0]
        yield "layers", sum(name.endswith("to_qkv.weight") and name.startswith("encoder.") for name in found)
    if f"{OUTWARD}.weight" in found:
        yield "linear_around_codes", AROUND in found
        yield "output_bias", f"{OUTWARD}.bias" in found


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)

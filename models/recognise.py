"""Whose a released file of weights is and how large its network: told by the names and shapes of its entries alone.

A model takes part by a module `released` in its package, which nothing of the network imports, so that editing it
trains nothing anew. It has

* `SIGNATURE`: names that every file of the model has, those that other models lack among them;
* `recognise(shapes) -> Released | None`: what the shapes say of a file that has them all, None for another model's.

Light: no torch.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Shapes = Mapping[str, tuple[int, ...]]
STRIDES = (5, 2, 2, 2, 2, 2, 2)
"""Of the seven convolutions of wav2vec 2.0, HuBERT and WavLM, all sizes: no shape tells them."""
HEAD = 64
"""Channels of an attention head in all published speech encoders."""
MOST_NAMED = 3
BASE = (768, 12, 512)
"""Width, layers and convolution channels of the encoder that most papers start from."""
LARGE = (1024, 24, 512)
"""The same of the large ones."""
LISTENING = (
    "audio_feature_map.weight",
    "audio_encoder.feature_extractor.conv_layers.0.conv.weight",
    "audio_encoder.feature_projection.projection.weight",
    "transformer_decoder.layers.0.self_attn.in_proj_weight",
    "transformer_decoder.layers.0.linear1.weight",
)
"""What faces have in common that listen and move as `models.listening` has it."""
PUBLISHED_ENCODER = "facebook/wav2vec2-base-960h"


@dataclass(frozen=True)
class Released:
    """What a released file says.

    settings: those of the model's `Settings` that shapes tell. vertices: V. subjects: K, how many were trained on; 0
    for a motion prior. encoder: its speech encoder's configuration; empty where it hears nothing. table: the entry that
    holds its periodic positions, whose values tell the period, "" for none. names: of its subjects, where the model
    knows. fps: of its motion, where shapes tell; else 0. classes, text_width: of the recogniser that it was trained
    with; else 0. published: name and sizes of the speech encoder that the paper starts from.
    """

    settings: Mapping[str, Any]
    vertices: int
    subjects: int = 0
    encoder: Mapping[str, Any] = field(default_factory=dict)
    table: str = ""
    names: Sequence[str] = ()
    fps: float = 0.0
    classes: int = 0
    text_width: int = 0
    published: tuple[str, tuple[int, int, int]] = (PUBLISHED_ENCODER, BASE)

    @property
    def encoder_name(self) -> str:
        """What the features are called: the paper's encoder where the sizes are its, else words for another."""
        told = tuple(self.encoder.get(name) for name in ("hidden_size", "num_hidden_layers"))
        sizes = (*told, self.encoder["conv_dim"][-1]) if self.encoder else ()
        name, published = self.published
        return name if sizes == published else "the file's own encoder" if sizes else ""


def has_all(shapes: Shapes, names: Iterable[str]) -> bool:
    return all(name in shapes for name in names)


def layers(shapes: Shapes, pattern: str) -> int:
    """How many different numbers stand in a group of the pattern among the names."""
    return len({found[1] for name in shapes if (found := re.match(pattern, name))})


def decoder(shapes: Shapes) -> dict[str, int]:
    """Sizes of the decoder. The number of heads shows in no shape; it is 4 in all published files."""
    d = shapes["audio_feature_map.weight"][0]
    wide = shapes["transformer_decoder.layers.0.linear1.weight"][0]
    return {
        "feature_dim": d,
        "layers": layers(shapes, r"transformer_decoder\.layers\.(\d+)\."),
        "feedforward": 0 if wide == 2 * d else wide,
    }


def speech_encoder(shapes: Shapes, prefix: str = "audio_encoder.") -> dict[str, Any] | None:
    """The configuration of a wav2vec 2.0 network of these shapes, as `transformers` writes it; None where it is none.

    A network whose convolutions all have a norm is of the larger kind, which norms before each layer, too.
    """
    own = {name.removeprefix(prefix): shape for name, shape in shapes.items() if name.startswith(prefix)}
    convolutions = [own.get(f"feature_extractor.conv_layers.{i}.conv.weight") for i in range(len(STRIDES))]
    position = _position(own)
    wide = own.get("encoder.layers.0.feed_forward.intermediate_dense.weight")
    if position is None or wide is None or any(shape is None for shape in convolutions):
        return None
    each = "feature_extractor.conv_layers.1.layer_norm.weight" in own
    return {
        "model_type": "wav2vec2",
        "hidden_size": wide[1],
        "num_hidden_layers": layers(own, r"encoder\.layers\.(\d+)\."),
        "num_attention_heads": max(1, wide[1] // HEAD),
        "intermediate_size": wide[0],
        "conv_dim": [shape[0] for shape in convolutions if shape],
        "conv_kernel": [shape[-1] for shape in convolutions if shape],
        "conv_stride": list(STRIDES),
        "conv_bias": "feature_extractor.conv_layers.0.conv.bias" in own,
        "feat_extract_norm": "layer" if each else "group",
        "do_stable_layer_norm": each,
        "num_conv_pos_embeddings": position[-1],
        "num_conv_pos_embedding_groups": position[0] // position[1],
    }


def _position(own: Shapes) -> tuple[int, ...] | None:
    """The shape of the convolution of positions, whichever way weight norm is spelt."""
    names = ("weight_v", "parametrizations.weight.original1")
    return next((own[n] for name in names if (n := f"encoder.pos_conv_embed.conv.{name}") in own), None)


def unlike(shapes: Shapes, signatures: Mapping[str, Sequence[str]]) -> str:
    """Why a file is none of these models': the nearest ones, what they lack in it, and what is odd about it."""
    counts = {model: sum(name in shapes for name in names) / len(names) for model, names in signatures.items()}
    near = [model for model in sorted(counts, key=lambda one: (-counts[one], one)) if counts[model]][:2]
    if not near:
        few = ", ".join(_shown(name, shapes) for name in list(shapes)[:MOST_NAMED])
        return f"it has no entry of any ({len(shapes)} entries: {few}{', …' if len(shapes) > MOST_NAMED else ''})"
    return "; ".join(_distance(shapes, model, signatures[model]) for model in near)


def _distance(shapes: Shapes, model: str, signature: Sequence[str]) -> str:
    missing = [name for name in signature if name not in shapes]
    there = f"{len(signature) - len(missing)} of the {len(signature)} entries that mark {model} are there"
    if not missing:
        return f"{there}, and their shapes do not go together"
    odd = dict.fromkeys(one for name in missing for one in difflib.get_close_matches(name, shapes, n=1, cutoff=0.8))
    strange = [name for name in odd if name not in signature][:MOST_NAMED]
    named = ", ".join(missing[:MOST_NAMED])
    rest = f" and {len(missing) - MOST_NAMED} more" if len(missing) > MOST_NAMED else ""
    return f"{there}, missing {named}{rest}" + (
        f", odd {', '.join(_shown(name, shapes) for name in strange)}" if strange else ""
    )


def _shown(name: str, shapes: Shapes) -> str:
    return f"{name[:80]} {shapes[name]}"

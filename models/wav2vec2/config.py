"""What the graph must know of a speech encoder's configuration, and which configurations it can build at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from faces.errors import DataError

FAMILIES = ("wav2vec2", "hubert")
# WavLM differs in its attention alone.
SAME_CONVOLUTIONS = (*FAMILIES, "wavlm")


@dataclass(frozen=True)
class Config:
    """Fields of a `transformers` configuration under their names there; what is absent is that of the base models.

    conv_dim, conv_kernel, conv_stride: one entry per convolution. feat_extract_norm: "group" (the first convolution's
    channels over the clip's whole time) or "layer" (every convolution's output over its channels).
    """

    conv_dim: tuple[int, ...] = (512,) * 7
    conv_kernel: tuple[int, ...] = (10, 3, 3, 3, 3, 2, 2)
    conv_stride: tuple[int, ...] = (5, 2, 2, 2, 2, 2, 2)
    conv_bias: bool = False
    feat_extract_norm: str = "group"
    feat_proj_layer_norm: bool = True
    feat_proj_dropout: float = 0.0
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    num_conv_pos_embeddings: int = 128
    num_conv_pos_embedding_groups: int = 16
    do_stable_layer_norm: bool = False
    layer_norm_eps: float = 1e-5
    hidden_dropout: float = 0.1
    attention_dropout: float = 0.1
    activation_dropout: float = 0.1
    layerdrop: float = 0.1
    initializer_range: float = 0.02

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Config:
        """From plain JSON values. DataError where they contradict each other."""
        known = {field.name: values[field.name] for field in fields(cls) if field.name in values}
        convolutions = {name: tuple(known[name]) for name in known.keys() & {"conv_dim", "conv_kernel", "conv_stride"}}
        if values.get("model_type", "wav2vec2") != "hubert":
            known.pop("feat_proj_layer_norm", None)  # only HuBERT knows it; the others always have the norm
        made = cls(**{**known, **convolutions})
        for problem in made._problems():
            raise DataError(f"the speech encoder's configuration cannot be built: {problem}")
        return made

    def _problems(self) -> list[str]:
        counts = {len(self.conv_dim), len(self.conv_kernel), len(self.conv_stride)}
        width, found = self.hidden_size, []
        if len(counts) > 1:
            found.append("conv_dim, conv_kernel and conv_stride differ in length")
        for name in ("num_attention_heads", "num_conv_pos_embedding_groups"):
            if width % getattr(self, name):
                found.append(f"hidden_size = {width} is no multiple of {name} = {getattr(self, name)}")
        return found


def can_convolve(values: Mapping[str, Any]) -> bool:
    """Whether the convolutions of this configuration are those of `convolutions`."""
    family, norm = values.get("model_type", "wav2vec2"), values.get("feat_extract_norm", "group")
    gelu = values.get("feat_extract_activation", "gelu") == "gelu"
    return family in SAME_CONVOLUTIONS and norm in ("group", "layer") and gelu


def can_build(values: Mapping[str, Any]) -> bool:
    """Whether the whole network of this configuration is ours; `models.hub.make_encoder` builds the others."""
    extras = values.get("adapter_attn_dim") is not None or values.get("conv_pos_batch_norm", False)
    gelu = values.get("hidden_act", "gelu") == "gelu"
    return can_convolve(values) and values.get("model_type", "wav2vec2") in FAMILIES and gelu and not extras

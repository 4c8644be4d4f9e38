"""Released files of CodeTalker's second stage (Xing et al., CVPR 2023), told by names and shapes. See
`models.recognise`."""

from __future__ import annotations

from models.recognise import Released, Shapes, decoder, has_all, speech_encoder

SIGNATURE = (
    "learnable_style_emb.weight",
    "feat_map.weight",
    "vertice_map.weight",
    "vertice_map.bias",
    "audio_feature_map.weight",
    "audio_encoder.feature_extractor.conv_layers.0.conv.weight",
    "audio_encoder.feature_projection.projection.weight",
    "transformer_decoder.layers.0.self_attn.in_proj_weight",
    "transformer_decoder.layers.0.linear1.weight",
)


def recognise(shapes: Shapes) -> Released | None:
    """Sizes of a file that has all of the signature, else None."""
    if not has_all(shapes, SIGNATURE):
        return None
    encoder, (_, wide) = speech_encoder(shapes), shapes["vertice_map.weight"]
    if encoder is None or wide % 3:
        return None
    return Released(decoder(shapes), wide // 3, shapes["learnable_style_emb.weight"][0], encoder, "PPE.pe")

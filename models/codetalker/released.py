"""Released files of CodeTalker's second stage (Xing et al., CVPR 2023), told by names and shapes. See
`models.recognise`."""

from __future__ import annotations

from models.recognise import LISTENING, Released, Shapes, decoder, has_all, speech_encoder

SIGNATURE = (
    "learnable_style_emb.weight",
    "feat_map.weight",
    "vertice_map.weight",
    "vertice_map.bias",
    *LISTENING,
)


def recognise(shapes: Shapes) -> Released | None:
    """Sizes of a file that has all of the signature, else None."""
    if not has_all(shapes, SIGNATURE):
        return None
    encoder, (_, wide) = speech_encoder(shapes), shapes["vertice_map.weight"]
    if encoder is None or wide % 3:
        return None
    return Released(decoder(shapes), wide // 3, shapes["learnable_style_emb.weight"][0], encoder, "PPE.pe")

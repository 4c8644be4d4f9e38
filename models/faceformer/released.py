"""FaceFormer's released files (Fan et al., CVPR 2022), told by names and shapes. See `models.recognise`."""

from __future__ import annotations

from models.recognise import LISTENING, Released, Shapes, decoder, has_all, speech_encoder

SIGNATURE = (
    "obj_vector.weight",
    "vertice_map.weight",
    "vertice_map_r.weight",
    "vertice_map_r.bias",
    *LISTENING,
)


def recognise(shapes: Shapes) -> Released | None:
    """Sizes of a file that has all of the signature, else None."""
    if not has_all(shapes, SIGNATURE):
        return None
    encoder, (d, wide) = speech_encoder(shapes), shapes["vertice_map.weight"]
    if encoder is None or wide % 3 or shapes["vertice_map_r.weight"] != (wide, d):
        return None
    return Released(decoder(shapes), wide // 3, shapes["obj_vector.weight"][1], encoder, "PPE.pe")

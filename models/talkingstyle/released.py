"""TalkingStyle's released files (IEEE TVCG 2024), told by names and shapes. See `models.recognise`."""

from __future__ import annotations

from models.recognise import LARGE, LISTENING, Released, Shapes, decoder, has_all, speech_encoder

SIGNATURE = (
    "style_encoder.obj_vector.weight",
    "style_encoder.my_obj_vector.weight",
    "style_encoder.attention.Wv.weight",
    "vertice_encoder.weight",
    "vertice_decoder.weight",
    *LISTENING,
)
PUBLISHED_ENCODER = ("facebook/hubert-large-ls960-ft", LARGE)


def recognise(shapes: Shapes) -> Released | None:
    """Sizes of a file that has all of the signature, else None."""
    if not has_all(shapes, SIGNATURE):
        return None
    encoder, (d, wide) = speech_encoder(shapes), shapes["vertice_encoder.weight"]
    if encoder is None or wide % 3 or shapes["vertice_decoder.weight"] != (wide, d):
        return None
    return Released(
        decoder(shapes),
        wide // 3,
        subjects=shapes["style_encoder.obj_vector.weight"][1],
        # A HuBERT of this size differs from a wav2vec 2.0 in nothing but its name and its weights.
        encoder=encoder | {"model_type": "hubert"},
        table="PPE.pe",
        published=PUBLISHED_ENCODER,
    )

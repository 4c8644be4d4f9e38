"""SelfTalk's released files (Peng et al., ACM MM 2023), told by names and shapes. See `models.recognise`.

They hold the frozen recogniser, too, which only tells what the speech encoder is called: both began as the same one.
"""

from __future__ import annotations

from models.recognise import LARGE, LISTENING, Released, Shapes, decoder, has_all, layers, speech_encoder

SIGNATURE = (
    "lip_map.weight",
    "lm_head.weight",
    "transformer.encoder.norm.weight",
    "transformer.encoder.layers.0.linear1.weight",
    "vertice_map_r.weight",
    "vertice_map_r.bias",
    *LISTENING,
)
XLSR = "jonatasgrosman/wav2vec2-large-xlsr-53-english"
NOBODY = "anyone"
"""The only style: these networks have none."""


def recognise(shapes: Shapes) -> Released | None:
    """Sizes of a file that has all of the signature, else None."""
    if not has_all(shapes, SIGNATURE):
        return None
    encoder, (wide, _) = speech_encoder(shapes), shapes["vertice_map_r.weight"]
    text_width, lips = shapes["lip_map.weight"]
    per_frame = shapes["audio_feature_map.weight"][1] / encoder["hidden_size"] if encoder else 0
    if encoder is None or wide % 3 or lips % 3 or per_frame not in (1, 2):
        return None
    classes = shapes["lm_head.weight"][0]
    settings = decoder(shapes) | {
        "alignment": "pairs" if per_frame == 2 else "interpolate",
        "interpreter_layers": layers(shapes, r"transformer\.encoder\.layers\.(\d+)\."),
        "interpreter_feedforward": shapes["transformer.encoder.layers.0.linear1.weight"][0],
        "lip_vertices": lips // 3,
        "classes": classes,
    }
    return Released(
        settings,
        wide // 3,
        subjects=1,
        encoder=encoder,
        names=(NOBODY,),
        fps=25.0 if per_frame == 2 else 0.0,
        classes=classes,
        text_width=text_width,
        published=(XLSR, LARGE),
    )

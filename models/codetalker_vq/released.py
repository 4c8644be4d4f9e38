"""Released files of CodeTalker's first stage (Xing et al., CVPR 2023), told by names and shapes. See
`models.recognise`."""

from __future__ import annotations

from models.recognise import Released, Shapes, has_all, layers

CODEBOOK, INWARD = "quantize.embedding.weight", "encoder.vertice_mapping.0.weight"
OUTWARD, WIDE = "decoder.vertice_map_reverse", "encoder.encoder_transformer.net.1.fn.fn.l1.weight"
AROUND = "decoder.decoder_linear_embedding_pre.net.weight"
SIGNATURE = (CODEBOOK, INWARD, f"{OUTWARD}.weight", WIDE)


def recognise(shapes: Shapes) -> Released | None:
    """Sizes of a file that has all of the signature, else None. The number of heads shows in no shape: 8."""
    if not has_all(shapes, SIGNATURE) or shapes[INWARD][1] % 3:
        return None
    (codes, width), (hidden, wide) = shapes[CODEBOOK], shapes[INWARD][:2]
    around = AROUND in shapes
    settings = {
        "hidden_size": hidden,
        "layers": layers(shapes, r"encoder\.encoder_transformer\.net\.(\d+)\.") // 2,
        "feedforward": shapes[WIDE][0],
        "tokens": (shapes[AROUND][1] if around else hidden) // width,
        "token_width": width,
        "codes": codes,
        "linear_around_codes": around,
        "output_bias": f"{OUTWARD}.bias" in shapes,
    }
    return Released(settings, wide // 3)

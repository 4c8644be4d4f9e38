"""A face of a known speech encoder is built, loaded and run without `transformers`, whose import takes seconds."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import sys
import torch
from models.faceformer.face import FaceFormer
from models.faceformer.settings import Settings
from models.talking_face import Clips, DataFacts

encoder, config = {encoder}
facts = DataFacts(5, 30.0, ["anna"], channels=16, encoder=encoder, encoder_config=config)
settings = Settings(feature_dim=16, encoder_width=32, encoder_layers=1, encoder_heads=2)
face = FaceFormer.build(settings, facts)
face.load_state_dict(face.state_dict())
speech = face.audio_encoder.convolve(torch.randn(1, 9000)) if config else torch.randn(1, 27, 16)
template, style, frames = torch.randn(1, 15), torch.ones(1, 1), torch.tensor([16])
clips = Clips(speech, torch.tensor([27]), template, style, torch.randn(1, 16, 15), frames)
face.train().losses(clips)["loss"].backward()
face.eval().predict(speech[0], template[0], style)
print(sorted(name for name in sys.modules if name.partition(".")[0] in {{"transformers", "huggingface_hub", "h5py"}}))
"""
SIZES = {
    "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 48,
    "conv_dim": [16] * 7, "num_conv_pos_embeddings": 16,
}  # fmt: skip


@pytest.mark.parametrize("family", ["wav2vec2", "hubert", "log-mel"])
def test_no_transformers(family):
    encoder = (family, {}) if family == "log-mel" else (f"some/{family}", {"model_type": family, **SIZES})
    done = subprocess.run(
        [sys.executable, "-c", CODE.format(encoder=encoder)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == "[]", done.stdout + done.stderr

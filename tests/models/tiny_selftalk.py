"""Small SelfTalk networks, and clips that hold what a recogniser heard."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from models.official import published_name
from models.selftalk.face import SelfTalk
from models.selftalk.settings import Settings
from models.talking_face import Clips, DataFacts
from tests.models import tiny
from tests.models.tiny import SUBJECTS, VERTICES

LIPS = (9, 1, 4, 4)
VOCABULARY = ("<pad>", "<unk>", "|", "a", "b", "c", "d")
WIDTH = 24
VOCASET = Settings(
    feature_dim=16,
    encoder_width=32,
    encoder_layers=2,
    encoder_heads=2,
    interpreter_layers=2,
    interpreter_heads=4,
    interpreter_feedforward=20,
    # All losses of about one size, so that no gradient hides behind another.
    position_weight=1.0,
    velocity_weight=0.5,
    latent_weight=0.3,
    text_weight=0.2,
)
BIWI = replace(VOCASET, alignment="pairs")
BOTH = (VOCASET, BIWI)
CALM = {
    "dropout": 0.0, "encoder_dropout": 0.0, "encoder_attention_dropout": 0.0, "layerdrop": 0.0, "mask_time_prob": 0.0,
}  # fmt: skip
SILENT = {"latent_weight": 0.0, "text_weight": 0.0}


def facts(settings: Settings, encoder: str = "log-mel", config: dict[str, Any] | None = None) -> DataFacts:
    fps = 25.0 if settings.alignment == "pairs" else 30.0
    told = DataFacts(VERTICES, fps, SUBJECTS, channels=16, encoder=encoder, encoder_config=config or {})
    return replace(told, regions={"lips": LIPS}, vocabulary=VOCABULARY, text_width=WIDTH)


def network(settings: Settings, seed: int = 0, **about: Any) -> SelfTalk:
    """A network in eval mode whose motion is not zero."""
    torch.manual_seed(seed)
    made = SelfTalk.build(settings, facts(settings, **about)).eval()
    nn.init.normal_(made.vertice_map_r.weight, std=0.3)
    nn.init.normal_(made.vertice_map_r.bias, std=0.3)
    return made


def clips(lengths: list[int], frames: list[int], letters: list[int] | None = None, seed: int = 1) -> Clips:
    """A padded batch; a clip's numbers do not depend on the others. letters: of each text; by itself one is empty"""
    batch = tiny.clips(lengths, frames, seed)
    counts = letters or [(3, 0, 9)[i % 3] for i in range(len(lengths))]
    hidden = torch.zeros(len(lengths), max(lengths), WIDTH)
    text = torch.zeros(len(lengths), max(counts), dtype=torch.int64)
    for i, (length, count) in enumerate(zip(lengths, counts, strict=True)):
        draw = torch.Generator().manual_seed(seed + length)
        hidden[i, :length] = torch.randn(length, WIDTH, generator=draw)
        text[i, :count] = torch.randint(1, len(VOCABULARY), (count,), generator=draw)
    return replace(batch, text_hidden=hidden, text=text, text_lengths=torch.tensor(counts))


def one(batch: Clips, i: int) -> Clips:
    """Clip i of a batch, without its padding."""
    assert batch.text_hidden is not None
    assert batch.text is not None
    assert batch.text_lengths is not None
    rows, length, letters = slice(i, i + 1), int(batch.feature_lengths[i]), int(batch.text_lengths[i])
    return replace(
        tiny.one(batch, i),
        text_hidden=batch.text_hidden[rows, :length],
        text=batch.text[rows, :letters],
        text_lengths=batch.text_lengths[rows],
    )


def published(made: SelfTalk) -> dict[str, Tensor]:
    """As the released code writes it: old weight norm, and the frozen recogniser, whose entries are drawn anew."""
    state = {published_name(name): value for name, value in made.state_dict().items()}
    assert "audio_encoder.encoder.pos_conv_embed.conv.weight_g" in state
    heard = {name: value for name, value in state.items() if name.startswith("audio_encoder.")}
    recogniser = {f"text_encoder.wav2vec2.{name.removeprefix('audio_encoder.')}": v for name, v in heard.items()}
    head = {f"text_encoder.{name}": torch.randn_like(state[name]) for name in ("lm_head.weight", "lm_head.bias")}
    return state | {name: torch.randn_like(value) for name, value in recogniser.items()} | head

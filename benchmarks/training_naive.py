"""FaceFormer's training as its paper describes it and as everybody runs it: one clip at a time, everything recomputed.

The speech encoder's convolutions run again for every clip of every epoch. At each frame the decoder runs on all tokens
so far, all of them are projected to vertices, and the last one is embedded again; the graph of all T²/2 projected
frames is kept for the gradient. Adam takes a step after every clip. Made of `torch.nn.TransformerDecoder` and of
`transformers`' own wav2vec 2.0, under the names of the released weights. The yardstick of `python -m
benchmarks.training`, and what a test compares losses and gradients with. (Fan et al., FaceFormer, CVPR 2022.)

Shapes: N samples at 16 kHz, T frames, S memory steps, D = 3 V coordinates, d decoder channels, K training subjects.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import Wav2Vec2Config, Wav2Vec2Model

from models.faceformer.settings import Settings
from models.positions import alignment_mask, periodic_encoding, temporal_bias
from models.talking_face import DataFacts

SAMPLES = 16_000
LONGEST = 600
"""Frames that the tables are made for, as released."""


class Sentence(NamedTuple):
    """One clip as the loader gives it: audio (1, N), template (1, D), vertices (1, T, D), one-hot style (1, K)."""

    audio: Tensor
    template: Tensor
    vertices: Tensor
    style: Tensor


def draw_sentences(facts: DataFacts, lengths: Sequence[float], device: str = "cpu") -> list[Sentence]:
    """Made-up clips of these lengths in seconds, all of them held in memory, as published."""
    styles = torch.eye(len(facts.train_subjects), device=device)
    template = 0.05 * torch.randn(1, 3 * facts.vertices, device=device)
    found = []
    for i, length in enumerate(lengths):
        motion = 0.002 * torch.randn(1, round(length * facts.fps), 3 * facts.vertices, device=device)
        audio = torch.randn(1, round(length * SAMPLES), device=device)
        found.append(Sentence(audio, template, template + motion, styles[i % len(styles)][None]))
    return found


class NaiveFaceFormer(nn.Module):
    """The network of the paper. `forward` is the loss of one clip."""

    def __init__(self, settings: Settings, facts: DataFacts) -> None:
        super().__init__()
        self.settings = settings
        d, wide = settings.feature_dim, 3 * facts.vertices
        self.audio_encoder = Wav2Vec2Model(Wav2Vec2Config(**_encoder(settings, facts)))
        self.audio_encoder.feature_extractor._freeze_parameters()
        self.audio_feature_map = nn.Linear(self.audio_encoder.config.hidden_size, d)
        self.obj_vector = nn.Linear(len(facts.train_subjects), d, bias=False)
        self.vertice_map = nn.Linear(wide, d)
        self.vertice_map_r = nn.Linear(d, wide)
        layer = nn.TransformerDecoderLayer(d, settings.heads, 2 * d, dropout=settings.dropout, batch_first=True)
        self.transformer_decoder = nn.TransformerDecoder(layer, num_layers=settings.layers)
        self.dropout = nn.Dropout(settings.dropout)
        self.per_frame = 2 if settings.alignment == "pairs" else 1
        self.positions: Tensor
        self.bias: Tensor
        self.register_buffer("positions", periodic_encoding(LONGEST, d, settings.period), persistent=False)
        self.register_buffer("bias", temporal_bias(LONGEST, settings.heads, settings.period), persistent=False)

    def forward(self, clip: Sentence) -> Tensor:
        """Mean squared error of all frames and coordinates, autoregressively, with gradients through the feedback."""
        features = self.audio_encoder.feature_extractor(clip.audio)  # (1, C, L)
        frames = clip.vertices.shape[1]
        if self.per_frame == 2:
            frames = min(frames, features.shape[2] // 2)
        memory = self._listen(features, frames)
        style = self.obj_vector(clip.style)[:, None]  # (1, 1, d)
        hidden_from = alignment_mask(frames, memory.shape[1], self.per_frame, memory.device)
        tokens = style
        for i in range(1, frames + 1):
            heard = self.dropout(tokens + self.positions[:i])
            decoded = self.transformer_decoder(
                heard, memory, tgt_mask=self.bias[:, :i, :i], memory_mask=hidden_from[:i]
            )
            offsets = self.vertice_map_r(decoded)  # (1, i, D)
            fed_back = self.vertice_map(offsets[:, -1:]) + style
            tokens = torch.cat((tokens, fed_back), dim=1)
        return F.mse_loss(offsets + clip.template[:, None], clip.vertices[:, :frames])

    def _listen(self, features: Tensor, frames: int) -> Tensor:
        """(1, C, L) at 50 Hz → the memory (1, S, d) at the motion's rate."""
        if self.per_frame == 2:
            features = features[..., : 2 * frames]
        else:
            features = F.interpolate(features, size=frames, mode="linear", align_corners=True)
        hidden, _ = self.audio_encoder.feature_projection(features.transpose(1, 2))
        hidden = self.audio_encoder._mask_hidden_states(hidden)
        memory: Tensor = self.audio_feature_map(self.audio_encoder.encoder(hidden).last_hidden_state)
        return memory


def optimiser_of(network: nn.Module) -> torch.optim.Optimizer:
    """Adam over what is to be learned, as published."""
    return torch.optim.Adam([p for p in network.parameters() if p.requires_grad], lr=1e-4, fused=False)


def train_epoch(network: NaiveFaceFormer, optimiser: torch.optim.Optimizer, clips: Iterable[Sentence]) -> float:
    """A step for every clip. Returns the mean loss."""
    losses = []
    for clip in clips:
        optimiser.zero_grad()
        loss = network(clip)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return sum(losses) / len(losses)


def _encoder(settings: Settings, facts: DataFacts) -> Mapping[str, Any]:
    names = ("hidden_dropout", "attention_dropout", "activation_dropout", "feat_proj_dropout")
    given = {name: value for name, value in facts.encoder_config.items() if name != "model_type"}
    return {
        **given,
        **dict.fromkeys(names, settings.encoder_dropout),
        "layerdrop": settings.layerdrop,
        "mask_time_prob": settings.mask_time_prob,
        "mask_time_length": settings.mask_time_length,
    }

"""FaceFormer's training as its paper describes it and as everybody runs it: one clip at a time, everything recomputed.

The speech encoder's convolutions run again for every clip of every epoch. At each frame the decoder runs on all tokens
so far, all of them are projected to vertices, and the last one is embedded again; the graph of all T²/2 projected
frames is kept for the gradient. Adam takes a step after every clip. Made of `torch.nn.TransformerDecoder` and of
`transformers`' own wav2vec 2.0, under the names of the released weights. The yardstick of `python -m
benchmarks.training`, and what a test compares losses and gradients with. (Fan et al., FaceFormer, CVPR 2022.)

Shapes: N samples at 16 kHz, T frames, S memory steps, D = 3 V coordinates, d decoder channels, K training subjects.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import HubertConfig, HubertModel, Wav2Vec2Config, Wav2Vec2Model

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


class NaiveRollOut(nn.Module):
    """What networks share whose own frames come back as tokens. `forward` is the loss of one clip.

    A network names the linear layers from motion to tokens, D → d, and from decoder output to motion, d → D, and adds
    its `style`.
    """

    inward: ClassVar[str]
    outward: ClassVar[str]

    def __init__(self, settings: Any, facts: DataFacts) -> None:
        super().__init__()
        self.settings = settings
        d, wide = settings.feature_dim, 3 * facts.vertices
        self.add_module(self.inward, nn.Linear(wide, d))
        self.add_module(self.outward, nn.Linear(d, wide))
        self.audio_encoder = speech_encoder(settings, facts)
        self.audio_feature_map = nn.Linear(self.audio_encoder.config.hidden_size, d)
        layer = nn.TransformerDecoderLayer(d, settings.heads, 2 * d, dropout=settings.dropout, batch_first=True)
        self.transformer_decoder = nn.TransformerDecoder(layer, num_layers=settings.layers)
        self.dropout = nn.Dropout(settings.dropout)
        self.per_frame = 2 if settings.alignment == "pairs" else 1
        self.positions: Tensor
        self.bias: Tensor
        self.register_buffer("positions", periodic_encoding(LONGEST, d, settings.period), persistent=False)
        self.register_buffer("bias", temporal_bias(LONGEST, settings.heads, settings.period), persistent=False)

    def style(self, one_hot: Tensor) -> Tensor:
        """(1, K) → (1, d)"""
        raise NotImplementedError

    def score(self, moved: Tensor, truth: Tensor) -> Tensor:
        """Absolute positions (1, T, D), both: the mean squared error of all frames and coordinates."""
        return F.mse_loss(moved, truth)

    def forward(self, clip: Sentence) -> Tensor:
        """The loss of a clip, autoregressively, with gradients through the feedback."""
        features = self.audio_encoder.feature_extractor(clip.audio)  # (1, C, L)
        frames = clip.vertices.shape[1]
        if self.per_frame == 2:
            frames = min(frames, features.shape[2] // 2)
        memory = self._listen(features, frames)
        style = self.style(clip.style)[:, None]  # (1, 1, d)
        hidden_from = alignment_mask(frames, memory.shape[1], self.per_frame, memory.device)
        inward, outward = self.get_submodule(self.inward), self.get_submodule(self.outward)
        tokens = style
        for i in range(1, frames + 1):
            heard = self.dropout(tokens + self.positions[:i])
            decoded = self.transformer_decoder(
                heard, memory, tgt_mask=self.bias[:, :i, :i], memory_mask=hidden_from[:i]
            )
            offsets = outward(decoded)  # (1, i, D)
            fed_back = inward(offsets[:, -1:]) + style
            tokens = torch.cat((tokens, fed_back), dim=1)
        return self.score(offsets + clip.template[:, None], clip.vertices[:, :frames])

    def _listen(self, features: Tensor, frames: int) -> Tensor:
        """(1, C, L) at 50 Hz → the memory (1, S, d) at the motion's rate."""
        if self.per_frame == 2:
            features = features[..., : 2 * frames]
        else:
            features = F.interpolate(features, size=frames, mode="linear", align_corners=True)
        memory: Tensor = self.audio_feature_map(transformed(self.audio_encoder, features))
        return memory


class NaiveFaceFormer(NaiveRollOut):
    """The network of the paper."""

    inward, outward = "vertice_map", "vertice_map_r"

    def __init__(self, settings: Settings, facts: DataFacts) -> None:
        super().__init__(settings, facts)
        self.obj_vector = nn.Linear(len(facts.train_subjects), settings.feature_dim, bias=False)

    def style(self, one_hot: Tensor) -> Tensor:
        embedded: Tensor = self.obj_vector(one_hot)
        return embedded


def speech_encoder(settings: Any, facts: DataFacts) -> Any:
    """`transformers`' own, its convolutions frozen."""
    config = encoder_config(settings, facts)
    family = config.pop("model_type", "wav2vec2")
    kind, about = {"wav2vec2": (Wav2Vec2Model, Wav2Vec2Config), "hubert": (HubertModel, HubertConfig)}[family]
    network = kind(about(**config))
    network.feature_extractor._freeze_parameters()
    return network


def transformed(encoder: Any, features: Tensor) -> Tensor:
    """Convolved sound (1, C, S) → (1, S, W), as the encoder's own `forward` goes on; in training with masked spans."""
    projected = encoder.feature_projection(features.transpose(1, 2))
    # wav2vec 2.0 hands out what it projected, too; HuBERT does not.
    hidden = projected[0] if isinstance(projected, tuple) else projected
    states: Tensor = encoder.encoder(encoder._mask_hidden_states(hidden)).last_hidden_state
    return states


def optimiser_of(network: nn.Module) -> torch.optim.Optimizer:
    """Adam over what is to be learned, as published."""
    return torch.optim.Adam([p for p in network.parameters() if p.requires_grad], lr=1e-4, fused=False)


def train_epoch(network: nn.Module, optimiser: torch.optim.Optimizer, clips: Iterable[Sentence]) -> float:
    """A step for every clip. Returns the mean loss."""
    losses = []
    for clip in clips:
        optimiser.zero_grad()
        loss = network(clip)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return sum(losses) / len(losses)


def encoder_config(settings: Any, facts: DataFacts) -> dict[str, Any]:
    """A configuration for `transformers`, disturbed in training as the settings say."""
    names = ("hidden_dropout", "activation_dropout", "feat_proj_dropout")
    return {
        **facts.encoder_config,
        **dict.fromkeys(names, settings.encoder_dropout),
        "attention_dropout": settings.attention_dropout,
        "layerdrop": settings.layerdrop,
        "mask_time_prob": settings.mask_time_prob,
        "mask_time_length": settings.mask_time_length,
    }

"""A small moving mouth that a camera can look at, what is said with it, and a small expert that reads it."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.avguidance import Settings
from models.avguidance.face import GuidedFaceFormer
from models.lipreader import Settings as ReaderSettings
from models.lipreader.learning import LearningLipReader
from models.lipreader.letters import Letters
from models.sight import Sight
from models.talking_face import Clips, DataFacts

SIDE = 13
VERTICES = SIDE * SIDE
SUBJECTS = ("anna", "berta", "carl")
RATE = 16_000
FPS = 30.0
EXPERT = ReaderSettings(
    front_width=2, width=16, layers=1, heads=2, feedforward=24, kernel=5, fusion_width=12, decoder_layers=1,
)  # fmt: skip
LIPS_ONLY = replace(EXPERT, modality="video")
GUIDED = Settings(
    feature_dim=16, encoder_width=32, encoder_layers=1, encoder_heads=2, motion_scale=1e-2, guidance_weight=1e-3,
    lip_weight=0.5, time_mask=False, checkpoint_frames=4,
)  # fmt: skip


def template() -> NDArray[np.float64]:
    """(V, 3), in metres: a vaulted grid whose middle lies where VOCASET's camera looks."""
    x, y = np.meshgrid(np.linspace(-0.06, 0.06, SIDE), np.linspace(-0.11, 0.02, SIDE))
    return np.stack([x, y, 0.05 - 4 * x**2 - 3 * (y + 0.04) ** 2], axis=-1).reshape(-1, 3)


def faces() -> NDArray[np.int32]:
    """Counter-clockwise seen from +z."""
    corner = np.arange(VERTICES).reshape(SIDE, SIDE)
    a, b, c, d = corner[:-1, :-1], corner[:-1, 1:], corner[1:, :-1], corner[1:, 1:]
    both = np.stack([np.stack([a, b, d], -1), np.stack([a, d, c], -1)])
    return both.reshape(-1, 3).astype(np.int32)


def lips() -> list[int]:
    """Those around the middle; two of them stand twice."""
    x, y, _ = template().T
    found = np.flatnonzero((x / 0.035) ** 2 + ((y + 0.05) / 0.02) ** 2 < 1).tolist()
    return sorted([*found, found[0], found[3]])


def motion(loudness: NDArray[np.floating], strength: float = 0.01) -> NDArray[np.float32]:
    """(T, V, 3): the lower part drops as it is loud, and what is around the middle comes forward."""
    base, moved = template(), np.repeat(template()[None], len(loudness), axis=0)
    near = np.exp(-(base[:, 0] ** 2 + (base[:, 1] + 0.05) ** 2) / 0.02**2)
    moved[:, :, 1] -= strength * loudness[:, None] * np.where(base[:, 1] < -0.05, 1.0, 0.2)
    moved[:, :, 2] += 0.3 * strength * loudness[:, None] * near
    return moved.astype(np.float32)


def sight(fps: float = FPS) -> Sight:
    return Sight(faces(), template(), np.array(sorted(set(lips()))), "y", fps, "the tests' head")


def reader_facts() -> DataFacts:
    return DataFacts(VERTICES, FPS, SUBJECTS, channels=0, encoder="", tokeniser=Letters().content())


def expert(settings: ReaderSettings = EXPERT, seed: int = 0) -> LearningLipReader:
    """In eval mode, with weights and batch norms that matter."""
    torch.manual_seed(seed)
    made = LearningLipReader(settings, reader_facts()).eval()
    for parameter in made.parameters():
        if parameter.ndim > 1:
            nn.init.normal_(parameter, std=math.prod(parameter.shape[1:]) ** -0.5)
    for module in made.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return made


def facts(**about: Any) -> DataFacts:
    given: dict[str, Any] = {"channels": 16, "encoder": "log-mel", "regions": {"lips": lips()}} | about
    return DataFacts(VERTICES, FPS, SUBJECTS, **given)


def guided(settings: Settings = GUIDED, seed: int = 0) -> GuidedFaceFormer:
    """In eval mode, moving by millimetres, and told nothing yet."""
    torch.manual_seed(seed)
    made = GuidedFaceFormer.build(settings, facts()).eval()
    nn.init.normal_(made.vertice_map_r.weight, std=0.03)
    nn.init.normal_(made.vertice_map_r.bias, std=0.03)
    return made


def clips(frames: tuple[int, ...] = (14, 9), texts: tuple[str, ...] = ("a bee", "i see")) -> Clips:
    """A padded batch with sound and text."""
    draw = torch.Generator().manual_seed(3)
    lengths = [round(count / FPS * 50) for count in frames]
    rows = range(len(frames))
    written = [Letters().classes_of(text) for text in texts[: len(frames)]]
    features = torch.zeros(len(frames), max(lengths), 16)
    vertices = torch.zeros(len(frames), max(frames), 3 * VERTICES)
    sound = torch.zeros(len(frames), round(max(frames) / FPS * RATE))
    text = torch.zeros(len(frames), max(map(len, written)), dtype=torch.int64)
    for row in rows:
        features[row, : lengths[row]] = torch.randn(lengths[row], 16, generator=draw)
        moved = motion(torch.rand(frames[row], generator=draw).numpy())
        vertices[row, : frames[row]] = torch.from_numpy(moved).flatten(1)
        samples = round(frames[row] / FPS * RATE)
        sound[row, :samples] = 0.1 * torch.randn(samples, generator=draw)
        text[row, : len(written[row])] = torch.tensor(written[row])
    flat = torch.from_numpy(template()).float().flatten()
    return Clips(
        features, torch.tensor(lengths), flat.repeat(len(frames), 1), torch.eye(3)[[row % 3 for row in rows]], vertices,
        torch.tensor(frames), text=text, text_lengths=torch.tensor([len(one) for one in written]), sound=sound,
        sound_lengths=torch.tensor([round(count / FPS * RATE) for count in frames]),
    )  # fmt: skip


def own(network: GuidedFaceFormer) -> dict[str, Tensor]:
    """The face's own weights that learn, by name."""
    return {n: p for n, p in network.named_parameters() if p.requires_grad and not n.startswith(network.beside)}

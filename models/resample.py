"""From speech features at 50 Hz to motion frames: how many frames a clip has, and features at the motion's rate.

Two rules exist. "interpolate" (VOCASET) stretches the features so that both end points meet and every frame owns one;
"pairs" (BIWI, 25 fps) keeps the features and gives frame i the two features 2i and 2i + 1.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

FEATURE_RATE = 50.0


def feature_length(samples: int) -> int:
    """L of N samples at 16 kHz: what the seven convolutions of wav2vec 2.0 leave (window 400, hop 320)."""
    return max(0, (samples - 400) // 320 + 1)


def features_per_frame(rule: str) -> int:
    """How many feature steps a motion frame owns after alignment."""
    return 2 if rule == "pairs" else 1


def frame_count(features: int, fps: float, rate: float = FEATURE_RATE) -> int:
    """Motion frames of L features by interpolation, in float64 with truncation as published.

    Not floor(L·fps/rate) everywhere: at 30 fps and L = 205, 410, 820, … the product falls just short.
    """
    return int(features / rate * fps)


def interpolate(features: Tensor, length: int) -> Tensor:
    """(L, C) → (length, C), linear in time with both end points aligned."""
    channels_first = features.T[None]
    return F.interpolate(channels_first, size=length, mode="linear", align_corners=True)[0].T


def align(features: Tensor, lengths: list[int], frames: list[int], rule: str) -> Tensor:
    """Padded features (B, L, C) at 50 Hz → padded features at the motion's rate, frames[b]·n of them for clip b.

    lengths: features per clip. frames: motion frames per clip; for "pairs" at most half its features.
    """
    if rule == "pairs":
        return features[:, : 2 * max(frames)]
    clips = zip(features, lengths, frames, strict=True)
    return pad_sequence([interpolate(clip[:length], count) for clip, length, count in clips], batch_first=True)

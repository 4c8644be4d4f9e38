"""Where lips and sound meet: Auto-AVSR's two layers over both encoders' features of a frame."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Fusion(nn.Module):
    """(B, T, D) seen, (B, T, A) heard → (B, T, D)"""

    def __init__(self, width: int, audio_width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width + audio_width, hidden)
        self.bn1 = nn.BatchNorm1d(hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, seen: Tensor, heard: Tensor) -> Tensor:
        x = self.fc1(torch.cat((seen, heard), dim=-1)).flatten(0, 1)
        out: Tensor = self.fc2(F.relu(self.bn1(x)))
        return out.unflatten(0, seen.shape[:2])

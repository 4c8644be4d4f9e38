"""SelfTalk's lip-reading interpreter: what the lips of a motion say, as features and letters of a speech recogniser.

lips → linear map → 50 Hz → transformer, both of whose sides see the same sequence → features → letters.
Shapes: B clips, T frames, N steps at 50 Hz, n lip vertices, H channels of the recogniser.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from faces.errors import DataError
from models.full_attention import Decoder, Encoder, inside_of
from models.resample import interpolate
from models.selftalk.settings import Settings
from models.talking_face import DataFacts


class Interpreter(nn.Module):
    """The transformer between the linear map of the lips and the letters: no masks and no positions."""

    def __init__(self, dim: int, heads: int, feedforward: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.encoder = Encoder(dim, heads, feedforward, layers, dropout)
        self.decoder = Decoder(dim, heads, feedforward, layers, dropout)
        for parameter in self.parameters():
            if parameter.ndim > 1:  # as torch.nn.Transformer begins
                nn.init.xavier_uniform_(parameter)

    def forward(self, mapped: Tensor, frames: Sequence[int], steps: Sequence[int]) -> Tensor:
        """Mapped lips (B, T, H) → features (B, N, H). frames, steps: T and N of each clip.

        A padded clip gets what it would get alone; steps after its end hold nothing of meaning.
        """
        clips = zip(mapped.float(), frames, steps, strict=True)
        x = pad_sequence([interpolate(clip[:count], length) for clip, count, length in clips], batch_first=True)
        inside = inside_of(steps, x.shape[1], x.device)
        features: Tensor = self.decoder(x, self.encoder(x, inside), inside)
        return features


def lip_rows(settings: Settings, facts: DataFacts) -> Tensor:
    """(3 n,): the coordinates of the lips in the region's order, repeats kept; none where the region is not known."""
    region = torch.tensor(list(facts.regions.get(settings.lips, ())), dtype=torch.int64)
    return (3 * region[:, None] + torch.arange(3)).flatten()


def sizes(settings: Settings, facts: DataFacts) -> tuple[int, int, int]:
    """Lip vertices n, classes and H of the interpreter. DataError where nobody tells one, or two tell differently."""
    found = {
        f"lip_vertices = {settings.lip_vertices}, and the region {settings.lips!r} has": (
            settings.lip_vertices,
            len(facts.regions.get(settings.lips, ())),
        ),
        f"classes = {settings.classes}, and the recogniser's vocabulary has": (
            settings.classes,
            len(facts.vocabulary),
        ),
    }
    for complaint, (wished, there) in found.items():
        if wished and there and wished != there:
            raise DataError(f"{complaint} {there}; leave the setting out")
    lips, classes = (wished or there for wished, there in found.values())
    missing = {f"the region {settings.lips!r}": lips, "the recogniser's vocabulary": classes}
    missing["the width of the recogniser's hidden states"] = facts.text_width
    if unknown := [what for what, size in missing.items() if not size]:
        raise DataError(
            f"selftalk learns to read lips, and {unknown[0]} is not known: give features with text = true and data "
            "with that region, or set latent_weight and text_weight to 0"
        )
    if facts.text_width % settings.interpreter_heads:
        raise DataError(
            f"interpreter_heads = {settings.interpreter_heads} does not divide the {facts.text_width} channels of the "
            "recogniser's hidden states"
        )
    return lips, classes, facts.text_width

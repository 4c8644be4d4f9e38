"""CodeTalker's first stage (Xing et al., "CodeTalker: Speech-Driven 3D Facial Animation with Discrete Motion Prior",
CVPR 2023): motion → convolution, transformer → codes → convolution, transformer → motion.

Departures from the released code, none of which changes a number: edges are replicated by plain operations, clips come
in padded batches, and every clip of a batch gets the row of the position table that it would get alone.

Shapes: B clips, T frames, D = 3 V coordinates, h channels, Q tokens per frame of Z channels each, K codes. A frame's
features are its Q tokens one after another: (…, Q·Z). Offsets are counted in `settings.motion_scale`, as published: 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from faces.errors import DataError
from models.blending import blend, window_starts
from models.codetalker_vq.coders import Decoder, Encoder
from models.codetalker_vq.published import check_sizes
from models.codetalker_vq.settings import Settings
from models.official import fit
from models.outward import placed
from models.padding import Padding, clip_means
from models.quantiser import Codebook, count_codes, perplexity, quantiser_errors, straight_through
from models.talking_face import Clips, DataFacts


class MotionAutoencoder(nn.Module):
    """The prior. Parameter names are the released ones; see `models.motion_prior` for what every method is for."""

    name: ClassVar[str] = "codetalker-vq"

    def __init__(self, settings: Settings, facts: DataFacts) -> None:
        super().__init__()
        for problem in settings.problems():
            raise DataError(problem)
        self.settings = settings
        self.vertices = facts.vertices
        self.codes = settings.codes
        self.tokens = settings.tokens
        self.encoder = Encoder(settings, 3 * facts.vertices)
        self.decoder = Decoder(settings, 3 * facts.vertices)
        self.quantize = Codebook(settings.codes, settings.token_width, settings.codebook_scale)

    @classmethod
    def build(cls, settings: Settings, facts: DataFacts) -> MotionAutoencoder:
        """A freshly initialised prior. DataError where settings do not go together."""
        return cls(settings, facts)

    def load_official(self, state: Mapping[str, Tensor]) -> None:
        """Load a released checkpoint (`models.official.read_official`), which counts motion in the data's unit."""
        check_sizes(state, self.settings, self.vertices)
        tables = {f"{part}.{part}_pos_embedding.pe": None for part in ("encoder", "decoder")}
        fit(self, state, tables=tables)
        scale, outward = self.settings.motion_scale, self.vertice_map_reverse
        with torch.no_grad():
            self.encoder.vertice_mapping.get_parameter("0.weight").mul_(scale)
            outward.weight.div_(scale)
            if outward.bias is not None:
                outward.bias.div_(scale)

    # -- the parts, for a second stage to build upon -------------------------------------------------------------------

    @property
    def vertice_map_reverse(self) -> nn.Linear:
        """The last layer, h → D, in motion_scale. Its bias may be None."""
        return self.decoder.vertice_map_reverse

    def features(self, offsets: Tensor, lengths: Sequence[int] | None = None) -> Tensor:
        """Offsets from the template (B, T, D), in motion_scale → what is quantised, (B, T, Q·Z)."""
        found: Tensor = self.encoder(offsets, _padding(offsets, lengths))
        return found

    def quantise(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, Q·Z) → nearest codes handed straight through (B, T, Q·Z), and their numbers (B, T, Q) int64."""
        straight, codes = self.quantize(features.unflatten(-1, (self.tokens, -1)))
        return straight.flatten(-2), codes

    def lookup(self, codes: Tensor) -> Tensor:
        """(B, T, Q) → the very rows of the codebook, (B, T, Q·Z)."""
        return self.quantize.lookup(codes).flatten(-2)

    def decode_hidden(self, quantised: Tensor, lengths: Sequence[int] | None = None) -> Tensor:
        """(B, T, Q·Z) → the input of `vertice_map_reverse`, (B, T, h)."""
        hidden: Tensor = self.decoder(quantised, _padding(quantised, lengths))
        return hidden

    def decode_in_windows(self, quantised: Tensor, window: int, overlap: int) -> Iterator[Tensor]:
        """As `decode_hidden`, (B, n, h) at a time, with the transformer on overlapping windows that are blended.

        An approximation for clips of any length. The instance norm is still that of the whole clip.
        """
        prepared = self.decoder.prepare(quantised)
        starts = window_starts(prepared.shape[1], window, overlap)
        parts = ((start, self.decoder.transform(prepared[:, start : start + window])) for start in starts)
        yield from blend(parts, overlap)

    def decode_features(self, quantised: Tensor, lengths: Sequence[int] | None = None) -> Tensor:
        """(B, T, Q·Z) → offsets from the template (B, T, D), in motion_scale."""
        offsets: Tensor = self.vertice_map_reverse(self.decode_hidden(quantised, lengths))
        return offsets

    def offsets_of(self, vertices: Tensor, template: Tensor) -> Tensor:
        """Absolute positions (B, T, D) and templates (B, D) → offsets, in motion_scale."""
        if vertices.shape[-1] != 3 * self.vertices:
            raise DataError(
                f"this motion prior was trained for {self.vertices} vertices, not for {vertices.shape[-1] // 3}: "
                "train one on this topology"
            )
        offsets = vertices - template[:, None]
        return offsets if self.settings.motion_scale == 1 else offsets.div_(self.settings.motion_scale)

    def to_vertices(self, hidden: Tensor, template: Tensor) -> Tensor:
        """(…, h) and (D,) → absolute positions (…, D), in the data's unit."""
        return placed(hidden, self.vertice_map_reverse, self.settings.motion_scale, template)

    # -- training ------------------------------------------------------------------------------------------------------

    def losses(self, clips: Clips) -> dict[str, Tensor]:
        """Means over clips of each clip's own means. "reconstruction": |error| over frames and coordinates, in
        motion_scale. "quantiser": see `quantiser_errors`. "loss": the first, and the second times its weight.
        "perplexity": of a clip's codes. "codes" (K,): how often each was chosen."""
        if clips.vertices is None or clips.frames is None:
            raise ValueError("losses need clips with vertices and frames")
        lengths = clips.frames.tolist()
        offsets = self.offsets_of(clips.vertices[:, : max(lengths)], clips.template)
        padding = _padding(offsets, lengths)
        tokens = self.encoder(offsets, padding).float().unflatten(-1, (self.tokens, -1))  # (B, T, Q, Z)
        codes = self.quantize.nearest(tokens)
        rows = self.quantize.lookup(codes)
        hidden = self.decoder(straight_through(tokens, rows).flatten(-2), padding)
        reconstruction = clip_means(self._frame_errors(hidden, offsets), padding).mean()
        quantiser = clip_means(quantiser_errors(tokens, rows, self.settings.beta).mean(-1), padding).mean()
        inside = None if padding is None else padding.inside.repeat_interleave(self.tokens, 1)
        counts = count_codes(codes.flatten(1), self.codes, inside)
        return {
            "loss": reconstruction + self.settings.quantiser_weight * quantiser,
            "reconstruction": reconstruction,
            "quantiser": quantiser,
            "perplexity": perplexity(counts).mean(),
            "codes": counts.sum(0),
        }

    def validation_losses(self, clips: Clips) -> dict[str, Tensor]:
        """As `losses`: the released code logs the same numbers."""
        return self.losses(clips)

    def _frame_errors(self, hidden: Tensor, offsets: Tensor) -> Tensor:
        """(B, T, h) and the truth (B, T, D) → mean absolute errors (B, T)."""
        # At D coordinates every copy takes time, so errors overwrite the output, which must be no view for that.
        rebuilt = self.vertice_map_reverse(hidden.flatten(0, 1)).to(offsets.dtype)
        errors = rebuilt.sub_(offsets.flatten(0, 1)).abs().sum(-1) / offsets.shape[-1]
        return errors.view(offsets.shape[:2])

    # -- codes ---------------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def encode(self, vertices: Tensor, template: Tensor) -> Tensor:
        """One clip, absolute positions (T, D) and (D,) → codes (T, Q) int64. Meant for eval mode."""
        features = self.features(self.offsets_of(vertices[None], template[None]))
        return self.quantize.nearest(features[0].unflatten(-1, (self.tokens, -1)))

    @torch.no_grad()
    def decode(self, codes: Tensor, template: Tensor) -> Tensor:
        """Codes (T, Q) and (D,) → absolute positions (T, D). Meant for eval mode. DataError for others' codes."""
        if codes.shape[-1] != self.tokens or not 0 <= int(codes.min()) <= int(codes.max()) < self.codes:
            raise DataError(
                f"codes of {codes.shape[-1]} tokens a frame, numbered up to {int(codes.max())}, are not of this motion "
                f"prior, which has {self.tokens} tokens and {self.codes} codes: encode the motion anew"
            )
        return self.to_vertices(self.decode_hidden(self.lookup(codes[None]))[0], template)


def _padding(x: Tensor, lengths: Sequence[int] | None) -> Padding | None:
    """Where clips end. DataError for one of a single frame, which instance norm would turn into nothing."""
    if min(lengths or [x.shape[1]]) < 2:
        raise DataError("a clip of one motion frame has no codes, which need a change over time: leave it out")
    return None if lengths is None else Padding.of(lengths, x.shape[1], x.device)

"""FaceTalk's samplers as they are defined: the motion itself is noised and cleaned, step by step, window by window.

Every step asks the denoiser twice, with and without sound; sound is projected and attended to under its mask in every
layer of every step. What `models.facetalk.drawing` leaves out of the loop is inside here. Shapes: N frames, W of a
window, K numbers of a frame, d channels.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from models.diffusion.steps import guided, walk_of
from models.facetalk.attention import AudioAttention, Heard
from models.facetalk.denoiser import Denoiser
from models.facetalk.drawing import NOISE_ROWS
from models.facetalk.face import FaceTalk
from models.sampling import Sampling


def plain(attention: AudioAttention, audio: Tensor) -> Heard:
    """Attention under its mask, from the sound itself in every call."""
    return lambda x: attention.plain(x, audio)


@torch.no_grad()
def estimate(denoiser: Denoiser, x: Tensor, step: int, audio: Tensor, *, heard: bool) -> Tensor:
    """The clean motion (W, K) of noisy motion (W, K), with or without its sound (W, d)."""
    condition = denoiser.condition(audio[None], torch.tensor([not heard], device=audio.device))
    hears: list[Sequence[Heard]] = [[plain(layer.audio, condition)] for layer in denoiser.layers]
    films = denoiser.films(torch.tensor([step], device=audio.device))
    return denoiser.formed(denoiser.decode(denoiser.placed(denoiser.inward(x[None])), hears, films))[0]


@torch.no_grad()
def naive(network: FaceTalk, audio: Tensor, seed: int, sampling: Sampling, window: int) -> Tensor:
    """Sound (N, d) before it is conditioned → motion (N, K), in windows of `window` frames that share half."""
    frames, width, shared = len(audio), network.space.width, window // 2
    starts = [0]
    while starts[-1] + window < frames:
        starts.append(starts[-1] + window - shared)
    noise = _noises(frames, width, seed, audio.device)

    def cut(x: Tensor) -> list[Tensor]:
        return [x[start : start + window] for start in starts]

    pieces, sounds = cut(noise()), cut(audio)
    for step in walk_of(network.schedule, sampling):
        fresh = cut(noise()) if step.noise else [None] * len(pieces)
        moved = []
        for x, sound, z in zip(pieces, sounds, fresh, strict=True):
            with_sound, without = (
                estimate(network.denoiser, x, step.at, sound, heard=heard) for heard in (True, False)
            )
            moved.append(step(guided(with_sound, without, sampling.guidance), x, z))
        pieces = [moved[0], *(_tied(own, before, shared) for before, own in itertools.pairwise(moved))]
    return torch.cat([pieces[0], *(piece[shared:] for piece in pieces[1:])])


def _tied(own: Tensor, before: Tensor, shared: int) -> Tensor:
    return torch.cat((before[-shared:], own[shared:])) if shared else own


def _noises(frames: int, width: int, seed: int, device: torch.device) -> Callable[[], Tensor]:
    generator = torch.Generator().manual_seed(seed)
    blocks = [min(NOISE_ROWS, frames - i) for i in range(0, frames, NOISE_ROWS)]
    return lambda: torch.cat([torch.randn(count, width, generator=generator) for count in blocks]).to(device)

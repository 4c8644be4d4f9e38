"""CodeTalker's autoregressive part for `python -m benchmarks.decode`: against the naive loop, bounded, and in a batch.

Official sizes, drawn weights, the speech encoder left out. Ours and the naive loop must choose the same codes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from benchmarks.codetalker_naive import Naive
from models.codetalker.face import CodeTalker
from models.codetalker.settings import Settings
from models.codetalker_vq.autoencoder import MotionAutoencoder
from models.codetalker_vq.settings import Settings as PriorSettings
from models.talking_face import DataFacts

T = TypeVar("T")
TOLERANCE = 5e-4
"""Of vertices, where values reach ten and more."""


@dataclass(frozen=True)
class Official:
    """The sizes of one published model."""

    name: str
    vertices: int
    fps: float
    subjects: int
    settings: Settings
    prior: PriorSettings

    def build(self) -> CodeTalker:
        """The network with drawn weights, and with the smallest speech encoder, which stays unused."""
        names = [str(i) for i in range(self.subjects)]
        facts = DataFacts(self.vertices, self.fps, names, channels=80, encoder="log-mel")
        prior = MotionAutoencoder.build(self.prior, facts)
        # The published initialisation of both is near zero, where nothing would follow from anything.
        nn.init.normal_(prior.quantize.embedding.weight, std=self.prior.token_width**-0.5)
        network = CodeTalker.build(self.settings, facts, prior).eval()
        nn.init.normal_(network.feat_map.weight, std=self.settings.feature_dim**-0.5)
        return network


_SETTINGS = Settings(encoder_layers=1, encoder_width=16, encoder_heads=1)
OFFICIAL = {
    "vocaset": Official("VOCASET", 5023, 30.0, 8, _SETTINGS, PriorSettings()),
    "biwi": Official(
        "BIWI",
        23370,
        25.0,
        6,
        replace(_SETTINGS, layers=12, period=25, alignment="pairs"),
        PriorSettings(tokens=8, token_width=128, linear_around_codes=True, output_bias=False),
    ),
}


class Speech(NamedTuple):
    """What follows the speech encoder: memory (clips, S, d), template (D,), and of each row style (rows, d), clip and
    frames."""

    memory: Tensor
    template: Tensor
    style: Tensor
    clips: list[int]
    frames: list[int]

    def row(self, i: int) -> Speech:
        """One clip in one style."""
        clip = self.clips[i]
        return Speech(self.memory[clip : clip + 1], self.template, self.style[i : i + 1], [0], [self.frames[i]])


def draw(network: CodeTalker, seconds: float, styles: int = 1, clips: int = 1) -> Speech:
    """`clips` clips of `seconds`, each in `styles` styles."""
    d, frames = network.settings.feature_dim, network.frames_for(int(seconds * 50) - 1)
    one_hot = torch.eye(network.learnable_style_emb.num_embeddings)[torch.arange(styles).repeat(clips)]
    owners = [clip for clip in range(clips) for _ in range(styles)]
    memory = torch.randn(clips, frames * network.per_frame, d)
    template = 0.1 * torch.randn(3 * network.autoencoder.vertices)
    return Speech(memory, template, network.style(one_hot), owners, [frames] * len(owners))


def ours(network: CodeTalker, speech: Speech) -> tuple[Tensor, Tensor]:
    """What `CodeTalker.predict_all` does after the speech encoder: positions (rows, T, D) and codes (rows, T, Q)."""
    quantised, codes = network.decode_own(speech.memory, speech.style, speech.clips, speech.frames)
    prior = network.autoencoder
    return prior.to_vertices(prior.decode_hidden(quantised), speech.template), codes


def timed(run: Callable[[], T]) -> tuple[float, T]:
    """Wall time in seconds, and what came of it."""
    start = time.perf_counter()
    result = run()
    return time.perf_counter() - start, result


def against_naive(name: str, network: CodeTalker, seconds: float) -> None:
    """Print both times and their ratio. AssertionError where a code differs."""
    speech, naive = draw(network, seconds), Naive(network)
    fast, (motion, codes) = min((timed(lambda: ours(network, speech)) for _ in range(2)), key=lambda found: found[0])
    slow, (expected, numbers) = timed(lambda: naive(speech.memory, speech.style, speech.template))
    assert torch.equal(codes[0], numbers), f"{name}: {(codes[0] != numbers).sum()} of {numbers.numel()} codes differ"
    apart = (motion - expected).abs().max().item()
    assert apart < TOLERANCE, f"{name}: the naive loop and ours differ by {apart:.2g}"
    print(
        f"{name}: {seconds:g} s ({len(numbers)} frames): naive {slow:.1f} s, ours {fast:.2f} s, ratio "
        f"{slow / fast:.1f}x; all {numbers.numel()} codes equal, largest difference {apart:.1e}",
        flush=True,
    )


def bounded(name: str, network: CodeTalker, seconds: float, contexts: Sequence[int]) -> None:
    """Print what the approximation costs that looks back on some frames only, and how far it leads astray.

    Drawn weights know no smooth motion: how many codes differ for a trained network is another matter.
    """
    speech = draw(network, seconds)
    exact_time, (exact, codes) = timed(lambda: ours(network, speech))
    spread = (exact - exact.mean(1, keepdim=True)).square().mean().sqrt()
    for context in contexts:
        network.bound_context(context)
        spent, (motion, numbers) = timed(lambda: ours(network, speech))
        differ = (numbers != codes).double().mean().item()
        apart = ((motion - exact).square().mean().sqrt() / spread).item()
        print(
            f"{name}: {seconds:g} s, context {context}: {spent:.2f} s instead of {exact_time:.2f} s, "
            f"{100 * differ:.1f} % of codes differ, motion by {apart:.2f} of its standard deviation",
            flush=True,
        )
    network.bound_context(0)


def batched(name: str, network: CodeTalker, seconds: float, styles: int, clips: int) -> None:
    """Print the gain of speaking all at once. AssertionError where a code differs."""
    speech = draw(network, seconds, styles, clips)
    together, (_, codes) = timed(lambda: ours(network, speech))
    rows = range(len(speech.clips))
    apart, alone = timed(lambda: torch.cat([ours(network, speech.row(i))[1] for i in rows]))
    assert torch.equal(codes, alone), f"{name}: {(codes != alone).sum()} codes differ in a batch"
    print(
        f"{name}: {clips} clips of {seconds:g} s in {styles} styles: one by one {apart:.1f} s, at once "
        f"{together:.1f} s, ratio {apart / together:.1f}x; all codes equal",
        flush=True,
    )


def compare(data: str, seconds: Sequence[float], contexts: Sequence[int], parts: Sequence[str]) -> None:
    """Print the lines of one published model, "vocaset" or "biwi". AssertionError where ours chooses other codes.

    parts: of "naive", "context" (at the last length) and "batch" (at the first).
    """
    torch.manual_seed(0)
    network, name = OFFICIAL[data].build(), f"CodeTalker {OFFICIAL[data].name}"
    if "naive" in parts:
        for length in seconds:
            against_naive(name, network, length)
    if "context" in parts:
        bounded(name, network, seconds[-1], contexts)
    if "batch" in parts:
        batched(name, network, seconds[0], styles=4, clips=2)

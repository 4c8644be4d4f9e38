"""`python -m benchmarks.decode`: autoregression against the loops that the papers' formulas suggest.

Official sizes, random weights, the speech encoder left out.

FaceFormer and TalkingStyle, one clip, one style: the naive loop, written here with `torch.nn.TransformerDecoder`, runs
the decoder and the motion decoder on all tokens at every step; ours is `AutoregressiveFace.decode_own` and the
projection to vertices. Both must give the same motion. Prints the ratio at 5 s and our cost per frame at 5, 15 and
60 s, which should be flat.

CodeTalker (`benchmarks.codetalker`): both must choose the same codes. Also the approximation that bounds what is looked
back upon, and several styles and clips at once. The naive loop takes long: `--seconds 5` is minutes for BIWI.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks import codetalker
from models.autoregressive import AutoregressiveFace
from models.faceformer.face import FaceFormer
from models.faceformer.settings import Settings as FaceFormerSettings
from models.positions import alignment_mask, periodic_encoding, temporal_bias
from models.talking_face import DataFacts
from models.talkingstyle.face import TalkingStyle
from models.talkingstyle.settings import Settings as TalkingStyleSettings

TOLERANCE = 1e-4


@dataclass(frozen=True)
class Official:
    """The sizes of one published model."""

    name: str
    vertices: int
    fps: float
    subjects: int
    network: type[FaceFormer] | type[TalkingStyle]
    settings: Any

    def build(self) -> AutoregressiveFace:
        """The network with random weights, and with the smallest speech encoder, which stays unused."""
        names = [str(i) for i in range(self.subjects)]
        facts = DataFacts(self.vertices, self.fps, names, channels=80, encoder="log-mel")
        network = self.network.build(self.settings, facts).eval()
        # The published initialisation is zero, which would make every motion the template.
        nn.init.normal_(network.outward.weight, std=self.settings.feature_dim**-0.5)
        return network


_UNUSED: dict[str, Any] = {"encoder_layers": 1, "encoder_width": 16, "encoder_heads": 1}
_VOCASET = _UNUSED | {"feature_dim": 64, "period": 30}
_BIWI = _UNUSED | {"feature_dim": 128, "period": 25, "alignment": "pairs"}
OFFICIAL = {
    ("faceformer", "vocaset"): Official(
        "FaceFormer VOCASET", 5023, 30.0, 8, FaceFormer, FaceFormerSettings(**_VOCASET)
    ),
    ("faceformer", "biwi"): Official("FaceFormer BIWI", 23370, 25.0, 6, FaceFormer, FaceFormerSettings(**_BIWI)),
    ("talkingstyle", "vocaset"): Official(
        "TalkingStyle VOCASET", 5023, 30.0, 8, TalkingStyle, TalkingStyleSettings(**_VOCASET)
    ),
    ("talkingstyle", "biwi"): Official(
        "TalkingStyle BIWI", 23370, 25.0, 6, TalkingStyle, TalkingStyleSettings(**_BIWI)
    ),
}


class Naive:
    """The autoregression without a single simplification, from the library's own decoder."""

    def __init__(self, network: AutoregressiveFace) -> None:
        settings = network.settings
        d = settings.feature_dim
        layer = nn.TransformerDecoderLayer(d, settings.heads, 2 * d, dropout=0.0, batch_first=True)
        self.network = network
        self.decoder = nn.TransformerDecoder(layer, num_layers=settings.layers).eval()
        self.decoder.load_state_dict(network.transformer_decoder.state_dict())

    def __call__(self, memory: Tensor, style: Tensor, template: Tensor) -> Tensor:
        network, settings = self.network, self.network.settings
        frames = memory.shape[1] // network.per_frame
        bias = temporal_bias(frames, settings.heads, settings.period)
        hidden_from = alignment_mask(frames, memory.shape[1], network.per_frame)
        positions = periodic_encoding(frames, settings.feature_dim, settings.period)
        tokens = style[:, None]
        for i in range(1, frames + 1):
            decoded = self.decoder(
                tokens + positions[:i], memory, tgt_mask=bias[:, :i, :i], memory_mask=hidden_from[:i]
            )
            offsets = network.outward(decoded)
            fed_back = network.inward(offsets[:, -1:]) + style[:, None]
            tokens = torch.cat((tokens, fed_back), dim=1)
        moved: Tensor = offsets + template
        return moved


def ours(network: AutoregressiveFace, memory: Tensor, style: Tensor, template: Tensor) -> Tensor:
    """What `AutoregressiveFace.predict` does after the speech encoder."""
    return network.to_vertices(network.decode_own(memory, style), template)


def clip(official: Official, network: AutoregressiveFace, seconds: float) -> tuple[Tensor, Tensor, Tensor]:
    """Random memory (1, S, d), style (1, d) and template (D,) of a clip."""
    d = official.settings.feature_dim
    frames = network.frames_for(int(seconds * 50) - 1)
    memory = torch.randn(1, frames * network.per_frame, d)
    return memory, network.style(torch.eye(official.subjects)[:1]), 0.1 * torch.randn(3 * official.vertices)


def seconds_of(run: Callable[[], Tensor], repeats: int) -> float:
    """Wall time of the best of some repeats, in seconds."""
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - start)
    return best


def compare(official: Official) -> None:
    """Print one model's lines. AssertionError where the two disagree."""
    torch.manual_seed(0)
    network = official.build()
    naive = Naive(network)
    inputs = clip(official, network, 5)
    apart = (naive(*inputs) - ours(network, *inputs)).abs().max().item()
    assert apart < TOLERANCE, f"{official.name}: the naive loop and ours differ by {apart:.2g}"
    slow = seconds_of(lambda: naive(*inputs), 2)
    fast = seconds_of(lambda: ours(network, *inputs), 7)
    frames = inputs[0].shape[1] // network.per_frame
    print(f"{official.name}: 5 s ({frames} frames): naive {slow:.3f} s, ours {fast:.4f} s, ratio {slow / fast:.0f}x")
    print(f"{official.name}: largest difference {apart:.1e}")
    for seconds in (5, 15, 60):
        inputs = clip(official, network, seconds)
        frames = inputs[0].shape[1] // network.per_frame
        spent = seconds_of(lambda inputs=inputs: ours(network, *inputs), 5)  # type: ignore[misc]
        print(f"{official.name}: {seconds:2d} s: {1e3 * spent / frames:.3f} ms per frame")


def main() -> None:
    """Run the benchmark."""
    options = _options().parse_args()
    torch.set_num_threads(options.threads)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")
    with torch.no_grad():
        for data in options.data:
            for model in ("faceformer", "talkingstyle"):
                if model in options.models:
                    compare(OFFICIAL[model, data])
            if "codetalker" in options.models:
                codetalker.compare(data, options.seconds, options.contexts, options.parts)


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    choices: dict[str, tuple[str, ...]] = {
        "models": ("faceformer", "talkingstyle", "codetalker"),
        "data": ("vocaset", "biwi"),
        "parts": ("naive", "context", "batch"),
    }
    for name, words in choices.items():
        helped = f"of {', '.join(words)}; all by default" + (" (CodeTalker only)" if name == "parts" else "")
        parser.add_argument(f"--{name}", nargs="+", choices=words, default=words, help=helped)
    parser.add_argument("--seconds", nargs="+", type=float, default=[2.0], help="lengths of CodeTalker's clips")
    parser.add_argument("--contexts", nargs="+", type=int, default=[25], help="frames looked back upon (CodeTalker)")
    parser.add_argument("--threads", type=int, default=1, help="threads for torch; one clip cannot use many")
    return parser


if __name__ == "__main__":
    main()

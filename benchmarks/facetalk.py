"""`python -m benchmarks.facetalk`: what drawing a motion costs, as it is done here and as it is defined.

FaceTalk at its recommended size with drawn weights, on drawn features: expression codes of a head model (200 numbers a
frame), and vertices of VOCASET (15,069). "all": from the features of a clip to its motion, speech encoder (wav2vec 2.0
base) included. "plain": `benchmarks.facetalk_naive`, which projects and attends to the sound under its mask in every
step, with and without it one after the other, and noises the motion itself; of some steps of the walk only, which all
take as long. Seconds of processor time, the best of `--rounds`; "apart": the largest difference of a motion of so many
steps, drawn both ways, in deviations of the training motion. With `--device cuda` seconds are those of the clock.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.facetalk_naive import naive
from benchmarks.long_clip import BASE
from models.facetalk.drawing import Said, drawn
from models.facetalk.face import FaceTalk
from models.facetalk.settings import Settings
from models.sampling import Sampling
from models.speech import small_config
from models.talking_face import DataFacts, Speech
from stages.bench.report import table

FPS = 24.0
CODES, VERTICES = 200, 5023
CASES = {"codes": Settings(track="nphm_expression"), "vertices": Settings(), "pca": Settings(pca=64)}
SMALL = {"feature_dim": 32, "layers": 2, "heads": 4, "feedforward": 64}
COLUMNS = ("motion", "numbers", "all, s", "drawing, s", "a step, ms", "plain, ms", "times", "apart", "real time")


def build(case: str, size: str) -> FaceTalk:
    """With a space as if it had been studied, and estimates that are no constant."""
    torch.manual_seed(0)
    settings = CASES[case] if size == "official" else replace(CASES[case], **SMALL)
    encoder = BASE if size == "official" else small_config(512, 32, 1, 2)
    facts = DataFacts(VERTICES, FPS, ["a"], 512, "drawn", encoder, track=settings.track)
    facts = replace(facts, width=CODES) if settings.track else facts
    network = FaceTalk.build(settings, facts).eval()
    nn.init.ones_(network.space.deviation)
    nn.init.orthogonal_(network.space.basis) if settings.pca else None
    nn.init.normal_(network.denoiser.outward.weight, std=settings.feature_dim**-0.5)
    return network


def best(rounds: int, work: Callable[[], Any], device: str) -> tuple[float, Any]:
    """Seconds of processor time, on a GPU of the clock, and what came out."""
    clock = time.process_time if device == "cpu" else time.perf_counter
    seconds, found = float("inf"), None
    for _ in range(rounds):
        began = clock()
        found = work()
        if device.startswith("cuda"):
            torch.cuda.synchronize(device)
        seconds = min(seconds, clock() - began)
    return seconds, found


@torch.no_grad()
def measured(case: str, options: argparse.Namespace) -> dict[str, Any]:
    """One kind of motion."""
    network, device = build(case, options.size).to(options.device), options.device
    sampling = Sampling(steps=options.steps, guidance=options.guidance, long="whole")
    few = replace(sampling, steps=options.plain_steps)
    network.sample_with(sampling)
    length = round(50 * options.seconds)
    given = (torch.randn(length, 512), torch.zeros(network.coordinates), torch.ones(1, 1))
    speech = Speech(*(tensor.to(device) for tensor in given), (1,))
    audio = network.listen_to([speech])[0][0]
    frames = len(audio)

    def draw(how: Sampling) -> Tensor:
        condition = network.denoiser.condition(audio[None])[0]
        [hidden] = drawn(network.denoiser, [Said(condition, 1, frames)], network.schedule, how)
        return network.denoiser.formed(hidden)

    draw(few)  # memory and kernels are there from here on
    network.predict_all([speech]) if device != "cpu" else None
    everything, _ = best(options.rounds, lambda: network.predict_all([speech]), device)
    drawing, _ = best(options.rounds, lambda: draw(sampling), device)
    plain, expected = best(options.rounds, lambda: naive(network, audio, 1, few, frames), device)
    return {
        "case": case,
        "numbers": network.space.width,
        "frames": frames,
        "all": everything,
        "drawing": drawing,
        "step": drawing / options.steps,
        "plain_step": plain / options.plain_steps,
        "times": plain / options.plain_steps / (drawing / options.steps),
        "apart": float((draw(few) - expected).abs().max()),
        "real_time": options.seconds / everything,
    }


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--cases", nargs="+", choices=tuple(CASES), default=["codes", "vertices"])
    parser.add_argument("--seconds", type=float, default=10.0, help="of the clip")
    parser.add_argument("--steps", type=int, default=50, help="of DDIM")
    parser.add_argument("--plain-steps", type=int, default=5, help="of the plain form")
    parser.add_argument("--guidance", type=float, default=2.0)
    parser.add_argument("--threads", type=int, default=1, help="for torch")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=1, help="the best counts")
    parser.add_argument("--size", choices=("official", "small"), default="official", help="small: does it work here?")
    parser.add_argument("--json", metavar="FILE", help="write all figures here too")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    found = [measured(case, options) for case in options.cases]
    rows = [
        (row["case"], f"{row['numbers']:,}", f"{row['all']:.3g}", f"{row['drawing']:.3g}", f"{1000 * row['step']:.3g}",
         f"{1000 * row['plain_step']:.3g}", f"{row['times']:.2f}", f"{row['apart']:.1e}", f"{row['real_time']:.2f}")
        for row in found
    ]  # fmt: skip
    print(
        f"a clip of {options.seconds:g} s ({found[0]['frames']} frames), DDIM of {options.steps} steps, guidance "
        f"{options.guidance:g}, {options.size} size, {options.threads} threads"
    )
    print(table(rows, COLUMNS))
    if options.json:
        Path(options.json).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

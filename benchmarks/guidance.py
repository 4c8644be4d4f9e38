"""`python -m benchmarks.guidance`: one guided training step, in seconds and memory.

FaceFormer in VOCASET's official size (5,023 vertices, 30 fps, wav2vec 2.0 base) and the published lip-reading expert's
444 million parameters, all drawn; a clip of `--seconds` on a synthetic head. Each case is a process of its own: a step
that is not counted, then `--steps` that are, then the gradient norms of the losses, which training takes at each
validation. Cases:

* frozen: the expert judges and stays as it is. 32 pictures on their way through it at a time, computed again for the
  gradient (`checkpoint_frames`, the default), or all kept (0); each of them hearing the sound anew, as published (its
  time is hidden by chance), or once (`time_mask = false`);
* finetune: it learns along, in train mode, where batch norms need all pictures at once and nothing is computed twice.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.progress import table

if TYPE_CHECKING:
    from models.avguidance.face import GuidedFaceFormer
    from models.lipreader.learning import LearningLipReader
    from models.talking_face import Clips

SIZES = ("official", "small")
PIECES, SAID = 5047, 12
"""Units of the published tokeniser, and pieces of a sentence of four seconds."""
SMALL_EXPERT = {
    "front_width": 4, "width": 32, "layers": 1, "heads": 2, "feedforward": 32, "fusion_width": 32, "decoder_layers": 1,
}  # fmt: skip
COLUMNS = ("expert", "pictures kept", "hears", "s a step", "processor s", "peak MB", "norms: s", "peak MB")


@dataclass(frozen=True)
class Case:
    """One process. expert: "frozen" or "finetune". kept: `checkpoint_frames`. masked: `time_mask`."""

    expert: str
    kept: int
    masked: bool
    size: str
    seconds: float
    steps: int
    threads: int

    @property
    def words(self) -> tuple[str, str, str]:
        kept = "all" if self.expert == "finetune" or not self.kept else str(self.kept)
        return self.expert, kept, "anew" if self.masked or self.expert == "finetune" else "once"


def measured(case: Case) -> dict[str, Any]:
    """Seconds a step, wall and processor, and this process's peak memory in MB, without and with the gradient norms."""
    import torch

    from stages.processor import peak_resident, set_up
    from stages.train import Params
    from stages.train.optimisers import make_optimiser

    set_up(case.threads)
    torch.manual_seed(0)
    network, clips = guided(case)
    optimiser = make_optimiser(network.train(), Params(model="avguidance"))
    for number in range(1 + case.steps):
        if number == 1:
            began = time.perf_counter(), time.process_time()
        optimiser.zero_grad()
        network.losses(clips)["loss"].backward()
        optimiser.step()
    wall, processor = time.perf_counter() - began[0], time.process_time() - began[1]
    found = {"seconds": wall / case.steps, "processor": processor / case.steps, "peak_mb": peak_resident() / 1e6}
    began = time.perf_counter(), 0.0
    network.eval().gradient_norms(clips)
    return asdict(case) | found | {"norms_seconds": time.perf_counter() - began[0], "norms_mb": peak_resident() / 1e6}


def guided(case: Case) -> tuple[GuidedFaceFormer, Clips]:
    """The network, told its expert, and a clip."""
    import torch

    from models.avguidance import Settings
    from models.avguidance.face import GuidedFaceFormer
    from models.sight import Sight
    from stages.bench.sizes import SMALL_ENCODER, facts, settings
    from stages.preprocess.synthetic.subjects import draw_subject

    head = draw_subject(0, 1)
    lips = head.head.regions["lips"]
    told = replace(facts("vocaset", "official", "faceformer"), regions={"lips": lips.tolist()})
    known = asdict(settings("faceformer", "vocaset", "official"))
    if case.size == "small":
        known, told = known | {"feature_dim": 16}, replace(told, encoder_config=SMALL_ENCODER, channels=16)
    wanted = Settings(**known | {"expert": case.expert, "checkpoint_frames": case.kept, "time_mask": case.masked})
    network = GuidedFaceFormer.build(wanted, told)
    with torch.no_grad():  # else the face stands still
        torch.nn.init.normal_(network.vertice_map_r.weight, std=1e-4)
    network.watch(Sight(head.head.faces, head.template, lips, "y", told.fps, "a synthetic head"), reader(case))
    return network, clip(case, told.channels, len(told.train_subjects), torch.from_numpy(head.template).float())


def reader(case: Case) -> LearningLipReader:
    """The expert, in eval mode, with drawn weights."""
    from models.lipreader import Settings
    from models.lipreader.learning import LearningLipReader
    from models.lipreader.pieces import UNKNOWN, Pieces
    from models.talking_face import DataFacts

    pieces = Pieces(b"", [UNKNOWN, *(f"P{number}" for number in range(1, PIECES))])
    facts = DataFacts(1, 25.0, ("A",), channels=0, encoder="", tokeniser=pieces.content())
    return LearningLipReader(Settings(**(SMALL_EXPERT if case.size == "small" else {})), facts).eval()


def clip(case: Case, channels: int, subjects: int, template: Any) -> Clips:
    """So many seconds of drawn speech, motion and text."""
    import torch

    from models.talking_face import Clips

    frames, samples = round(30 * case.seconds), round(16_000 * case.seconds)
    sway = 0.002 * torch.randn(frames, 1, 3).cumsum(0) / frames**0.5
    text = torch.randint(1, PIECES, (1, SAID))
    return Clips(
        features=torch.randn(1, int(50 * case.seconds) - 1, channels),
        feature_lengths=torch.tensor([int(50 * case.seconds) - 1]),
        template=template.reshape(1, -1),
        style=torch.eye(subjects)[:1],
        vertices=(template + sway).reshape(1, frames, -1),
        frames=torch.tensor([frames]),
        text=text,
        text_lengths=torch.tensor([SAID]),
        sound=0.1 * torch.randn(1, samples),
        sound_lengths=torch.tensor([samples]),
    )


def asked(case: Case) -> dict[str, Any]:
    """Measured in a process of its own. SystemExit where that fails."""
    print(f"  {', '.join(case.words)} …", file=sys.stderr, flush=True)
    command = [sys.executable, "-m", "benchmarks.guidance", "--case", json.dumps(asdict(case))]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"{', '.join(case.words)}: the process ended with {done.returncode}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def cases(options: argparse.Namespace) -> list[Case]:
    """Those that differ."""
    ways = [("frozen", 32, True), ("frozen", 0, True), ("frozen", 32, False), ("finetune", 32, True)]
    rest = options.size, options.seconds, options.steps, options.threads
    return [Case(*way, *rest) for way in ways if way[0] in options.expert]


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--expert", nargs="+", choices=("frozen", "finetune"), default=["frozen", "finetune"])
    parser.add_argument("--seconds", type=float, default=4.0, help="of the clip")
    parser.add_argument("--steps", type=int, default=2, help="that are counted")
    parser.add_argument("--threads", type=int, default=1, help="for torch")
    parser.add_argument("--size", choices=SIZES, default="official", help="small: does it work here?")
    parser.add_argument("--json", metavar="FILE", help="write all figures here too")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        print(json.dumps(measured(Case(**json.loads(options.case)))))
        return
    found = []
    for case in cases(options):
        row = asked(case)
        found.append((case, row))
    rows = [
        (*case.words, f"{row['seconds']:.3g}", f"{row['processor']:.3g}", f"{row['peak_mb']:,.0f}",
         f"{row['norms_seconds']:.3g}", f"{row['norms_mb']:,.0f}")
        for case, row in found
    ]  # fmt: skip
    print(f"a guided step, {options.size} size, a clip of {options.seconds:g} s, {options.threads} threads")
    print(table(rows, COLUMNS))
    if options.json:
        Path(options.json).write_text(json.dumps([row for _, row in found], indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

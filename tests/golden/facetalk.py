"""Runner of the FaceTalk cases: noise schedules and the steps of samplers, and features at the motion's rate."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from models.diffusion.schedule import Schedule, cosine_betas, linear_betas
from models.diffusion.steps import Step, ddim, guided, posterior, renoise, spaced
from models.resample import FEATURE_RATE, frame_count, interpolate
from tests.golden.case import Case
from tests.golden.patterns import Patterns

output = Patterns()


class FaceTalkRunner:
    """Computes any output of a case, of any number of steps, guidance and rates."""

    def __init__(self, case: Case) -> None:
        self.case = case

    def output(self, name: str) -> np.ndarray:
        return output.compute(self, name)

    def tensor(self, name: str) -> Tensor:
        return torch.from_numpy(self.case.input(name))

    def numbers(self, name: str) -> list[int]:
        return [int(number) for number in self.case.input(name)]

    @property
    def steps(self) -> int:
        return int(self.case.config.get("steps", 1000))

    @cached_property
    def clean(self) -> Tensor:
        """in/x0_cond and in/x0_uncond, guided."""
        weight = float(self.case.config.get("guidance_weight", 1.0))
        return guided(self.tensor("x0_cond"), self.tensor("x0_uncond"), weight)

    def schedule(self, name: str) -> Schedule:
        about = self.case.config.get(name, {})
        if name == "linear":
            return Schedule(linear_betas(self.steps, about.get("beta_first", 1e-4), about.get("beta_last", 0.02)))
        return Schedule(cosine_betas(self.steps, about.get("s", 0.008), about.get("beta_max", 0.999)))

    def stepped(self, steps: list[Step], *, noise: bool = True) -> Tensor:
        """Each of these steps from in/x_t."""
        z = self.tensor("z") if noise else None
        return torch.stack([step(self.clean, self.tensor("x_t"), z) for step in steps])

    def resampled(self, frames: int) -> Tensor:
        """in/features, clip by clip."""
        return torch.stack([interpolate(clip, frames) for clip in self.tensor("features")])


@output("cfg_x0")
def _guided(run: FaceTalkRunner) -> Tensor:
    return run.clean


@output(r"(linear|cosine)/(betas|alphas_cumprod|posterior_\w+)")
def _table(run: FaceTalkRunner, schedule: str, name: str) -> Tensor:
    found: Tensor = getattr(run.schedule(schedule), name)
    return found


@output(r"(linear|cosine)/q_sample")
def _noised(run: FaceTalkRunner, name: str) -> Tensor:
    schedule, clean, noise = run.schedule(name), run.tensor("x0"), run.tensor("noise")
    return torch.stack([schedule.noised(clean, torch.full((len(clean),), t), noise) for t in run.numbers("t_q")])


@output(r"(linear|cosine)/ddpm_(mean|sample)")
def _ancestral(run: FaceTalkRunner, name: str, which: str) -> Tensor:
    schedule = run.schedule(name)
    return run.stepped([posterior(schedule, t) for t in run.numbers("t_ddpm")], noise=which == "sample")


@output(r"(linear|cosine)/renoise")
def _renoised(run: FaceTalkRunner, name: str) -> Tensor:
    schedule = run.schedule(name)
    return run.stepped([renoise(schedule, t) for t in run.numbers("t_ddpm")])


@output(r"(linear|cosine)/ddim_eta([\d.]+)")
def _ddim(run: FaceTalkRunner, name: str, eta: int | str) -> Tensor:
    schedule = run.schedule(name)
    pairs = run.case.input("t_ddim").tolist()
    return run.stepped([ddim(schedule, at, to, float(eta)) for at, to in pairs])


@output(r"spaced_(\d+)")
def _spaced(run: FaceTalkRunner, count: int) -> list[int]:
    return spaced(run.steps, count)


@output("auto")
def _auto(run: FaceTalkRunner) -> Tensor:
    config = run.case.config
    rate, fps = config.get("input_fps", FEATURE_RATE), config["output_fps"]
    return run.resampled(frame_count(run.tensor("features").shape[1], fps, rate))


@output(r"frames(\d+)")
def _frames(run: FaceTalkRunner, frames: int) -> Tensor:
    return run.resampled(frames)

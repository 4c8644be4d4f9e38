"""Noise schedules, samplers' steps and the walk, beyond the golden case."""

from __future__ import annotations

import itertools

import pytest
import torch

from models.diffusion.schedule import SCHEDULES, Schedule
from models.diffusion.steps import Step, ddim, guided, posterior, renoise, spaced, walk_of
from models.diffusion.walk import walk
from models.sampling import SAMPLERS, Sampling

every_schedule = pytest.mark.parametrize("name", SCHEDULES)
X0 = torch.randn(2, 5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def never() -> torch.Tensor:
    raise AssertionError("no noise is asked for")


@every_schedule
@pytest.mark.parametrize("steps", [2, 7, 1000])
def test_tables_are_float64_of_one_length(name, steps):
    made = Schedule.of(name, steps)
    assert made.steps == steps
    tables = (
        *(made.betas, made.alphas_cumprod, made.alphas_cumprod_before, made.posterior_variance),
        *(made.posterior_log_variance_clipped, made.posterior_mean_coef1, made.posterior_mean_coef2),
    )
    for table in tables:
        assert (table.shape, table.dtype) == ((steps,), torch.float64)
        assert table.isfinite().all()
    assert (made.alphas_cumprod.diff() < 0).all()


def test_a_schedule_that_nobody_knows():
    with pytest.raises(ValueError, match="'sigmoid' is no noise schedule; there are cosine, linear"):
        Schedule.of("sigmoid", 10)


@every_schedule
def test_noised_rows_have_steps_of_their_own(name):
    made, noise = Schedule.of(name, 100), torch.randn_like(X0)
    both = made.noised(X0, torch.tensor([3, 90]), noise)
    for i, t in enumerate((3, 90)):
        share = made.alphas_cumprod[t]
        torch.testing.assert_close(both[i], share.sqrt() * X0[i] + (1 - share).sqrt() * noise[i])
    assert made.noised(X0.float(), torch.tensor([3, 90]), noise.float()).dtype == torch.float32


@every_schedule
@pytest.mark.parametrize("count", [1, 3, 50, 1000])
def test_ddim_without_noise_and_with_a_perfect_estimate_returns_the_signal(name, count):
    """From any start; and it is deterministic: nothing is drawn."""
    steps = walk_of(Schedule.of(name, 1000), Sampling(steps=count))
    found = [walk(torch.randn_like(X0), steps, lambda x, i: X0, never) for _ in range(2)]
    torch.testing.assert_close(found[0], X0)
    torch.testing.assert_close(found[1], X0)


@every_schedule
@pytest.mark.parametrize("count", [20, 1000])
def test_ddim_keeps_a_noised_signal_on_its_way(name, count):
    """With a perfect estimate the noise that is in x stays the same noise: x at any step is the signal noised by it."""
    schedule, noise = Schedule.of(name, 1000), torch.randn_like(X0)
    x = schedule.noised(X0, torch.full((2,), 999), noise)
    for step, after in zip(steps := walk_of(schedule, Sampling(steps=count)), steps[1:], strict=False):
        x = step(X0, x)
        torch.testing.assert_close(x, schedule.noised(X0, torch.full((2,), after.at), noise), rtol=1e-6, atol=1e-6)


@every_schedule
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_last_step_is_the_estimate(name, sampler):
    steps = walk_of(Schedule.of(name, 40), Sampling(sampler=sampler, steps=8, eta=1.0))
    last = steps[-1]
    assert (last.clean, last.kept, last.noise) == (pytest.approx(1, abs=1e-12), pytest.approx(0, abs=1e-12), 0.0)
    assert next(step.at for step in steps) == 39
    assert len(steps) == (8 if sampler == "ddim" else 40)


@every_schedule
@pytest.mark.parametrize("sampler", ["ancestral", "ddim"])
def test_samplers_keep_the_spread_of_a_perfect_estimate(name, sampler):
    """Where the signal is standard noise itself, its best estimate is sqrt(share)·x, and x must stay standard noise."""
    schedule = Schedule.of(name, 100)
    draw = torch.Generator().manual_seed(1)
    steps = walk_of(schedule, Sampling(sampler=sampler, steps=100, eta=0.0))

    def noise() -> torch.Tensor:
        return torch.randn(50_000, generator=draw)

    shares = [schedule.share(step.at) for step in steps]
    x = walk(noise(), steps[:-1], lambda x, i: shares[i] ** 0.5 * x, noise)
    assert x.std().item() == pytest.approx(1.0, rel=0.02)


def test_ddim_of_full_noise_is_the_ancestral_step():
    """With eta = 1 and no step left out, but for the variance that DDPM clips."""
    schedule = Schedule.of("linear", 50)
    for at in (49, 20, 2):
        one, other = ddim(schedule, at, at - 1, 1.0), posterior(schedule, at)
        assert tuple(one) == pytest.approx(tuple(other), abs=1e-12)


@pytest.mark.parametrize(("steps", "count"), [(1000, 50), (1000, 1000), (1000, 999), (7, 3), (7, 1)])
def test_spaced_steps_are_different_ones(steps, count):
    found = spaced(steps, count)
    assert (len(found), found[0], found[-1]) == (count + 1, steps - 1, -1)
    assert all(later < earlier for earlier, later in itertools.pairwise(found))


@pytest.mark.parametrize("count", [0, 8])
def test_more_steps_than_there_are(count):
    with pytest.raises(ValueError, match=f"{count} steps cannot be taken out of 7"):
        spaced(7, count)


def test_guidance():
    sound, none = torch.randn(4), torch.randn(4)
    torch.testing.assert_close(guided(sound, none, 1.0), sound)
    torch.testing.assert_close(guided(sound, none, 0.0), none)
    torch.testing.assert_close(guided(sound, none, 2.5), 2.5 * sound - 1.5 * none)


def test_the_walk_draws_where_a_step_takes_noise_and_does_the_rest_after_each():
    asked, seen = [], []
    steps = [Step(2, 0.0, 1.0, 1.0), Step(1, 0.5, 0.5, 0.0), renoise(Schedule.of("linear", 3), 0)]

    def noise() -> torch.Tensor:
        asked.append(1)
        return torch.ones(1)

    def estimate(x: torch.Tensor, i: int) -> torch.Tensor:
        seen.append((float(x), i))
        return torch.zeros(1)

    found = walk(torch.ones(1), steps, estimate, noise, lambda x: x + 1)
    assert (len(asked), seen, float(found)) == (1, [(1.0, 0), (3.0, 1), (2.5, 2)], 1.0)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"sampler": "euler"}, "sampler = 'euler' is none of ddim, ancestral, renoise"),
        ({"long": "never"}, "long = 'never' is none of auto, whole, windows"),
        ({"steps": 0}, "steps = 0: one step or more"),
        ({"eta": 1.5}, "eta = 1.5 lies between 0"),
        ({"eta": float("nan")}, "eta = nan lies between 0"),
        ({"guidance": -1.0}, "guidance = -1 is 0 or more"),
        ({"guidance": float("inf")}, "guidance = inf is 0 or more"),
    ],
)
def test_sampling_that_cannot_be(wrong, sentence):
    [problem] = Sampling(**wrong).problems()
    assert problem.startswith(sentence)
    assert not list(Sampling().problems())

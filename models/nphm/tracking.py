"""Codes of what is seen: expression codes of a sequence of point clouds, and the identity code of a head at rest.

Expressions (FaceTalk, section 3.1; `L = λ_sdf Σ|f| + λ_temp Huber(θ_i − θ_{i−1}) + λ_reg ‖θ_i‖²`): windows of frames
that overlap, the identity fixed. Departure: the windows are solved by Levenberg and Marquardt, |f| by weights renewed
in each round. A point hangs on the code of its frame alone, so that one backward pass through codes that are laid out
by point gives the whole Jacobian: a round costs what a step of Adam does, and a few rounds are enough.

Shapes: T frames, W of a window, N points of each, E numbers of a code.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from models.nphm.head import HeadModel
from models.nphm.lessons import Lesson

CORNER = 2e-3
"""|f| is a parabola below this, in the model's units: half a millimetre of NPHM's."""
DAMPING, EASIER, HARDER = 0.03, 0.3, 8.0
"""Where the damping begins, and what it is multiplied with after a round that helped, or did not."""


@dataclass(frozen=True)
class Effort:
    """How codes are sought. window, overlap: frames. rounds: of a window; twice as many of the first, which begins at
    rest. distance, time, size: λ_sdf, λ_temp, λ_reg. clamp: points farther from the surface do not count, in the
    model's units. knee: where Huber's parabola ends, in numbers of a code.
    """

    window: int = 10
    overlap: int = 2
    rounds: int = 6
    distance: float = 1.0
    time: float = 0.1
    size: float = 0.01
    clamp: float = 0.05
    knee: float = 0.1


def track(model: HeadModel, identity: Tensor, clouds: Tensor, effort: Effort) -> tuple[Tensor, Tensor]:
    """Expression codes (T, E) of clouds (T, N, 3), and how far from the surface each frame's points are, (T,) mean |f|.

    identity: (1, D). The model is a backward one, in eval mode.
    """
    assert model.deformation is not None
    size = model.deformation.sizes.expression
    codes, apart = clouds.new_zeros(len(clouds), size), clouds.new_zeros(len(clouds))
    done = 0
    while done < len(clouds):
        end = min(len(clouds), done + effort.window - (effort.overlap if done else 0))
        before = codes[max(0, done - effort.overlap) : done]
        window = _Window(model, identity, clouds[done:end], before, effort)
        codes[done:end], apart[done:end] = window.solve(effort.rounds * (1 if done else 2))
        done = end
    return codes, apart


def at_rest(model: HeadModel, lesson: Lesson, start: Tensor, anchors: Tensor | None, steps: int, batch: int,
            generator: torch.Generator) -> tuple[Tensor, float]:  # fmt: skip
    """The identity code (1, D) of a head at rest from points about it (1, N, …), and the mean error of distances.

    start: (1, D). anchors: (1, K, 3) where the head has them, or None where nobody knows. Adam, batches of points.
    """
    assert model.deformation is not None
    code = start.clone().requires_grad_(True)
    rest = code.new_zeros(1, model.deformation.sizes.expression)
    optimiser = torch.optim.Adam([code], lr=0.02)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps, 4e-4)
    chosen = lesson.known[0].nonzero()[:, 0]
    for _ in range(steps):
        rows = chosen[torch.randint(len(chosen), (batch,), generator=generator).to(chosen.device)]
        wrong = _wrong(model, lesson, rows, code, rest)
        total = wrong.mean() + 1e-4 * code.square().sum()
        if anchors is not None:
            total = total + 2 * (model.identity.place(code) - anchors).square().mean()
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
        schedule.step()
    code = code.detach()
    with torch.no_grad():
        near = chosen[lesson.distances[0, chosen].abs() < CLAMP]
        return code, float(_wrong(model, lesson, near, code, rest).mean())


CLAMP = 0.05


def _wrong(model: HeadModel, lesson: Lesson, rows: Tensor, code: Tensor, rest: Tensor) -> Tensor:
    found = model.field(lesson.points[:, rows], code, rest)[0]
    return (found.clamp(-CLAMP, CLAMP) - lesson.distances[0, rows].clamp(-CLAMP, CLAMP)).abs()


class _Window:
    """The codes of one window. before: (≤ overlap, E), of the frames that lie in the window and are settled."""

    def __init__(self, model: HeadModel, identity: Tensor, clouds: Tensor, before: Tensor, effort: Effort) -> None:
        assert model.deformation is not None
        self.model, self.identity, self.clouds, self.effort = model, identity, clouds, effort
        self.before = before[-1:]
        with torch.no_grad():
            told = model.deformation.compress(identity, model.identity.place(identity))
        self.told = told[:, None].expand(*clouds.shape[:2], -1)
        self.size = model.deformation.sizes.expression

    def solve(self, rounds: int) -> tuple[Tensor, Tensor]:
        """Codes (W, E) and mean |f| (W,)."""
        frames = len(self.clouds)
        start = self.before if len(self.before) else self.clouds.new_zeros(1, self.size)
        codes, damping = start.expand(frames, -1).clone(), DAMPING
        values, slopes = self.look(codes)
        cost = self.cost(values, codes)
        for _ in range(rounds):
            matrix, gradient = self.system(values, slopes, codes)
            matrix += torch.diag(damping * matrix.diagonal() + 1e-6)
            tried = codes - torch.linalg.solve(matrix, gradient).view_as(codes)
            seen, sloped = self.look(tried)
            if (now := self.cost(seen, tried)) < cost:
                codes, values, slopes, cost, damping = tried, seen, sloped, now, damping * EASIER
            else:
                damping *= HARDER
        return codes, values.abs().mean(1)

    def look(self, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Values of the field (W, N) and what they change by with the codes (W, N, E)."""
        deformation = self.model.deformation
        assert deformation is not None
        frames, count, _ = self.clouds.shape
        with torch.enable_grad():
            laid_out = codes[:, None].expand(frames, count, -1).clone().requires_grad_(True)
            offsets = deformation.defDeepSDF(torch.cat((self.clouds, self.told, laid_out), -1))
            seen = torch.cat((self.clouds + offsets[..., :3], offsets[..., 3:]), -1)
            values = self.model.identity(seen.flatten(0, 1)[None], self.identity).view(frames, count)
            (slopes,) = torch.autograd.grad(values.sum(), laid_out)
        return values.detach(), slopes

    def steps(self, codes: Tensor) -> Tensor:
        """What changes from frame to frame, that from the settled one to the first included."""
        return torch.cat((self.before, codes)).diff(dim=0)

    def cost(self, values: Tensor, codes: Tensor) -> float:
        effort = self.effort
        apart = values.abs().clamp(max=effort.clamp)
        rounded = torch.where(apart < CORNER, apart.square() / (2 * CORNER) + CORNER / 2, apart).sum()
        steps = self.steps(codes)
        moved = functional.huber_loss(steps, torch.zeros_like(steps), reduction="sum", delta=effort.knee)
        return float(effort.distance * rounded + effort.time * moved + effort.size * codes.square().sum())

    def system(self, values: Tensor, slopes: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Gauss and Newton's matrix (W·E, W·E) and gradient (W·E,) of the cost, |f| and Huber by weights."""
        effort, (frames, _, size) = self.effort, slopes.shape
        weights = effort.distance * (values.abs() < effort.clamp) / values.abs().clamp(min=CORNER)
        blocks = torch.einsum("wne,wn,wnf->wef", slopes, weights, slopes) + 2 * effort.size * torch.eye(
            size, dtype=slopes.dtype, device=slopes.device
        )
        matrix = torch.block_diag(*blocks).view(frames, size, frames, size)
        gradient = torch.einsum("wne,wn,wn->we", slopes, weights, values) + 2 * effort.size * codes
        steps = self.steps(codes)
        stiff = effort.time / (steps.abs() / effort.knee).clamp(min=1)
        for row, (step, hold) in enumerate(zip(steps, stiff, strict=True)):
            here = row + (0 if len(self.before) else 1)
            matrix[here, :, here] += torch.diag(hold)
            gradient[here] += hold * step
            if here:
                matrix[here - 1, :, here - 1] += torch.diag(hold)
                matrix[here, :, here - 1] -= torch.diag(hold)
                matrix[here - 1, :, here] -= torch.diag(hold)
                gradient[here - 1] -= hold * step
        return matrix.reshape(frames * size, -1), gradient.reshape(-1)

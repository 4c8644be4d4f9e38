"""Head models of the published sizes that are nobody's, but head-shaped: for measuring where no weights may be had.

Anchors stand on an ellipsoid of a head's size, denser on its face. Weights are drawn; then the last layer of every
member is set by least squares so that the member tells the distance to the ellipsoid, around its anchor or, for that of
the whole head, everywhere. So the blend is a field whose surface lies where a head's does, members agree near it about
as well as trained ones, and nothing of what evaluation costs is different. The deformation is drawn, and its last layer
scaled so that points move by a centimetre.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from models.nphm.canonical import Canonical
from models.nphm.head import BACKWARD, FORWARD, HeadModel
from models.nphm.identity import Identity
from models.nphm.layers import bend
from models.nphm.sizes import MONO_CANONICAL, MONO_DEFORMATION, CanonicalSizes, DeformationSizes, IdentitySizes

AXES, CENTRE = (0.40, 0.55, 0.50), (0.0, 0.05, -0.15)
"""The ellipsoid, in NPHM units."""
BOX = ((-0.55, -0.5, -0.95), (0.55, 0.75, 0.4))
"""The published box of extraction."""
SAMPLES = 4000
MOVED = 0.04


def nphm() -> HeadModel:
    """NPHM: 39 anchors, forward deformation."""
    return head(IdentitySizes(), DeformationSizes(), FORWARD)


def mono() -> HeadModel:
    """MonoNPHM: 65 anchors, backward deformation with two hyper coordinates."""
    return head(MONO_CANONICAL, MONO_DEFORMATION, BACKWARD)


@torch.no_grad()
def head(identity: IdentitySizes | CanonicalSizes, deformation: DeformationSizes, moves: str) -> HeadModel:
    """A head-shaped model of any sizes, in eval mode."""
    torch.manual_seed(0)
    model = HeadModel.build(identity, deformation, moves).eval()
    field = model.identity
    field.mlp_pos[4].weight.zero_()
    field.mlp_pos[4].bias.zero_()
    field.mean_anchors.copy_(anchors(identity.anchors, identity.pairs))
    centres = torch.cat((field.mean_anchors, torch.zeros(1, 3)))
    for member in range(identity.members):
        slot = 2 * member if member < identity.pairs else member + identity.pairs
        _shape(field, member, centres[slot], whole=slot == identity.anchors)
    assert model.deformation is not None
    last = model.deformation.defDeepSDF.get_submodule(f"lin{deformation.layers}")
    points = _drawn(SAMPLES)[None]
    code, expression = codes(model)
    offsets = model.deformation(points, code[None], field.place(code[None]), expression[None])[0]
    last.weight.mul_(MOVED / offsets.std(0)[:, None])  # type: ignore[union-attr, operator]
    last.bias.sub_(offsets.mean(0)).mul_(MOVED / offsets.std(0))  # type: ignore[union-attr, operator]
    return model.requires_grad_(False)


def codes(model: HeadModel, number: int = 0) -> tuple[Tensor, Tensor]:
    """The identity code of the mean head, (D,), and one of a walk of expressions, (E,): neighbours are alike."""
    assert model.deformation is not None
    sizes = model.deformation.sizes
    draw = torch.Generator().manual_seed(1)
    first, second = torch.randn(2, sizes.expression, generator=draw) / math.sqrt(sizes.expression)
    angle = 0.1 * number
    device = model.identity.mean_anchors.device
    return torch.zeros(sizes.identity, device=device), (math.cos(angle) * first + math.sin(angle) * second).to(device)


def distance(points: Tensor) -> Tensor:
    """About the distance of points (…, 3) to the ellipsoid, outside positive."""
    axes, from_centre = torch.tensor(AXES), points - torch.tensor(CENTRE)
    k = (from_centre / axes).norm(dim=-1)
    return k * (k - 1) / (from_centre / axes**2).norm(dim=-1).clamp(min=0.2)


def anchors(count: int, pairs: int) -> Tensor:
    """(K, 3): pairs left and right, then those in the middle; two of three look to the front."""
    turn = torch.arange(count, dtype=torch.float32) * 2.399963  # the golden angle: no two alike
    height = torch.linspace(-0.85, 0.9, count)[torch.randperm(count, generator=torch.Generator().manual_seed(4))]
    side, front = (1 - height**2).sqrt() * turn.sin().abs(), (1 - height**2).sqrt() * turn.cos()
    front = torch.where(torch.arange(count) % 3 > 0, front.abs(), front)
    side[2 * pairs :] = 0.02
    unit = torch.stack((side, height, front), -1)
    unit = unit / unit.norm(dim=-1, keepdim=True)
    for k in range(0, 2 * pairs, 2):
        unit[k + 1] = unit[k]
        unit[k] *= torch.tensor([-1.0, 1.0, 1.0])
    return unit * torch.tensor(AXES) + torch.tensor(CENTRE)


def _drawn(count: int) -> Tensor:
    low, high = torch.tensor(BOX[0]), torch.tensor(BOX[1])
    return low + (high - low) * torch.rand(count, 3)


def _shape(field: Identity | Canonical, member: int, centre: Tensor, whole: bool) -> None:
    """Set a member's last layer so that it tells the distance to the ellipsoid."""
    near = _drawn(SAMPLES) if whole else centre + 0.2 * torch.randn(SAMPLES, 3)
    wanted, blank = distance(near), torch.zeros(SAMPLES, field.sizes.global_code + field.sizes.local_code)
    if isinstance(field, Canonical):
        network = field.deepSDFensemble.members()[member].layers
        hyper = MOVED * torch.randn(SAMPLES, field.sizes.hyper)
        first, last = network[0], network[-1]
        _widen(first, slice(blank.shape[1], None))
        hidden = network[:-1](torch.cat((blank, near - centre, hyper), -1))
        weight, bias = last.weight, last.bias
    else:
        network = field.ensembled_deep_sdf
        u, h = torch.cat((near - centre, blank), -1), None
        parts = [network.get_submodule(f"lin{i}") for i in range(network.layers + 1)]
        for i, part in enumerate(parts[:-1]):
            if i == 0:
                part.weight[member, :, :3] *= _WIDER
            given = u if h is None else torch.cat((h, u), -1) / math.sqrt(2) if i == network.again else h
            h = bend(given @ part.weight[member].T + part.bias[member])
        hidden, weight, bias = h, parts[-1].weight[member], parts[-1].bias[member]
    found = _least_squares(hidden, wanted)
    weight.copy_(found[None, :-1])
    bias.copy_(found[-1:])


_WIDER = 8.0
"""What is drawn for positions is scaled by it, so that the features of the last layer bend within a head."""


def _widen(first: nn.Linear, positions: slice) -> None:
    first.weight[:, positions] *= _WIDER


def _least_squares(features: Tensor, wanted: Tensor) -> Tensor:
    """Weights and, behind them, a bias; slightly held back, so that they stay small."""
    full = torch.cat((features, torch.ones_like(features[:, :1])), 1).double()
    square = full.T @ full + 1e-5 * len(full) * torch.eye(full.shape[1], dtype=torch.float64)
    return torch.linalg.solve(square, full.T @ wanted.double()).float()

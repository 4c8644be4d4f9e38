"""Small head models, drawn, and files of them as the published code writes them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from models.nphm.head import BACKWARD, FORWARD, HeadModel
from models.nphm.sizes import APPENDED, CanonicalSizes, DeformationSizes, IdentitySizes

IDENTITY = IdentitySizes(anchors=11, pairs=4, global_code=8, local_code=4, width=24, place=20)
CANONICAL = CanonicalSizes(
    anchors=15, pairs=6, global_code=8, local_code=4, width=20, place=14, colour=12, colour_local=6, bottleneck=5
)  # fmt: skip
FORWARDS = DeformationSizes(
    anchors=11, pairs=4, global_code=8, local_code=4, bottleneck=6, expression=10, width=40
)  # fmt: skip
BACKWARDS = DeformationSizes(
    anchors=15, pairs=6, global_code=8, local_code=4, bottleneck=5, expression=10, hyper=2, width=32, skip=APPENDED
)  # fmt: skip


def anchors(count: int, pairs: int, seed: int = 0) -> np.ndarray:
    """float64 (K, 3): pairs left and right of each other, as heads have them."""
    drawn = np.random.default_rng(seed).uniform(-0.4, 0.4, (count, 3))
    drawn[1 : 2 * pairs : 2] = drawn[0 : 2 * pairs : 2] * [-1, 1, 1]
    return drawn


def model(identity: IdentitySizes | CanonicalSizes, deformation: DeformationSizes | None, moves: str) -> HeadModel:
    """In eval mode."""
    torch.manual_seed(5)
    made = HeadModel.build(identity, deformation, moves).eval()
    made.identity.mean_anchors.copy_(torch.from_numpy(anchors(identity.anchors, identity.pairs)))
    return made


def forward_model() -> HeadModel:
    return model(IDENTITY, FORWARDS, FORWARD)


def mono_model(colour: bool = False) -> HeadModel:
    return model(CANONICAL if colour else replace(CANONICAL, colour=0), BACKWARDS, BACKWARD)


def codes(made: HeadModel, heads: int = 1, seed: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    """Codes of identity and expression, (heads, D) and (heads, E)."""
    draw = torch.Generator().manual_seed(seed)
    assert made.deformation is not None
    sizes = made.deformation.sizes
    return tuple(0.5 * torch.randn(heads, n, generator=draw) for n in (sizes.identity, sizes.expression))  # type: ignore[return-value]


def optimiser_state(module: torch.nn.Module) -> dict[str, Any]:
    """As one that has made a step leaves it; the step is of no length."""
    optimiser = torch.optim.AdamW(module.parameters(), lr=0.0)
    sum(parameter.sum() for parameter in module.parameters()).backward()  # type: ignore[union-attr]
    optimiser.step()
    return optimiser.state_dict()


def write_assets(folder: Path, sizes: IdentitySizes | CanonicalSizes) -> Path:
    """Anchors, their vertices and statistics, as the published folder has them."""
    folder.mkdir(exist_ok=True)
    count = sizes.anchors
    np.save(folder / f"anchors_{count}.npy", anchors(count, sizes.pairs))
    np.save(folder / f"lm_inds_{count}.npy", np.arange(count) * 7)
    draw = np.random.default_rng(2)
    np.save(folder / "nphm_lat_mean.npy", draw.normal(size=sizes.identity).astype(np.float32))
    np.save(folder / "nphm_lat_std.npy", draw.uniform(0.1, 1, sizes.identity).astype(np.float32))
    return folder


def write_nphm(folder: Path, made: HeadModel, subjects: int = 3, scans: int = 5) -> tuple[Path, Path]:
    """The two files of NPHM. Anchors stand in neither."""
    paths = folder / "identity.tar", folder / "expression.tar"
    assert made.deformation is not None
    parts = ((made.identity, subjects, made.identity.sizes.identity), (made.deformation, scans, FORWARDS.expression))
    for path, (part, rows, width) in zip(paths, parts, strict=True):
        state = {name: value for name, value in part.state_dict().items() if name != "mean_anchors"}
        torch.manual_seed(rows)
        held = {
            "epoch": 15000, "decoder_state_dict": state, "optimizer_state_dict": optimiser_state(part),
            "latent_codes_state_dict": {"weight": torch.randn(rows, width)},
            "latent_codes_val_state_dict": {"weight": torch.randn(2, width)},
        }  # fmt: skip
        torch.save(held, path)
    return paths


def mono_content(made: HeadModel, subjects: int = 3, scans: int = 5) -> dict[str, Any]:
    """What MonoNPHM's file holds, of a model with colour."""
    assert made.deformation is not None
    torch.manual_seed(subjects)
    widths = {
        "geo": (subjects, CANONICAL.identity),
        "app": (subjects, CANONICAL.appearance),
        "exp": (scans, made.deformation.sizes.expression),
    }
    return {
        "epoch": 2500, "optimizer": optimiser_state(made),
        "id_decoder": {name: value for name, value in made.identity.state_dict().items() if name != "mean_anchors"},
        "ex_decoder": dict(made.deformation.state_dict()),
        "latent_codes": {f"codebook.{name}.embedding.weight": torch.randn(*size) for name, size in widths.items()},
    }  # fmt: skip

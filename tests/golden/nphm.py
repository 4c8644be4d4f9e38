"""Runners of the head models' cases, of any size: NPHM's identity network and deformation, and all of MonoNPHM."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.nphm.canonical import Canonical
from models.nphm.deformation import Deformation, moved
from models.nphm.identity import Identity
from models.nphm.published import EXPRESSION, IDENTITY, deformation_sizes, identity_sizes, mono_sizes, under
from models.nphm.sizes import Slots
from models.official import fit
from tests.golden.case import Case
from tests.golden.lipreader import built, shapes_of, there
from tests.golden.patterns import Patterns
from tests.golden.surfaces import SurfaceRunner

forward, backward = Patterns(), Patterns()


def tensors(case: Case) -> dict[str, Tensor]:
    return {name: torch.from_numpy(array) for name, array in case.state().items()}


def given(case: Case, name: str) -> Tensor:
    """An input with its axis of heads."""
    array = torch.from_numpy(case.input(name)).float()
    return array if array.ndim == (3 if name in ("xyz", "anchors") else 2) else array[None]


class NphmRunner:
    """Identity network, deformation, or the surface of given samples, whichever the case is of."""

    def __init__(self, case: Case) -> None:
        self.case = case

    def output(self, name: str) -> np.ndarray:
        return forward.compute(self, name)

    @cached_property
    def _identity(self) -> Any:
        return built(self._make_identity)

    def _make_identity(self) -> Identity:
        state = tensors(self.case)
        made = Identity(identity_sizes(shapes_of(state), "the case"))
        anchors = torch.from_numpy(self.case.input("mean_anchors"))
        fit(made, {**state, "mean_anchors": anchors}, tables={})
        return made.eval()

    @cached_property
    def _deformation(self) -> Any:
        return built(self._make_deformation)

    def _make_deformation(self) -> Deformation:
        state, config = tensors(self.case), self.case.config
        slots = Slots(config["n_anchors"], 0, config["lat_dim_glob"], config["lat_dim_loc"])
        made = Deformation(deformation_sizes(shapes_of(state), slots, "the case"))
        fit(made, state, tables={})
        return made.eval()


@forward(r"sdf")
@torch.no_grad()
def _sdf(run: NphmRunner) -> Tensor:
    return there(run._identity)(given(run.case, "xyz"), given(run.case, "latent"))[..., None]


@forward(r"anchors")
@torch.no_grad()
def _anchors(run: NphmRunner) -> Tensor:
    return there(run._identity).place(given(run.case, "latent"))


@forward(r"offsets")
@torch.no_grad()
def _offsets(run: NphmRunner) -> Tensor:
    inputs = [given(run.case, name) for name in ("xyz", "latent_id", "anchors", "latent_expr")]
    return there(run._deformation)(*inputs)


@forward(r"(vertices|n_faces|winding)")
def _surface(run: NphmRunner, name: str) -> np.ndarray:
    return SurfaceRunner(run.case).output(name)


class MonoNphmRunner:
    """Deformation, geometry and colour."""

    def __init__(self, case: Case) -> None:
        self.case = case

    def output(self, name: str) -> np.ndarray:
        return backward.compute(self, name)

    @cached_property
    def _built(self) -> Any:
        return built(self._make)

    def _make(self) -> tuple[Canonical, Deformation]:
        state, config = tensors(self.case), self.case.config
        told = mono_sizes(shapes_of(state), "the case", config["n_neighbors"], config["blend_std"])
        canonical, deformation = Canonical(told[0]), Deformation(told[1])
        anchors = torch.from_numpy(self.case.input("mean_anchors"))
        fit(canonical, {**under(state, IDENTITY), "mean_anchors": anchors}, tables={})
        fit(deformation, under(state, EXPRESSION), tables={})
        return canonical.eval(), deformation.eval()

    @cached_property
    @torch.no_grad()
    def canonical_points(self) -> Tensor:
        """(B, N, 3 + hyper)"""
        canonical, deformation = there(self._built)
        points, code = given(self.case, "xyz"), given(self.case, "z_geo")
        return moved(points, deformation(points, code, canonical.place(code), given(self.case, "z_exp")))


@backward(r"anchors")
@torch.no_grad()
def _mono_anchors(run: MonoNphmRunner) -> Tensor:
    return there(run._built)[0].place(given(run.case, "z_geo"))


@backward(r"offsets")
def _mono_offsets(run: MonoNphmRunner) -> Tensor:
    return run.canonical_points[..., :3] - given(run.case, "xyz")


@backward(r"hyper_coords")
def _hyper(run: MonoNphmRunner) -> Tensor:
    return run.canonical_points[..., 3:]


@backward(r"sdf")
@torch.no_grad()
def _mono_sdf(run: MonoNphmRunner) -> Tensor:
    return there(run._built)[0](run.canonical_points, given(run.case, "z_geo"))[..., None]


@backward(r"color")
@torch.no_grad()
def _colour(run: MonoNphmRunner) -> Tensor:
    codes = given(run.case, "z_geo"), given(run.case, "z_app")
    return there(run._built)[0].colours(run.canonical_points, *codes)

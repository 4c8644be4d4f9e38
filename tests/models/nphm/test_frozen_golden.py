"""A frozen head gives the published numbers, too: golden cases, reduced and, where at hand, of official sizes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from models.nphm.frozen import HeadAt
from models.nphm.head import BACKWARD, NOWHERE, HeadModel
from tests.golden.case import read_case
from tests.golden.nphm import MonoNphmRunner, NphmRunner, given
from tests.golden.test_golden import CASES

SHARED = os.environ.get("FACEPIPE_SHARED", "")


def folders(name: str) -> list[Path]:
    elsewhere = Path(SHARED, "golden", f"{name}_full.json")
    return [CASES / f"{name}.json", *([elsewhere] if SHARED else [])]


@pytest.mark.parametrize("path", folders("mononphm_sdf"), ids=lambda path: path.stem)
@torch.no_grad()
def test_mononphm(path):
    case = read_case(path)
    model = HeadModel(*MonoNphmRunner(case)._built, BACKWARD)
    at = HeadAt(model, given(case, "z_geo")[0], given(case, "z_exp")[0])
    points = given(case, "xyz")[0]
    found = at.canonical(points)
    torch.testing.assert_close((found[:, :3] - points).numpy(), case.expected["offsets"][0], atol=1e-5, rtol=0)
    torch.testing.assert_close(found[:, 3:].numpy(), case.expected["hyper_coords"][0], atol=1e-5, rtol=0)
    torch.testing.assert_close(at.field(points).numpy(), case.expected["sdf"][0, :, 0], atol=1e-5, rtol=0)


@pytest.mark.parametrize("path", folders("nphm_identity_sdf"), ids=lambda path: path.stem)
@torch.no_grad()
def test_nphm(path):
    case = read_case(path)
    model = HeadModel(NphmRunner(case)._identity, None, NOWHERE)
    for code, points, expected in zip(given(case, "latent"), given(case, "xyz"), case.expected["sdf"], strict=True):
        found = HeadAt(model, code).field(points)
        torch.testing.assert_close(found.numpy(), expected[:, 0], atol=1e-5, rtol=0)

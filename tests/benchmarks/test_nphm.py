"""Every way of a head's surface is measured, and head-shaped models are of a head's shape."""

from __future__ import annotations

import re
import sys

import pytest
import torch

from benchmarks import nphm, nphm_head
from models.nphm.head import BACKWARD, FORWARD


def test_every_way_has_its_line(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    words = ["nphm", "--size", "small", "--resolutions", "20", "--frames", "1", "--share", "0.5"]
    monkeypatch.setattr(sys, "argv", words)
    nphm.main()
    lines = capsys.readouterr().out.splitlines()
    timed = [line.split()[0] for line in lines if re.search(r"\d s\b", line)]
    mono = ["dense", "folded", "searched", "followed", "tracked"]
    assert timed == [*mono, "dense", "folded", "searched", "dense", "folded"]
    assert not any("24³" in line for line in lines)
    chamfer = [float(line.split()[-5]) for line in lines if "Chamfer" in line]
    assert len(chamfer) == 2
    assert max(chamfer) < 0.1  # of a voxel
    rounding = [float(found[1]) for line in lines if (found := re.search(r"to dense: folded (\S+),", line))]
    assert len(rounding) == 2
    assert max(rounding) < 1e-4


@pytest.mark.parametrize(("name", "moves"), [("mono", BACKWARD), ("nphm", FORWARD)])
def test_a_head_shaped_model_is_of_a_heads_shape(name: str, moves: str) -> None:
    identity, deformation = nphm.SIZES["small"][name]
    model = nphm_head.head(identity, deformation, moves)
    code, expression = nphm_head.codes(model)
    points = torch.tensor(nphm_head.CENTRE) + torch.tensor(nphm_head.AXES) * torch.nn.functional.normalize(
        torch.randn(400, 3, generator=torch.Generator().manual_seed(0)), dim=-1
    )
    hyper = torch.zeros(400, getattr(identity, "hyper", 0))
    with torch.no_grad():
        surface = model.identity(torch.cat((points, hyper), -1)[None], code[None])
        inside = model.identity(torch.cat((0.8 * points, hyper), -1)[None], code[None])
        moved = (model.posed if moves == FORWARD else model.canonical)(points[None], code[None], expression[None])
    assert float(surface.abs().mean()) < 0.03
    assert float((inside < 0).float().mean()) > 0.9
    assert 0.01 < float((moved[0, :, :3] - points).norm(dim=-1).mean()) < 0.2

"""Published files become the kind `head`, and give the same surface from there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from faces.errors import DataError
from models.nphm.files import read_mono, read_nphm
from stages.head import Params, PublishedHead
from stages.kinds.head import Head
from stages.kinds.sequences import Sequences
from tests.models.nphm import tiny
from tests.stages.fake_job import FakeJob
from tests.stages.talking_spheres import make_data

POINTS = torch.rand(1, 40, 3, generator=torch.Generator().manual_seed(1)) - 0.5


def taken(folder: Path, params: Params) -> Head:
    job = FakeJob.under(folder)
    PublishedHead(params).run(job)
    return Head(job.out)


def test_mononphm(tmp_path: Path) -> None:
    assets = tiny.write_assets(tmp_path / "assets", tiny.CANONICAL)
    file = tmp_path / "mono.tar"
    torch.save(tiny.mono_content(tiny.mono_model(colour=True)), file)
    head, published = taken(tmp_path / "job", Params(str(file), str(assets))), read_mono(file, assets)
    codes = tiny.codes(published.model)
    assert torch.equal(head.model().field(POINTS, *codes), published.model.field(POINTS, *codes))
    assert (head.info.form, head.info.moves, head.info.expression) == ("mono", "backward", codes[1].shape[1])
    assert np.array_equal(head.tables.identities[1], published.identities.code(1).numpy())


def test_nphm(tmp_path: Path) -> None:
    assets = tiny.write_assets(tmp_path / "assets", tiny.IDENTITY)
    identity, expression = tiny.write_nphm(tmp_path, tiny.forward_model())
    head = taken(tmp_path / "job", Params(str(identity), str(assets), str(expression)))
    published = read_nphm(identity, expression, assets)
    codes = tiny.codes(published.model)
    assert torch.equal(head.model().posed(POINTS, *codes), published.model.posed(POINTS, *codes))
    assert (head.info.form, head.info.moves, len(head.info.subjects)) == ("nphm", "forward", 3)


def test_of_the_assets_only_anchors_are_read(tmp_path: Path) -> None:
    assets = tiny.write_assets(tmp_path / "assets", tiny.CANONICAL)
    (assets / "checkout").symlink_to(tmp_path)
    read = PublishedHead(Params(str(tmp_path / "mono.tar"), str(assets))).sources().files
    assert sorted(read) == [f"assets/anchors_{tiny.CANONICAL.anchors}.npy", "weights"]
    nowhere = PublishedHead(Params(str(tmp_path / "mono.tar"), str(tmp_path / "nowhere"))).sources().files
    assert sorted(nowhere) == ["assets", "weights"], "what is missing is told before anything runs"


@pytest.mark.parametrize(("units", "millimetres"), [("m", 1000), ("mm", 1), ("nphm", 250)])
def test_a_published_head_takes_meshes_of_any_unit(tmp_path: Path, units: str, millimetres: float) -> None:
    assets = tiny.write_assets(tmp_path / "assets", tiny.CANONICAL)
    torch.save(tiny.mono_content(tiny.mono_model(colour=True)), tmp_path / "mono.tar")
    head = taken(tmp_path / "job", Params(str(tmp_path / "mono.tar"), str(assets)))
    data = Sequences(make_data(tmp_path / "data", units=units))
    facing = head.facing(data)
    quarter = np.array([[0.0, 250.0, 0.0]]) / millimetres
    assert np.allclose(facing.into(quarter), [[0, 1, 0]])
    assert np.allclose(facing.back(facing.into(quarter)), quarter)
    assert np.isclose(facing.millimetres, 250)
    areas = Sequences(make_data(tmp_path / "areas", units="unit-area"))
    with pytest.raises(DataError, match="a head model wants meshes in m, mm, nphm"):
        head.facing(areas)


def test_a_damaged_head_is_told(tmp_path: Path) -> None:
    assets = tiny.write_assets(tmp_path / "assets", tiny.CANONICAL)
    file = tmp_path / "mono.tar"
    torch.save(tiny.mono_content(tiny.mono_model(colour=True)), file)
    head = taken(tmp_path / "job", Params(str(file), str(assets)))
    index = head.path / "head.json"
    good = index.read_text()
    index.write_text(good.replace('"bottleneck": ', '"bottleneck": 1'))
    with pytest.raises(DataError, match=r"model\.safetensors beside it do not fit"):
        Head(head.path).model()
    index.write_text("{}")
    with pytest.raises(DataError, match="does not describe a head model"):
        assert Head(head.path).info
    index.write_text(good)
    (head.path / "codes.npz").write_bytes(b"")
    with pytest.raises(DataError, match="make it again with headfit"):
        assert Head(head.path).tables

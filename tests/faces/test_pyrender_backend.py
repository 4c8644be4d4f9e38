"""pyrender as the oracle of our shading, where it and OpenGL are installed; and what is said where they are not."""

from __future__ import annotations

import sys
from importlib.util import find_spec

import numpy as np
import pytest

from faces import camera
from faces.errors import DataError
from faces.pyrender_backend import PyrenderRenderer
from faces.raster.look import MATTE, PUBLISHED, Look, Material
from faces.renderer import SoftRenderer
from tests.faces.shapes import sphere

SIZE = 160


def inside(mask: np.ndarray, margin: int = 2) -> np.ndarray:
    """A mask without what is near its border."""
    for _ in range(margin):
        mask = mask & np.roll(mask, 1, 0) & np.roll(mask, -1, 0) & np.roll(mask, 1, 1) & np.roll(mask, -1, 1)
    return mask


@pytest.mark.filterwarnings("ignore")  # pyrender and PyOpenGL are old
@pytest.mark.skipif(find_spec("pyrender") is None, reason="needs facepipe[gl]")
@pytest.mark.parametrize("material", [PUBLISHED, MATTE], ids=["published", "matte"])
@pytest.mark.parametrize("tinted", [False, True], ids=["plain", "tinted"])
@pytest.mark.parametrize("up", ["y", "z"])
def test_grey_levels_are_pyrender_s(material: Material, tinted: bool, up: str) -> None:
    mesh = sphere(24)
    vertices = mesh.vertices * [1.0, 1.3, 0.8]
    colours = 0.5 + mesh.vertices / np.ptp(mesh.vertices) * 0.9 if tinted else None
    look, view = Look(material, (0, 0, 30)), camera.fit(vertices, SIZE, up)
    try:
        oracle = PyrenderRenderer(mesh.faces, view, look)
    except DataError as error:
        pytest.skip(f"pyrender is installed, but no OpenGL works on this machine: {error}")
    theirs, ours = oracle.render(vertices, colours), SoftRenderer(mesh.faces, view, look).render(vertices, colours)
    np.testing.assert_array_equal(oracle.render(vertices, colours), theirs)
    oracle.close()
    body = ours[:, :, 0] > 0
    assert (body != (theirs[:, :, 0] > 0)).mean() < 0.02
    difference = np.abs(theirs.astype(int) - ours)[inside(body)]
    assert np.percentile(difference, 99) <= 1
    assert difference.mean() < 0.5
    assert (theirs[0, 0] == (0, 0, 30)).all()


def test_without_pyrender_one_sentence_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyrender", None)
    monkeypatch.setenv("PYOPENGL_PLATFORM", "egl")
    mesh = sphere(4)
    with pytest.raises(DataError, match=r"pyrender cannot be used here .* install facepipe\[gl\] .* renderer 'soft'"):
        PyrenderRenderer(mesh.faces, camera.voca(16))

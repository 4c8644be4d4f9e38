"""What is wrong with 3D-MEAD files is said in a sentence that names the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from faces.errors import DataError
from stages.kinds.sequences import Sequences
from stages.preprocess.mead.parameters import open_parameters
from tests.stages.preprocess.mead_files import IDS, parameters, refuse, run_mead, write_emote, write_param, write_ready


@pytest.mark.parametrize(
    ("array", "match"),
    [
        (np.zeros((1, 9, 402)), r"is float64 \(1, 9, 402\), not \(1, frames, 403\) of FLAME parameters"),
        (np.zeros((2, 9, 403)), "not \\(1, frames, 403\\)"),
        (np.zeros((1, 9, 403), np.int64), "is int64"),
        (np.broadcast_to(np.float32(0), (1, 70_000, 403)), "is of 70,000 frames; it is no sentence"),
        (np.array([{}], object), "holds Python objects, not numbers"),
    ],
)
def test_arrays_of_another_form(tmp_path: Path, array: Any, match: str) -> None:
    np.save(tmp_path / "M003_001_0_0.npy", array)
    with pytest.raises(DataError, match=match):
        open_parameters(tmp_path / "M003_001_0_0.npy")


def stored(file: Path, **parts: Any) -> Path:
    with h5py.File(file, "w") as made:
        for name, part in parts.items():
            made[name] = part
    return file


def test_hdf5_of_another_form(tmp_path: Path) -> None:
    whole = {name: array for name, array in parameters(IDS[0]).items()}
    file = tmp_path / "shape_pose_cam.hdf5"
    with pytest.raises(DataError, match="has no array 'jaw' in itself"):
        open_parameters(stored(file, shape=whole["shape"], exp=whole["exp"]))
    with pytest.raises(DataError, match=r"holds parts of .* frames; copy it again"):
        open_parameters(stored(file, **whole | {"jaw": whole["jaw"][:, :-1]}))
    with pytest.raises(DataError, match=r"exp, is float32 \(1, 10, 99\)"):
        open_parameters(stored(file, **whole | {"exp": whole["exp"][:, :, :-1]}))
    file.write_bytes(stored(file, **whole).read_bytes()[:3000])
    with pytest.raises(DataError, match="cannot be read as HDF5"):
        open_parameters(file)


def test_hdf5_that_points_elsewhere_is_refused(tmp_path: Path) -> None:
    whole = parameters(IDS[0])
    other = stored(tmp_path / "other.hdf5", **whole)
    linked, outside, virtual = (tmp_path / f"{name}.hdf5" for name in ("linked", "outside", "virtual"))
    parts = {name: array for name, array in whole.items() if name != "jaw"}
    stored(linked, **parts, jaw=h5py.ExternalLink(other.name, "jaw"))
    stored(virtual, **parts)
    stored(outside, **parts)
    (tmp_path / "secret").write_bytes(b"\0" * 120)
    with h5py.File(outside, "a") as made:
        made.create_dataset("jaw", (1, 10, 3), "f4", external=[(str(tmp_path / "secret"), 0, 120)])
    with h5py.File(virtual, "a") as made:
        pieces = h5py.VirtualLayout((1, 10, 3), "f4")
        pieces[:] = h5py.VirtualSource(str(other), "jaw", (1, 10, 3))
        made.create_virtual_dataset("jaw", pieces)
    with pytest.raises(DataError, match="has no array 'jaw' in itself"):
        open_parameters(linked)
    for file in (outside, virtual):
        with pytest.raises(DataError, match="jaw, lies in other files; copy the data into one"):
            open_parameters(file)


def test_numbers_that_are_none(tmp_path: Path) -> None:
    root = write_param(tmp_path / "raw")
    file = root / "param" / f"{IDS[0]}.npy"
    array = np.load(file)
    array[0, 4, 301] = np.nan
    np.save(file, array)
    refuse(tmp_path, root, r"M003_001_0_0\.npy, exp, frame 4: NaN or infinity")


def test_sequences_that_cannot_be_used_are_skipped(tmp_path: Path) -> None:
    root = write_param(tmp_path / "raw")
    (root / "wav" / f"{IDS[0]}.wav").unlink()
    np.save(root / "param" / f"{IDS[1]}.npy", np.zeros((1, 0, 403), np.float32))
    read = Sequences(run_mead(tmp_path / "job", root, skip=[IDS[2]]).out)
    assert read.info.skipped == {
        IDS[0]: "no sound",
        IDS[1]: "no frames",
        IDS[2]: "left out by the parameter skip",
    }


def test_nothing_to_read(tmp_path: Path) -> None:
    refuse(tmp_path / "a", tmp_path / "absent", "the dataset folder .*absent does not exist")
    (tmp_path / "empty").mkdir()
    refuse(tmp_path / "b", tmp_path / "empty", r"empty holds no sequence; put arrays into vertices_npy/ or param/")
    root = write_param(tmp_path / "raw")
    refuse(tmp_path / "c", root, "holds no sequence of these emotions and levels, and 5 others", emotions=["sad"])
    refuse(tmp_path / "d", root, "emotions names joyful; there are neutral, happy", emotions=["joyful"])


def test_meshes_of_another_topology(tmp_path: Path) -> None:
    root = write_ready(tmp_path / "mead")
    np.save(root / "vertices_npy" / f"{IDS[0]}.npy", np.zeros((4, 33)))
    refuse(tmp_path, root, r"has 11 vertices, but .*FLAME_sample\.ply has 12; repair it or leave it out")


def test_parameters_that_are_taken_for_vertices(tmp_path: Path) -> None:
    root = write_ready(tmp_path / "mead")
    np.save(root / "vertices_npy" / f"{IDS[0]}.npy", np.zeros((1, 9, 403)))
    refuse(tmp_path, root, r"has the shape \(1, 9, 403\)")


def test_a_damaged_sound_names_the_way_out(tmp_path: Path) -> None:
    root = write_emote(tmp_path / "raw")
    next(root.rglob("*.m4a")).write_bytes(b"nothing")
    refuse(tmp_path, root, r'\.m4a cannot be read as sound .*; repair it or leave it out with skip = \["M003_')


def test_hdf5_without_extent(tmp_path: Path) -> None:
    parts = parameters(IDS[0]) | {"jaw": h5py.Empty("f4")}
    with pytest.raises(DataError, match="cannot be read as HDF5"):
        open_parameters(stored(tmp_path / "a.hdf5", **parts))


@pytest.mark.parametrize("options", [{"chunks": (1, 10**6, 3), "compression": "gzip"}, {"scaleoffset": 3}])
def test_hdf5_that_unpacks_to_much_more_or_otherwise(tmp_path: Path, options: dict[str, Any]) -> None:
    parts = parameters(IDS[0])
    jaw = parts.pop("jaw")
    file = stored(tmp_path / "a.hdf5", **parts)
    with h5py.File(file, "a") as made:
        made.create_dataset("jaw", data=jaw, maxshape=(1, None, 3), **options)
    with pytest.raises(DataError, match="jaw, is packed in an unusual way"):
        open_parameters(file)

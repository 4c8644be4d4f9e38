"""Clones that are not what they should be: one sentence that says what, where, and what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faces.errors import DataError
from pipeline.errors import StageError
from stages.preprocess.ict_facegood.layout import CURVE_NAMES, CURVES, MODEL, SOUNDS, find
from tests.stages.preprocess.ict_files import TEST, TRAIN, IctData, ict_data, run_ict, settings_of, write_obj

Bend = Callable[[IctData], None]


def refuse(tmp_path: Path, match: str, bend: Bend | None = None, **settings: Any) -> None:
    data = ict_data()
    if bend:
        bend(data)
    refuse_files(tmp_path, data.write(tmp_path / "raw"), match, **settings)


def refuse_files(tmp_path: Path, root: Path, match: str, **settings: Any) -> None:
    with pytest.raises((DataError, StageError), match=match) as caught:
        run_ict(tmp_path / "job", root, **settings)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "job" / "out" / "sequences.json").exists()


def test_modes_that_the_clone_lacks(tmp_path: Path) -> None:
    refuse(
        tmp_path, r"identity002\.obj is missing; identity mode 3 of the 5 that `modes` asks for must be there", modes=5
    )


def test_the_engine_is_told_of_them_while_planning(tmp_path: Path) -> None:
    files = find(settings_of(ict_data().write(tmp_path), modes=3)).files()
    assert [what for what, file in files.items() if not file.exists()] == [
        "identity mode 3 of the 3 that `modes` asks for"
    ]


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"shortest": 3.0, "longest": 5.0}, "longest = 5 must be at least twice shortest = 3"),
        ({"val_clips": [TEST]}, f"val_clips and test_clips both name {TEST}"),
        ({"test_clips": ["1114_9_99"]}, "test_clips names 1114_9_99, of which .* has not both .* it has: 1114_2_01"),
        ({"skip": ["ICT01_nothing"]}, "skip names ICT01_nothing"),
    ],
)
def test_settings_that_do_not_fit(tmp_path: Path, settings: dict[str, Any], match: str) -> None:
    refuse(tmp_path, match, **settings)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("mouth_oh_c = 1", r"mouth_oh_c must be \{ shape = gain"),
        ('mouth_oh_c = { jawOpen = "1" }', "with numbers as gains"),
        ("mouth_oh_c = { jawOpen = inf }", "with numbers as gains, 1000 at most"),
        (f"mouth_oh_c = {{ jawOpen = 0x{'f' * 900} }}", "with numbers as gains, 1000 at most"),
        (f"{'o' * 9000} = 1", "^.{,600}$"),
        ("mouth_oh_c =", "is not TOML"),
        ("", "maps no curve"),
        ("mouth_aah = { jawOpen = 1.0 }", "names the curve mouth_aah"),
        ("mouth_oh_c = { browDown_L = 1.0 }", r"browDown_L\.obj is missing; the shape browDown_L"),
    ],
)
def test_a_mapping_that_does_not_fit(tmp_path: Path, text: str, match: str) -> None:
    mapping = tmp_path / "mapping.toml"
    mapping.write_text(text)
    refuse(tmp_path, match, mapping=str(mapping))


def test_a_shape_that_the_kit_does_not_name(tmp_path: Path) -> None:
    def bend(data: IctData) -> None:
        data.indices["expressions"].remove("jawOpen")

    refuse(tmp_path, "names the shape jawOpen, which vertex_indices.json has not", bend)


def with_nan(data: IctData) -> None:
    data.curves[TRAIN][3, 1] = np.nan


def of_other_width(data: IctData) -> None:
    data.curves[TRAIN] = data.curves[TRAIN][:, :-1]


def named_twice(data: IctData) -> None:
    data.names[1] = data.names[0]


def silent(data: IctData) -> None:
    data.sounds[TRAIN][:] = 0


def without_a_landmark(data: IctData) -> None:
    data.indices["idx_to_landmark_verts"].pop()


def with_a_landmark_elsewhere(data: IctData) -> None:
    data.indices["idx_to_landmark_verts"][40] = len(data.points) - 1


def without_names(data: IctData) -> None:
    del data.indices["expressions"]


@pytest.mark.parametrize(
    ("bend", "match"),
    [
        (with_nan, rf"bs_value_{TRAIN}\.npy holds NaN"),
        (of_other_width, rf"bs_value_{TRAIN}\.npy is float64 \(396, 27\); it must be \(frames, 28\)"),
        (named_twice, r"shirley_1119_bs_name316\.npy must hold the names of the curves, each once"),
        (silent, rf"{TRAIN}\.wav: its sound is silent; take the clip out"),
        (without_a_landmark, r"vertex_indices\.json does not name 68 landmarks on the face"),
        (with_a_landmark_elsewhere, "does not name 68 landmarks on the face"),
        (without_names, "has no list of names 'expressions'"),
    ],
)
def test_what_a_file_holds(tmp_path: Path, bend: Bend, match: str) -> None:
    refuse(tmp_path, match, bend)


def test_a_mesh_of_another_topology(tmp_path: Path) -> None:
    root = ict_data().write(tmp_path / "raw")
    write_obj(root / "ict" / MODEL / "jawOpen.obj", ict_data().points[:-1])
    refuse_files(
        tmp_path, root, r"jawOpen\.obj (has 119 vertices, but the kit's neutral head has 120|.*corner outside)"
    )


def test_a_head_that_is_not_the_kits(tmp_path: Path) -> None:
    root = ict_data().write(tmp_path / "raw")
    neutral = root / "ict" / MODEL / "generic_neutral_mesh.obj"
    neutral.write_text(neutral.read_text().replace("M_Face", "M_Skin"))
    refuse_files(tmp_path, root, "has no polygons of the material M_Face")


@pytest.mark.parametrize("what", [CURVE_NAMES, CURVES / f"bs_value_{TRAIN}.npy"])
def test_arrays_that_were_not_fetched_or_are_cut_short(tmp_path: Path, what: Path) -> None:
    root = ict_data().write(tmp_path / "raw")
    file = root / "facegood" / what
    whole = file.read_bytes()
    file.write_bytes(whole[:-5])
    refuse_files(tmp_path, root, "is cut short")
    file.write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(DataError, match="git-LFS pointer"):
        run_ict(tmp_path / "again", root)


def test_clips_without_one_half(tmp_path: Path) -> None:
    data = ict_data()
    del data.sounds[TRAIN]
    job = run_ict(tmp_path / "job", data.write(tmp_path / "raw"))
    assert f"curves without sound, not used: {TRAIN}" in job.said
    assert any("the split 'train' has no sequence" in line for line in job.said)


def test_no_clip_at_all(tmp_path: Path) -> None:
    root = ict_data().write(tmp_path / "raw")
    for file in (root / "facegood" / SOUNDS).iterdir():
        file.unlink()
    refuse_files(tmp_path, root, "at least one clip with a sound of the same name in wav must be there")

"""FLAME's forward pass: equal to a plain loop over vertices, and right where anybody can tell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from faces.errors import DataError
from faces.flame import BLOCK, JAW, SHAPES, Flame, rotation_matrices
from faces.flame_file import read_flame
from tests.faces.flame_models import tiny_tables, write_npz


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Flame:
    return read_flame(write_npz(tmp_path_factory.mktemp("flame") / "tiny.npz", tiny_tables()))


def one_rotation(vector: np.ndarray) -> np.ndarray:
    """The exponential of a cross-product matrix, by its series."""
    x, y, z = vector
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    total, term = np.eye(3), np.eye(3)
    for k in range(1, 40):
        term = term @ cross / k
        total = total + term
    return total


def slow(tables: dict[str, np.ndarray], betas: np.ndarray, expression: np.ndarray, pose: np.ndarray) -> np.ndarray:
    """One frame, written down as the paper has it: 4×4 matrices along the chain, a vertex at a time."""
    count = len(tables["v_template"])
    shaped = np.array(tables["v_template"])
    for v in range(count):
        for k, weight in enumerate(betas):
            shaped[v] += weight * tables["shapedirs"][v, :, k]
        for k, weight in enumerate(expression):
            shaped[v] += weight * tables["shapedirs"][v, :, SHAPES + k]
    turns = [one_rotation(vector) for vector in pose]
    features = np.concatenate([(turn - np.eye(3)).ravel() for turn in turns[1:]])
    joints = tables["J_regressor"] @ shaped
    parents = [None, 0, 1, 1, 1]
    world: list[np.ndarray] = []
    for joint, parent in enumerate(parents):
        local = np.eye(4)
        local[:3, :3] = turns[joint]
        local[:3, 3] = joints[joint] - (0 if parent is None else joints[parent])
        world.append(local if parent is None else world[parent] @ local)
    made = np.empty_like(shaped)
    for v in range(count):
        corrected = shaped[v] + tables["posedirs"][v] @ features
        blended = np.zeros(3)
        for joint, matrix in enumerate(world):
            here = np.append(corrected - joints[joint], 1.0)
            blended += tables["weights"][v, joint] * (matrix @ here)[:3]
        made[v] = blended
    return made


def test_equal_to_a_loop_over_vertices(model: Flame) -> None:
    rng = np.random.default_rng(0)
    frames = 3
    shape, expression = rng.standard_normal(300), rng.standard_normal((frames, 50))
    pose = 0.7 * rng.standard_normal((frames, 5, 3))
    expected = [slow(tiny_tables(), shape, expression[t], pose[t]) for t in range(frames)]
    made = model.vertices(expression, {joint: pose[:, joint] for joint in range(5)}, shape)
    assert made.dtype == np.float32
    np.testing.assert_allclose(made, expected, atol=2e-7)


def test_a_joint_that_turns_back_has_moved_all_the_same(model: Flame) -> None:
    """Half a turn of the neck and half of the jaw: the jaw looks as before, from another place."""
    half = np.array([[np.pi, 0, 0]])
    pose = np.zeros((5, 3))
    pose[1] = pose[JAW] = half[0]
    made = model.vertices(np.zeros((1, 0)), {1: half, JAW: half})[0]
    np.testing.assert_allclose(made, slow(tiny_tables(), np.zeros(0), np.zeros(0), pose), atol=2e-7)


def test_without_numbers_it_is_the_template(model: Flame) -> None:
    made = model.vertices(np.zeros((2, 50)), {JAW: np.zeros((2, 3))})
    np.testing.assert_allclose(made, np.stack([model.template] * 2), atol=1e-8)
    np.testing.assert_array_equal(model.neutral(), model.template)
    shape = np.arange(4.0)
    rest = model.vertices(np.zeros((1, 0)), {}, shape)[0]
    np.testing.assert_allclose(model.neutral(shape), rest, atol=1e-7)


def test_the_jaw_turns_about_its_joint() -> None:
    """A vertex that hangs on the jaw alone keeps its distance from the joint, and one on the axis stays."""
    tables = tiny_tables()
    tables["posedirs"] = np.zeros_like(tables["posedirs"])
    tables["weights"] = np.eye(5)[np.arange(12) % 5]
    on_the_jaw = tables["weights"][:, JAW] == 1
    model = as_model(tables)
    joint = tables["J_regressor"][JAW] @ tables["v_template"]
    angle = 0.4
    made = model.vertices(np.zeros((1, 0)), {JAW: np.array([[angle, 0, 0]])})[0]
    np.testing.assert_allclose(made[~on_the_jaw], tables["v_template"][~on_the_jaw], atol=1e-8)
    before, after = tables["v_template"][on_the_jaw] - joint, made[on_the_jaw] - joint
    np.testing.assert_allclose(after[:, 0], before[:, 0], atol=1e-7)
    turned = before[:, 1] * np.cos(angle) - before[:, 2] * np.sin(angle)
    np.testing.assert_allclose(after[:, 1], turned, atol=1e-7)


def test_a_turned_neck_carries_jaw_and_eyes_rigidly() -> None:
    tables = tiny_tables()
    tables["posedirs"] = np.zeros_like(tables["posedirs"])
    tables["weights"] = np.eye(5)[1 + np.arange(12) % 4]
    joint = tables["J_regressor"][1] @ tables["v_template"]
    turn = np.array([0.3, -0.5, 0.2])
    made = as_model(tables).vertices(np.zeros((1, 0)), {1: turn[None]})[0]
    np.testing.assert_allclose(made, (tables["v_template"] - joint) @ one_rotation(turn).T + joint, atol=1e-7)


def as_model(tables: dict[str, np.ndarray]) -> Flame:
    return Flame(
        tables["v_template"], tables["shapedirs"], tables["posedirs"], tables["J_regressor"],
        (-1, 0, 1, 1, 1), tables["weights"], tables["f"].astype(np.int32),
    )  # fmt: skip


def test_blocks_of_frames_are_seamless(model: Flame) -> None:
    rng = np.random.default_rng(1)
    frames = 2 * BLOCK + 3
    expression, jaw = rng.standard_normal((frames, 10)), 0.3 * rng.standard_normal((frames, 3))
    made = model.vertices(expression, {JAW: jaw})
    for t in (0, BLOCK - 1, BLOCK, frames - 1):
        np.testing.assert_array_equal(made[t], model.vertices(expression[[t]], {JAW: jaw[[t]]})[0])


@pytest.mark.parametrize("vector", [[0, 0, 0], [1e-9, 0, 0], [0.1, -0.2, 0.3], [3.1, 0, 0.4], [0, 9, 0]])
def test_rotations(vector: list[float]) -> None:
    np.testing.assert_allclose(rotation_matrices(np.array(vector, float)), one_rotation(np.array(vector)), atol=1e-12)


def test_numbers_that_do_not_fit(model: Flame) -> None:
    with pytest.raises(DataError, match="expression of 101 numbers, but the FLAME model has 100"):
        model.vertices(np.zeros((2, 101)), {})
    with pytest.raises(DataError, match=r"rotations of shape \(3, 3\), not 2 frames of 3 numbers"):
        model.vertices(np.zeros((2, 5)), {JAW: np.zeros((3, 3))})


def test_the_model_lies_where_the_file_says(tmp_path: Path, model: Flame) -> None:
    tables = tiny_tables()
    np.testing.assert_array_equal(model.template, tables["v_template"])
    assert (model.expressions, model.parents) == (100, (-1, 0, 1, 1, 1))

"""FLAME, a head as a linear model with five joints (Li et al., "Learning a model of facial shape and expression from 4D
scans", SIGGRAPH Asia 2017), in NumPy and a block of frames at a time.

The model's own numbers are licensed to each user by their owners; `faces.flame_file` reads them from the user's file.
Vertices are the template, moved along directions of shape and expression, then along the pose correctives (linear in
the joints' rotations less the identity), then turned about the joints with the skinning weights as shares. Joints are
regressed from the head of that shape and expression, before the correctives.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faces.errors import DataError

Array = NDArray[np.float64]

JOINTS = ("root", "neck", "jaw", "left eye", "right eye")
JAW = JOINTS.index("jaw")
SHAPES = 300
"""Directions of shape; those of expression follow them in the same array."""
BLOCK = 64
"""Frames in work at a time."""


@dataclass(frozen=True)
class Flame:
    """The model, float64.

    template: (V, 3) metres, y up, facing +z. directions: (V, 3, S + E), shape before expression. shapes: S.
    correctives: (V, 3, 9 (J - 1)), of the rotations of all joints but the first. regressor: (J, V). parents: (J,), -1
    for the first. weights: (V, J). faces: (F, 3).
    """

    template: Array
    directions: Array
    correctives: Array
    regressor: Array
    parents: tuple[int, ...]
    weights: Array
    faces: NDArray[np.int32]
    shapes: int = SHAPES

    @property
    def expressions(self) -> int:
        return self.directions.shape[2] - self.shapes

    def neutral(self, shape: NDArray[np.floating] | None = None) -> Array:
        """(V, 3): the head of a shape, (n,) with n ≤ S, at rest; the template where none is given."""
        return self.template if shape is None else self._moved(np.asarray(shape)[None], None)[0]

    def vertices(
        self,
        expression: NDArray[np.floating],
        rotations: Mapping[int, NDArray[np.floating]],
        shape: NDArray[np.floating] | None = None,
    ) -> NDArray[np.float32]:
        """(T, n) expression, n ≤ E → (T, V, 3) float32.

        rotations: joint → (T, 3), an axis times an angle in radians; joints that are left out do not turn. shape: (n,),
        n ≤ S, of all frames. DataError where an array does not fit the model.
        """
        turns = self._turns(rotations, len(expression))
        made = np.empty((len(expression), *self.template.shape), np.float32)
        for start in range(0, len(expression), BLOCK):
            block = slice(start, start + BLOCK)
            made[block] = self._posed(self._moved(shape, expression[block]), turns[block])
        return made

    def _moved(self, shape: NDArray[np.floating] | None, expression: NDArray[np.floating] | None) -> Array:
        """(T, V, 3): the template along the directions of (n,) or (T, n) shape and (T, n) expression."""
        given = [("shape", shape, 0, self.shapes), ("expression", expression, self.shapes, self.expressions)]
        moved = self.template[None]
        for what, numbers, start, most in given:
            if numbers is None:
                continue
            rows = np.atleast_2d(np.asarray(numbers, np.float64))
            if rows.ndim != 2 or rows.shape[1] > most:
                raise DataError(f"{what} of {np.shape(numbers)[-1]} numbers, but the FLAME model has {most}")
            moved = moved + np.tensordot(rows, self.directions[:, :, start : start + rows.shape[1]], (1, 2))
        return moved

    def _turns(self, rotations: Mapping[int, NDArray[np.floating]], frames: int) -> Array:
        """(T, J, 3, 3)"""
        vectors = np.zeros((frames, len(self.parents), 3))
        for joint, turned in rotations.items():
            if np.shape(turned) != (frames, 3):
                raise DataError(f"rotations of shape {np.shape(turned)}, not {frames} frames of 3 numbers")
            vectors[:, joint] = turned
        return rotation_matrices(vectors)

    def _posed(self, moved: Array, turns: Array) -> Array:
        """(T, V, 3), (T, J, 3, 3) → (T, V, 3): correctives, then linear blend skinning."""
        bent = (turns[:, 1:] - np.eye(3)).reshape(len(turns), -1)
        rest = moved + np.tensordot(bent, self.correctives, (1, 2))
        posed = np.zeros_like(rest)
        still = np.zeros(len(self.template))
        for joint, (turn, offset) in enumerate(zip(*self._chain(turns, self.regressor @ moved), strict=True)):
            if not offset.any() and (turn == np.eye(3)).all():
                still += self.weights[:, joint]
            else:
                posed += self.weights[:, joint, None] * (rest @ turn.transpose(0, 2, 1) + offset[:, None])
        posed += still[:, None] * rest
        return posed

    def _chain(self, turns: Array, joints: Array) -> tuple[list[Array], list[Array]]:
        """Per joint the turn (T, 3, 3) and the offset (T, 3) that take a point of the head at rest to its place."""
        total, offsets = list[Array](), list[Array]()
        for joint, parent in enumerate(self.parents):
            own, place = turns[:, joint], joints[:, joint]
            about = place - (own @ place[..., None])[..., 0]  # what a turn about `place` adds to one about the origin
            if parent < 0:
                total.append(own)
                offsets.append(about)
            else:
                total.append(total[parent] @ own)
                offsets.append((total[parent] @ about[..., None])[..., 0] + offsets[parent])
        return total, offsets


def rotation_matrices(vectors: Array) -> Array:
    """(…, 3) axes times angles → (…, 3, 3), by Rodrigues' formula; exact at 0."""
    angle = np.linalg.norm(vectors, axis=-1)[..., None, None]
    x, y, z = np.moveaxis(vectors, -1, 0)
    zero = np.zeros_like(x)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=-1).reshape(*x.shape, 3, 3)
    # sin(a)/a and (1 - cos(a))/a², both without dividing by 0: np.sinc(t) is sin(πt)/(πt)
    once, twice = np.sinc(angle / np.pi), 0.5 * np.sinc(angle / (2 * np.pi)) ** 2
    turned: Array = np.eye(3) + once * cross + twice * (cross @ cross)
    return turned

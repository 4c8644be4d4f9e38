"""Reading faces that move by morph targets from glTF 2.0, `.glb` or `.gltf`, vertex order kept.

All meshes of the scene, in the order of its nodes, become one: positions, triangles, morph targets and the animation
of their weights, in the axes and units of the scene (glTF: y up, metres, faces along +z). Read is what a face needs
and no more: triangles, static transforms of nodes, LINEAR and STEP. Skins and moving nodes are left out, which
`Face.notes` tells. Anything else that cannot be followed is a `DataError`.
"""

from __future__ import annotations

import binascii
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faces.errors import DataError, said
from faces.gltf_animation import Track, animation
from faces.gltf_buffers import MOST_BYTES, Document, at, member
from faces.lfs import refuse_pointer

Array = NDArray[np.float32]

TRIANGLES = 4
MOST_TARGETS, MOST_NODES = 1024, 65536
GRAIN = 1e-3
"""Of a frame, by which a last key may be early: times are stored as float32."""


@dataclass(frozen=True)
class Part:
    """One mesh of the scene. base: (v, 3). targets: (S, v, 3), what each adds. rest: (S,) weights without animation."""

    base: Array
    targets: Array
    names: tuple[str, ...]
    rest: Array
    track: Track | None


@dataclass(frozen=True)
class Face:
    """parts: one after the other they are the vertices. faces: (F, 3). notes: what the file has and is not shown."""

    parts: tuple[Part, ...]
    faces: NDArray[np.int32]
    notes: tuple[str, ...] = field(default=())

    @property
    def neutral(self) -> Array:
        """(V, 3): all weights 0."""
        return np.concatenate([part.base for part in self.parts])

    @property
    def shapes(self) -> dict[str, Array]:
        """name → (V, 3), what the shape adds; a name that several meshes have is one shape of all."""
        names = dict.fromkeys(name for part in self.parts for name in part.names)
        return {name: np.concatenate([_of_name(part, name) for part in self.parts]) for name in names}

    @property
    def begins(self) -> float:
        """Seconds at the first key: where exporters count frames from 1, it is not 0."""
        return min((float(part.track.times[0]) for part in self.parts if part.track), default=0.0)

    @property
    def seconds(self) -> float:
        """From the first key to the last; 0 where there is no animation."""
        return max((float(part.track.times[-1]) for part in self.parts if part.track), default=0.0) - self.begins

    @property
    def rate(self) -> float | None:
        """Keys per second, where they are evenly spaced."""
        steps = [np.diff(part.track.times) for part in self.parts if part.track and len(part.track.times) > 1]
        if not steps:
            return None
        joined = np.concatenate(steps)
        middle = float(np.median(joined))
        return 1 / middle if np.mean(np.abs(joined - middle) < 0.1 * middle) > 0.9 else None

    def frames(self, fps: float) -> int:
        """T: one at the first key and one each 1 / fps until the last."""
        return int(self.seconds * fps + GRAIN) + 1 if self.seconds else 0

    def motion(self, times: NDArray[np.float64]) -> Array:
        """(T, V, 3) at these seconds after the first key."""
        return np.concatenate([_moved(part, times + self.begins) for part in self.parts], axis=1)


def read_gltf(file: Path) -> Face:
    """Read a face. DataError where the file is absent, damaged, or has what is not read."""
    try:
        if file.stat().st_size > MOST_BYTES:
            raise DataError(f"{file} is larger than 2 GB; split it into one file for each sequence")
        content = file.read_bytes()
        refuse_pointer(file, content[:64])
        return _face(Document(file, content))
    except DataError:
        raise
    except OSError as error:
        raise DataError(f"{error.filename or file} cannot be read: {error.strerror or error}") from error
    except (ValueError, TypeError, binascii.Error, RecursionError, OverflowError, MemoryError) as error:
        raise DataError(f"{file} cannot be read as glTF: {said(error)}; export it again") from error


def _of_name(part: Part, name: str) -> Array:
    return part.targets[part.names.index(name)] if name in part.names else np.zeros_like(part.base)


def _moved(part: Part, times: NDArray[np.float64]) -> Array:
    weights = part.track.at(times) if part.track else np.repeat(part.rest[None], len(times), axis=0)
    flat = part.targets.reshape(len(part.targets), part.base.size)
    moved: Array = (part.base.reshape(-1) + weights @ flat).astype(np.float32)
    return moved.reshape(len(times), *part.base.shape)


def _face(document: Document) -> Face:
    tracks, notes = animation(document)
    parts, faces, start = list[Part](), list[NDArray[np.int32]](), 0
    for number, node, world in _nodes(document):
        if "mesh" not in node:
            continue
        part, corners = _part(document, node, world, tracks.get(number))
        if "skin" in node:
            notes.append("bones (a skin) are left out: morph targets alone move the mesh")
        parts.append(part)
        faces.append(corners + np.int32(start))
        start += len(part.base)
    if not parts:
        raise ValueError("its scene shows no mesh")
    return Face(tuple(parts), np.concatenate(faces), tuple(dict.fromkeys(notes)))


def _nodes(document: Document) -> Iterator[tuple[int, dict[str, Any], NDArray[np.float64]]]:
    """Number, node and transform into the scene, parents first, each once."""
    nodes = member(document.told, "nodes", list, [])
    scenes = member(document.told, "scenes", list, [])
    scene = at(scenes, document.told.get("scene", 0), "scenes") if scenes else {"nodes": _roots(nodes)}
    waiting = [(number, np.eye(4)) for number in reversed(member(scene, "nodes", list, []))]
    seen = set[int]()
    while waiting:
        number, above = waiting.pop()
        node = at(nodes, number, "nodes")
        if number in seen:
            raise ValueError(f"node {number} hangs in two places")
        if len(seen) >= MOST_NODES:
            raise ValueError(f"it has more than {MOST_NODES:,} nodes")
        seen.add(number)
        world = above @ _local(node)
        yield number, node, world
        waiting += [(child, world) for child in reversed(member(node, "children", list, []))]


def _roots(nodes: Sequence[Any]) -> list[int]:
    """Of a file without scenes: what is nobody's child."""
    below = {child for node in nodes if isinstance(node, dict) for child in member(node, "children", list, [])}
    return [number for number in range(len(nodes)) if number not in below]


def _local(node: dict[str, Any]) -> NDArray[np.float64]:
    if "matrix" in node:
        return _numbers(node, "matrix", 16, ()).reshape(4, 4).T
    x, y, z, w = _numbers(node, "rotation", 4, (0, 0, 0, 1))
    turn = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
    local = np.eye(4)
    local[:3, :3] = turn * _numbers(node, "scale", 3, (1, 1, 1))
    local[:3, 3] = _numbers(node, "translation", 3, (0, 0, 0))
    return local


def _numbers(entry: dict[str, Any], key: str, count: int, default: Sequence[float]) -> NDArray[np.float64]:
    given = member(entry, key, list, list(default))
    numbers = np.array([float(number) for number in given])
    if numbers.shape != (count,) or not np.isfinite(numbers).all():
        raise ValueError(f"{key!r} must be {count} numbers")
    return numbers


def _part(
    document: Document, node: dict[str, Any], world: NDArray[np.float64], track: Track | None
) -> tuple[Part, NDArray[np.int32]]:
    mesh = document.entry("meshes", node["mesh"])
    blocks, corners, starts, total = list[tuple[Array, Array]](), list[NDArray[np.int32]](), dict[str, int](), 0
    for primitive in member(mesh, "primitives", list):
        if not isinstance(primitive, dict) or primitive.get("mode", TRIANGLES) != TRIANGLES:
            raise ValueError("a mesh is made of something else than triangles; export triangles")
        shared = f"{member(primitive, 'attributes', dict).get('POSITION')} {primitive.get('targets')}"
        if shared not in starts:  # primitives of several materials may use the same vertices
            blocks.append(_block(document, primitive))
            starts[shared], total = total, total + len(blocks[-1][0])
        corners.append(_corners(document, primitive, len(blocks[-1][0])) + np.int32(starts[shared]))
    if len({len(targets) for _, targets in blocks}) != 1:
        raise ValueError("the parts of a mesh have different numbers of morph targets")
    base, targets = (
        np.concatenate(parts, axis=axis) for parts, axis in zip(zip(*blocks, strict=True), (0, 1), strict=True)
    )
    base, targets = _placed(base, targets, world)
    names, rest = _names(mesh, len(targets)), _rest(mesh, node, len(targets))
    if track is not None and track.weights.shape[1] != len(targets):
        raise ValueError(f"an animation has {track.weights.shape[1]} weights and its mesh {len(targets)} targets")
    return Part(base, targets, names, rest, track), np.concatenate(corners)


def _block(document: Document, primitive: dict[str, Any]) -> tuple[Array, Array]:
    """(v, 3) and (S, v, 3)."""
    base = _floats(document.array(primitive["attributes"].get("POSITION"), 3))
    listed = member(primitive, "targets", list, [])
    if len(listed) > MOST_TARGETS or len(listed) * base.nbytes > MOST_BYTES:
        raise ValueError(f"it has {len(listed)} morph targets of {len(base):,} vertices, too many to be held")
    document.spend(base.nbytes * (1 + len(listed)))
    targets = np.zeros((len(listed), *base.shape), np.float32)
    for row, target in zip(targets, listed, strict=True):
        if isinstance(target, dict) and "POSITION" in target:
            moved = _floats(document.array(target["POSITION"], 3))
            if moved.shape != base.shape:
                raise ValueError(f"a morph target has {len(moved):,} vertices and its mesh {len(base):,}")
            row[:] = moved
    return base, targets


def _floats(values: NDArray[Any]) -> Array:
    return np.ascontiguousarray(values, np.float32)


def _corners(document: Document, primitive: dict[str, Any], vertices: int) -> NDArray[np.int32]:
    if "indices" in primitive:
        flat = document.array(primitive["indices"], 1)[:, 0]
    else:
        flat = np.arange(vertices, dtype=np.uint32)
    if flat.dtype.kind != "u" or len(flat) % 3 or (len(flat) and int(flat.max()) >= vertices):
        raise ValueError(f"a triangle has a corner outside the {vertices:,} vertices of its mesh")
    document.spend(flat.nbytes)
    return flat.astype(np.int32).reshape(-1, 3)


def _placed(base: Array, targets: Array, world: NDArray[np.float64]) -> tuple[Array, Array]:
    if np.array_equal(world, np.eye(4)):
        return base, targets
    linear = world[:3, :3].T
    return (base @ linear + world[:3, 3]).astype(np.float32), (targets @ linear).astype(np.float32)


def _names(mesh: dict[str, Any], count: int) -> tuple[str, ...]:
    """Where most exporters put them; by number otherwise."""
    extras = mesh.get("extras")
    given = extras.get("targetNames") if isinstance(extras, dict) else None
    if isinstance(given, list) and len(given) == count and len(set(map(str, given))) == count:
        return tuple(str(name) for name in given)
    return tuple(f"target_{number}" for number in range(count))


def _rest(mesh: dict[str, Any], node: dict[str, Any], count: int) -> Array:
    owner = node if "weights" in node else mesh
    return _numbers(owner, "weights", count, [0.0] * count).astype(np.float32)

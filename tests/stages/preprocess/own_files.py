"""A user's folder in each form of motion, made from an egg that has a chin, or from the synthetic head."""

from __future__ import annotations

import base64
import csv
import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from faces.mesh import Mesh, write_mesh
from faces.ply import write_ply
from faces.regions import write_region
from tests.faces.shapes import sphere
from tests.stages.talking_spheres import chirp

Array = NDArray[np.float32]
RATE = 16000
FORMS = ("npy", "npz", "meshes", "gltf", "csv")


def egg() -> tuple[Mesh, dict[str, Array]]:
    """A head of 25 cm that looks along +z, whose shapes move what is low and in front."""
    mesh = sphere(8)
    points = mesh.vertices * np.float32(1.2)
    points[:, 1] *= 1.4
    front = np.clip(points[:, 2] / 0.12, 0, 1) * (points[:, 1] < 0)
    jaw, wide, tall = (np.zeros_like(points) for _ in range(3))
    jaw[:, 1], wide[:, 0], tall[:, 1] = -0.02 * front, 0.1 * front * points[:, 0], 0.1 * front * points[:, 1]
    return Mesh(points, mesh.faces), {"jawOpen": jaw, "mouthSmile_L": wide, "mouthPucker": tall}


@dataclass
class People:
    """Who speaks what. frames: of the first sentence; each further one has three more."""

    subjects: Sequence[str] = ("anna", "bob", "cleo")
    sentences: Sequence[str] = ("s1", "s2", "s3", "s4")
    fps: float = 30.0
    frames: int = 30
    scale: float = 1.0
    head: tuple[Mesh, Mapping[str, Array]] = field(default_factory=egg)

    @property
    def mesh(self) -> Mesh:
        return Mesh((self.head[0].vertices * np.float32(self.scale)), self.head[0].faces)

    @property
    def shapes(self) -> dict[str, Array]:
        return {name: delta * np.float32(self.scale) for name, delta in self.head[1].items()}

    @property
    def names(self) -> list[tuple[str, str]]:
        return [(subject, sentence) for subject in self.subjects for sentence in self.sentences]

    def weights(self, subject: str, sentence: str) -> Array:
        """(T, S) between 0 and 1; the mouth is closed in the first and the last frame."""
        who, what = self.subjects.index(subject), self.sentences.index(sentence)
        time = np.linspace(0, 1, self.frames + 3 * what)
        opening = np.sin(np.pi * time) ** 2 * (0.6 + 0.4 * np.sin((9 + who + 3 * what) * time))
        return np.stack([opening * share for share in (1.0, 0.3 + 0.1 * who, 0.2)], axis=1).astype(np.float32)

    def motion(self, subject: str, sentence: str) -> Array:
        """(T, V, 3)."""
        deltas = np.stack(list(self.shapes.values()))
        return (self.mesh.vertices + np.tensordot(self.weights(subject, sentence), deltas, 1)).astype(np.float32)

    def sound(self, subject: str, sentence: str) -> NDArray[np.float64]:
        who = self.subjects.index(subject)
        return chirp(len(self.weights(subject, sentence)) / self.fps, RATE) * (0.7 + 0.1 * who)


def write(folder: Path, form: str, people: People | None = None) -> Path:
    """All of it: motion/<subject>_<sentence>, wav/, and what the form needs beside: topology.ply or basis/."""
    people = people or People()
    for name in ("motion", "wav"):
        (folder / name).mkdir(parents=True)
    for subject, sentence in people.names:
        write_motion(folder / "motion" / f"{subject}_{sentence}", form, people, subject, sentence)
        sound = people.sound(subject, sentence)
        soundfile.write(folder / "wav" / f"{subject}_{sentence}.wav", sound, RATE, subtype="PCM_16")
    if form in ("npy", "npz"):
        write_ply(folder / "topology.ply", people.mesh.vertices, people.mesh.faces)
    if form == "csv":
        write_basis(folder / "basis", people)
    return folder


def write_motion(stem: Path, form: str, people: People, subject: str, sentence: str) -> None:
    motion, weights = people.motion(subject, sentence), people.weights(subject, sentence)
    if form == "npy":
        np.save(stem.with_suffix(".npy"), motion)
    elif form == "npz":
        np.savez_compressed(stem.with_suffix(".npz"), verts=motion.reshape(len(motion), -1))
    elif form == "meshes":
        stem.mkdir()
        for number, points in enumerate(motion):
            write_mesh(stem / f"frame_{number:03d}.obj", Mesh(points, people.mesh.faces))
    elif form == "gltf":
        write_glb(stem.with_suffix(".glb"), people.mesh, people.shapes, weights, people.fps)
    else:
        write_curves(stem.with_suffix(".csv"), list(people.shapes), weights, int(people.fps))


def write_basis(folder: Path, people: People) -> None:
    folder.mkdir()
    write_mesh(folder / "neutral.obj", people.mesh)
    for name, delta in people.shapes.items():
        write_mesh(folder / f"{name}.obj", Mesh(people.mesh.vertices + delta, people.mesh.faces))


def write_curves(file: Path, names: Sequence[str], weights: Array, fps: int) -> None:
    """As Live Link Face writes them: a timecode, a count, names with a capital, and columns that are no shapes."""
    written = [name[0].upper() + name[1:].replace("_L", "Left") for name in names]
    with open(file, "w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow(["Timecode", "BlendshapeCount", *written, "HeadYaw"])
        for number, row in enumerate(weights):
            seconds, frame = divmod(number, fps)
            table.writerow([f"11:07:{seconds:02d}:{frame:02d}.000", 61, *(f"{w:.8g}" for w in row), "0.25"])


def write_glb(
    file: Path, mesh: Mesh, shapes: Mapping[str, Array], weights: Array, fps: float, *, interpolation: str = "LINEAR"
) -> None:
    told, binary = gltf(mesh, shapes, weights, fps, interpolation=interpolation)
    file.write_bytes(glb(told, binary))


def glb(told: Mapping[str, Any], binary: bytes) -> bytes:
    return glb_of(json.dumps(told).encode(), binary)


def glb_of(text: bytes, binary: bytes) -> bytes:
    """The container alone; the JSON may be none."""
    text += b" " * (-len(text) % 4)
    binary += b"\0" * (-len(binary) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(binary), b"BIN\0") + binary
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


def write_gltf(file: Path, told: dict[str, Any], binary: bytes, *, inline: bool) -> None:
    """With its buffer as a data URI, or as a file beside it."""
    uri = f"{file.stem}.bin"
    if inline:
        uri = "data:application/octet-stream;base64," + base64.b64encode(binary).decode()
    else:
        (file.parent / uri).write_bytes(binary)
    told["buffers"][0]["uri"] = uri
    file.write_text(json.dumps(told))


def gltf(
    mesh: Mesh, shapes: Mapping[str, Array], weights: Array, fps: float, *, interpolation: str = "LINEAR"
) -> tuple[dict[str, Any], bytes]:
    """The JSON, whose first buffer is without a URI, and the buffer."""
    times = (np.arange(len(weights)) / fps).astype("<f4")
    arrays = [mesh.vertices, mesh.faces.astype("<u2").reshape(-1, 1), *shapes.values(), times[:, None]]
    arrays += [weights.astype("<f4").reshape(-1, 1)]
    views, accessors, binary = [], [], b""
    for array in arrays:
        content = np.ascontiguousarray(array).tobytes()
        views.append({"buffer": 0, "byteOffset": len(binary), "byteLength": len(content)})
        kind = {"f": 5126, "u": 5123}[array.dtype.kind]
        accessors.append({
            "bufferView": len(views) - 1, "componentType": kind, "count": len(array),
            "type": {1: "SCALAR", 3: "VEC3"}[array.shape[1]],
        })  # fmt: skip
        binary += content + b"\0" * (-len(content) % 4)
    last = len(arrays) - 1
    targets = [{"POSITION": 2 + k} for k in range(len(shapes))]
    primitive = {"attributes": {"POSITION": 0}, "indices": 1, "targets": targets}
    return {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [primitive], "extras": {"targetNames": list(shapes)}}],
        "animations": [{
            "channels": [{"sampler": 0, "target": {"node": 0, "path": "weights"}}],
            "samplers": [{"input": last - 1, "output": last, "interpolation": interpolation}],
        }],
        "buffers": [{"byteLength": len(binary)}],
        "bufferViews": views,
        "accessors": accessors,
    }, binary  # fmt: skip


def describe(folder: Path, form: str, **values: str) -> Path:
    """A dataset.toml for what `write` has written. values: lines that differ, in TOML."""
    top = {"fps": "30.0", "units": '"m"', "up": '"y"', "front": '"z"'} | {
        k: v for k, v in values.items() if k in ("fps", "units", "up", "front")
    }
    files = {"form": f'"{form}"', "motion": '"motion"', "sound": '"wav"', "pattern": '"{subject}_{sentence}"'}
    files |= {"topology": '"topology.ply"'} if form in ("npy", "npz") else {}
    files |= {"basis": '"basis"'} if form == "csv" else {}
    files |= {k: v for k, v in values.items() if k not in top and k != "splits"}
    splits = values.get("splits") or (
        '[splits.train]\nsubjects = ["anna", "bob", "cleo"]\nsentences = "1-2"\n'
        '[splits.val]\nsubjects = ["anna", "bob", "cleo"]\nsentences = "3"\n'
        '[splits.test]\nsubjects = ["anna", "bob", "cleo"]\nsentences = "4"\n'
    )
    lines = ['name = "mine"', *(f"{k} = {v}" for k, v in top.items()), "[files]"]
    lines += [f"{k} = {v}" for k, v in files.items()]
    (folder / "dataset.toml").write_text("\n".join(lines) + "\n" + splits)
    return folder


def write_regions(folder: Path, people: People) -> None:
    """Lips low in front, an upper face above."""
    points = people.mesh.vertices
    (folder / "regions").mkdir()
    front = points[:, 2] > 0
    write_region(folder / "regions" / "lips.txt", np.flatnonzero(front & (points[:, 1] < 0)))
    write_region(folder / "regions" / "upper_face.txt", np.flatnonzero(front & (points[:, 1] > 0)))

"""Small valid files of data sets and of artifacts, by what the tests of their readers write."""

from __future__ import annotations

import base64
import json
import pickle
from dataclasses import asdict
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from faces.mesh import Mesh
from stages.kinds import codes, sequences
from stages.kinds.card import CARD, Card, Check, Source, write_card
from stages.kinds.segments import Segment, write_segments
from stages.kinds.tracks import Track, write_index, write_rows
from stages.preprocess.ict_facegood import OWN_MAPPING
from stages.preprocess.ict_facegood.layout import CURVE_NAMES, MODEL
from stages.preprocess.mead.parameters import WIDTHS
from stages.preprocess.multiface.topology import TRACKED
from stages.preprocess.own.description import FORMS
from tests.faces.flame_models import tiny_tables, write_npz, write_release
from tests.fuzz.mutations import Seed
from tests.fuzz.seeds import FACES, POINTS
from tests.stages.preprocess import ict_files, own_files

MESH = Mesh(POINTS, FACES)
SHAPES = {"jawOpen": np.float32(0.1) * POINTS, "mouthSmile_L": -POINTS}
WEIGHTS = np.linspace(0, 1, 10, dtype=np.float32).reshape(5, 2)


def glb(folder: Path) -> list[Seed]:
    """The file, and its JSON alone, put into a container that is right."""
    told, binary = own_files.gltf(MESH, SHAPES, WEIGHTS, 30.0)
    moved = told | {"nodes": [{"mesh": 0, "rotation": [0, 0.6, 0, 0.8], "scale": [2, 2, 2], "translation": [0, 1, 0]}]}
    inside = [json.dumps(each).encode() for each in (told, moved)]
    return [
        Seed(own_files.glb(told, binary)),
        *(Seed(text, lambda content: own_files.glb_of(content, binary)) for text in inside),
    ]


def gltf(folder: Path) -> list[Seed]:
    """With the buffer in it, the buffer alone, and with the buffer beside it, which stays as it is."""
    found = list[Seed]()
    for name, inline in (("seed", True), ("a", False)):
        told, binary = own_files.gltf(MESH, SHAPES, WEIGHTS, 30.0)
        own_files.write_gltf(folder / f"{name}.gltf", told, binary, inline=inline)
        found.append(Seed((folder / f"{name}.gltf").read_bytes()))
    head, tail = found[0].content.split(base64.b64encode(binary))
    return [*found, Seed(binary, lambda content: head + base64.b64encode(content) + tail)]


def curves(folder: Path) -> list[Seed]:
    own_files.write_curves(folder / "seed.csv", list(SHAPES), WEIGHTS, 2)
    texts = ["time,jawOpen\n0,0\n0.04,1\n\n0.08,0.5\n", "\ufeffframe,jawOpen\n1,0\n2,1\n"]
    return [Seed((folder / "seed.csv").read_bytes()), *(Seed(text.encode()) for text in texts)]


def basis(folder: Path) -> list[Seed]:
    arrays = {"neutral": POINTS, "faces": FACES} | {name: POINTS + delta for name, delta in SHAPES.items()}
    return [Seed(write_npz(folder / "seed.npz", arrays).read_bytes())]


def _flame_tables() -> dict[str, np.ndarray]:
    """Of small whole numbers, so that a file is mostly form and little content."""
    tables = tiny_tables(vertices=3)
    tables["shapedirs"] = tables["shapedirs"][..., :301]
    return {name: array.astype(np.int64 if name == "kintree_table" else np.int8) for name, array in tables.items()}


def flame(folder: Path) -> list[Seed]:
    tables = _flame_tables() | {"J_regressor": np.eye(5, 3)}
    return [Seed(write_release(folder / "seed.pkl", tables, protocol).read_bytes()) for protocol in (0, 2, 4)]


def flame_npz(folder: Path) -> list[Seed]:
    return [Seed(write_npz(folder / "seed.npz", _flame_tables()).read_bytes())]


def descriptions(folder: Path) -> list[Seed]:
    def described(form: str, **values: str) -> Seed:
        return Seed((own_files.describe(folder, form, **values) / "dataset.toml").read_bytes())

    splits = '[splits.train]\nsubjects = ["anna"]\nsentences = "all"\n[splits.val]\nsubjects = []\nprefix = "e"\n'
    return [*map(described, FORMS), described("npy", splits=splits, regions='"regions"', array='"verts"')]


def frames(folder: Path) -> list[Seed]:
    return [Seed(np.linspace(-1, 1, TRACKED * 3, dtype="<f4").tobytes())]


def weights(folder: Path) -> list[Seed]:
    return [Seed(b"0.1\n0.5\n1\n0\n"), Seed(b"0, 1e-3, 0.9 1.0")]


def parameters(folder: Path) -> list[Seed]:
    """As EMOTE's, packed, and plain."""
    found = list[Seed]()
    for options in ({"compression": "gzip"}, {}):
        with h5py.File(folder / "seed.hdf5", "w") as stored:
            for part, width in WIDTHS.items():
                stored.create_dataset(part, data=np.zeros((1, 2, width), np.float32), **options)
        found.append(Seed((folder / "seed.hdf5").read_bytes()))
    return found


def parameter_arrays(folder: Path) -> list[Seed]:
    np.save(folder / "seed.npy", np.zeros((1, 2, sum(WIDTHS.values())), np.float32))
    return [Seed((folder / "seed.npy").read_bytes())]


def expression(folder: Path) -> list[Seed]:
    return [Seed(write_npz(folder / "seed.npz", {"arr_0": POINTS}).read_bytes())]


def speech(folder: Path) -> list[Seed]:
    """As arrays and as tensors."""
    import torch

    array = POINTS[None]
    things: list[Any] = [array, array[0].astype(np.float64), torch.from_numpy(array.copy())]
    return [Seed(pickle.dumps(thing, protocol)) for thing in things for protocol in (2, 4)]


TABLES: list[Any] = [[3, 1, 1, 0], {"lips": [1, 2], "upper_face": [0, 3, 3]}]


def region_json(folder: Path) -> list[Seed]:
    return [Seed(json.dumps(table).encode()) for table in TABLES]


def region_npy(folder: Path) -> list[Seed]:
    np.save(folder / "seed.npy", np.array(TABLES[0]))
    return [Seed((folder / "seed.npy").read_bytes())]


def region_pickles(folder: Path) -> list[Seed]:
    arrays = {name: np.array(rows) for name, rows in TABLES[1].items()}
    return [Seed(pickle.dumps(table, protocol)) for table in (*TABLES, arrays) for protocol in (0, 2, 4)]


def templates(folder: Path) -> list[Seed]:
    return [Seed(pickle.dumps({"F1": POINTS, "M2": POINTS.ravel()}, protocol)) for protocol in (0, 2, 4)]


def motion(folder: Path) -> list[Seed]:
    found = list[Seed]()
    for array in (POINTS.reshape(2, 2, 3), POINTS.reshape(2, 6)):
        np.save(folder / "seed.npy", array)
        found.append(Seed((folder / "seed.npy").read_bytes()))
    return found


def indices(folder: Path) -> list[Seed]:
    """The kit's index lists; its head lies beside them."""
    (folder / MODEL).mkdir(parents=True, exist_ok=True)
    data = ict_files.ict_data()
    ict_files.write_obj(folder / MODEL / "generic_neutral_mesh.obj", data.points)
    return [Seed(json.dumps(data.indices).encode()), Seed(json.dumps(data.indices, indent=1).encode())]


def mappings(folder: Path) -> list[Seed]:
    return [Seed(OWN_MAPPING.read_bytes()), Seed(b'a = { jawOpen = 1.5, "x y" = 2 }\n[b]\nmouthClose = -0.5\n')]


def curve_names(folder: Path) -> list[Seed]:
    (folder / CURVE_NAMES).parent.mkdir(parents=True, exist_ok=True)
    np.save(folder / "seed.npy", np.array(["jaw_open", "brow", "lip_l"]))
    return [Seed((folder / "seed.npy").read_bytes())]


def curve_values(folder: Path) -> list[Seed]:
    np.save(folder / "names.npy", np.array(["a", "b", "c"]))
    ict_files.write_python_2_npy(folder / "seed.npy", POINTS)
    return [Seed((folder / "seed.npy").read_bytes())]


def cards(folder: Path) -> list[Seed]:
    checks = [Check("vertices", "4", "4", True), Check("speakers", "2", "3", False), Check("height", "1", "?", None)]
    card = Card(Source("T", "C", "https://example.org", "MIT", "any"), checks, ["a is short"])
    write_card(folder, card, folder / "raw")
    return [Seed((folder / CARD).read_bytes())]


def segments(folder: Path) -> list[Seed]:
    """A table of two segments."""
    found = {f"a_1_f{start:06d}": Segment("a_1", start, 48, 1000 * start, 48_000) for start in (0, 48)}
    return [Seed(write_segments(folder, found).read_bytes())]


def tracks(folder: Path) -> list[Seed]:
    declared = {"flame": Track("parameters", True), "speech": Track("features", False)}
    for name in declared:
        write_rows(folder, name, "A_s1", POINTS)
    write_index(folder, declared, ["A_s1"])
    return [Seed((folder / "tracks.json").read_bytes())]


def prior_codes(folder: Path) -> list[Seed]:
    info = codes.Info("p", "0123", 4, 256, {"A_s1": 3, "B_s1": 2}, 0.5, 12.25)
    (folder / codes.FOLDER).mkdir(exist_ok=True)
    np.save(folder / codes.FOLDER / "A_s1.npy", np.zeros((3, 4), np.int16))
    codes.write_index(folder, info)
    return [Seed((folder / codes.INDEX).read_bytes()), Seed(json.dumps(asdict(info)).encode())]


def sequence_index(folder: Path) -> list[Seed]:
    entry = sequences.Entry("A", "s1", "train", 4, 640, 16000)
    splits = {"train": ["A"], "val": []}
    info = sequences.Info("d", 25.0, "m", "y", 4, splits, {"A_s1": entry}, {"A_s2": "no sound"})
    (folder / sequences.VERTICES).mkdir(exist_ok=True)
    np.save(folder / sequences.VERTICES / "A_s1.npy", np.zeros((4, 12), np.float32))
    sequences.write_index(folder, info)
    return [Seed((folder / sequences.INDEX).read_bytes())]

"""The formats of data sets and artifacts with their readers, and what must hold of what they give."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from faces.blendshapes import Curves, read_basis, read_curves
from faces.flame_file import read_flame
from faces.gltf import read_gltf
from faces.regions import read_regions
from stages.kinds.card import read_card
from stages.kinds.codes import Codes
from stages.kinds.segments import read_segments
from stages.kinds.sequences import Sequences
from stages.kinds.tracks import read_tracks
from stages.preprocess.facetalk.features import read_features
from stages.preprocess.facetalk.frames import read_codes
from stages.preprocess.ict_facegood import curves as facegood
from stages.preprocess.ict_facegood.kit import read_kit
from stages.preprocess.ict_facegood.layout import CURVE_NAMES, Layout, read_mapping
from stages.preprocess.mead.parameters import WIDTHS, open_parameters
from stages.preprocess.multiface.regions import read_regions as read_weights
from stages.preprocess.multiface.topology import TRACKED, read_frame
from stages.preprocess.own.description import read_description
from stages.preprocess.template_file import read_table
from stages.preprocess.vertex_file import VertexFile
from tests.fuzz import data_seeds as seeds
from tests.fuzz.form import Format


def _gltf(file: Path) -> None:
    face = read_gltf(file)
    vertices = len(face.neutral)
    assert all(delta.shape == (vertices, 3) for delta in face.shapes.values())
    assert not len(face.faces) or 0 <= face.faces.min() <= face.faces.max() < vertices
    frames, rate = face.frames(30.0), face.rate
    assert 0 <= frames <= 30 * 3600 + 1
    assert rate is None or rate > 0
    times = np.arange(min(frames, 3)) / 30
    assert face.motion(times).shape == (len(times), vertices, 3)


def _curves(file: Path) -> None:
    curves = read_curves(file)
    assert curves.weights.shape[1] == len(curves.names)
    assert curves.clock is None or curves.clock.shape == curves.weights.shape[:1]


def _basis(file: Path) -> None:
    basis = read_basis(file)
    moved = basis.motion(Curves(tuple(basis.deltas), np.zeros((1, len(basis.deltas)), np.float32)), [0])
    assert moved.shape == (1, *basis.neutral.shape)
    assert np.isfinite(basis.neutral).all()
    assert not len(basis.faces) or 0 <= basis.faces.min() <= basis.faces.max() < len(basis.neutral)


def _flame(file: Path) -> None:
    model = read_flame(file)
    assert model.directions.shape[:2] == model.template.shape == (len(model.weights), 3)
    assert 0 <= model.faces.min() <= model.faces.max() < len(model.template)
    assert np.isfinite(model.regressor).all()


def _frame(file: Path) -> None:
    assert read_frame(file).tobytes() == file.read_bytes()
    assert file.stat().st_size == TRACKED * 12


def _parameters(file: Path) -> None:
    opened = open_parameters(file)
    for part, rows in opened.read(*WIDTHS).items():
        assert rows.shape == (opened.frames, WIDTHS[part])
        assert np.isfinite(rows).all()


def _speech(file: Path) -> None:
    rows = read_features(file)
    assert rows.ndim == 2
    assert np.isfinite(rows).all()


def _templates(file: Path) -> None:
    assert all(np.isfinite(vertices).all() for vertices in read_table(file).values())


def _regions(file: Path) -> None:
    for rows in read_regions(file, 4).values():
        assert set(rows.tolist()) <= {0, 1, 2, 3}


def _motion(file: Path) -> None:
    opened = VertexFile.open(file, flat=True)
    rows = np.arange(min(opened.frames, 2))
    assert opened.gather(rows).shape == (len(rows), opened.vertices, 3)


def _layout(folder: Path, clips: dict[str, Path]) -> Layout:
    return Layout(folder, folder, clips, clips, folder, {}, ())


def _indices(file: Path) -> None:
    kit = read_kit(_layout(file.parent.parent, {}), "face")
    assert 0 <= kit.landmarks.min() <= kit.landmarks.max() < len(kit.neutral)


def _mapping(file: Path) -> None:
    gains = [gain for shapes in read_mapping(file).values() for gain in shapes.values()]
    assert np.isfinite(np.array(gains, float)).all()


def _curve_names(file: Path) -> None:
    names = facegood.read_curves(_layout(file.parent.parent.parent, {})).names
    assert len(names) == len(set(names))


def _curve_values(file: Path) -> None:
    values = facegood._read_values(file, file.with_name("names.npy"), 3)
    assert np.isfinite(values).all()


def _card(file: Path) -> None:
    card = read_card(file.parent)
    assert card is not None
    assert " ".join([card.source.title, card.source.terms, *map(str, card.checks), *card.remarks])


def _tracks(file: Path) -> None:
    for rows in read_tracks(file.parent).values():
        assert isinstance(rows.track.about + str(rows.track.framewise), str)
        if "A_s1" in rows:
            assert rows["A_s1"].shape == (rows.track.rows["A_s1"], rows.track.size)


def _codes(file: Path) -> None:
    codes = Codes(file.parent)
    assert codes.info.frames is not None
    if "A_s1" in codes:
        assert codes["A_s1"].dtype == np.int16


def _sequences(file: Path) -> None:
    data = Sequences(file.parent)
    assert data.fps > 0
    for name in data.ids():
        assert isinstance(data.entry(name).subject, str)
    data.ids_in(["train"])
    assert data.vertices("A_s1").shape == (data.entry("A_s1").frames, data.info.vertices, 3)


DATA_FORMATS = {
    "glb": Format("a.glb", seeds.glb, _gltf),
    "gltf": Format("a.gltf", seeds.gltf, _gltf),
    "curves": Format("a.csv", seeds.curves, _curves),
    "basis": Format("a.npz", seeds.basis, _basis),
    "flame": Format("a.pkl", seeds.flame, _flame),
    "flame-npz": Format("a.npz", seeds.flame_npz, _flame),
    "dataset": Format("dataset.toml", seeds.descriptions, read_description, lines=True),
    "frame": Format("000001.bin", seeds.frames, _frame),
    "weights": Format("a.txt", seeds.weights, lambda file: read_weights({"forehead_mask": file}, 4)),
    "emote": Format("a.hdf5", seeds.parameters, _parameters),
    "probtalk3d": Format("a.npy", seeds.parameter_arrays, _parameters),
    "expression": Format("a.npz", seeds.expression, lambda file: read_codes([file], ("a", "b"))),
    "speech": Format("a.pkl", seeds.speech, _speech),
    "region-json": Format("a.json", seeds.region_json, _regions),
    "region-npy": Format("a.npy", seeds.region_npy, _regions),
    "region-pkl": Format("a.pkl", seeds.region_pickles, _regions),
    "templates": Format("a.pkl", seeds.templates, _templates),
    "motion": Format("a.npy", seeds.motion, _motion),
    "indices": Format("FaceXModel/vertex_indices.json", seeds.indices, _indices),
    "mapping": Format("a.toml", seeds.mappings, _mapping),
    "curve-names": Format(str(CURVE_NAMES), seeds.curve_names, _curve_names),
    "curve-values": Format("a.npy", seeds.curve_values, _curve_values),
    "card": Format("card.json", seeds.cards, _card),
    "tracks": Format("tracks.json", seeds.tracks, _tracks),
    "segments": Format("segments.json", seeds.segments, lambda file: read_segments(file.parent)),
    "codes": Format("codes.json", seeds.prior_codes, _codes),
    "sequences": Format("sequences.json", seeds.sequence_index, _sequences),
}

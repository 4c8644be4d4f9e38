"""What of the data a lip reader's training hangs on, and that no face hangs on it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cache.manifest import Manifest
from models.faceformer import Settings as FaceSettings
from pipeline.stage import Given
from stages.kinds.sequences import SOUND, TOPOLOGY, TRANSCRIPTS, VERTICES, write_region, write_transcripts
from stages.train import Params, Train
from tests.stages.mouths import LIPS, SMALL, SPLITS, TEXTS, make_faces, template

READER = Train(Params(model="lipreader"), {"model": SMALL})
HEARS = Train(Params(model="lipreader"), {"model": replace(SMALL, modality="audio-visual")})
FACE = Train(Params(model="faceformer"), {"model": FaceSettings()})
STAGES = {"reader": READER, "hears": HEARS, "face": FACE}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = make_faces(tmp_path / "d")
    for region in ("lip_upper", "upper_face"):
        write_region(folder, region, range(3))
    return folder


def reads(data: Path) -> dict[str, dict[str, str]]:
    """Stage → what enters its key of the data, by the files as they are."""
    files = {str(path.relative_to(data)): (1, path.read_bytes().hex()) for path in data.rglob("*") if path.is_file()}
    given = Given(data, {}, lambda: Manifest(files))
    empty = Given(data, {}, lambda: Manifest({}))
    inputs = {name: {"data": given} | ({"features": empty} if name == "face" else {}) for name in STAGES}
    return {name: dict(stage.reads(inputs[name])["data"]) for name, stage in STAGES.items()}


def changed(before: dict[str, dict[str, str]], data: Path) -> set[str]:
    after = reads(data)
    return {name for name in STAGES if before[name] != after[name]}


def test_texts_and_sound(data: Path) -> None:
    before, texts = reads(data), {name: TEXTS[name[2:]] for name in SPLITS}
    write_transcripts(data, texts | {"C_s1": "of a test sentence"})
    assert changed(before, data) == set()
    write_transcripts(data, texts | {"B_s2": "of a validation sentence"})
    assert changed(before, data) == {"reader", "hears"}
    write_transcripts(data, texts)
    assert changed(before, data) == set()
    (data / SOUND / "C_s1.wav").write_bytes(b"of a test sentence")
    assert changed(before, data) == set()
    (data / SOUND / "A_s1.wav").write_bytes(b"other")
    assert changed(before, data) == {"hears"}


def test_motion_and_mesh(data: Path) -> None:
    before = reads(data)
    (data / VERTICES / "C_s1.npy").write_bytes(b"of a test sentence")
    assert changed(before, data) == set()
    with (data / TOPOLOGY).open("ab") as stream:
        stream.write(b"\n")
    assert changed(before, data) == {"reader", "hears"}
    before = reads(data)
    (data / VERTICES / "A_s2.npy").write_bytes(b"other")
    assert changed(before, data) == set(STAGES)


def test_regions(data: Path) -> None:
    before = reads(data)
    write_region(data, "upper_face", range(4))
    assert changed(before, data) == set()
    write_region(data, "lip_upper", range(4))
    assert changed(before, data) == {"face"}, "whose health is told of it"
    before = reads(data)
    write_region(data, "lips", LIPS[1:])
    assert changed(before, data) == set(STAGES)


def test_faces(data: Path) -> None:
    """The camera is fitted to the mean of the training subjects; of whom else there is, it knows nothing."""
    before = reads(data)

    def rest(**strength: float) -> None:
        faces = {subject: template(subject) * np.float32(strength.get(subject, 1)) for subject in "ABC"}
        np.savez(data / "templates.npz", allow_pickle=False, **faces)

    rest(C=1.1)
    assert changed(before, data) == set()
    rest(A=1.1)
    assert changed(before, data) == set(STAGES)


def test_a_subject_of_whom_nothing_is_trained_on_is_in_the_mean_face(tmp_path: Path) -> None:
    """D is named among the training subjects, and all its sentences were left out."""
    import json

    data = make_faces(tmp_path / "d", splits=SPLITS | {"D_s1": "train"})
    index = json.loads((data / "sequences.json").read_text())
    del index["sequences"]["D_s1"]
    (data / "sequences.json").write_text(json.dumps(index))
    before = reads(data)
    faces = {subject: template(subject) * np.float32(1 + (subject == "D")) for subject in "ABCD"}
    np.savez(data / "templates.npz", allow_pickle=False, **faces)
    assert changed(before, data) == {"reader", "hears"}


def test_what_is_used(data: Path) -> None:
    """A slot's parts, of which a change elsewhere in the artifact changes no key."""
    assert SOUND not in FACE.uses("data")
    assert SOUND not in READER.uses("data")
    assert {SOUND, TOPOLOGY} <= set(HEARS.uses("data"))
    assert TOPOLOGY in READER.uses("data")
    assert TRANSCRIPTS not in reads(data)["face"]
    assert list(READER.slots()) == ["data"]
    assert "expert" not in FACE.slots()


def test_a_tokeniser_counts_by_its_content(tmp_path: Path) -> None:
    model, units = str(tmp_path / "m.model"), str(tmp_path / "u.txt")
    own = Train(Params(model="lipreader", weights="w.pth"), {"model": replace(SMALL, tokeniser=model, units=units)})
    assert own.sources().files == {"weights": Path("w.pth"), "tokeniser": Path(model), "units": Path(units)}
    assert READER.sources().files == {}

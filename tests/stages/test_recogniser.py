"""The recogniser through the train stage, and what of its data it hangs on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from cache.manifest import Manifest
from faces.errors import DataError
from models.recogniser import Settings
from models.text import Vocabulary
from pipeline.commands.bench import bench, talking
from pipeline.errors import RecipeError
from pipeline.stage import Given, Input
from stages.features import ExtractFeatures
from stages.features import Params as FeatureParams
from stages.infer import Infer
from stages.infer import Params as InferParams
from stages.kinds.checkpoint import Checkpoint
from stages.kinds.features import Features
from stages.kinds.sequences import TRANSCRIPTS, VERTICES, Sequences, write_transcripts
from stages.train import Params, Train
from stages.train.clips import ClipReader
from stages.voice.speaker import of_folder
from tests.stages import fake_face
from tests.stages.fake_job import FakeJob
from tests.stages.test_features import tiny_encoder
from tests.stages.tiny import make_sequences
from tests.stages.train_runs import FILES

SMALL = Settings(width=32, layers=1, heads=2)
TEXTS = {"s01": "a bee", "s02": "abba", "s03": "Ebbe"}


def prepared(folder: Path, encoder: str = "log-mel") -> dict[str, Input]:
    data = make_sequences(folder / "sequences")
    job = FakeJob.under(folder / "f", {"data": data})
    ExtractFeatures(FeatureParams(encoder=encoder)).run(job)
    written(data)
    return {
        "data": Input(data, "sequences", "tiny", {}),
        "features": Input(job.out, "features", "f", {"encoder": encoder}),
    }


def written(data: Path, **changed: str) -> None:
    """Texts of all sequences, some of them other ones."""
    entries = Sequences(data).info.sequences
    write_transcripts(data, {name: TEXTS[entry.sentence] for name, entry in entries.items()} | changed)


def trained(folder: Path, inputs: dict[str, Input], settings: Settings = SMALL, **params) -> FakeJob:
    job = FakeJob.under(folder, inputs)
    Train(Params(**{"model": "recogniser", "epochs": 2, "batch_size": 2} | params), {"model": settings}).run(job)
    return job


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return prepared(tmp_path_factory.mktemp("inputs"))


def test_it_is_trained_and_published_as_any_network(inputs, tmp_path):
    job = trained(tmp_path, inputs, epochs=4, lr=1e-3)
    assert sorted(path.name for path in job.out.iterdir()) == sorted(FILES)
    checkpoint = Checkpoint(job.out)
    assert list(checkpoint.facts.vocabulary) == ["<pad>", "<unk>", "|", "a", "b", "e"]
    assert checkpoint.training()["motion_energy"] is None
    first, *_, last = checkpoint.history()
    assert set(first["val"]) == {"loss", "letter_errors"}
    assert "health" not in first
    assert last["train"]["loss"] < first["train"]["loss"]
    assert not [line for line in job.said if "warning" in line]

    network, features = checkpoint.load_network(), Features(inputs["features"].path)
    speech = torch.from_numpy(features["B_s01"])
    hidden, logits = network.recognise(speech)
    assert (hidden.shape, logits.shape) == ((len(speech), 32), (len(speech), 6))
    assert isinstance(Vocabulary(network.vocabulary).read(logits.numpy()), str)


def test_upon_a_pretrained_encoder(tmp_path):
    source = tiny_encoder(tmp_path / "encoder", "Wav2Vec2")
    inputs = prepared(tmp_path, str(source))
    state = Checkpoint(trained(tmp_path / "t", inputs, epochs=1, lr=0.0).out).load_network().state_dict()
    from safetensors.torch import load_file

    pretrained = load_file(source / "model.safetensors")
    name = "encoder.layers.0.attention.q_proj.weight"
    own = next(value for key, value in pretrained.items() if key.endswith(name))
    assert torch.equal(state[f"audio_encoder.{name}"], own)


def test_neither_motion_nor_faces_are_read(inputs, tmp_path):
    """What is not there cannot be read."""
    bare = make_sequences(tmp_path / "bare")
    written(bare)
    (bare / "templates.npz").unlink()
    for file in (bare / VERTICES).iterdir():
        file.unlink()
    given = inputs | {"data": Input(bare, "sequences", "tiny", {})}
    one, other = (trained(tmp_path / word, some) for word, some in (("one", inputs), ("other", given)))
    assert (one.out / "last.safetensors").read_bytes() == (other.out / "last.safetensors").read_bytes()


def test_one_take_of_a_sequence_whoever_speaks(inputs):
    clips = reader(inputs)
    assert [len(takes) for takes in clips.takes("val")] == [1, 1, 1, 1]
    batch = clips.batch([takes[0] for takes in clips.takes("val")])
    assert batch.vertices is None
    assert batch.frames is None
    assert batch.template.shape == (4, 0)
    assert batch.text is not None
    assert batch.text.shape == (4, 5)


def reader(inputs: dict[str, Input]) -> ClipReader:
    data, features = Sequences(inputs["data"].path), Features(inputs["features"].path)
    return ClipReader(data, features, wants=SMALL.wants(), moves=False)


@pytest.mark.parametrize(
    ("texts", "sentence"),
    [
        (None, "has no transcripts of its training sentences, and the network learns to write them"),
        ({"C_s01": "a"}, "has no transcripts of its training sentences"),
        (
            {"A_s01": "a", "A_s02": "b", "A_s03": "", "B_s01": "b"},
            "has no transcript of B_s02, whose text .*: put transcripts.json beside the data",
        ),
    ],
)
def test_without_transcripts_nothing_is_trained(inputs, tmp_path, texts, sentence):
    data = make_sequences(tmp_path / "data")
    if texts is not None:
        write_transcripts(data, texts)
    job = FakeJob.under(tmp_path, inputs | {"data": Input(data, "sequences", "tiny", {})})
    stage = Train(Params(model="recogniser", epochs=2), {"model": SMALL})
    with pytest.raises(DataError, match=sentence) as caught:
        stage.run(job)
    assert str(data) in str(caught.value)
    assert not list(job.state.iterdir())


def test_nothing_that_speaks_takes_it(inputs, tmp_path):
    checkpoint = trained(tmp_path / "t", inputs, epochs=1).out
    given = inputs | {"checkpoint": Input(checkpoint, "checkpoint", "c", {"model": "recogniser"})}
    with pytest.raises(DataError, match=r"holds a recogniser \(recogniser\), which does not speak"):
        Infer(InferParams()).run(FakeJob.under(tmp_path / "i", given))
    with pytest.raises(RecipeError, match=r"holds a recogniser \(recogniser\), which does not speak"):
        of_folder(checkpoint)
    with pytest.raises(DataError, match="is no motion prior"):
        Checkpoint(checkpoint).load_prior()
    assert "recogniser" not in talking()
    with pytest.raises(RecipeError, match="'recogniser' does not talk"):
        bench(["recogniser"], {}, as_json=False)


def reads(stage: Train, inputs: dict[str, Input]) -> dict[str, dict[str, str]]:
    """What enters the stage's key of its data, by digests of the files as they are."""
    files = {
        str(path.relative_to(inputs["data"].path)): (1, path.read_bytes().hex())
        for path in inputs["data"].path.rglob("*")
        if path.is_file()
    }
    given = Given(inputs["data"].path, {}, lambda: Manifest(files))
    features = Given(inputs["features"].path, {}, lambda: Manifest({}))
    return stage.reads({"data": given, "features": features})


def test_a_changed_text_trains_those_anew_that_learn_to_write_it(tmp_path):
    inputs = prepared(tmp_path)
    data = inputs["data"].path
    recogniser = Train(Params(model="recogniser"), {"model": SMALL})
    face = Train(Params(model=fake_face.NAME), {"model": fake_face.Settings()})
    before = reads(recogniser, inputs), reads(face, inputs)
    assert TRANSCRIPTS in before[0]["data"]
    assert TRANSCRIPTS not in before[1]["data"]

    written(data, D_s01="of a test sentence")
    assert (reads(recogniser, inputs), reads(face, inputs)) == before
    written(data, A_s01="another")
    assert reads(recogniser, inputs) != before[0]
    assert reads(face, inputs) == before[1]

    written(data)
    (data / VERTICES / "A_s01.npy").write_bytes(b"other motion")
    assert reads(recogniser, inputs) == before[0]
    assert reads(face, inputs) != before[1]


def test_what_is_drawn_and_told_of_it(inputs, tmp_path):
    job = trained(tmp_path, inputs, replace(SMALL, dropout=0.0), epochs=25, lr=3e-3)
    history = [json.loads(line) for line in (job.out / "history.jsonl").read_text().splitlines()]
    assert history[-1]["val"]["loss"] < history[0]["val"]["loss"]
    assert any("letters 1" in line and "% wrong" in line for line in job.watched)

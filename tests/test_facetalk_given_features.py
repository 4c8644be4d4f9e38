"""FaceTalk upon features a frame, and upon segments, from recipe to `pipe infer`, as a user would."""

from __future__ import annotations

import io
import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from stages.kinds.checkpoint import BEST, Checkpoint, read_weights
from stages.kinds.features import Features
from stages.kinds.predictions import Predictions
from stages.kinds.segments import read_segments
from stages.kinds.sequences import Sequences
from tests.pipeline.test_cli import pipe
from tests.recipe_runs import ONE_THREAD, encoder, here, settings, store  # noqa: F401  fixtures
from tests.stages.preprocess.facetalk_files import FRAMES, IDS, write_facetalk
from tests.stages.voices import write_tone

CPU = ("--device", "cpu", *ONE_THREAD)
TINY = """
[step.train]
model = "facetalk"
feature_dim = 16
layers = 1
heads = 2
feedforward = 32
diffusion_steps = 20
crop = 4
epochs = 1
batch_size = 2

[step.infer]
splits = ["test"]
steps = 4
"""
GIVEN = (
    """\
[step.preprocess]
dataset = "facetalk"
root = "facetalk"
fps = 24.0
audio_features = true

[step.features]
encoder = "track"
track = "speech_features"
"""
    + TINY
)
SEGMENTS = """\
[step.preprocess]
dataset = "synthetic"
subjects = 3
sentences = 3
seconds = 1.2
fps = 30.0

[step.segment]
frames = 12
inputs = { data = "preprocess" }

[step.features]
encoder = "log-mel"
inputs = { data = "segment" }
""" + TINY.replace("[step.infer]", "pca = 4\nencoder_layers = 1\nencoder_width = 32\n\n[step.infer]").replace(
    "crop = 4", 'crop = 12\ninputs = { data = "segment", features = "features" }'
).replace("steps = 4", 'steps = 4\ninputs = { checkpoint = "train", data = "segment", features = "features" }')


@pytest.fixture
def recipes(here: Path, encoder: Path) -> Path:  # noqa: F811
    """FaceTalk's layout with features 32 wide, as the small encoder's are, and sound to speak."""
    if not (here / "facetalk").is_dir():
        write_facetalk(here / "facetalk")
        rng = np.random.default_rng(0)
        for name in IDS:
            rows = rng.standard_normal((1, FRAMES[name] + 3, 32)).astype(np.float32)
            (here / "facetalk" / name / "audio" / "wave2vec_audio_feats.pkl").write_bytes(pickle.dumps(rows))
        write_tone(here / "hello.wav", seconds=0.5)
    (here / "given.toml").write_text(GIVEN)
    (here / "segments.toml").write_text(SEGMENTS)
    return here


def run(recipe: str, *words: str) -> int:
    return pipe("run", recipe, *CPU, *settings(*words))


def test_features_of_a_track_are_read_and_spoken_from(recipes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("given.toml") == 0
    assert "4 of 4 sequences have other rows than frames" in capsys.readouterr().out
    outputs = recipes / "outputs" / "given"
    assert not [name for name in read_weights(outputs / "train" / BEST) if name.startswith("audio_encoder")]
    items = Predictions(outputs / "infer").items.values()
    assert [(item.id, item.frames) for item in items] == [(IDS[3], FRAMES[IDS[3]])]
    # a network that nobody can make features for says what to do, and with that it speaks
    checkpoint = (outputs / "train").resolve().name
    for target in ("given.toml", f"train/{checkpoint}"):
        assert pipe("infer", target, "--audio", "hello.wav", *CPU) == 2
        told = capsys.readouterr().err
        assert "nobody said which (track" in told
        assert f"pipe infer train/{checkpoint} --audio … --set step.features.encoder=NAME" in told
        assert "Traceback" not in told
    words = settings(f"step.features.encoder={recipes / 'encoder'}", "step.infer.steps=4")
    assert pipe("infer", f"train/{checkpoint}", "--audio", "hello.wav", *words, *CPU) == 0
    (motion,) = (recipes / "outputs" / "infer").glob("hello_*.npy")
    assert len(np.load(motion)) == 11  # 24 features at 50 Hz


def test_a_track_whose_encoder_is_named_speaks_by_itself(recipes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    named = f"step.features.encoder={recipes / 'encoder'}"
    assert run("given.toml", named) == 0
    assert "deviations from the track: it may not be what made it" in capsys.readouterr().out
    assert pipe("infer", "given.toml", *settings(named), "--audio", "hello.wav", *CPU) == 0
    capsys.readouterr()
    # so does its checkpoint, by its record
    checkpoint = f"train/{(recipes / 'outputs' / 'given' / 'train').resolve().name}"
    assert pipe("infer", checkpoint, "--audio", "hello.wav", *settings("step.infer.steps=4"), *CPU, "--dry-run") == 0
    told = capsys.readouterr().out
    assert "features" in told
    assert "to run" not in told


def test_features_that_are_computed_a_frame(recipes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = (f"step.features.encoder={recipes / 'encoder'}", "step.features.track=", "step.features.per_frame=true")
    assert run("given.toml", *words) == 0
    outputs = recipes / "outputs" / "given"
    lengths = {name: Features(outputs / "features").length(name) for name in IDS}
    assert lengths == FRAMES
    assert Checkpoint(outputs / "train").facts.framewise
    assert pipe("infer", "given.toml", *settings(*words), "--audio", "hello.wav", *CPU) == 0


def test_it_cannot_follow_a_stream(
    recipes: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("given.toml") == 0
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"")))
    capsys.readouterr()
    assert pipe("infer", "given.toml", "--stream", "--ahead", "-1", "--out", "x.npy") == 2
    assert (
        "a speech encoder that it does not hold says of whole sentences: give --audio FILE" in capsys.readouterr().err
    )


def test_other_networks_refuse_them_before_anything_runs(recipes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (recipes / "other.toml").write_text(
        GIVEN.partition("[step.train]")[0] + '[step.train]\nmodel = "faceformer"\nepochs = 1\n'
    )
    assert pipe("run", "other.toml", "--dry-run", *CPU) == 2
    told = capsys.readouterr().err
    assert "faceformer has a speech encoder of its own upon features at 50 Hz, and step 'features' makes one" in told


def test_segments_are_trained_on_and_one_sentence_more_cuts_one(
    recipes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("segments.toml") == 0
    outputs = recipes / "outputs" / "segments"
    table = read_segments(outputs / "segment")
    assert {one.frames for one in table.values()} == {12}
    spoken = {item.id for item in Predictions(outputs / "infer").items.values()}
    assert spoken == set(Sequences(outputs / "segment").ids("test"))
    assert spoken <= set(table)
    capsys.readouterr()
    assert pipe("run", "segments.toml", *CPU, "--until", "segment", *settings("step.segment.rest=overlap")) == 0
    assert len(read_segments(outputs / "segment")) > len(table)
    capsys.readouterr()
    words = settings("step.preprocess.limit=2")
    assert pipe("run", "segments.toml", *CPU, "--until", "segment", *words) == 0
    told = capsys.readouterr().out
    assert "sequences are as they were and are taken over" in told
    index = json.loads((outputs / "segment" / "sequences.json").read_text())
    assert set(index["sequences"]) < set(table)

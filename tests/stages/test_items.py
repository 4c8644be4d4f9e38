"""One sentence more or changed is one sentence of work in every stage, and trains nothing if it is a test sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.execute import Means, run
from pipeline.plan import plan
from pipeline.recipe import load
from pipeline.workspace import Workspace
from stages.kinds.features import Features
from stages.kinds.predictions import Predictions
from stages.kinds.sequences import write_transcripts
from tests.pipeline.conftest import Recorder
from tests.stages.fake_face import NAME
from tests.stages.preprocess.biwi_files import BiwiData, biwi_data, write_folder

RECIPE = f"""\
[step.preprocess]
dataset = "biwi"
root = "raw"
fps = 25.0

[step.features]
encoder = "log-mel"

[step.train]
model = "{NAME}"
width = 4
epochs = 1

[step.infer]
splits = ["test-a", "test-b"]

[step.render]
size = 64
stills = 1
limit = 0
error_scale = 10.0

[step.metrics]
figures = false
"""
STEPS = ("preprocess", "features", "train", "infer", "render", "metrics")


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BiwiData:
    """Nine sentences; three of them are tests, one of which, F1_e37, is spoken in all styles."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PIPE_STATE", str(tmp_path / "state"))
    (tmp_path / "r.toml").write_text(RECIPE)
    data = biwi_data()
    data.write(tmp_path / "raw")
    return data


def go(store: str = "store") -> dict[str, str]:
    """Step → "cached", "3 of 4" where items were taken over, or "made"."""
    recorder = Recorder()
    run(load(Path("r.toml")), Workspace.find(store), recorder, means=Means("cpu", 1))
    return recorder.standings()


def again(data: BiwiData, name: tuple[str, str], rng: np.random.Generator, frames: int = 9) -> None:
    """Write the sound of a sentence anew."""
    data.audio[name] = rng.integers(-3000, 3000, 320 * frames, dtype=np.int16)
    for file in Path("raw/audio").iterdir():
        file.unlink()
    Path("raw/audio").rmdir()
    data.write_sound(Path("raw/audio"), "_cut")


def result(step: str) -> Path:
    return Path("outputs/r", step)


def test_items_through_all_stages(data: BiwiData) -> None:
    assert set(go().values()) == {"made"}
    assert set(go().values()) == {"cached"}
    rng = np.random.default_rng(1)

    again(data, ("F1", "e37"), rng)
    assert plan(load(Path("r.toml")), Workspace.find("store"))["preprocess"].standing == "partly cached (8 of 9)"
    assert go() == {
        "preprocess": "8 of 9",
        "features": "8 of 9",
        "train": "cached",
        "infer": "2 of 3",
        "render": "2 of 8",
        "metrics": "2 of 3",
    }

    template = data.templates["M3"]
    data.motion["M3", "e38"] = (template + 4 * rng.standard_normal((10, *template.shape))).astype(np.float32)
    write_folder(Path("raw/faces/M3/e38"), data.motion["M3", "e38"])
    again(data, ("M3", "e38"), rng, frames=10)
    more = go()
    assert more == {
        "preprocess": "9 of 10",
        "features": "9 of 10",
        "train": "cached",
        "infer": "3 of 4",
        "render": "8 of 9",
        "metrics": "3 of 4",
    }
    kept = {step: {f: f.read_bytes() for f in sorted(result(step).rglob("*")) if f.is_file()} for step in STEPS}

    assert set(go("another").values()) == {"made"}
    for step in ("preprocess", "features", "train", "metrics"):
        for file, content in kept[step].items():
            if file.name not in ("record.json", "manifest.json"):
                assert file.read_bytes() == content, f"{file} is not what one run makes"
    assert Features(result("features")).ids() == sorted(f"{a}_{b}" for a, b in data.motion)
    assert len(Predictions(result("infer")).items) == 9


@pytest.mark.parametrize("how", ["flipped", "cut"])
def test_rot_in_a_file_of_all_items_is_not_taken_over(data: BiwiData, how: str) -> None:
    go()
    (file,) = Path("store/features").glob("*/features.h5")
    file.chmod(0o644)
    content = bytearray(file.read_bytes())
    middle = content.index(Features(file.parent)["F2_e33"].tobytes())
    content[middle + 400 : middle + 440] = bytes(40)
    file.write_bytes(content if how == "flipped" else content[: len(content) // 2])
    again(data, ("F1", "e37"), np.random.default_rng(1))
    assert go()["features"] == ("7 of 9" if how == "flipped" else "made")
    made = (result("features") / "features.h5").read_bytes()
    go("another")
    assert (result("features") / "features.h5").read_bytes() == made


def test_a_training_sentence_trains(data: BiwiData) -> None:
    go()
    again(data, ("F2", "e01"), np.random.default_rng(2))
    found = go()
    assert (found["features"], found["train"], found["infer"], found["metrics"]) == ("8 of 9", "made", "made", "made")


def test_a_changed_text_makes_no_motion_and_trains_what_writes_it(data: BiwiData) -> None:
    recogniser = '[step.recogniser]\nstage = "train"\nmodel = "recogniser"\nwidth = 32\nlayers = 1\nepochs = 1\n\n'
    Path("r.toml").write_text(
        recogniser + RECIPE.replace("[step.infer]\n", '[step.infer]\ninputs.checkpoint = "train"\n')
    )
    texts = {f"{subject}_{sentence}": "hello" for subject, sentence in data.motion}
    write_transcripts(Path("raw"), texts)
    assert set(go().values()) == {"made"}

    write_transcripts(Path("raw"), texts | {"F1_e37": "of a test sentence"})
    assert go() == dict.fromkeys((*STEPS, "recogniser"), "cached") | {"preprocess": "9 of 9"}
    write_transcripts(Path("raw"), texts | {"F2_e01": "of a training sentence"})
    found = go()
    assert found == dict.fromkeys(STEPS, "cached") | {"preprocess": "9 of 9", "recogniser": "made"}


def test_the_scale_of_the_error_is_of_all_clips(data: BiwiData) -> None:
    Path("r.toml").write_text(RECIPE.replace("error_scale = 10.0", ""))
    go()
    name = ("F1", "e37")
    data.motion[name] = data.motion[name] + 300 * np.random.default_rng(3).standard_normal(data.motion[name].shape)
    for file in sorted(Path("raw/faces/F1/e37").iterdir()):
        file.unlink()
    Path("raw/faces/F1/e37").rmdir()
    write_folder(Path("raw/faces/F1/e37"), data.motion[name].astype(np.float32))
    found = go()
    assert found["infer"] == "cached"
    assert found["render"] == "made"  # the colours of all clips have moved
    assert found["metrics"] == "2 of 3"

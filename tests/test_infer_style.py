"""`pipe infer --style-from`: a new speaker's clips in, their manner of speaking out; and what is said to mistakes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from faces.ply import write_ply
from pipeline.errors import RecipeError, StageError
from stages.clip.pairs import newcomer, pairs_in, without_sound
from stages.kinds.sequences import Sequences
from tests.recipe_runs import here, store  # noqa: F401  fixtures
from tests.stages.voices import write_tone
from tests.test_infer import RECIPE, infer, refused, sound, trained  # noqa: F401  fixtures

QUICK = ("--set", "step.style.steps=2", "--set", "step.style.rates=[0.5]")
STEPS = ("clip", "clip-features", "style", *("network", "data", "voice", "features", "infer", "render"))


def said_of(text: str) -> dict[str, str]:
    """Step → what was said of it last."""
    lines = [line.split() for line in text.splitlines()]
    return {words[0]: words[1] for words in lines if words[1:] and words[0] in STEPS}


@pytest.fixture
def network(trained) -> Path:  # noqa: F811
    """The checkpoint itself, so that --set is for the steps of the command."""
    (found,) = (trained / "store" / "train").glob("synthetic-log-mel-faceformer--*")
    return found


@pytest.fixture
def data(trained) -> Sequences:  # noqa: F811
    (found,) = (trained / "store" / "preprocess").glob("synthetic--*")
    return Sequences(found)


@pytest.fixture
def clips(data, tmp_path) -> Path:
    """What a subject says whom the network has not heard: motion (T, V, 3), sound, and the neutral face."""
    folder = tmp_path / "karl"
    folder.mkdir()
    names = [name for name in data.ids() if data.entry(name).subject == "Synthetic_04"]
    for name, short in zip(names, ("s1", "s2"), strict=False):
        np.save(folder / f"{short}.npy", data.vertices(name))
        shutil.copyfile(data.wav(name), folder / f"{short}.wav")
    write_ply(folder / "neutral.ply", data.templates["Synthetic_04"], data.faces)
    return folder


def test_the_fitted_style_speaks(network, clips, sound, trained, capsys):  # noqa: F811
    words = (network, "--audio", sound, "--style-from", clips, *QUICK)
    assert infer(*words) == 0
    told = capsys.readouterr().out
    assert "karl begins as " in told
    assert "warning" not in told
    motion = np.load(trained / "outputs" / "infer" / "hello_karl.npy")
    assert motion.shape[0] == 14
    made = sorted((trained / "store" / "style").iterdir())[-1]
    facts = json.loads((made / "config.json").read_text())["facts"]
    assert facts["train_subjects"] == ["Synthetic_01", "Synthetic_02", "karl"]

    assert infer(*words, "--style", "Synthetic_01:0.5+karl:0.5") == 0
    told = said_of(capsys.readouterr().out)
    assert (told["style"], told["voice"], told["infer"]) == ("cached", "cached", "done")
    assert (trained / "outputs" / "infer" / "hello_Synthetic_01-0.5+karl-0.5.npy").is_file()


def test_another_sound_fits_nothing_again_and_another_clip_does(network, clips, sound, trained, capsys):  # noqa: F811
    other = write_tone(trained / "sounds" / "again.wav", seconds=0.7)
    words = ("--style-from", clips, *QUICK)
    assert infer(network, "--audio", sound, *words) == 0
    capsys.readouterr()
    assert infer(network, "--audio", other, *words) == 0
    told = said_of(capsys.readouterr().out)
    assert {step: told[step] for step in ("clip", "clip-features", "style")} == dict.fromkeys(
        ("clip", "clip-features", "style"), "cached"
    )
    assert (told["voice"], told["infer"]) == ("done", "done")
    shutil.copyfile(clips / "s1.npy", clips / "s3.npy")
    shutil.copyfile(clips / "s1.wav", clips / "s3.flac")
    capsys.readouterr()
    assert infer(network, "--audio", other, *words) == 0
    text = capsys.readouterr().out
    assert said_of(text)["style"] == "done"
    assert "2 of 3 clips are as they were" in text


def test_clips_are_held_against_each_network_and_face(network, clips, sound, data, capsys):  # noqa: F811
    """Motion that was read for one face says nothing of another: what fits it must be looked at again."""
    words = (network, "--audio", sound, "--style-from", clips, *QUICK)
    assert infer(*words) == 0
    assert "warning" not in capsys.readouterr().out
    write_ply(clips / "neutral.ply", data.templates["Synthetic_01"], data.faces)
    assert infer(*words) == 0
    assert "warning: s1.npy stays " in capsys.readouterr().out


def test_a_recipe_and_one_clip_and_the_face_of_the_subject(trained, clips, sound, capsys):  # noqa: F811
    """Without a neutral face beside it, the clip departs from the face that is to speak; (T, D) will do."""
    (clips / "neutral.ply").unlink()
    motion = np.load(clips / "s1.npy")
    np.save(clips / "s1.npy", motion.reshape(len(motion), -1).astype(np.float64))
    words = (RECIPE, "--tiny", "--audio", sound, "--style-from", clips / "s1.npy", "--dry-run")
    assert infer(*words, "--subject", "Synthetic_04") == 0
    told = capsys.readouterr().out
    assert all(step in told for step in ("clip", "clip-features", "style", "voice", "infer"))
    assert infer(*words, "--subject", "Synthetic_04", *QUICK, "--set", "step.render.size=64") == 0
    assert "parameter steps" not in capsys.readouterr().err
    assert "there is no step 'stile'" in refused(capsys, *words, "--set", "step.stile.steps=2")
    assert "unknown key 'stepps' for stage 'style'" in refused(capsys, *words, "--set", "step.style.stepps=2")


def test_somebody_elses_neutral_face_is_told(network, clips, sound, capsys):  # noqa: F811
    (clips / "neutral.ply").unlink()
    words = (network, "--audio", sound, "--style-from", clips, "--subject", "Synthetic_01", *QUICK)
    assert infer(*words) == 0
    assert "warning: s1.npy stays " in capsys.readouterr().out


def test_what_was_fitted_can_speak_later(network, clips, sound, trained, capsys):  # noqa: F811
    assert infer(network, "--audio", sound, "--style-from", clips, *QUICK) == 0
    made = sorted((trained / "store" / "style").iterdir())[-1]
    assert infer(f"style/{made.name}", "--audio", sound, "--style", "karl:0.5+Synthetic_01:0.5", "--out", "later") == 0
    assert (trained / "later" / "hello_karl-0.5+Synthetic_01-0.5.npy").is_file()


# -- mistakes ----------------------------------------------------------------------------------------------------------


def no_sound(folder: Path) -> Path:
    (folder / "s1.wav").unlink()
    return folder / "s1.npy"


def no_pair(folder: Path) -> Path:
    for file in folder.glob("*.wav"):
        file.unlink()
    return folder


def another_name(folder: Path) -> Path:
    return folder.rename(folder.with_name("Synthetic_01"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (no_sound, "s1.npy has no sound beside it: put s1.wav there (or .flac, "),
        (no_pair, "karl holds no motion (.npy) with sound of the same name beside it: give a motion file"),
        (lambda folder: folder / "gone", "gone is not there: give a motion file (.npy) with its sound beside it"),
        (lambda folder: folder / "s1.wav", "s1.wav is no motion: give a motion file (.npy)"),
        (another_name, "Synthetic_01 was trained on and has a style already; say --style Synthetic_01, or call"),
    ],
)
def test_clips_that_are_none(network, clips, sound, capsys, change: Callable[[Path], Path], said):  # noqa: F811
    assert said in refused(capsys, network, "--audio", sound, "--style-from", change(clips))


def rewritten(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path], None]:
    return lambda folder: np.save(folder / "s1.npy", change(np.load(folder / "s1.npy")))


def with_nan(motion: np.ndarray) -> np.ndarray:
    motion[4, 100] = np.nan
    return motion


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            rewritten(lambda motion: motion[:, :9]),
            "s1.npy has 9 vertices and the network was trained on faces of 5,023",
        ),
        (rewritten(with_nan), "s1.npy, frame 4: NaN or infinite vertices; export it again"),
        (rewritten(lambda motion: motion[:0]), "s1.npy holds no frame: export it again"),
        (rewritten(lambda motion: motion[:, :8, 0]), "it must be (frames, vertices, 3) or (frames, 3·vertices) in C"),
        (rewritten(lambda motion: np.repeat(motion[:1], len(motion), axis=0)), "s1.npy stands still: all its frames"),
        (rewritten(lambda motion: motion[:, ::-1]), "s1.npy has as many vertices as the neutral face, and"),
        (rewritten(lambda motion: 1000 * motion), "as large as the neutral face: give it in m"),
        (
            rewritten(lambda motion: np.repeat(motion, 2, axis=0)),
            "s at the network's 30 a second, and s1.wav ",
        ),
        (lambda folder: (folder / "s1.wav").write_bytes(b"no sound"), "s1.wav cannot be read as sound"),
        (
            lambda folder: write_tone(folder / "s1.wav", seconds=0.01),
            "its sound is shorter than 25 ms; record it again",
        ),
    ],
)
def test_clips_that_do_not_fit(network, clips, sound, capsys, change: Callable[[Path], None], said):  # noqa: F811
    change(clips)
    assert said in refused(capsys, network, "--audio", sound, "--style-from", clips, code=1)


def test_too_short_for_a_style(network, clips, sound, capsys):  # noqa: F811
    motion = np.load(clips / "s1.npy")
    np.save(clips / "s1.npy", motion[:20])
    write_tone(clips / "s1.wav", seconds=20 / 30)
    said = refused(capsys, network, "--audio", sound, "--style-from", clips / "s1.npy", *QUICK, code=1)
    assert "0.67 s of motion (s1) are too short to tell a style: give 1 s or more" in said


def test_a_stream_fits_nothing(network, clips, capsys):
    said = refused(capsys, network, "--stream", "--style-from", clips)
    assert "--style-from fits a style to files, and --stream keeps nothing" in said


def test_a_style_that_nobody_has(network, clips, sound, capsys):  # noqa: F811
    said = refused(capsys, network, "--audio", sound, "--style-from", clips, "--style", "carl")
    assert "'carl' is no style of this network, which was trained on Synthetic_01, Synthetic_02, karl" in said


def test_a_network_without_styles_takes_nobody_in(clips):
    with pytest.raises(RecipeError, match="--style-from: selftalk has no styles and speaks in one manner"):
        newcomer(str(clips), "selftalk", ["A"])


def test_pairs_of_a_folder(tmp_path):
    for name in ("take10.npy", "take10.mp3", "take2.npy", "take2.flac", "take2.wav", "alone.npy", "a b.npy", "a b.WAV"):
        (tmp_path / name).write_bytes(b"x")
    found = pairs_in(tmp_path)
    assert [(name, pair.sound.name) for name, pair in found.items()] == [
        ("a_b", "a b.WAV"),
        ("take2", "take2.wav"),
        ("take10", "take10.mp3"),
    ]
    assert [file.name for file in without_sound(tmp_path)] == ["alone.npy"]
    with pytest.raises(StageError, match="is not there"):
        pairs_in(tmp_path / "gone")

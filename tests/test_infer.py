"""`pipe infer` as a user meets it: what runs again, where results lie, and what is said to mistakes."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile

from faces.ply import write_ply
from pipeline.commands import infer_stream
from tests.models.released_files import codetalker, faceformer, motion_prior, write
from tests.pipeline.test_cli import HEAVY, pipe, process
from tests.recipe_runs import ROOT, here, store  # noqa: F401  fixtures
from tests.stages.voices import write_tone

RECIPE = str(ROOT / "recipes" / "quickstart.toml")
VERTICES = 12
SMALL = ("--set", "step.render.size=64")


@pytest.fixture(scope="module")
def sound(store) -> Path:  # noqa: F811
    return write_tone(store / "sounds" / "hello.wav", seconds=0.5)


@pytest.fixture(scope="module")
def mesh(store) -> Path:  # noqa: F811
    points = np.random.default_rng(0).normal(scale=0.05, size=(VERTICES, 3)).astype(np.float32)
    return write_ply(store / "me.ply", points, np.array([[i, i + 1, i + 2] for i in range(VERTICES - 2)]))


@pytest.fixture(scope="module")
def released(store) -> Path:  # noqa: F811
    return write(faceformer(VERTICES, 2), store / "net.pth")


@pytest.fixture
def trained(here) -> Path:  # noqa: F811
    """The quickstart in its tiny form, trained."""
    assert pipe("run", RECIPE, "--tiny", "--until", "train", "--device", "cpu") == 0
    return here


def infer(*words: str | Path) -> int:
    return pipe("infer", *(str(word) for word in words), "--device", "cpu")


def states(text: str) -> dict[str, str]:
    """Step → what was said of it last."""
    steps = ("network", "data", "voice", "features", "infer", "render")
    lines = [line.split() for line in text.splitlines()]
    return {words[0]: words[1] for words in lines if words[1:] and words[0] in steps}


def refused(capsys: pytest.CaptureFixture[str], *words: str | Path, code: int = 2) -> str:
    capsys.readouterr()
    assert infer(*words) == code
    told = capsys.readouterr()
    assert "Traceback" not in told.err
    return told.err


# -- a recipe ----------------------------------------------------------------------------------------------------------


def test_a_recipe_that_was_not_trained(here, sound, capsys):  # noqa: F811
    said = refused(capsys, RECIPE, "--tiny", "--set", "step.train.epochs=2", "--audio", sound)
    assert "quickstart is not trained as it stands (train: " in said
    assert said.endswith("--set step.train.epochs=2 --tiny --until train\n")


def test_a_checkpoint_has_no_forms(trained, sound, capsys):
    said = refused(capsys, "outputs/quickstart/train", "--tiny", "--audio", sound)
    assert "--tiny: outputs/quickstart/train is no recipe and has no other forms" in said


def test_what_a_recipe_trained_before_still_speaks(trained, sound, capsys):
    said = refused(capsys, RECIPE, "--tiny", "--set", "step.train.epochs=2", "--audio", sound)
    assert "what it trained before still speaks: pipe infer outputs/quickstart/train" in said
    assert infer("outputs/quickstart/train", "--audio", sound, "--style", "Synthetic_02") == 0


def test_another_style_makes_only_what_hangs_on_it(trained, sound, capsys):
    assert infer(RECIPE, "--tiny", "--audio", sound) == 0
    told = capsys.readouterr().out
    assert "hello  0.5      14      mean" in told
    assert "times real time" in told
    motion = np.load(trained / "outputs" / "infer" / "hello_mean.npy")
    assert motion.shape[0] == 14
    assert infer(RECIPE, "--tiny", "--audio", sound, "--style", "Synthetic_01:0.3+Synthetic_02:0.7") == 0
    assert states(capsys.readouterr().out) == {
        "network": "cached",
        "data": "cached",
        "voice": "cached",
        "features": "cached",
        "infer": "done",
    }
    assert (trained / "outputs" / "infer" / "hello_Synthetic_01-0.3+Synthetic_02-0.7.npy").is_file()


def test_all_styles_and_the_subjects_own(trained, sound, capsys):
    assert infer(RECIPE, "--tiny", "-a", sound, "--style", "all", "--subject", "Synthetic_01", "--out", "mine") == 0
    assert sorted(file.name for file in (trained / "mine").iterdir()) == [
        "hello_Synthetic_01.npy",
        "hello_Synthetic_02.npy",
    ]
    assert not any(file.is_symlink() for file in (trained / "mine").iterdir())
    capsys.readouterr()
    assert infer(RECIPE, "--tiny", "-a", sound, "--subject", "Synthetic_01", "-n") == 0
    assert "conditions: 'all' → ['Synthetic_01']" in capsys.readouterr().out


def test_one_more_file_costs_that_file_only(trained, capsys):
    folder = trained / "more"
    for name in ("a", "b"):
        write_tone(folder / f"{name}.wav", seconds=0.4 if name == "a" else 0.5)
    words = (RECIPE, "--tiny", "--audio", folder, "--subject", "Synthetic_02")
    assert infer(*words) == 0
    write_tone(folder / "c.flac", seconds=0.6)
    (folder / "notes.txt").write_text("not heard")
    capsys.readouterr()
    assert infer(*words) == 0
    told = capsys.readouterr().out
    for unit, step in (("sounds", "voice"), ("sequences", "features"), ("sequences", "infer")):
        assert f"2 of 3 {unit} are as they were" in "".join(
            line for line in told.splitlines() if line.startswith(step)
        ), told
    assert "c      0.6" in told


def test_a_call_with_nothing_to_make_imports_nothing_heavy(trained, sound):
    words = ["infer", RECIPE, "--tiny", "--audio", str(sound), "--device", "cpu"]
    assert pipe(*words) == 0
    code = (
        "import sys\nfrom pipeline.__main__ import main\ntry:\n    main()\nfinally:\n"
        f"    print('heavy:', [m for m in {HEAVY} if m in sys.modules], file=sys.stderr)"
    )
    done = process(*words, code=code)
    assert done.returncode == 0, done.stderr
    assert "heavy: []" in done.stderr
    assert "hello" in done.stdout


# -- a checkpoint ------------------------------------------------------------------------------------------------------


def checkpoint(folder: Path) -> Path:
    (found,) = (folder / "store" / "train").glob("synthetic-log-mel-faceformer--*")
    return found


def test_a_name_a_folder_and_a_copy_of_it(trained, sound, capsys):
    folder = checkpoint(trained)
    copy = trained / "copied" / "net"
    shutil.copytree(folder, copy)
    bare = trained / "bare"
    bare.mkdir()
    for name in ("model.safetensors", "config.json"):
        shutil.copy(folder / name, bare / name)
    motions = []
    for target in (f"train/{folder.name}", folder, copy, bare):
        assert infer(target, "--audio", sound, "--subject", "Synthetic_03", "--out", "from") == 0
        motions.append(np.load(trained / "from" / "hello_mean.npy"))
    assert all(np.array_equal(motions[0], motion) for motion in motions)


def test_its_own_settings(trained, sound, capsys):
    """Without a recipe, --set is for the steps of the command."""
    words = (checkpoint(trained), "--audio", sound, "--render", "--out", "own")
    assert infer(*words, *SMALL, "--set", "step.render.captions=false") == 0
    with av.open(str(trained / "own" / "hello_mean.mp4")) as video:
        assert (video.streams.video[0].width, video.streams.video[0].height) == (64, 64)
    assert "has no step 'rendre'" in refused(capsys, *words, "--set", "step.rendre.size=64").replace("there is", "has")
    assert "unknown key 'siez'" in refused(capsys, *words, "--set", "step.render.siez=64")


def test_a_released_file_and_a_mesh(here, released, mesh, sound, capsys):  # noqa: F811
    words = (released, "--audio", sound, "--subject", mesh, "--style", "subject2", "--out", "released")
    assert infer(*words, "--render", *SMALL) == 0
    with av.open(str(here / "released" / "hello_subject2.mp4")) as video:
        assert video.streams.video[0].frames == 14
        assert video.streams.audio
    capsys.readouterr()
    assert infer(*words[:-3], "mean", *words[-2:]) == 0
    assert states(capsys.readouterr().out)["network"] == "cached"
    motion = np.load(here / "released" / "hello_mean.npy")
    assert np.isfinite(motion).all()
    assert motion.shape == (14, 3 * VERTICES)


def test_the_second_stage_with_its_prior(here, mesh, sound, capsys):  # noqa: F811
    prior = motion_prior(VERTICES)
    first, second = write(prior, here / "s1.pth.tar"), write(codetalker(prior, 2), here / "s2.pth.tar")
    said = refused(capsys, second, "--audio", sound, "--subject", mesh)
    assert "is of 'codetalker', which is built upon 'codetalker-vq': give that file with --prior FILE" in said
    assert "holds a motion prior" in refused(capsys, first, "--audio", sound, "--subject", mesh)
    assert infer(second, "--prior", first, "--audio", sound, "--subject", mesh, "--out", "two") == 0
    assert np.load(here / "two" / "hello_mean.npy").shape == (14, 3 * VERTICES)


def test_damaged_checkpoints(here, mesh, sound, capsys):  # noqa: F811
    """One whose files are short is refused; one that has rotted is set aside once that is found, and made again."""
    words, rotten = ("--audio", sound, "--subject", mesh), write(faceformer(VERTICES, 2, seed=9), here / "rotten.pth")
    assert infer(rotten, *words) == 0
    (folder,) = (here / "store" / "adopt").glob("rotten-faceformer--*")
    file = folder / "model.safetensors"
    content = file.read_bytes()
    file.chmod(0o644)
    file.write_bytes(content[:-100])
    assert "is damaged (" in refused(capsys, f"adopt/{folder.name}", *words, "--style", "subject1")
    file.write_bytes(b"\xff" * 64 + content[64:])
    assert "step 'infer'" in refused(capsys, f"adopt/{folder.name}", *words, "--style", "subject1", code=1)
    assert not folder.exists()
    assert infer(rotten, *words, "--style", "subject1") == 0


# -- mistakes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "say what is to be spoken: --audio FILE or FOLDER, or --stream"),
        (("--audio", "gone.wav"), "gone.wav is not there: give a file of sound, or a folder of them"),
        (("--audio", "nothing"), "nothing holds no sound: none of its files ends in .wav"),
        (("--audio", "{sound}", "--subject", "gone.ply"), "--subject gone.ply: there is no such file"),
        (("--audio", "{sound}", "--subject", "Anna"), "net.pth comes without the data"),
        (("--audio", "{sound}", "--style", "subjet1"), "Did you mean 'subject1'?"),
        (("--audio", "{sound}", "--weights", "worst"), "--weights 'worst': write best or last"),
        (("--audio", "{sound}", "--hop", "1"), "--ahead and --hop say how a stream is heard: give --stream, too"),
        (("--audio", "{sound}", "--stream"), "--stream hears standard input and makes no video"),
        (("--stream", "--out", "x.mp4"), "a stream is written to one file, which ends in .npy"),
        (("--stream", "--dry-run"), "--stream keeps nothing and has no plan to show"),
        (("--stream", "--ahead", "nan"), "--ahead nan: give the seconds of sound to wait for"),
        (("--stream", "--hop", "0"), "--hop 0: give the seconds of motion that are made at a time"),
        (("--audio", "{sound}", "--prior", "gone.pth.tar"), "prior: 'faceformer' is built upon no motion prior"),
    ],
)
def test_mistakes(here, released, mesh, sound, capsys, words, said):  # noqa: F811
    (here / "nothing").mkdir(exist_ok=True)
    given = [word.format(sound=sound) for word in words]
    if "--subject" not in given:
        given += ["--subject", str(mesh)]
    assert said in refused(capsys, released, *given)


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("trian/nothing", "the store has no artifact 'trian/nothing'"),
        ("nothing", "nothing has no config.json: give a recipe, a checkpoint's name or folder, or a released file"),
        ("/gone/net.pth", "/gone/net.pth is not there"),
    ],
)
def test_networks_that_are_none(here, sound, capsys, target, said):  # noqa: F811
    (here / "nothing").mkdir(exist_ok=True)
    assert said in refused(capsys, target, "--audio", sound)


def test_files_that_fit_no_model(here, sound, mesh, capsys):  # noqa: F811
    (here / "damaged.pth").write_bytes(b"PK\3\4" + b"x" * 100)
    assert "damaged.pth" in refused(capsys, "damaged.pth", "--audio", sound, "--subject", mesh, code=1)
    assert "is no released file of weights" in refused(capsys, sound, "--audio", sound, "--subject", mesh, code=1)


def test_bad_sound_stops_and_keeps_what_was_made(here, released, mesh, capsys):  # noqa: F811
    folder = here / "bad"
    write_tone(folder / "a.wav")
    soundfile.write(folder / "b.wav", np.full(8000, np.nan), 16_000, subtype="FLOAT")
    words = (released, "--audio", folder, "--subject", mesh)
    said = refused(capsys, *words, code=1)
    assert "step 'voice': b: " in said or "b.wav: samples that are not numbers (NaN or infinity)" in said
    soundfile.write(folder / "b.wav", np.zeros(0), 16_000)
    assert infer(*words) == 0
    assert "skipped b: its sound is empty" in capsys.readouterr().out


def test_a_mesh_of_another_topology(here, released, sound, capsys):  # noqa: F811
    other = write_ply(here / "other.ply", np.eye(3, dtype=np.float32), np.array([[0, 1, 2]]))
    said = refused(capsys, released, "--audio", sound, "--subject", other, code=1)
    assert "other.ply has 3 vertices and the network was trained on faces of 12" in said


def test_another_rate_than_the_networks(trained, sound, capsys):
    said = refused(capsys, checkpoint(trained), "--audio", sound, "--fps", "25")
    assert "--fps 25: this network moves at 30 frames a second" in said


# -- a stream ----------------------------------------------------------------------------------------------------------


def test_a_stream_finds_network_face_and_style_as_a_plan_does(here, released, mesh, monkeypatch, capfd):  # noqa: F811
    handed: dict[str, Any] = {}
    real = infer_stream.load_command
    monkeypatch.setattr(
        infer_stream, "load_command", lambda name: handed.update if name == "infer stream" else real(name)
    )
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert infer(released, "--subject", mesh, "--style", "subject1:0.5+subject2:0.5", "--stream", "--ahead", "0.2") == 0
    assert capfd.readouterr().out == ""
    assert (handed["checkpoint"] / "model.safetensors").is_file()
    assert (handed["mesh"], handed["conditions"]) == (str(mesh), ["subject1:0.5+subject2:0.5"])
    assert (handed["ahead"], handed["hop"], handed["weights"]) == (0.2, None, "best")
    assert handed["context"] == 0
    words = (released, "--subject", mesh, "--style", "mean", "--stream", "--set")
    assert infer(*words, "step.infer.context=9") == 0
    assert handed["context"] == 9
    assert infer(*words, "step.infer.window=2") == 2
    assert "--set step.infer.window: a stream takes step.infer.context alone" in capfd.readouterr().err


# -- a network that draws its motion -----------------------------------------------------------------------------------


@pytest.fixture
def drawing(here) -> Path:  # noqa: F811
    """The quickstart's data, in its tiny form, and a network whose motion is drawn."""
    text = Path(RECIPE).read_text(encoding="utf-8").replace('"base/', f'"{ROOT / "recipes" / "base"}/')
    kept = [line for line in text.splitlines() if not line.startswith(OF_FACEFORMER)]
    (here / "drawing.toml").write_text("\n".join(kept).replace('"faceformer"', '"tests.stages.drawing_face"'))
    assert pipe("run", "drawing.toml", "--tiny", "--until", "train", "--device", "cpu") == 0
    return here


OF_FACEFORMER = (
    *("motion_scale", "encoder_layers", "encoder_width", "mask_time_prob", "layerdrop"),
    *("step.train.feature_dim", "step.train.encoder_layers", "step.train.encoder_width"),
)


def test_samples_of_a_sound(drawing, sound, capsys):
    assert infer("drawing.toml", "--tiny", "--audio", sound, "--samples", "2", "--seed", "5") == 0
    told = capsys.readouterr().out
    assert "sample 5" in told
    first, second = (np.load(drawing / "outputs" / "infer" / f"hello_mean_seed{seed}.npy") for seed in (5, 6))
    assert first.shape == second.shape
    assert not np.array_equal(first, second)
    assert infer("drawing.toml", "--tiny", "--audio", sound, "--seed", "6") == 0
    again = np.load(drawing / "outputs" / "infer" / "hello_mean_seed6.npy")
    np.testing.assert_array_equal(again, second)
    assert infer("drawing.toml", "--tiny", "-a", sound, "--set", "step.infer.samples=3", "-n") == 0


def test_samples_of_a_network_that_draws_none(trained, sound, capsys):
    said = refused(capsys, RECIPE, "--tiny", "--audio", sound, "--samples", "2")
    assert "samples = 2: the network of step 'network' (faceformer) draws nothing" in said
    said = refused(capsys, RECIPE, "--tiny", "--stream", "--samples", "2")
    assert "--samples and --seed are for files, and a stream is spoken once" in said

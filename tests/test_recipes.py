"""Every recipe that comes with the project is loaded, and run in its tiny form from raw data to video and metrics."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import Wav2Vec2Config, Wav2Vec2Model

from pipeline.recipe import load
from stages.preprocess.synthetic.raw import Cast, write_raw
from stages.preprocess.vocaset import RAW_FILES
from tests.pipeline.test_cli import HEAVY, pipe, process

ROOT = Path(__file__).parents[1]
RECIPES = sorted((ROOT / "recipes").glob("*.toml"))
TALKERS = {
    "Synthetic_01": "FaceTalk_170728_03272_TA",
    "Synthetic_02": "FaceTalk_170811_03275_TA",
    "Synthetic_03": "FaceTalk_170809_00138_TA",
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One store for the module, so that equal steps are made once."""
    return tmp_path_factory.mktemp("recipes")


@pytest.fixture
def here(store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(store)
    monkeypatch.setenv("PIPE_STATE", str(store / "state"))
    monkeypatch.setenv("PIPE_STORE", str(store / "store"))
    monkeypatch.setenv("PIPE_OUTPUTS", str(store / "outputs"))
    return store


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_loads_and_has_a_tiny_form(path) -> None:
    recipe = load(path)
    assert recipe.info["title"]
    assert recipe.info["paper"]
    assert set(load(path, tiny=True).steps) == set(recipe.steps)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_the_status_of_a_real_recipe_imports_nothing_heavy(here, path) -> None:
    code = "import sys; from pipeline.__main__ import planned_only; assert planned_only(sys.argv[1:])\n"
    code += f"print('heavy:', [m for m in {HEAVY} if m in sys.modules])"
    done = process("status", str(path), code=code)
    assert done.stdout.endswith("heavy: []\n"), done.stderr


def settings(*words: str) -> list[str]:
    return [part for word in words for part in ("--set", word)]


def run_tiny(recipe: str, *words: str) -> int:
    return pipe("run", str(ROOT / "recipes" / recipe), "--tiny", "--device", "cpu", *settings(*words))


def test_quickstart_from_nothing_to_video_and_metrics(here, capsys) -> None:
    assert run_tiny("quickstart.toml") == 0
    out = here / "outputs/quickstart"
    (video,) = out.glob("render/*.mp4")
    with av.open(str(video)) as container:
        frames = sum(1 for _ in container.decode(video=0))
        assert container.streams.video[0].average_rate == 30
        assert container.streams.audio[0].codec_context.name == "aac"
    name = video.stem.partition("_condition_")[0]
    assert frames == np.load(out / "infer/npy" / f"{video.stem}.npy").shape[0]
    assert abs(frames - np.load(out / "preprocess/vertices_npy" / f"{name}.npy").shape[0]) <= 2
    rows = {number["row"] for number in json.loads((out / "metrics/metrics.json").read_text())["numbers"]}
    assert rows == {"model", "neutral template", "mean motion"}
    assert list(out.glob("metrics/figures/*.png"))
    assert (out / "train/curves.png").stat().st_size > 1000
    capsys.readouterr()


def test_quickstart_again_runs_nothing_and_a_render_setting_only_render(here, capsys) -> None:
    assert run_tiny("quickstart.toml") == 0
    capsys.readouterr()
    assert run_tiny("quickstart.toml") == 0
    assert "nothing to do, 6 steps are cached" in capsys.readouterr().out
    assert run_tiny("quickstart.toml", "step.render.size=96") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if " running " in line] == ["render"]


def test_ctrl_c_while_training_loses_nothing(here) -> None:
    words = [
        sys.executable,
        "-m",
        "pipeline",
        "run",
        str(ROOT / "recipes/quickstart.toml"),
        "--tiny",
        "--device",
        "cpu",
    ]
    words += settings("step.train.epochs=25", "step.train.validate_every=25")
    env = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(words, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "steps" in line and line.startswith("train"):
                break
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 75, err
    assert "run the same command again to go on" in err
    assert "Traceback" not in err
    again = subprocess.run([*words, "--until", "train"], env=env, capture_output=True, text=True, timeout=120)
    assert again.returncode == 0, again.stderr
    history = (here / "outputs/quickstart/train/history.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in history] == list(range(1, 26))


@pytest.fixture(scope="module")
def vocaset(store: Path) -> Path:
    """Three synthetic talkers under VOCASET's names, as its owners hand the files out, with region masks."""
    root = store / "vocaset"
    write_raw(root, Cast(subjects=3, sentences=1, seconds=1.0, seed=3, noise=0.0))
    for file in (RAW_FILES["index"], RAW_FILES["audio"], RAW_FILES["templates"]):
        table = pickle.loads((root / file).read_bytes())
        renamed = {TALKERS[name]: _sentence_21(value) for name, value in table.items()}
        (root / file).write_bytes(pickle.dumps(renamed, protocol=2))
    masks = {"lips": np.arange(100, 140), "forehead": np.arange(900, 960)}
    (root / "FLAME_masks.pkl").write_bytes(pickle.dumps(masks, protocol=2))
    return root


def _sentence_21(value: object) -> object:
    return {"sentence21": value["sentence01"]} if isinstance(value, dict) else value


@pytest.fixture(scope="module")
def encoder(store: Path) -> Path:
    """A small wav2vec 2.0 of random weights in the format of the hub."""
    torch.manual_seed(0)
    config = Wav2Vec2Config(
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        conv_dim=[16] * 7,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=2,
    )
    Wav2Vec2Model(config).save_pretrained(store / "encoder")
    return store / "encoder"


@pytest.fixture
def official(here: Path, vocaset: Path, encoder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("VOCASET_ROOT", str(vocaset))
    return [f"step.features.encoder={encoder}"]


def test_faceformer_vocaset(here, official, capsys) -> None:
    assert run_tiny("faceformer_vocaset.toml", *official) == 0
    out = here / "outputs/faceformer_vocaset"
    made = sorted(path.name for path in (out / "infer/npy").iterdir())
    assert len(made) == 8  # an unseen subject speaks in the style of all eight training subjects
    assert made[0].startswith("FaceTalk_170809_00138_TA_sentence21_condition_FaceTalk_170725_00137_TA")
    assert list((out / "render").glob("*.mp4"))


def test_released_weights_are_evaluated_without_training(here, official, capsys) -> None:
    """A file as the released code saves it: plain names, weight_g and weight_v, the table of positions."""
    assert run_tiny("faceformer_vocaset.toml", *official) == 0
    trained = here / "outputs/faceformer_vocaset"
    first = np.load(next((trained / "infer/npy").iterdir()))
    state = load_file(trained / "train/model.safetensors")
    spelling = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
    renamed = {_replaced(name, spelling): value for name, value in state.items()}
    renamed["PPE.pe"] = torch.zeros(1, 630, 64)
    torch.save(renamed, here / "vocaset.pth")
    words = [*official, "step.train.epochs=0", "step.train.weights=vocaset.pth"]
    code = run_tiny("faceformer_vocaset.toml", *words)
    assert (code, "PPE" in capsys.readouterr().err) == (1, True)  # a table that is not FaceFormer's is refused
    del renamed["PPE.pe"]
    torch.save(renamed, here / "vocaset.pth")
    assert run_tiny("faceformer_vocaset.toml", *words) == 0
    np.testing.assert_allclose(np.load(next((trained / "infer/npy").iterdir())), first, atol=1e-7)


def _replaced(name: str, spelling: dict[str, str]) -> str:
    for old, new in spelling.items():
        name = name.replace(old, new)
    return name


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["step.preprocess.root=nowhere"], "the folder"),
        (["step.features.encoder=nobody/no-such-encoder"], "could not be downloaded"),
        (["step.train.weights=absent.pth"], "absent.pth is missing"),
    ],
)
def test_what_is_missing_is_said(here, official, capsys, monkeypatch, words, sentence) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    code = run_tiny("faceformer_vocaset.toml", *official, *words)
    assert code in (1, 2)
    assert sentence in capsys.readouterr().err

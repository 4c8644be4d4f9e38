"""The recipes of audio-visual guidance in their tiny form, from raw data and an expert's released files to a table."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from models.lipreader.net import LipReader
from models.lipreader.sizes import Sizes
from pipeline.recipe import load
from stages.kinds.checkpoint import Checkpoint
from stages.kinds.readings import Readings
from stages.kinds.sequences import Sequences, write_transcripts
from stages.preprocess.synthetic.cast import perform
from stages.preprocess.synthetic_biwi.raw import BiwiCast, write_frames, write_raw
from tests.models.lipreader.pieces_files import make_pieces
from tests.models.lipreader.tiny import network
from tests.pipeline.test_cli import pipe
from tests.recipe_runs import ONE_THREAD, ROOT, TALKERS, encoder, here, run_tiny, store, vocaset

__all__ = ["encoder", "here", "store", "vocaset"]

VOCASET, BIWI = "avguidance_vocaset.toml", "avguidance_biwi.toml"
WEIGHTS = "avsr_trlrwlrs2lrs3vox2avsp_base.pth"
SMALL = {"front_width": 2, "width": 16, "layers": 1, "heads": 2, "feedforward": 16, "kernel": 7, "decoder_layers": 1}


@pytest.fixture(scope="module")
def avsr(store: Path) -> Path:
    """The three files of an expert, small and drawn, in the layout in which they are handed out, and one of video."""
    folder = store / "avsr"
    folder.mkdir()
    model, units = make_pieces(folder)
    model.rename(folder / "unigram5000.model")
    units.rename(folder / "unigram5000_units.txt")
    classes = len((folder / "unigram5000_units.txt").read_text().splitlines()) + 2
    both = network(Sizes(classes=classes, fusion_width=16, **SMALL), seed=4)
    torch.save(both.state_dict(), folder / WEIGHTS)
    torch.save(network(Sizes(modality="video", classes=classes, **SMALL), seed=5).state_dict(), folder / "vsr.pth")
    return folder


@pytest.fixture
def given(here: Path, vocaset: Path, encoder: Path, avsr: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    write_transcripts(vocaset, {f"{name}_sentence21": "the quick dog" for name in TALKERS.values()})
    monkeypatch.setenv("VOCASET_ROOT", str(vocaset))
    monkeypatch.setenv("AVSR_ROOT", str(avsr))
    monkeypatch.setenv("VSR_WEIGHTS", str(avsr / "vsr.pth"))
    return [f"step.features.encoder={encoder}", "step.metrics.figures=false"]


@pytest.fixture(scope="module")
def biwi(store: Path) -> Path:
    """Three synthetic talkers in BIWI's own layout, with mouths that a camera can look at."""
    root, cast = store / "biwi", BiwiCast(3, 3, 0.8, 3, 0.0, vertices=5023)
    write_raw(root, cast)
    for number, sentence in cast.sequences:
        folder = root / "faces" / cast.names[number] / cast.sentence(sentence)
        write_frames(folder, perform(cast, cast.subject(number), number, sentence)[0])
    return root


@pytest.mark.parametrize(("name", "size"), [("vocaset", (64, 30, "interpolate")), ("biwi", (128, 25, "pairs"))])
def test_as_published(name: str, size: tuple[int, int, str]) -> None:
    steps = load(ROOT / f"recipes/avguidance_{name}.toml", as_published=True).steps
    values, plain = steps["train"].values, steps["plain"].values
    assert (values["feature_dim"], values["period"], values["alignment"]) == size
    quirks = [values[word] for word in ("expert", "shading_gradient", "timing", "casing", "camera", "pixel_std")]
    assert quirks == ["finetune", "detached", "released", "released", name, 0.4]
    assert (values["lip_weight"], values["guidance_weight"], values["motion_scale"]) == (1.0, 1e-7, 1.0)
    assert (values["epochs"], values["accumulation"], values["time_mask"]) == (100, "released", True)
    expert = steps["expert"].values
    assert (expert["camera"], expert["pixel_std"], expert["epochs"]) == (name, 0.165, 0)
    published = {field: expert[field] for field in Sizes.__dataclass_fields__}
    assert Sizes(**published) == Sizes()
    guidance = {"guidance_weight", "expert", "shading_gradient", "timing", "casing", "save_every"}
    assert {word for word, value in values.items() if plain[word] != value} == guidance


@pytest.mark.parametrize("name", ["vocaset", "biwi", "synthetic"])
def test_the_network_without_guidance_is_the_same_but_for_it(name: str) -> None:
    steps = load(ROOT / f"recipes/avguidance_{name}.toml").steps
    values, plain = steps["train"].values, steps["plain"].values
    assert {word for word, value in values.items() if plain[word] != value} == {"guidance_weight"}
    assert steps["train"].inputs.keys() - steps["plain"].inputs.keys() == {"expert"}
    for word in ("infer", "lipread"):
        assert steps[word].values == steps[f"{word}_plain"].values


def test_vocaset_from_raw_data_to_the_table(here: Path, given: list[str], avsr: Path) -> None:
    assert run_tiny(VOCASET, *given) == 0
    out = here / "outputs/avguidance_vocaset"
    assert len(list((out / "infer/npy").iterdir())) == len(list((out / "infer_plain/npy").iterdir())) == 8
    (record,) = [json.loads(line) for line in (out / "train/history.jsonl").read_text().splitlines()]
    assert record["gradients"].keys() == {"position", "lip", "guidance"}
    assert {"ctc", "attention"} <= record["val"].keys()
    assert list((out / "train/mouths").glob("*.mp4"))
    adopted, theirs = load_file(out / "expert/model.safetensors"), torch.load(avsr / WEIGHTS, weights_only=True)
    assert all(torch.equal(adopted[name], value) for name, value in theirs.items())
    assert not (out / "train/expert").exists()
    for word in ("lipread", "lipread_plain"):
        assert Readings(out / word).info.modality == "silent"
    told = json.loads((out / "metrics/metrics.json").read_text())
    rows = {(number["metric"].partition("/")[0], number["row"]) for number in told["numbers"]}
    assert {("cer", "model"), ("cer", "truth")} <= rows
    assert {"cer", "lve"} <= {test["metric"].partition("/")[0] for test in told["paired"]["tests"]}
    with (out / "metrics/per_sequence.csv").open() as table:
        assert list(csv.DictReader(table))
    assert list((out / "render").glob("*.mp4"))


def test_vocaset_as_published_stores_the_expert_that_learnt(here: Path, given: list[str]) -> None:
    assert run_tiny(VOCASET, *given, options=["--as-published", "--until", "train"]) == 0
    out = here / "outputs/avguidance_vocaset-as_published/train"
    expert = Checkpoint(out / "expert")
    assert expert.config.model == "lipreader"
    before = load_file(here / "outputs/avguidance_vocaset-as_published/expert/model.safetensors")
    after = load_file(out / "expert/model.safetensors")
    assert before.keys() == after.keys()
    assert any(not torch.equal(value, after[name]) for name, value in before.items())


def test_a_judge_of_video_alone(here: Path, given: list[str]) -> None:
    recipe = here / "judged.toml"
    extended = ", ".join(f'"{ROOT}/recipes/{name}"' for name in (VOCASET, "base/lip_judge.toml"))
    recipe.write_text(f'extends = [{extended}]\n[recipe]\ntitle = "judged"\n')
    words = [part for word in given for part in ("--set", word)]
    assert pipe("run", str(recipe), "--tiny", "--device", "cpu", *ONE_THREAD, "--until", "lipread", *words) == 0
    assert Readings(here / "outputs/judged/lipread").info.modality == "video"


def test_biwi_from_raw_data_to_videos(
    here: Path, given: list[str], biwi: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BIWI_ROOT", str(biwi))
    words = [f"step.preprocess.splits={biwi / 'splits.toml'}"]
    assert run_tiny(BIWI, *given, *words) == 0
    out = here / "outputs/avguidance_biwi"
    assert list((out / "train/mouths").glob("*.mp4"))
    assert list((out / "render").glob("*.mp4"))
    assert Sequences(out / "preprocess").fps == 25


def test_synthetic_from_nothing_to_the_table(here: Path) -> None:
    """The expert too is trained on the way."""
    assert run_tiny("avguidance_synthetic.toml", "step.metrics.figures=false") == 0
    out = here / "outputs/avguidance_synthetic"
    assert Readings(out / "lipread").info.modality == "video"
    assert "gradients" in Checkpoint(out / "train").history()[-1]
    assert "guidance" not in Checkpoint(out / "plain").history()[-1]["gradients"]
    numbers = json.loads((out / "metrics/metrics.json").read_text())["numbers"]
    found = {number["row"]: number["value"] for number in numbers if number["metric"].startswith("cer")}
    assert all(np.isfinite(value) for value in found.values())


def test_an_animator_of_the_authors_is_evaluated_without_training(here: Path, given: list[str]) -> None:
    assert run_tiny(VOCASET, *given, options=["--until", "infer"]) == 0
    out = here / "outputs/avguidance_vocaset"
    first = np.load(next((out / "infer/npy").iterdir()))
    torch.save(load_file(out / "train/model.safetensors"), here / "epoch-100_animator.pth")
    words = ["step.train.epochs=0", "step.train.weights=epoch-100_animator.pth"]
    assert run_tiny(VOCASET, *given, *words, options=["--until", "infer"]) == 0
    np.testing.assert_allclose(np.load(next((out / "infer/npy").iterdir())), first, atol=1e-7)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["step.expert.weights=absent.pth"], "absent.pth is missing"),
        (["step.expert.published_pieces=true"], "is not the published unigram5000.model"),
        (["step.train.teacher_forcing=true"], "guidance looks at motion that the network makes itself"),
        (["step.train.lips=mouth"], "has no region mouth"),
    ],
)
def test_what_is_missing_is_said(
    given: list[str], capsys: pytest.CaptureFixture[str], words: list[str], sentence: str
) -> None:
    assert run_tiny(VOCASET, *given, *words) in (1, 2)
    assert sentence in capsys.readouterr().err


def test_a_missing_transcript_is_said(given: list[str], vocaset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (vocaset / "transcripts.json").unlink()
    assert run_tiny(VOCASET, *given) == 1
    assert "no transcript of" in capsys.readouterr().err


def test_the_small_sizes_are_those_of_the_file() -> None:
    values = load(ROOT / "recipes" / VOCASET, tiny=True).steps["expert"].values
    assert {name: values[name] for name in SMALL} == SMALL
    assert isinstance(LipReader(Sizes(**SMALL, fusion_width=values["fusion_width"], classes=9)), LipReader)

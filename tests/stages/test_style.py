"""A new speaker's style, fitted to clips: what changes in a checkpoint, what does not, and what is refused."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cache.manifest import Item, Manifest
from faces.errors import DataError
from models.faceformer import Settings
from models.talking_face import DataFacts
from models.talkingstyle import Settings as TalkingStyleSettings
from pipeline.errors import Interrupted, StageError
from pipeline.stage import Given, Upstream
from stages.infer import Infer
from stages.infer import Params as InferParams
from stages.kinds.checkpoint import Checkpoint, Config, read_weights, write_config, write_weights
from stages.kinds.features import Features
from stages.kinds.predictions import Predictions
from stages.kinds.sequences import Sequences
from stages.style import Params, Style
from stages.style.clips import batches, read
from stages.style.fit import Descent, fit, hear
from stages.train import Params as TrainParams
from stages.train import Train
from tests.models import tiny_codetalker
from tests.stages import fake_face
from tests.stages.fake_job import FakeJob
from tests.stages.speaking_runs import features_of, trained
from tests.stages.tiny import VERTICES, make_sequences

SMALL = Settings(
    feature_dim=16,
    encoder_width=32,
    encoder_layers=1,
    encoder_heads=2,
    motion_scale=1e-2,
    layerdrop=0.0,
    mask_time_prob=0.0,
)
QUICK: dict[str, Any] = {"model": "faceformer", "rates": [0.1, 1.0], "steps": 6}
TABLE = "obj_vector.weight"


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A small FaceFormer that A and B have taught; C and D are new."""
    return trained(tmp_path_factory.mktemp("inputs"), "faceformer", SMALL, epochs=3, lr=1e-3)


def style(folder: Path, inputs: dict[str, Path], **params: Any) -> FakeJob:
    job = FakeJob.under(folder, inputs)
    Style(Params(**(QUICK | params))).run(job)
    return job


def refusal(folder: Path, inputs: dict[str, Path], **params: Any) -> str:
    with pytest.raises((DataError, StageError)) as caught:
        style(folder, inputs, **params)
    return str(caught.value)


# -- what is made ------------------------------------------------------------------------------------------------------


def test_one_subject_more_and_nothing_else(inputs, tmp_path):
    job = style(tmp_path, inputs, subject="D")
    before, after = Checkpoint(inputs["checkpoint"]), Checkpoint(job.out)
    assert after.facts.train_subjects == ["A", "B", "D"]
    assert asdict(after.config) | {"facts": {}} == asdict(before.config) | {"facts": {}}
    old, new = (read_weights(checkpoint.path / "model.safetensors") for checkpoint in (before, after))
    assert old.keys() == new.keys()
    for name, value in old.items():
        kept = new[name][:, :-1] if name == TABLE else new[name]
        assert kept.numpy().tobytes() == value.numpy().tobytes(), name
    told = after.training()
    fitted = told["style"]
    assert (fitted["subject"], fitted["sequences"]) == ("D", ["D_s01", "D_s02", "D_s03"])
    assert fitted["start_losses"].keys() == {"A", "B", "mean"}
    assert fitted["start"] == min(fitted["start_losses"], key=fitted["start_losses"].get)
    assert fitted["loss"] < fitted["start_losses"][fitted["start"]]
    assert fitted["loss"] == min(loss for losses in fitted["losses"] for loss in losses)
    assert (told["steps"], told["trained_parameters"]) == (12, 16)
    assert job.said[-1].startswith(f"D begins as {fitted['start']}, loss ")
    assert job.notes["loss"] == fitted["loss"]
    assert after.history() == []


def test_the_network_that_is_written_has_the_loss_that_is_told(inputs, tmp_path):
    """Its own losses of the clips, in the newcomer's style."""
    job = style(tmp_path, inputs, subject="D", at_once=2)
    checkpoint, data = Checkpoint(job.out), Sequences(inputs["data"])
    network = checkpoint.load_network()
    clips = read(data, features(inputs), data.ids("test")[1:], 3)
    rows = torch.eye(3)[[2, 2, 2]]
    with torch.no_grad():
        loss = network.losses(type(clips)(**(vars(clips) | {"style": rows})))["loss"].item()
    assert loss == pytest.approx(checkpoint.training()["style"]["loss"], rel=1e-4)


def features(inputs: dict[str, Path]) -> Any:
    return Features(inputs["features"])


def test_all_that_follows_a_checkpoint_follows_this_one(inputs, tmp_path):
    made = style(tmp_path / "style", inputs, subject="D", splits=["test"], name="Dora").out
    for conditions, expected in (
        (["Dora"], {"Dora"}),
        (["A:0.5+Dora:0.5"], {"A-0.5+Dora-0.5"}),
        ("all", {"A", "B", "Dora"}),
        ("mean", {"mean"}),
    ):
        job = FakeJob.under(tmp_path / "-".join(conditions), inputs | {"checkpoint": made})
        Infer(InferParams(conditions=conditions)).run(job)
        items = Predictions(job.out).items.values()
        assert {item.condition for item in items if item.subject == "D"} == expected
    job = FakeJob.under(tmp_path / "own", inputs | {"checkpoint": style(tmp_path / "d", inputs, subject="D").out})
    Infer(InferParams(conditions="published")).run(job)
    assert {item.condition for item in Predictions(job.out).items.values() if item.subject == "D"} == {"D"}


def test_again_and_in_other_batches(inputs, tmp_path):
    runs = [style(tmp_path / str(i), inputs, subject="D", at_once=size).out for i, size in enumerate((8, 8, 1))]
    one, same, _ = ((run / "model.safetensors").read_bytes() for run in runs)
    assert one == same
    tables = [read_weights(run / "model.safetensors")[TABLE] for run in runs]
    torch.testing.assert_close(tables[0], tables[2], rtol=0, atol=1e-2)
    assert len({Checkpoint(run).training()["style"]["start"] for run in runs}) == 1


def test_a_style_can_be_fitted_beside_another(inputs, tmp_path):
    first = style(tmp_path / "one", inputs, subject="D")
    second = style(tmp_path / "two", inputs | {"checkpoint": first.out}, sequences=["C_s01", "C_s02"])
    assert Checkpoint(second.out).facts.train_subjects == ["A", "B", "D", "C"]
    old, new = (read_weights(job.out / "model.safetensors")[TABLE] for job in (first, second))
    assert torch.equal(new[:, :3], old)


def test_the_last_weights_are_taken_where_they_are_wished_for(inputs, tmp_path):
    folder = tmp_path / "checkpoint"
    shutil.copytree(inputs["checkpoint"], folder)
    state = read_weights(folder / "last.safetensors")
    write_weights(folder / "last.safetensors", state | {"vertice_map_r.bias": state["vertice_map_r.bias"] + 1})
    job = style(tmp_path / "job", inputs | {"checkpoint": folder}, subject="D", weights="last")
    made = read_weights(job.out / "model.safetensors")["vertice_map_r.bias"]
    assert torch.equal(made, state["vertice_map_r.bias"] + 1)


def test_a_network_upon_a_prior(inputs, tmp_path):
    """CodeTalker: the prior goes along, and its codes are made once."""
    network, checkpoint = codetalker(tmp_path / "checkpoint")
    job = style(tmp_path / "job", inputs | {"checkpoint": checkpoint}, model="codetalker", subject="D")
    assert (job.out / "prior.safetensors").read_bytes() == (checkpoint / "prior.safetensors").read_bytes()
    old, new = network.state_dict(), read_weights(job.out / "model.safetensors")
    for name, value in old.items():
        kept = new[name][:-1] if name == "learnable_style_emb.weight" else new[name]
        assert torch.equal(kept, value), name
    fitted = Checkpoint(job.out).training()["style"]
    assert fitted["loss"] < fitted["start_losses"][fitted["start"]]
    infer = FakeJob.under(tmp_path / "infer", inputs | {"checkpoint": job.out})
    Infer(InferParams(conditions=["D:0.5+A:0.5"])).run(infer)
    assert Predictions(infer.out).items


def codetalker(folder: Path) -> tuple[Any, Path]:
    """A CodeTalker of random weights, and the checkpoint that holds it."""
    flavour = tiny_codetalker.VOCASET
    facts = DataFacts(VERTICES, 30.0, ("A", "B"), channels=80, encoder="log-mel")
    torch.manual_seed(0)
    prior = tiny_codetalker.MotionAutoencoder.build(flavour.prior, facts).eval()
    torch.nn.init.normal_(prior.quantize.embedding.weight, std=0.4)
    network = tiny_codetalker.CodeTalker.build(flavour.face, facts, prior).eval()
    torch.nn.init.normal_(network.feat_map.weight, std=0.3)
    folder.mkdir()
    write_weights(folder / "model.safetensors", network.state_dict())
    write_weights(folder / "prior.safetensors", prior.state_dict())
    upon = {"model": "codetalker-vq", "settings": asdict(flavour.prior)}
    write_config(folder, Config("codetalker", asdict(flavour.face), asdict(facts), "tiny", "m", "", upon))
    return network, folder


def test_talkingstyle_with_its_two_tables(inputs, tmp_path):
    """Of the two only the entries that can reach any style are fitted; the others are the start's mixture."""
    job = FakeJob.under(tmp_path / "t", inputs)
    settings = TalkingStyleSettings(
        feature_dim=16, layers=2, encoder_width=32, encoder_layers=1, encoder_heads=2, layerdrop=0.0, mask_time_prob=0.0
    )
    Train(TrainParams(model="talkingstyle", epochs=1, lr=1e-3), {"model": settings}).run(job)
    made = style(tmp_path / "style", inputs | {"checkpoint": job.out}, model="talkingstyle", subject="D").out
    old, new = (read_weights(folder / "model.safetensors") for folder in (job.out, made))
    tables = {"style_encoder.obj_vector.weight": np.s_[:, :-1], "style_encoder.my_obj_vector.weight": np.s_[:-1]}
    for name, value in old.items():
        assert torch.equal(new[name][tables[name]] if name in tables else new[name], value), name
    fitted = Checkpoint(made).training()["style"]
    assert fitted["loss"] < fitted["start_losses"][fitted["start"]]
    infer = FakeJob.under(tmp_path / "infer", inputs | {"checkpoint": made})
    Infer(InferParams(conditions=["D", "D:0.5+A:0.5"])).run(infer)
    assert Predictions(infer.out).items


@pytest.mark.parametrize(("call", "lengths"), [(7, [3, 6]), (9, [5, 6])])
def test_rates_that_lead_astray_are_left(inputs, call, lengths):
    """A network that gives no number somewhere, or behind the last step: what was best before stays."""
    data, heard_features = Sequences(inputs["data"]), features(inputs)
    network: Any = Checkpoint(inputs["checkpoint"]).load_network()
    real, calls = network.lesson_losses, []

    def breaking(lesson: Any, clips: Any) -> Any:
        calls.append(1)
        return {"loss": real(lesson, clips)["loss"] * (float("nan") if len(calls) == call else 1.0)}

    network.lesson_losses = breaking
    names = batches(network, data, heard_features, ["D_s01", "D_s02"], 8)
    heard = [hear(network, read(data, heard_features, group, 2), 2) for group in names]
    found = fit(network, heard, ["A", "B"], Descent([0.1, 0.5], 5))
    assert [len(losses) for losses in found.losses] == lengths  # behind three starts
    assert all(np.isfinite(loss) for losses in found.losses for loss in [*losses, found.loss])


def test_a_rate_that_ends_in_no_number_is_written_down(inputs, tmp_path):
    """JSON has no infinity."""
    made = style(tmp_path, inputs, subject="D", rates=[1e30, 0.1], steps=1).out
    fitted = Checkpoint(made).training()["style"]
    assert fitted["rate"] == 0.1
    assert [len(losses) for losses in fitted["losses"]] == [1, 2]


def test_it_can_be_stopped(inputs, tmp_path):
    job = FakeJob.under(tmp_path, inputs, stop_after=3)
    with pytest.raises(Interrupted, match="the same command begins it anew"):
        Style(Params(**QUICK, subject="D")).run(job)
    assert not (job.out / "model.safetensors").exists()


# -- planning ----------------------------------------------------------------------------------------------------------


def test_only_the_clips_that_are_fitted_to_are_in_the_key(inputs):
    data = Sequences(inputs["data"])
    files = {f"vertices_npy/{name}.npy": (1, f"b3:{name}") for name in data.ids()}
    heard = {name: f"heard {name}" for name in data.ids()}

    def read_of(params: Params, changed: str) -> Any:
        moved = {name: (1, hash_ + "x" * (changed in name)) for name, (_, hash_) in files.items()}
        items = {name: Item(name, digest + "x" * (changed == name), []) for name, digest in heard.items()}
        given = {
            "checkpoint": Given(inputs["checkpoint"], {"config.json": "1"}, lambda: Manifest({})),
            "data": Given(inputs["data"], {}, lambda: Manifest(moved)),
            "features": Given(inputs["features"], {"encoder.json": "1"}, lambda: Manifest({}, items)),
        }
        return Style(params).reads(given)

    some = Params(**QUICK, sequences=["D_s01", "D_s02"])
    assert read_of(some, "D_s03") == read_of(some, "nothing")
    assert read_of(some, "D_s02") != read_of(some, "nothing")
    every = Params(**QUICK, subject="D")
    assert read_of(every, "D_s03") != read_of(every, "nothing")
    assert read_of(every, "A_s01") == read_of(every, "nothing")


def test_the_models_code_is_in_the_key():
    stage = Style(Params(model="codetalker", subject="D"))
    upstream = {"checkpoint": Upstream("train", "vocaset", {"model": "codetalker"})}
    assert list(stage.components(upstream)) == ["models.codetalker", "models.codetalker_vq"]
    assert stage.label(upstream) == "vocaset-D"
    assert "last.safetensors" not in stage.uses("checkpoint")


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({}, "sequences and subject: one of them must say"),
        ({"subject": "D", "sequences": ["D_s01"]}, "and not both"),
        ({"sequences": ["D_s01"], "splits": ["test"]}, "splits belongs to subject"),
        ({"subject": "D", "rates": []}, r"rates = \[\]: give one learning rate above 0"),
        ({"subject": "D", "rates": [0.1, -1.0]}, "give one learning rate above 0"),
    ],
)
def test_parameters_that_do_not_fit_together(params, said):
    (sentence,) = Style(Params(**(QUICK | params))).check()
    assert re.search(said, sentence)


# -- mistakes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"sequences": ["D_s01", "C_s01"]}, "sequences are of D and C, and a style is one subject's"),
        ({"sequences": ["D_s09"]}, "has no sequence D_s09: there is no sequence of that name"),
        ({"subject": "E"}, "has no motion of E; there is some of A, B, C, D"),
        ({"subject": "D", "splits": ["val"]}, "has no motion of D in val; there is some of B, C"),
        ({"subject": "D", "splits": ["tset"]}, "has no split tset"),
        ({"subject": "D", "name": "a:b"}, "holds the name 'a:b', and it becomes a file's name"),
        ({"subject": "A"}, "A was trained on and has a style already: use that, or fit one beside it under another"),
        ({"sequences": ["D_s01"]}, "s of motion (D_s01) are too short to tell a style: give 1 s or more"),
        ({"subject": "D", "model": "codetalker"}, "model = 'codetalker', and "),
    ],
)
def test_choices_that_cannot_be(inputs, tmp_path, params, said):
    assert said in refusal(tmp_path, inputs, **params)


def test_a_training_subject_under_another_name(inputs, tmp_path):
    job = style(tmp_path, inputs, subject="A", name="A-again")
    assert Checkpoint(job.out).facts.train_subjects == ["A", "B", "A-again"]


@pytest.mark.parametrize(
    ("about", "said"),
    [
        ({"vertices": VERTICES + 1}, "trained for another topology (vertices): 13, this is 12"),
        ({"fps": 25.0}, "trained for another frame rate: 25.0, this is 30.0"),
        ({"channels": 40}, "trained for another feature channels: 40, this is 80"),
        ({"units": "mm"}, "trained for another unit: mm, this is m"),
        ({"encoder": ""}, "holds a motion prior (faceformer), which does not speak"),
    ],
)
def test_a_network_of_other_data(inputs, tmp_path, about, said):
    folder = tmp_path / "checkpoint"
    shutil.copytree(inputs["checkpoint"], folder)
    config = json.loads((folder / "config.json").read_text())
    for name, value in about.items():
        (config if name == "units" else config["facts"])[name] = value
    (folder / "config.json").write_text(json.dumps(config))
    assert said in refusal(tmp_path / "job", inputs | {"checkpoint": folder}, subject="D")


def test_a_network_without_styles(inputs, tmp_path):
    job = FakeJob.under(tmp_path / "t", inputs)
    Train(TrainParams(model=fake_face.NAME, epochs=1), {"model": fake_face.Settings()}).run(job)
    said = refusal(tmp_path / "job", inputs | {"checkpoint": job.out}, model=fake_face.NAME, subject="D")
    assert said == (
        f"{fake_face.NAME!r} has no table of styles: a speaker's style can be fitted to networks that have one"
    )


def changed_data(inputs: dict[str, Path], folder: Path, name: str, vertices: Any) -> Path:
    """The data with another motion of one sequence; None: sound alone."""
    shutil.copytree(inputs["data"], folder)
    if vertices is not None:
        np.save(folder / "vertices_npy" / f"{name}.npy", vertices)
    index = json.loads((folder / "sequences.json").read_text())
    index["sequences"][name]["frames"] = 0 if vertices is None else len(vertices)
    (folder / "sequences.json").write_text(json.dumps(index))
    return folder


def test_sound_alone(inputs, tmp_path):
    data = changed_data(inputs, tmp_path / "data", "D_s02", None)
    said = refusal(tmp_path / "job", inputs | {"data": data}, sequences=["D_s01", "D_s02"])
    assert "has no motion of D_s02, which is sound alone" in said
    job = style(tmp_path / "other", inputs | {"data": data}, subject="D")
    assert Checkpoint(job.out).training()["style"]["sequences"] == ["D_s01", "D_s03"]


def test_motion_that_is_no_number(inputs, tmp_path):
    motion = np.load(inputs["data"] / "vertices_npy" / "D_s02.npy")
    motion[3, 5] = np.nan
    data = changed_data(inputs, tmp_path / "data", "D_s02", motion)
    said = refusal(tmp_path / "job", inputs | {"data": data}, subject="D")
    assert said == "D_s02 has vertices that are not numbers (NaN or infinity): leave it out, or export it again"


def test_a_clip_that_is_too_short_for_the_network(inputs, tmp_path):
    _, checkpoint = codetalker(tmp_path / "checkpoint")
    motion = np.load(inputs["data"] / "vertices_npy" / "D_s02.npy")[:1]
    data = changed_data(inputs, tmp_path / "data", "D_s02", motion)
    said = refusal(tmp_path / "job", inputs | {"data": data, "checkpoint": checkpoint}, model="codetalker", subject="D")
    assert said == "D_s02 has 1 frames that its speech covers, and this network learns from 2 or more: leave it out"


def test_features_of_other_data(inputs, tmp_path):
    data = make_sequences(tmp_path / "more", sentences=4)
    said = refusal(tmp_path / "job", inputs | {"data": data}, subject="D")
    assert "has no sequence D_s04: run the features step on the same data" in said


def test_pairs_cut_the_motion_to_its_speech(tmp_path):
    """BIWI's way: 25 fps, two features a frame; the motion that no speech covers is left."""
    data = make_sequences(tmp_path / "sequences", fps=25.0)
    found = {"data": data, "features": features_of(data, tmp_path / "f")}
    job = FakeJob.under(tmp_path / "t", found)
    settings = Settings(**(asdict(SMALL) | {"alignment": "pairs", "period": 25}))
    Train(TrainParams(model="faceformer", epochs=1), {"model": settings}).run(job)
    made = style(tmp_path / "style", found | {"checkpoint": job.out}, subject="D")
    assert Checkpoint(made.out).training()["style"]["loss"] > 0

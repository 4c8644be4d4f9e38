"""Guided training through the stage `train`: what is stored, shown and told, and what takes it afterwards."""

from __future__ import annotations

import json
from dataclasses import replace

import av
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from cache.manifest import Manifest
from faces.errors import DataError
from models.avguidance.face import GuidedFaceFormer
from models.faceformer import Settings as FaceFormerSettings
from models.faceformer.face import FaceFormer
from models.lipreader.letters import Letters
from models.lipreader.spelled import Spelled
from pipeline.commands.bench import bench, talking
from pipeline.errors import Interrupted, RecipeError, StageError
from pipeline.stage import Given, Input, Upstream
from stages.infer import Infer
from stages.infer import Params as InferParams
from stages.kinds.checkpoint import BEST, EXPERT, LAST, MOUTHS, Checkpoint
from stages.kinds.predictions import Predictions
from stages.kinds.readings import Readings
from stages.lipread import LipRead
from stages.lipread import Params as ReadParams
from stages.style import Params as StyleParams
from stages.style import Style
from stages.train import Params, Train
from tests.models.avguidance import heads
from tests.stages.fake_job import FakeJob
from tests.stages.guidance_runs import SMALL, made, make_sequences, run, same, trained
from tests.stages.train_runs import FILES

FINETUNE = replace(SMALL, expert="finetune")
PUBLISHED = (*FILES, MOUTHS)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> dict[str, Input]:
    return made(tmp_path_factory.mktemp("inputs"))


@pytest.fixture(scope="module")
def frozen(tmp_path_factory, inputs) -> FakeJob:
    return trained(tmp_path_factory.mktemp("frozen"), inputs)


@pytest.fixture(scope="module")
def finetuned(tmp_path_factory, inputs) -> FakeJob:
    return trained(tmp_path_factory.mktemp("finetuned"), inputs, FINETUNE)


def expert_of(inputs: dict[str, Input]) -> dict[str, torch.Tensor]:
    return load_file(inputs["expert"].path / BEST)


# -- what is stored ----------------------------------------------------------------------------------------------------


def test_with_a_frozen_expert_the_face_alone_is_published(frozen, inputs):
    assert sorted(path.name for path in frozen.out.iterdir()) == sorted(PUBLISHED)
    for file in (BEST, LAST):
        assert not [name for name in load_file(frozen.out / file) if "expert" in name]
    assert same(expert_of(inputs), heads.expert().state_dict())


def test_an_expert_that_learns_is_published_as_a_checkpoint(finetuned, inputs):
    assert sorted(path.name for path in finetuned.out.iterdir()) == sorted((*PUBLISHED, EXPERT))
    for file in (BEST, LAST):
        assert not [name for name in load_file(finetuned.out / file) if name.startswith("expert")]
    before, after = expert_of(inputs), load_file(finetuned.out / EXPERT / BEST)
    assert before.keys() == after.keys()
    moved = [name for name, value in before.items() if not torch.equal(value, after[name])]
    assert "ctc.ctc_lo.weight" in moved
    assert "encoder.frontend.frontend3D.0.weight" in moved
    assert "encoder.frontend.frontend3D.1.running_mean" in moved  # batch norms of one clip, as published
    assert same(before, heads.expert().state_dict()), "the given checkpoint was written to"
    told = Checkpoint(finetuned.out / EXPERT)
    assert told.config == Checkpoint(inputs["expert"].path).config
    assert same(told.load_network().state_dict(), after)


def test_an_expert_that_has_learnt_reads_and_guides_again(finetuned, inputs, tmp_path):
    learnt = Input(finetuned.out / EXPERT, "checkpoint", "expert", {"model": "lipreader"})
    spoken = FakeJob.under(tmp_path / "i", inputs | {"checkpoint": Input(finetuned.out, "checkpoint", "c", {})})
    Infer(InferParams(splits=["test"])).run(spoken)
    given = {"data": inputs["data"], "predictions": Input(spoken.out, "predictions", "p", {}), "expert": learnt}
    job = FakeJob.under(tmp_path / "l", given)
    LipRead(ReadParams(beam=2)).run(job)
    assert set(Readings(job.out).info.predictions) == set(Predictions(spoken.out).items)
    again = trained(tmp_path / "t", inputs | {"expert": learnt}, FINETUNE, epochs=1)
    assert not same(load_file(again.out / EXPERT / BEST), load_file(learnt.path / BEST))


def test_the_weights_are_faceformers_in_released_names(frozen):
    state, facts = load_file(frozen.out / BEST), Checkpoint(frozen.out).facts
    names = FaceFormerSettings.__dataclass_fields__
    plain = FaceFormer.build(FaceFormerSettings(**{name: getattr(SMALL, name) for name in names}), facts)
    assert state.keys() == plain.state_dict().keys()
    plain.load_state_dict(state)


@pytest.mark.parametrize("settings", [SMALL, FINETUNE], ids=["frozen", "finetune"])
def test_a_resumed_run_gives_the_bytes_of_one_that_nobody_stopped(inputs, tmp_path, settings, request):
    straight = request.getfixturevalue("frozen" if settings is SMALL else "finetuned")
    job = FakeJob.under(tmp_path, inputs, stop_after=2)
    with pytest.raises(Interrupted):
        run(job, settings)
    job.stop_after = None
    run(job, settings)
    files = [path.relative_to(straight.out) for path in sorted(straight.out.rglob("*")) if path.is_file()]
    assert files == [path.relative_to(job.out) for path in sorted(job.out.rglob("*")) if path.is_file()]
    for file in files:
        assert (job.out / file).read_bytes() == (straight.out / file).read_bytes(), file


def test_the_best_weights_of_the_state_are_weights_to_begin_with(finetuned, inputs, tmp_path):
    """They hold the expert beside the face, which a message tells the user to name."""
    best = max(finetuned.state.glob("best-*.safetensors"))
    assert any(name.startswith("expert.") for name in load_file(best))
    job = trained(tmp_path, inputs, FINETUNE, epochs=0, weights=str(best))
    assert same(load_file(job.out / BEST), load_file(finetuned.out / BEST))


# -- what is shown and told --------------------------------------------------------------------------------------------


def test_gradient_norms_stand_in_the_history(frozen):
    records = [json.loads(line) for line in (frozen.out / "history.jsonl").read_text().splitlines()]
    for record in records:
        assert record["gradients"].keys() == {"position", "lip", "guidance"}
        assert all(norm > 0 for norm in record["gradients"].values())
        for part in ("train", "val"):
            assert {"loss", "position", "lip", "guidance", "ctc", "attention"} <= record[part].keys()
            values = record[part]
            parts = values["position"] + 0.5 * values["lip"] + 1e-2 * values["guidance"]
            assert values["loss"] == pytest.approx(parts, rel=1e-5)
            assert values["guidance"] == pytest.approx(0.1 * values["ctc"] + 0.9 * values["attention"], rel=1e-5)
    assert not [line for line in frozen.said if "guidance" in line]


@pytest.mark.parametrize("every", [1, 2])
def test_a_guidance_that_reaches_nobody_is_said_at_the_first_validation(inputs, tmp_path, every, frozen):
    job = trained(tmp_path, inputs, replace(SMALL, shading_gradient="detached"), epochs=4, validate_every=every)
    (said,) = [line for line in job.said if "guidance" in line]
    assert said.startswith("warning: the guidance hardly reaches the face: the gradient that it leaves there is ")
    norms, other = (Checkpoint(one.out).history()[1]["gradients"]["guidance"] for one in (job, frozen))
    assert norms < 1e-2 * other


def test_a_mouth_is_filmed_at_each_validation(frozen, inputs):
    files = sorted((frozen.out / MOUTHS).iterdir())
    assert [file.name for file in files] == ["epoch-0001.mp4", "epoch-0002.mp4"]
    with av.open(str(files[-1])) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert (video.average_rate, video.width, video.height) == (25, 704, 352)
        assert audio.codec_context.name == "aac"
        rate = audio.rate
        pictures = [frame.to_ndarray(format="gray") for frame in container.decode(video)]
    with av.open(str(files[-1])) as container:
        sound = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
    assert 12 <= len(pictures) <= 18  # 0.5 to 0.7 s
    assert np.abs(sound).max() > 0.05
    assert abs(len(sound) / rate - len(pictures) / 25) < 0.2
    grey = np.stack(pictures).astype(float)
    assert grey.mean() > 30
    assert grey[:, :, 352:].std(axis=0).mean() > 0.2  # the true mouth moves


def test_without_weight_no_expert_and_no_transcript_is_needed_and_nothing_warned_of(inputs, tmp_path):
    data = Input(make_sequences(tmp_path / "data", transcripts=False), "sequences", "tiny", {})
    given = {"data": data, "features": inputs["features"]}
    job = trained(tmp_path / "t", given, replace(FINETUNE, guidance_weight=0.0))
    assert sorted(path.name for path in job.out.iterdir()) == sorted(PUBLISHED)
    assert not [line for line in job.said if "warning: the guidance" in line]
    record = Checkpoint(job.out).history()[-1]
    assert record["gradients"].keys() == {"position", "lip"}
    assert "ctc" not in record["train"]


# -- what it is given --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weight", [0.0, 1e-2])
def test_an_expert_is_needed_and_read_where_it_is_asked(weight, inputs, tmp_path):
    """Else one that is named is not looked at, so that a sweep of the weight may begin with nothing."""
    stage = Train(Params(model="avguidance"), {"model": replace(SMALL, guidance_weight=weight)})
    given = {slot: Given(one.path, {"a": "b"}, lambda: Manifest({})) for slot, one in inputs.items()}
    upstream = {slot: Upstream(slot, slot, dict(one.params)) for slot, one in inputs.items()}
    assert stage.slots()["expert"].optional == (not weight)
    assert ("expert" in stage.reads(given)) == bool(weight)
    assert ("transcripts.json" in stage.reads(given)["data"]) == bool(weight)
    assert ("models.lipreader" in stage.components(upstream)) == bool(weight)
    absent = Input(tmp_path / "absent", "checkpoint", "expert", {"model": "lipreader"})
    if not weight:
        trained(tmp_path / "t", inputs | {"expert": absent}, stage.settings["model"], epochs=1)


def test_an_expert_of_another_kind_is_refused(inputs, frozen, tmp_path):
    wrong = Input(frozen.out, "checkpoint", "face", {"model": "avguidance"})
    with pytest.raises(StageError, match="'avguidance' is guided by 'lipreader', and step 'face' trained 'avguidance'"):
        trained(tmp_path, inputs | {"expert": wrong})


def test_a_missing_transcript_is_said_before_training(inputs, tmp_path):
    data = make_sequences(tmp_path / "data", transcripts=False)
    with pytest.raises(DataError, match=r"has no transcript of A_s01.*: put transcripts\.json beside the data"):
        trained(tmp_path / "t", inputs | {"data": Input(data, "sequences", "tiny", {})})
    assert not list((tmp_path / "t/state").iterdir())


@pytest.mark.parametrize(("casing", "told"), [("capitals", "I DON'T KNOW"), ("released", "I don t know")])
def test_casing(casing, told):
    """Letters know no small ones: as released nearly all of it is written with none."""
    from models import avguidance

    spelling = avguidance.spelling(replace(SMALL, casing=casing), heads.reader_facts())
    assert spelling == Spelled(spelling.tokeniser, casing == "released")
    assert spelling.pieces("I don't know.") == Letters().classes_of("I don't know.", casing == "released")
    from models.lipreader.tokeniser import cleaned

    assert cleaned("I don't know.", casing == "released") == told


def test_a_published_animator_is_taken_as_weights(inputs, frozen, tmp_path):
    file = tmp_path / "epoch-100_animator.pth"
    torch.save(load_file(frozen.out / BEST), file)
    told = replace(SMALL, motion_scale=1.0)
    job = trained(tmp_path / "t", inputs, told, epochs=0, weights=str(file))
    assert load_file(job.out / BEST).keys() == load_file(frozen.out / BEST).keys()
    assert same(load_file(job.out / BEST), load_file(frozen.out / BEST))


def test_in_half_precision(inputs, tmp_path):
    job = trained(tmp_path, inputs, replace(SMALL, time_mask=False), precision="bf16")
    history = Checkpoint(job.out).history()
    assert all(np.isfinite(value) for record in history for value in record["val"].values())
    assert history[-1]["gradients"]["guidance"] > 0


# -- what takes it -----------------------------------------------------------------------------------------------------


def test_it_speaks_as_any_faceformer(frozen, inputs, tmp_path):
    checkpoint = Input(frozen.out, "checkpoint", "c", {})
    job = FakeJob.under(tmp_path, {"data": inputs["data"], "features": inputs["features"], "checkpoint": checkpoint})
    Infer(InferParams(splits=["test"])).run(job)
    made = Predictions(job.out)
    assert len(made.items) == 7  # one of B in its own style, three of D in two
    network = Checkpoint(frozen.out).load_network()
    assert isinstance(network, GuidedFaceFormer)


def test_a_style_is_fitted_to_it(frozen, inputs, tmp_path):
    given = {"data": inputs["data"], "features": inputs["features"]}
    job = FakeJob.under(tmp_path, given | {"checkpoint": Input(frozen.out, "checkpoint", "c", {})})
    Style(StyleParams(model="avguidance", rates=[0.1], steps=3, subject="D")).run(job)
    after = Checkpoint(job.out)
    assert list(after.facts.train_subjects) == ["A", "B", "D"]
    told = after.training()["style"]
    assert told["loss"] <= min(told["start_losses"].values())
    assert after.load_network().obj_vector.weight.shape[1] == 3


def test_it_is_not_measured_by_itself():
    """The loop that `pipe bench` measures has no expert."""
    assert "avguidance" not in talking()
    with pytest.raises(RecipeError, match=r"'avguidance' learns with an expert; there are codetalker, faceformer"):
        bench(["avguidance"], {}, as_json=False)

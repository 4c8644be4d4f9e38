"""A lip reader through the train stage: learnt from meshes, stopped and gone on with, adopted from a released file."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from faces.errors import DataError
from models.lipreader import Settings
from models.lipreader.learning import LearningLipReader
from models.lipreader.letters import ENGLISH
from models.lipreader.net import LipReader
from models.lipreader.settings import Settings as LipSettings
from pipeline.commands.bench import talking
from pipeline.errors import Interrupted
from stages.features import ExtractFeatures
from stages.features import Params as FeatureParams
from stages.infer import Infer
from stages.infer import Params as InferParams
from stages.kinds.checkpoint import Checkpoint
from stages.kinds.readings import Readings
from stages.train.state import seed_everything
from tests.models.lipreader.pieces_files import make_pieces
from tests.models.lipreader.test_published import newer
from tests.models.lipreader.tiny import network as drawn
from tests.stages.fake_job import FakeJob
from tests.stages.mouths import SMALL, make_faces, make_predictions, read_lips, run_reader, train_reader
from tests.stages.train_runs import FILES
from tests.threads import one_thread

__all__ = ["one_thread"]

BOTH = replace(SMALL, modality="audio-visual", silence=0.5)
LOSSES = {"loss", "ctc", "attention", "accuracy"}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return make_faces(tmp_path_factory.mktemp("data") / "d")


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> tuple[Path, Path]:
    return make_pieces(tmp_path_factory.mktemp("pieces"))


@pytest.mark.parametrize("settings", [SMALL, BOTH], ids=["video", "audio-visual"])
def test_it_is_trained_and_published_as_any_network(data, tmp_path, settings) -> None:
    job = train_reader(tmp_path, data, settings, epochs=6, lr=3e-3)
    assert sorted(path.name for path in job.out.iterdir()) == sorted(FILES)
    checkpoint = Checkpoint(job.out)
    first, *_, last = checkpoint.history()
    assert set(first["train"]) == LOSSES
    assert set(first["val"]) == LOSSES | {"letter_errors"}
    assert last["train"]["loss"] < first["train"]["loss"]
    assert 0 < first["val"]["letter_errors"] < 3
    assert checkpoint.training()["best_loss"] == min(record["val"]["letter_errors"] for record in checkpoint.history())
    assert checkpoint.training()["motion_energy"] is None
    assert any("letters" in line and "% wrong" in line for line in job.watched)
    assert not [line for line in job.said if "warning" in line]
    network: Any = checkpoint.load_network()
    assert network.tokeniser.classes == ENGLISH
    assert network.settings.classes == len(ENGLISH)
    assert not network.training
    assert checkpoint.config.facts["tokeniser"]["kind"] == "letters"


@pytest.mark.parametrize("stop", [1, 4])
@pytest.mark.parametrize("settings", [SMALL, BOTH], ids=["video", "audio-visual"])
def test_stopping_and_resuming_is_bit_exact(data, tmp_path, settings, stop) -> None:
    """Cuts, hidden spans, silence, dropout and the statistics of batch norms: all go on where they stopped."""
    straight = train_reader(tmp_path / "straight", data, settings, epochs=3)
    broken = FakeJob.under(tmp_path / "broken", straight.inputs, stop_after=stop)
    with pytest.raises(Interrupted):
        run_reader(broken, settings, epochs=3)
    broken.stop_after = None
    seed_everything(12345)
    run_reader(broken, settings, epochs=3)
    assert any("going on after step" in line for line in broken.said)
    for name in FILES:
        assert (straight.out / name).read_bytes() == (broken.out / name).read_bytes(), name


def test_an_estimate_beforehand_changes_nothing(data, tmp_path, monkeypatch) -> None:
    """The statistics of batch norms move in every forward pass of a network that trains."""
    with_one = train_reader(tmp_path / "a", data, epochs=10)
    monkeypatch.setattr("stages.train.trainer.LEAST", 10_000)
    without = train_reader(tmp_path / "b", data, epochs=10)
    assert (with_one.out / "last.safetensors").read_bytes() == (without.out / "last.safetensors").read_bytes()


def test_what_it_is_shown_depends_on_disturbances_alone_in_training(data, tmp_path) -> None:
    """Without any, two clips a batch are read one by one: a batch is the mean of its clips."""
    calm = replace(BOTH, silence=0.0, time_mask=False, dropout=0.0, rim=0)
    whole = train_reader(tmp_path / "a", data, calm, epochs=1, lr=0.0, batch_size=3)
    single = train_reader(tmp_path / "b", data, calm, epochs=1, lr=0.0, batch_size=1)
    (a,), (b,) = Checkpoint(whole.out).history(), Checkpoint(single.out).history()
    assert a["train"]["loss"] == pytest.approx(b["train"]["loss"], rel=1e-5)
    mute = train_reader(tmp_path / "c", data, replace(calm, silence=1.0), epochs=1, lr=0.0, batch_size=3)
    (c,) = Checkpoint(mute.out).history()
    assert c["train"]["loss"] != pytest.approx(a["train"]["loss"], rel=1e-5)


@pytest.mark.parametrize("modality", ["video", "audio-visual"])
def test_a_released_file_is_adopted_with_its_pieces_and_reads(data, files, tmp_path, modality) -> None:
    model, units = files
    settings = replace(
        SMALL, modality=modality, tokeniser=str(model), units=str(units), published_pieces=False, camera="fitted"
    )
    theirs = drawn(sizes_of(settings, classes=len(units.read_text().splitlines()) + 2), seed=3)
    file = tmp_path / "vsr.pth"
    torch.save(newer(dict(theirs.state_dict())) if modality == "video" else theirs.state_dict(), file)
    job = train_reader(tmp_path / "t", data, settings, epochs=0, weights=str(file))
    checkpoint = Checkpoint(job.out)
    assert checkpoint.history() == []
    network: Any = checkpoint.load_network()
    assert network.tokeniser.classes[1:-1] == tuple(line.rpartition(" ")[0] for line in units.read_text().splitlines())
    assert network.tokeniser.text_of(network.tokeniser.classes_of("The dog")) == "THE DOG"
    own = network.state_dict()
    assert own.keys() == theirs.state_dict().keys()
    assert all(torch.equal(own[name], value) for name, value in theirs.state_dict().items())

    made = make_predictions(tmp_path / "p", data)
    reading = read_lips(tmp_path / "r", {"expert": job.out, "data": data, "predictions": made})
    found = Readings(reading.out)
    assert (found.info.modality, len(found.info.predictions)) == (modality, 4)
    assert found.text("C_s1_condition_A").said == "A BEE"  # type: ignore[union-attr]


def test_a_step_that_ran_out_of_memory_counts_once(data, tmp_path, monkeypatch) -> None:
    """Clips are read one by one, so pieces change nothing, and no clip enters the statistics of batch norms twice."""
    straight = train_reader(tmp_path / "a", data, BOTH, batch_size=3, accumulate=1)
    tried, losses = [0], LearningLipReader.losses

    def short(self: LearningLipReader, clips: Any) -> Any:
        found = losses(self, clips)
        tried[0] += 1
        if len(clips.template) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return found

    monkeypatch.setattr(LearningLipReader, "losses", short)
    small = train_reader(tmp_path / "b", data, BOTH, batch_size=3, accumulate=1)
    assert any(line.startswith("out of memory on cpu: from here 1 clips at a time") for line in small.said)
    one, other = (
        Checkpoint(job.out).load_network(weights="last.safetensors").state_dict() for job in (straight, small)
    )
    counted = [name for name in one if "running_" in name or "num_batches" in name]
    assert len(counted) > 10
    for name in counted:
        torch.testing.assert_close(one[name], other[name], rtol=1e-3, atol=1e-4)


def test_half_precision_and_pieces(data, tmp_path) -> None:
    job = train_reader(tmp_path / "a", data, BOTH, epochs=5, lr=3e-3, precision="bf16", ema=0.5, grad_clip=1.0)
    first, *_, last = Checkpoint(job.out).history()
    assert last["train"]["loss"] < first["train"]["loss"]
    whole = train_reader(tmp_path / "b", data, BOTH, epochs=1, batch_size=3)
    pieces = train_reader(tmp_path / "c", data, BOTH, epochs=1, batch_size=3, micro_batch=1)
    (a,), (b,) = Checkpoint(whole.out).history(), Checkpoint(pieces.out).history()
    assert a["train"]["loss"] == pytest.approx(b["train"]["loss"], rel=1e-5), "each clip is shown what it was shown"


def test_nothing_that_speaks_takes_it(data, tmp_path) -> None:
    reader = train_reader(tmp_path / "t", data, epochs=1).out
    features = FakeJob.under(tmp_path / "f", {"data": data})
    ExtractFeatures(FeatureParams(encoder="log-mel")).run(features)
    given = {"data": data, "checkpoint": reader, "features": features.out}
    with pytest.raises(DataError, match=r"\(lipreader\), which does not speak"):
        Infer(InferParams()).run(FakeJob.under(tmp_path / "i", given))
    assert "lipreader" not in talking()


def sizes_of(settings: Settings, classes: int) -> LipSettings:
    return replace(settings, classes=classes)


def test_another_number_of_pieces_than_the_weights_write(data, files, tmp_path) -> None:
    torch.save(LipReader(sizes_of(SMALL, 12)).state_dict(), tmp_path / "vsr.pth")
    with pytest.raises(DataError, match=r"the weights write 12 pieces of text, and the tokeniser has 31: name"):
        train_reader(tmp_path / "t", data, epochs=0, weights=str(tmp_path / "vsr.pth"))


def test_a_file_of_another_modality_or_none_of_a_lip_reader(data, tmp_path) -> None:
    """Told by the file itself, before sizes that cannot fit are listed."""
    file = tmp_path / "vsr.pth"
    for own, theirs in ((SMALL, BOTH), (BOTH, SMALL)):
        torch.save(LipReader(sizes_of(theirs, 31)).state_dict(), file)
        said = refused(tmp_path / own.modality, data, own, epochs=0, weights=str(file))
        assert f"{file} is an expert of the other modality: set modality = {theirs.modality!r}" in said
    state = LipReader(sizes_of(BOTH, 31)).state_dict().items()
    heard = {
        name.replace("aux_encoder.", "encoder."): value for name, value in state if not name.startswith("encoder.")
    }
    torch.save({name: value for name, value in heard.items() if not name.startswith("fusion.")}, file)
    said = refused(tmp_path / "sound", data, epochs=0, weights=str(file))
    assert f"{file} is a recogniser of sound alone: give the audio-visual or the video one" in said


def test_a_file_of_another_size(data, tmp_path) -> None:
    torch.save(LipReader(replace(SMALL, classes=31, width=32)).state_dict(), tmp_path / "vsr.pth")
    with pytest.raises(DataError, match=r"vsr\.pth has other sizes than this expert: set width = 32$"):
        train_reader(tmp_path / "t", data, epochs=0, weights=str(tmp_path / "vsr.pth"))


def refused(folder: Path, data: Path, settings: Settings = SMALL, **params: Any) -> str:
    """What is said, before anything is trained."""
    with pytest.raises(DataError) as caught:
        train_reader(folder, data, settings, **params)
    assert not list((folder / "state").iterdir())
    assert not list((folder / "out").iterdir())
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_texts_that_cannot_be_learnt(tmp_path) -> None:
    missing = make_faces(tmp_path / "a", texts={"B_s2": None})
    assert f"{missing} has no transcript of B_s2, whose text the network learns from: put transcripts.json" in refused(
        tmp_path / "1", missing
    )
    none = make_faces(tmp_path / "b", texts=None)
    assert "has no transcript of A_s1" in refused(tmp_path / "2", none)
    empty = make_faces(tmp_path / "c", texts={"A_s2": "4, 2!"})
    assert "the transcript of A_s2, '4, 2!', has no letter from a to z" in refused(tmp_path / "3", empty)


def test_a_tokeniser_that_cannot_be_had(data, files, tmp_path, monkeypatch) -> None:
    model, units = (str(file) for file in files)
    own = replace(SMALL, tokeniser=model, units=units)
    assert "is not the published unigram5000.model" in refused(tmp_path / "1", data, own)
    assert "published_pieces = false" in refused(tmp_path / "2", data, own)
    absent = replace(own, tokeniser=str(tmp_path / "absent.model"))
    assert f"{absent.tokeniser} with {units}" in refused(tmp_path / "3", data, absent)
    for half in (replace(SMALL, tokeniser=model), replace(SMALL, units=units)):
        assert list(half.problems()) == [
            "tokeniser and units belong together: the model that cuts texts, and the list of its pieces"
        ]
    monkeypatch.setitem(sys.modules, "sentencepiece", None)
    assert "needs the package sentencepiece" in refused(tmp_path / "4", data, replace(own, published_pieces=False))


def test_faces_that_cannot_be_looked_at(tmp_path) -> None:
    blind = make_faces(tmp_path / "a", lips=False)
    assert "has no region 'lips', on which the mouth's camera is fitted" in refused(tmp_path / "1", blind)
    sideways = make_faces(tmp_path / "b", up="x")
    assert "has 'x' pointing up, and a mouth can be drawn where y, z or -y does" in refused(tmp_path / "2", sideways)
    far = replace(SMALL, camera="vocaset")
    for number, scale in enumerate((0.01, 1000.0)):
        other = make_faces(tmp_path / f"c{number}", scale=scale)
        said = refused(tmp_path / f"3{number}", other, far)
        assert f"the camera 'vocaset' does not show the mouth of {other}" in said


def test_sound_that_is_not_there(tmp_path) -> None:
    mute = make_faces(tmp_path / "a", sound=False)
    assert "has no sound of A_s1, which the network hears" in refused(tmp_path / "1", mute, BOTH)
    train_reader(tmp_path / "2", mute, epochs=1)  # one for video alone asks for none

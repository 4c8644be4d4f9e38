"""What a frozen recogniser makes of the sound, kept beside the features: whose it is, and what it says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from faces.errors import DataError
from models.logmel import log_mel
from models.settings import Wants
from models.sound import standardise
from models.text import ENGLISH, Vocabulary
from pipeline.stage import Job, Sources, Upstream
from stages.adopt import Adopt
from stages.adopt import Params as Adopted
from stages.audio import speech
from stages.features import XLSR, ExtractFeatures, Params, extract
from stages.kinds.features import Features
from stages.kinds.sequences import Sequences
from stages.train.clips import ClipReader
from tests.models.recognisers import FAMILIES, LARGE, write_network, write_recogniser, write_tokeniser
from tests.models.released_files import faceformer, write
from tests.stages import fake_recogniser
from tests.stages.fake_job import FakeJob
from tests.stages.tiny import make_sequences

CLIP = "C_s02"


def run(folder: Path, data: Path, inputs: dict[str, Path] | None = None, **params: Any) -> Features:
    job = FakeJob.under(folder, {"data": data, **(inputs or {})})
    ExtractFeatures(Params(**params)).run(job)
    return Features(job.out)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_sequences(tmp_path_factory.mktemp("data") / "sequences")


@pytest.fixture(scope="module")
def recogniser(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_recogniser(tmp_path_factory.mktemp("recogniser"))


@pytest.fixture(scope="module")
def heard(data: Path, recogniser: Path, tmp_path_factory: pytest.TempPathFactory) -> Features:
    return run(tmp_path_factory.mktemp("heard"), data, encoder=str(recogniser), text=True)


def theirs(folder: Path, data: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Last hidden state and logits by `transformers`."""
    from transformers import AutoModelForCTC

    network = AutoModelForCTC.from_pretrained(folder).eval()
    wave = torch.from_numpy(standardise(speech(data / "wav" / f"{name}.wav")))[None]
    with torch.no_grad():
        return network.base_model(wave).last_hidden_state[0].numpy(), network(wave).logits[0].numpy()


@pytest.mark.parametrize("size", [{}, LARGE], ids=["base", "large"])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_encoder_itself_recognises(data: Path, tmp_path: Path, family: str, size: dict[str, Any]) -> None:
    source = write_recogniser(tmp_path / "recogniser", family, **size)
    features = run(tmp_path, data, encoder=str(source), text=True)
    hidden, logits = theirs(source, data, CLIP)
    np.testing.assert_allclose(features.hidden(CLIP), hidden, atol=1e-5, rtol=1e-5)
    np.testing.assert_allclose(features.logits(CLIP), logits, atol=1e-5, rtol=1e-5)
    assert tuple(features.encoder.vocabulary) == ENGLISH
    assert features.text_width == 24


def test_what_is_heard_reads_as_the_tokeniser_has_it(data: Path, heard: Features, tmp_path: Path) -> None:
    """The whole way of the pseudo-text, from the sound to classes for CTC."""
    tokeniser = write_tokeniser(tmp_path)
    vocabulary = Vocabulary(heard.encoder.vocabulary)
    reader = ClipReader(Sequences(data), heard, wants=Wants(text="heard"))
    texts = set()
    for name in heard.ids():
        assert len(heard.logits(name)) == len(heard.hidden(name)) == len(heard[name])
        (text,) = tokeniser.batch_decode([heard.logits(name).argmax(1).tolist()], clean_up_tokenization_spaces=True)
        assert vocabulary.read(heard.logits(name)) == reader.said(name) == text
        assert vocabulary.classes_of(text) == tokeniser(text).input_ids
        texts.add(text)
    assert len(texts) == len(heard.ids())
    assert reader.facts().text_width == 24
    assert reader.facts().vocabulary == ENGLISH


def test_features_are_the_same_with_and_without_text(
    data: Path, recogniser: Path, heard: Features, tmp_path: Path
) -> None:
    """Inference hears for a network that learnt with text, and needs none itself."""
    plain = run(tmp_path, data, encoder=str(recogniser))
    for name in plain.ids():
        np.testing.assert_array_equal(plain[name], heard[name])
    one, other = plain.encoder, heard.encoder
    assert (one.name, one.channels, one.config, one.weights) == (
        other.name,
        other.channels,
        other.config,
        other.weights,
    )
    assert one.text_weights == ""
    with pytest.raises(DataError, match="set text = true in the features step"):
        plain.logits(CLIP)


def test_one_network_is_loaded_and_convolves_once(
    data: Path, recogniser: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from models import hub
    from models.wav2vec2.convolutions import Convolutions

    calls = {"load": 0, "convolve": 0}
    load, convolve = hub.load_recogniser, Convolutions.run

    def loading(source: str) -> hub.Recogniser:
        calls["load"] += 1
        return load(source)

    def convolving(self: Convolutions, *args: Any) -> Any:
        calls["convolve"] += 1
        return convolve(self, *args)

    monkeypatch.setattr(hub, "load_recogniser", loading)
    monkeypatch.setattr(hub, "load_encoder_and_missing", lambda source: pytest.fail("loaded twice"))
    monkeypatch.setattr(Convolutions, "run", convolving)
    features = run(tmp_path, data, encoder=str(recogniser), text=True, recogniser=str(recogniser), hidden=True)
    assert calls == {"load": 1, "convolve": len(features.ids())}


def test_log_mel_with_the_text_of_a_pretrained_recogniser(
    data: Path, recogniser: Path, heard: Features, tmp_path: Path
) -> None:
    features = run(tmp_path, data, encoder="log-mel", text=True, recogniser=str(recogniser))
    wave = speech(data / "wav" / f"{CLIP}.wav")
    np.testing.assert_array_equal(features[CLIP], log_mel(standardise(wave)))
    np.testing.assert_array_equal(features.logits(CLIP), heard.logits(CLIP))
    np.testing.assert_array_equal(features.hidden(CLIP), heard.hidden(CLIP))
    assert (features.encoder.name, features.encoder.weights) == ("log-mel", "")
    assert features.encoder.text_weights == heard.encoder.text_weights != ""


def test_another_encoder_with_the_text_of_a_recogniser(
    data: Path, recogniser: Path, heard: Features, tmp_path: Path
) -> None:
    encoder = write_network(tmp_path / "encoder", "Hubert", seed=5, kind="Model")
    features = run(tmp_path / "run", data, encoder=str(encoder), text=True, recogniser=str(recogniser))
    plain = run(tmp_path / "plain", data, encoder=str(encoder))
    np.testing.assert_array_equal(features[CLIP], plain[CLIP])
    np.testing.assert_array_equal(features.logits(CLIP), heard.logits(CLIP))
    assert features.encoder.weights == plain.encoder.weights != heard.encoder.weights
    assert features.encoder.text_weights == heard.encoder.text_weights


def test_a_networks_own_convolutions_with_the_text_of_a_recogniser(
    data: Path, recogniser: Path, heard: Features, tmp_path: Path
) -> None:
    job = FakeJob.under(tmp_path / "adopt")
    Adopt(Adopted(weights=str(write(faceformer(), tmp_path / "x.pth")), model="faceformer")).run(job)
    inputs = {"checkpoint": job.out}
    features = run(tmp_path / "run", data, inputs, encoder="checkpoint", text=True, recogniser=str(recogniser))
    np.testing.assert_array_equal(features.logits(CLIP), heard.logits(CLIP))
    assert features[CLIP].shape == (len(heard[CLIP]), 16)
    with pytest.raises(DataError, match="holds 'faceformer', which recognises nothing"):
        run(tmp_path / "face", data, {"recogniser": job.out}, encoder="log-mel", text=True, recogniser="checkpoint")


def test_a_recogniser_of_ours_hears_what_it_was_trained_on(data: Path, recogniser: Path, tmp_path: Path) -> None:
    made = fake_recogniser.write_checkpoint(tmp_path / "own", 80, "log-mel")
    own: dict[str, Any] = {"inputs": {"recogniser": tmp_path / "own"}, "text": True, "recogniser": "checkpoint"}
    mel = run(tmp_path / "mel", data, encoder="log-mel", **own)
    with torch.no_grad():
        hidden, logits = made.recognise(torch.from_numpy(mel[CLIP]))
    np.testing.assert_allclose(mel.logits(CLIP), logits, atol=1e-5)
    np.testing.assert_allclose(mel.hidden(CLIP), hidden, atol=1e-5)
    assert tuple(mel.encoder.vocabulary) == fake_recogniser.VOCABULARY
    beside = run(tmp_path / "conv", data, encoder=str(recogniser), **own)
    np.testing.assert_array_equal(beside.logits(CLIP), mel.logits(CLIP))
    assert beside.encoder.text_weights == mel.encoder.text_weights != ""


def test_a_recogniser_of_ours_on_the_encoders_features(data: Path, recogniser: Path, tmp_path: Path) -> None:
    weights = run(tmp_path / "plain", data, encoder=str(recogniser)).encoder.weights
    made = fake_recogniser.write_checkpoint(tmp_path / "own", 16, "lab/encoder", weights)
    own: dict[str, Any] = {"inputs": {"recogniser": tmp_path / "own"}, "text": True, "recogniser": "checkpoint"}
    features = run(tmp_path / "run", data, encoder=str(recogniser), **own)
    with torch.no_grad():
        np.testing.assert_allclose(
            features.logits(CLIP), made.recognise(torch.from_numpy(features[CLIP]))[1], atol=1e-5
        )
    with pytest.raises(DataError, match="trained on features of lab/encoder, and these are of log-mel: set encoder = "):
        run(tmp_path / "mel", data, encoder="log-mel", **own)


def test_other_recognisers_are_other_artifacts(data: Path, recogniser: Path, heard: Features, tmp_path: Path) -> None:
    """Also where only the head differs, which changes no feature."""
    from transformers import AutoModelForCTC

    network = AutoModelForCTC.from_pretrained(recogniser)
    with torch.no_grad():
        network.lm_head.bias += 0.1
    network.save_pretrained(tmp_path / "other")
    write_tokeniser(tmp_path / "other")
    other = run(tmp_path / "run", data, encoder=str(tmp_path / "other"), text=True)
    assert other.encoder.weights == heard.encoder.weights
    assert other.encoder.text_weights != heard.encoder.text_weights
    assert str(tmp_path) not in (other.path / "encoder.json").read_text()


def test_what_a_checkpoint_lacks_says_nothing(data: Path, recogniser: Path, heard: Features, tmp_path: Path) -> None:
    """masked_spec_embed is drawn anew at each loading of a file without it."""
    from safetensors.torch import load_file, save_file

    for file in recogniser.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    state = load_file(recogniser / "model.safetensors")
    del state["wav2vec2.masked_spec_embed"]
    save_file(state, tmp_path / "model.safetensors", metadata={"format": "pt"})
    found = [run(tmp_path / name, data, encoder=str(tmp_path), text=True).encoder for name in ("a", "b")]
    assert found[0] == found[1]
    assert found[0].text_weights != heard.encoder.text_weights


def test_half_precision_rounds_all_parts(data: Path, recogniser: Path, heard: Features, tmp_path: Path) -> None:
    half = run(tmp_path, data, encoder=str(recogniser), text=True, dtype="float16")
    for exact, rounded in (
        (heard.hidden, half.hidden),
        (heard.logits, half.logits),
        (heard.__getitem__, half.__getitem__),
    ):
        assert rounded(CLIP).dtype == np.float16
        np.testing.assert_allclose(rounded(CLIP), exact(CLIP), rtol=5e-4, atol=1e-6)


def test_an_interrupted_run_goes_on(
    data: Path, recogniser: Path, heard: Features, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clips that were finished are read back, all parts of them, and the bytes are those of a run in one go."""
    job = FakeJob.under(tmp_path, {"data": data})
    calls: list[str] = []

    def counting(path: Path) -> Any:
        calls.append(path.stem)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return speech(path)

    monkeypatch.setattr(extract, "speech", counting)
    stage = ExtractFeatures(Params(encoder=str(recogniser), text=True))
    with pytest.raises(KeyboardInterrupt):
        stage.run(job)
    assert len(job.done) == 4
    stage.run(job)
    assert len(calls) == len(heard.ids()) + 1
    for name in ("features.h5", "encoder.json"):
        assert (job.out / name).read_bytes() == (heard.path / name).read_bytes()


def test_unchanged_clips_are_taken_over_with_their_text(
    data: Path, recogniser: Path, heard: Features, tmp_path: Path
) -> None:
    class Taking(FakeJob):
        def each(self, ids: Any, make: Any, *, adopt: Any = None, **options: Any) -> None:
            for name in ids:
                files = make(name) if name == CLIP else adopt(name, heard.path)
                assert sorted(file.name for file in files) == [
                    f"{name}.hidden.npy",
                    f"{name}.logits.npy",
                    f"{name}.npy",
                ]

    job: Job = Taking.under(tmp_path, {"data": data})
    ExtractFeatures(Params(encoder=str(recogniser), text=True)).run(job)
    assert (job.out / "features.h5").read_bytes() == (heard.path / "features.h5").read_bytes()


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"encoder": "log-mel", "text": True}, "text = true needs a recogniser, and encoder = 'log-mel' is none"),
        ({"encoder": "checkpoint", "text": True}, "text = true needs a recogniser, and encoder = 'checkpoint' is none"),
        ({"encoder": "log-mel", "recogniser": XLSR}, f"recogniser = '{XLSR}' is read with text = true only"),
        ({"encoder": XLSR, "text": True, "recogniser": "log-mel"}, "recogniser = 'log-mel' is no network"),
        ({"encoder": "a/b", "text": True, "recogniser": "c/d", "hidden": True}, "hidden = true keeps the encoder's"),
        ({"encoder": "a/b", "text": True, "recogniser": "checkpoint", "hidden": True}, "there is room for one"),
    ],
)  # fmt: skip
def test_what_does_not_go_together(params: dict[str, Any], sentence: str) -> None:
    (said,) = ExtractFeatures(Params(**params)).check()
    assert sentence in said


def test_declarations(recogniser: Path) -> None:
    itself = ExtractFeatures(Params(encoder=XLSR, text=True))
    assert itself.sources() == Sources(pretrained={"encoder": XLSR})
    assert itself.label({"data": Upstream("p", "vocaset", {})}) == "vocaset-wav2vec2-large-xlsr-53-english-text"
    assert not [*itself.check(), *ExtractFeatures(Params(encoder=XLSR, text=True, hidden=True)).check()]
    beside = ExtractFeatures(Params(encoder="log-mel", text=True, recogniser=XLSR))
    assert beside.sources() == Sources(pretrained={"recogniser": XLSR})
    assert beside.needs().gpu == 1
    assert list(beside.check()) == []
    folder = ExtractFeatures(Params(encoder=str(recogniser), text=True)).sources()
    assert folder.files["vocab.json?"] == recogniser / "vocab.json"
    assert not ExtractFeatures(Params(encoder=str(recogniser))).sources().files


def test_a_recogniser_comes_through_its_input_only_where_asked() -> None:
    own = ExtractFeatures(Params(encoder=XLSR, text=True, recogniser="checkpoint"))
    assert {slot: spec.optional for slot, spec in own.slots().items()} == {"data": False, "recogniser": False}
    assert own.sources() == Sources(pretrained={"encoder": XLSR})
    upstream = {"recogniser": Upstream("listen", "tiny", {"model": fake_recogniser.NAME})}
    assert list(own.components(upstream)) == [fake_recogniser.NAME]
    assert list(ExtractFeatures(Params(encoder=XLSR, text=True)).slots()) == ["data"]
    both = ExtractFeatures(Params(encoder="checkpoint", text=True, recogniser="checkpoint"))
    assert set(both.slots()) == {"data", "checkpoint", "recogniser"}
    assert list(both.check()) == []


def test_log_mel_without_text_loads_no_torch(data: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from tests.stages.fake_job import FakeJob\n"
        "from stages.features import ExtractFeatures, Params\n"
        f"job = FakeJob.under(Path({str(tmp_path)!r}), {{'data': Path({str(data)!r})}})\n"
        "ExtractFeatures(Params(encoder='log-mel')).run(job)\n"
        "sys.exit(str({'torch', 'transformers'} & set(sys.modules) or ''))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], capture_output=True, text=True)
    assert not done.stderr.strip()

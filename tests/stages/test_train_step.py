"""One step of the optimiser: pieces, memory, precision, compiling, and what a device may do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from models.talking_face import Clips
from pipeline.errors import Interrupted, StageError
from pipeline.stage import Input
from stages.train.compiling import MARK
from tests.stages import fake_face
from tests.stages.fake_job import FakeJob
from tests.stages.train_runs import FILES, inputs, new_job, run

__all__ = ["inputs"]


@pytest.fixture
def calm(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that draws nothing, so that only rounding depends on how clips are cut into pieces."""

    def losses(self: fake_face.FakeFace, clips: Clips) -> dict[str, Tensor]:
        loss = self._losses(clips, 0.0)
        return {"loss": loss, "half": loss.detach() / 2}

    monkeypatch.setattr(fake_face.FakeFace, "losses", losses)


def small_device(monkeypatch: pytest.MonkeyPatch, most: int) -> list[int]:
    """A device with memory for `most` clips. Returns how many were tried, one call after another."""
    tried: list[int] = []
    losses = fake_face.FakeFace.losses

    def bounded(self: fake_face.FakeFace, clips: Clips) -> dict[str, Tensor]:
        tried.append(len(clips.features))
        torch.rand(3)
        if len(clips.features) > most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return losses(self, clips)

    monkeypatch.setattr(fake_face.FakeFace, "losses", bounded)
    return tried


def same_weights(a: Path, b: Path, atol: float) -> None:
    found = load_file(b)
    for name, value in load_file(a).items():
        torch.testing.assert_close(value, found[name], rtol=0, atol=atol)


def loss(job: FakeJob) -> float:
    from stages.kinds.checkpoint import Checkpoint

    value: float = Checkpoint(job.out).history()[-1]["train"]["loss"]
    return value


@pytest.mark.parametrize("options", [{"batch_size": 4}, {"batch_size": 2, "accumulate": 2}])
def test_out_of_memory_halves_the_pieces_and_keeps_the_batch(
    inputs: dict[str, Input], tmp_path: Path, calm: None, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    roomy, small = new_job(tmp_path / "a", inputs), new_job(tmp_path / "b", inputs)
    run(roomy, epochs=6, **options)
    tried = small_device(monkeypatch, most=1)
    run(small, epochs=6, **options)
    same_weights(roomy.out / "last.safetensors", small.out / "last.safetensors", 1e-5)
    assert loss(small) == pytest.approx(loss(roomy), rel=1e-5)
    assert set(tried[3:]) == {1}  # what was learned is not forgotten
    told = [line for line in small.said if line.startswith("out of memory on cpu: from here 1 clips at a time")]
    assert len(told) == 1


def test_the_step_is_done_again_with_its_own_random_numbers(
    inputs: dict[str, Input], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that begins with small pieces, and one that is taught them, draw alike."""
    known, taught = new_job(tmp_path / "a", inputs), new_job(tmp_path / "b", inputs)
    small_device(monkeypatch, most=2)
    run(known, batch_size=4, micro_batch=2)
    run(taught, batch_size=4)
    for name in FILES:
        assert (known.out / name).read_bytes() == (taught.out / name).read_bytes(), name


def test_what_memory_taught_is_remembered_by_a_resumed_run(
    inputs: dict[str, Input], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = small_device(monkeypatch, most=2)
    job = new_job(tmp_path, inputs, stop_after=0)
    with pytest.raises(Interrupted):
        run(job, batch_size=4)
    tried.clear()
    job.stop_after = None
    run(job, batch_size=4)
    assert max(tried) == 2


def test_a_clip_that_does_not_fit_alone_is_named(
    inputs: dict[str, Input], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_device(monkeypatch, most=0)
    sentence = r"out of memory on cpu: [AB]_s0\d \(0\.\d s, \d+ frames\) does not fit even alone; leave it out .*'bf16'"
    with pytest.raises(StageError, match=sentence):
        run(new_job(tmp_path, inputs), batch_size=4)


@pytest.mark.parametrize(
    "error",
    [
        torch.AcceleratorError("CUDA error: device-side assert triggered\nCompile with TORCH_USE_CUDA_DSA"),
        RuntimeError("CUDA error: unspecified launch failure"),
    ],
)
def test_a_device_that_disappears_loses_nothing(
    inputs: dict[str, Input], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: RuntimeError
) -> None:
    straight, broken = new_job(tmp_path / "straight", inputs), new_job(tmp_path / "broken", inputs)
    run(straight)
    losses, calls = fake_face.FakeFace.losses, iter(range(99))

    def gone(self: fake_face.FakeFace, clips: Clips) -> dict[str, Tensor]:
        if next(calls) == 6:
            raise error
        return losses(self, clips)

    with monkeypatch.context() as patch:
        patch.setattr(fake_face.FakeFace, "losses", gone)
        with pytest.raises(
            StageError, match=r"the device cpu stopped answering \(CUDA error: [^)]*\); what was"
        ) as told:
            run(broken, save_every=0.0)
    assert told.value.exit_code == 1
    run(broken, save_every=0.0)
    assert any("going on after step 6" in line for line in broken.said)
    for name in FILES:
        assert (straight.out / name).read_bytes() == (broken.out / name).read_bytes(), name


def test_other_runtime_errors_are_defects_and_stay_what_they_are(
    inputs: dict[str, Input], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: fake_face.FakeFace, clips: Clips) -> dict[str, Tensor]:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(fake_face.FakeFace, "losses", broken)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        run(new_job(tmp_path, inputs))


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_mixed_precision_trains(inputs: dict[str, Input], tmp_path: Path, precision: str) -> None:
    checkpoint = run(new_job(tmp_path, inputs), epochs=20, precision=precision, grad_clip=1.0)
    history = checkpoint.history()
    assert history[-1]["val"]["loss"] < 0.7 * history[0]["val"]["loss"]
    assert all(value.dtype == torch.float32 for value in load_file(checkpoint.path / "model.safetensors").values())


def test_released_accumulation_sums_and_forgets(inputs: dict[str, Input], tmp_path: Path, calm: None) -> None:
    """Four clips, n = 3: steps after the first and the fourth; with the same rule by hand."""
    made = run(new_job(tmp_path / "a", inputs), epochs=2, accumulate=3, accumulation="released", order="listed")
    assert [record["step"] for record in made.history()] == [2, 4]
    five = run(new_job(tmp_path / "b", inputs), epochs=1, accumulate=2, accumulation="released", order="listed")
    assert five.history()[0]["step"] == 2  # 0, then 1 and 2; the fourth clip's gradient is thrown away
    expected = by_hand(inputs, n=2)
    for name, value in load_file(five.path / "last.safetensors").items():
        torch.testing.assert_close(value, expected[name], rtol=0, atol=1e-6)


def by_hand(inputs: dict[str, Input], n: int) -> dict[str, Tensor]:
    """The published loop over one epoch of batches of one clip."""
    from stages.train.state import seed_everything
    from tests.stages.train_runs import clips

    seed_everything(0)
    reader = clips(inputs)
    network = fake_face.FakeFace(fake_face.Settings(), reader.facts())
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-2)
    for i, take in enumerate(take for takes in reader.takes("train") for take in takes):
        network.losses(reader.batch([take]))["loss"].backward()
        if i % n == 0:
            optimiser.step()
            optimiser.zero_grad()
    return network.state_dict()


def test_averaged_weights_are_validated_and_kept(
    inputs: dict[str, Input], tmp_path: Path, calm: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Recomputed from the weights after each step."""
    seen: list[dict[str, Tensor]] = []
    step = torch.optim.Adam.step

    def watched(self: torch.optim.Adam, closure: Any = None) -> Any:
        made = step(self, closure)
        seen.append({i: value.detach().clone() for i, value in enumerate(self.param_groups[0]["params"])})  # type: ignore[misc]
        return made

    plain = run(new_job(tmp_path / "a", inputs), epochs=1, lr=0.0)
    monkeypatch.setattr(torch.optim.Adam, "step", watched)
    averaged = run(new_job(tmp_path / "b", inputs), epochs=2, ema=0.6)
    names = list(dict(fake_face.FakeFace(fake_face.Settings(), plain.facts).named_parameters()))
    expected = load_file(plain.path / "last.safetensors")
    for n, live in enumerate(seen, start=1):
        decay = min(0.6, (1 + n) / (10 + n))
        expected = {name: decay * expected[name] + (1 - decay) * live[i] for i, name in enumerate(names)}  # type: ignore[index]
    last = load_file(averaged.path / "last.safetensors")
    for name in names:
        torch.testing.assert_close(last[name], expected[name], rtol=0, atol=1e-6)
    assert averaged.history()[-1]["val"]["loss"] == pytest.approx(validation(averaged, inputs), rel=1e-5)


def validation(checkpoint: Any, inputs: dict[str, Input]) -> float:
    from tests.stages.train_runs import clips

    network, reader = checkpoint.load_network(weights="last.safetensors"), clips(inputs)
    takes = [take for group in reader.takes("val") for take in group]
    with torch.no_grad():
        losses = [network.validation_losses(reader.batch([take]))["loss"].item() for take in takes]
    return sum(losses) / len(losses)


def test_a_network_that_cannot_be_compiled_is_told(
    inputs: dict[str, Input], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(graph: Any, inputs: Any) -> Any:
        raise RuntimeError("no C++ compiler was found")

    monkeypatch.setattr(fake_face.Block, MARK, True, raising=False)
    compile_ = torch.compile
    monkeypatch.setattr(torch, "compile", lambda f, **options: compile_(f, backend=broken, **options))
    with pytest.raises(StageError, match=r"compile = true: the network could not be compiled \(.*\); install"):
        run(new_job(tmp_path, inputs), compile=True)


def test_compiled_blocks_give_the_same_training(
    inputs: dict[str, Input], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the compiler's own front; what it hands to a C++ compiler is left out."""
    plain = run(new_job(tmp_path / "a", inputs), epochs=2, batch_size=2)
    monkeypatch.setattr(fake_face.Block, MARK, True, raising=False)
    compile_, graphs = torch.compile, []

    def backend(graph: Any, inputs: Any) -> Any:
        graphs.append(graph)
        return graph

    monkeypatch.setattr(torch, "compile", lambda f, **options: compile_(f, backend=backend, **options))
    compiled = run(new_job(tmp_path / "b", inputs), epochs=2, batch_size=2, compile=True)
    assert 1 <= len(graphs) <= 4  # not one for each of the lengths: training and validation, with and without gradients
    for one, other in zip(plain.history(), compiled.history(), strict=True):
        assert other["train"]["loss"] == pytest.approx(one["train"]["loss"], rel=1e-5)
    assert load_file(compiled.path / "last.safetensors").keys() == load_file(plain.path / "last.safetensors").keys()


def test_without_blocks_nothing_is_compiled(inputs: dict[str, Input], tmp_path: Path) -> None:
    with pytest.raises(StageError, match="compile = true: this network has no blocks that are worth compiling"):
        run(new_job(tmp_path, inputs), compile=True)

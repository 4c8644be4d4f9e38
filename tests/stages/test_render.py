from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile
from PIL import Image

from cache.manifest import Manifest
from faces.errors import DataError
from pipeline.errors import StageError
from pipeline.stage import Given
from stages.kinds.predictions import Predictions, Text, write_index, write_text
from stages.render import Params, Render
from stages.render.choice import spread
from stages.render.stills import informative_frames
from tests.stages.fake_job import FakeJob
from tests.stages.talking_spheres import VERTICES, longer, make_data, make_predictions, motion

SMALL: dict[str, Any] = {"size": 64, "preset": "ultrafast", "limit": 1}


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, Path]:
    return {"data": make_data(tmp_path / "data"), "predictions": make_predictions(tmp_path / "predictions")}


def run(folder: Path, inputs: dict[str, Path], **params: Any) -> FakeJob:
    job = FakeJob.under(folder, inputs)
    Render(Params(**SMALL | params)).run(job)
    return job


def index(job: FakeJob) -> dict[str, Any]:
    return json.loads((job.out / "video.json").read_text())


def decoded(file: Path) -> list[np.ndarray]:
    with av.open(str(file)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def change(inputs: dict[str, Path], name: str, moved: np.ndarray) -> None:
    np.save(inputs["predictions"] / "npy" / f"{name}.npy", moved.reshape(len(moved), -1).astype(np.float32))


def test_a_clip_shows_truth_prediction_and_error(inputs: dict[str, Path], tmp_path: Path) -> None:
    job = run(tmp_path / "run", inputs, captions=False)
    (name,) = index(job)["clips"]
    assert name == "A_s1_condition_A"
    frames = decoded(job.out / f"{name}.mp4")
    assert len(frames) == 12, "of truth (12) and prediction (13) the shorter"
    assert frames[0].shape == (64, 3 * 64, 3)
    truth, prediction, error = np.split(frames[6].astype(int), 3, axis=1)
    assert np.ptp(truth, axis=2).max() < 30, "grey"
    assert np.abs(truth - prediction).max() > 40, "the chins are apart"
    lower = error[40:56, 24:40]
    assert (lower[:, :, 0] - lower[:, :, 2]).max() > 40, "the chin is wrong: dark magenta"
    upper = error[10:24, 24:40]
    assert (upper[:, :, 0] - upper[:, :, 2]).max() < 25, "the forehead is right: pale"


def test_index_says_what_each_video_shows(inputs: dict[str, Path], tmp_path: Path) -> None:
    job = run(tmp_path / "run", inputs, limit=2)
    facts = index(job)
    assert (facts["fps"], facts["rate"], facts["size"]) == (25.0, "25", 64)
    assert facts["error_scale"] == {"end": 10.0, "unit": "mm"}, "half of 20 mm"
    clip = facts["clips"]["B_s1_condition_A"]
    assert clip["columns"] == ["truth", "prediction", "error"]
    assert (clip["subject"], clip["condition"], clip["split"], clip["sound"]) == ("B", "A", "test", True)
    assert (clip["frames"], clip["seconds"]) == (12, 0.48)
    assert sorted(path.name for path in (job.out / "stills").iterdir()) == sorted(
        still for clip in facts["clips"].values() for still in clip["stills"]
    )
    assert sorted(job.done) == sorted(facts["clips"])


def test_captions_stand_above_the_panels(inputs: dict[str, Path], tmp_path: Path) -> None:
    job = run(tmp_path / "run", inputs, size=128, background="black")
    still = np.asarray(Image.open(next((job.out / "stills").iterdir())))
    strip = still[: len(still) - 128].astype(int)
    assert still.shape[0] == 128 + 12
    assert still.shape[1] == 3 * 128
    for panel in np.split(strip, 3, axis=1):
        assert panel.max() > 150
    bar = strip[:, 256:]
    assert (bar.max(axis=2) - bar.min(axis=2)).max() > 80, "the error's colours"
    assert still[-1, 0].tolist() == [0, 0, 0]


def test_stills_are_frames_of_the_video_with_the_mouth_open_and_closed(inputs: dict[str, Path], tmp_path: Path) -> None:
    job = run(tmp_path / "run", inputs, stills=2, crf=1)
    (clip,) = index(job)["clips"].items()
    assert clip[1]["stills"][0] == f"{clip[0]}_frame0000.png"
    assert clip[1]["stills"][1] in {f"{clip[0]}_frame{middle:04d}.png" for middle in (5, 6)}
    frames = decoded(job.out / f"{clip[0]}.mp4")
    for still in clip[1]["stills"]:
        picture = np.asarray(Image.open(job.out / "stills" / still)).astype(int)
        number = int(still[-8:-4])
        assert np.abs(picture.mean(axis=2) - frames[number].mean(axis=2)).mean() < 2


def test_one_scale_for_all_or_the_one_given(inputs: dict[str, Path], tmp_path: Path) -> None:
    name = "C_s1_condition_A"
    change(inputs, name, longer(motion("C", 12, strength=0.1)))
    assert index(run(tmp_path / "one", inputs, limit=1))["error_scale"]["end"] == 10.0
    assert index(run(tmp_path / "all", inputs, limit=0))["error_scale"]["end"] == 80.0
    assert index(run(tmp_path / "given", inputs, error_scale=4.0))["error_scale"]["end"] == 4.0


def test_perfect_predictions_have_a_scale_too(inputs: dict[str, Path], tmp_path: Path) -> None:
    change(inputs, "A_s1_condition_A", longer(motion("A", 12)))
    assert index(run(tmp_path / "run", inputs))["error_scale"]["end"] > 0


def test_units_without_length_are_not_called_mm(tmp_path: Path) -> None:
    inputs = {
        "data": make_data(tmp_path / "data", units="unit-area"),
        "predictions": make_predictions(tmp_path / "predictions", units="unit-area"),
    }
    assert index(run(tmp_path / "run", inputs))["error_scale"] == {"end": 0.01, "unit": "units"}


def test_speech_outside_of_the_data_has_no_truth_and_no_sound(inputs: dict[str, Path], tmp_path: Path) -> None:
    info = Predictions(inputs["predictions"]).info
    kept = {
        name: type(item)("elsewhere", item.subject, item.condition, "", item.frames)
        for name, item in info.items.items()
        if name == "B_s2_condition_A"
    }
    write_index(inputs["predictions"], type(info)(info.fps, info.units, info.dataset, info.model, kept))
    job = run(tmp_path / "run", inputs)
    facts = index(job)
    assert facts["clips"]["B_s2_condition_A"]["columns"] == ["prediction"]
    assert facts["error_scale"] is None
    assert facts["clips"]["B_s2_condition_A"]["frames"] == 13
    assert any("silent" in line for line in job.said)
    assert any("no ground truth" in line for line in job.said)
    with av.open(str(job.out / "B_s2_condition_A.mp4")) as container:
        assert not container.streams.audio
        assert container.streams.video[0].width == 64


def test_sound_is_in_time_and_as_long_as_the_pictures(tmp_path: Path) -> None:
    fps, frames = 29.97, 45
    inputs = {
        "data": make_data(tmp_path / "data", fps=fps, frames=frames),
        "predictions": make_predictions(tmp_path / "predictions", fps=fps, frames=frames),
    }
    job = run(tmp_path / "run", inputs, columns=["prediction"])
    file = job.out / "A_s1_condition_A.mp4"
    with av.open(str(file)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert str(video.average_rate) == "30000/1001"
        assert (video.start_time, audio.start_time, audio.rate) == (0, 0, 48_000)
        stamps = [frame.pts * frame.time_base for frame in container.decode(video)]
    assert [stamp * 30_000 / 1001 for stamp in stamps] == list(range(frames))
    with av.open(str(file)) as container:
        heard = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
    wave, rate = soundfile.read(inputs["data"] / "wav" / "A_s1.wav")
    assert abs(len(heard) / 48_000 - frames / (30_000 / 1001)) < 1024 / 48_000
    expected = np.interp(np.arange(round(len(wave) * 48_000 / rate)) / 48_000, np.arange(len(wave)) / rate, wave)
    size = 1 << 18
    match = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(expected, size)))
    assert match.argmax() == 0, "samples of lag"


@pytest.mark.parametrize("seconds", [0.0, 0.2, 3.0])
def test_sound_is_cut_or_filled_up(inputs: dict[str, Path], tmp_path: Path, seconds: float) -> None:
    file = inputs["data"] / "wav" / "A_s1.wav"
    soundfile.write(file, np.full((round(seconds * 8000), 2), 0.3), 8000)
    job = run(tmp_path / "run", inputs)
    with av.open(str(job.out / "A_s1_condition_A.mp4")) as container:
        heard = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
    assert abs(len(heard) - 0.48 * 48_000) <= 1024
    assert np.abs(heard[int(0.3 * 48_000) : int(0.45 * 48_000)]).max() == pytest.approx(0.3 * (seconds > 1), abs=0.05)


def test_equal_runs_give_equal_bytes(inputs: dict[str, Path], tmp_path: Path) -> None:
    one, two = run(tmp_path / "one", inputs), run(tmp_path / "two", inputs)
    files = sorted(path.relative_to(one.out) for path in one.out.rglob("*") if path.is_file())
    assert len(files) == 4
    for file in files:
        assert (one.out / file).read_bytes() == (two.out / file).read_bytes(), file


def test_finished_clips_are_not_made_again(inputs: dict[str, Path], tmp_path: Path) -> None:
    job = FakeJob.under(tmp_path / "run", inputs)
    job.done["A_s1_condition_A"] = []
    Render(Params(**SMALL | {"limit": 2})).run(job)
    assert [path.name for path in job.out.glob("*.mp4")] == ["B_s1_condition_A.mp4"]
    assert len(index(job)["clips"]) == 2


def test_published_cameras_show_the_same_mesh_smaller_and_larger(inputs: dict[str, Path], tmp_path: Path) -> None:
    shares = {}
    for camera in ("fit", "voca", "biwi"):
        job = run(tmp_path / camera, inputs, camera=camera, columns=["prediction"], captions=False, stills=1)
        picture = np.asarray(Image.open(next((job.out / "stills").iterdir())))
        shares[camera] = (picture.min(axis=2) < 250).mean()
    assert shares["biwi"] < shares["voca"] < shares["fit"]


def test_a_frame_that_cannot_be_drawn_fails_the_stage(inputs: dict[str, Path], tmp_path: Path) -> None:
    moved = motion("A", 13)
    moved[4, 7, 2] = np.nan
    change(inputs, "A_s1_condition_A", moved)
    with pytest.raises(DataError, match=r"A_s1_condition_A\.npy, frame 4: 1 of 114 vertices are NaN"):
        run(tmp_path / "run", inputs, stills=0)
    assert not list((tmp_path / "run" / "out").glob("*.mp4*"))


def test_other_topology_rate_and_units_are_refused(inputs: dict[str, Path], tmp_path: Path) -> None:
    change(inputs, "A_s1_condition_A", np.zeros((13, VERTICES - 1, 3)))
    with pytest.raises(DataError, match=r"has 113 vertices a frame .* has 114"):
        run(tmp_path / "a", inputs)
    for facts in ({"fps": 30.0}, {"units": "mm"}):
        other = make_predictions(tmp_path / f"other{facts}", **facts)
        with pytest.raises(DataError, match="use the sequences that the predictions were made from"):
            run(tmp_path / f"b{facts}", inputs | {"predictions": other})


def test_nothing_to_render_is_said(inputs: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(StageError, match="no predictions of val"):
        run(tmp_path / "run", inputs, splits=["val"])


def test_a_missing_template_is_named(inputs: dict[str, Path], tmp_path: Path) -> None:
    np.savez(inputs["data"] / "templates.npz", B=motion("B", 1)[0])
    with pytest.raises(DataError, match="no template of A"):
        run(tmp_path / "run", inputs)


def test_sound_that_is_none_is_named(inputs: dict[str, Path], tmp_path: Path) -> None:
    (inputs["data"] / "wav" / "A_s1.wav").write_text("noise")
    with pytest.raises(DataError, match=r"A_s1\.wav cannot be read as sound"):
        run(tmp_path / "run", inputs)


def test_splits_and_limit_choose_widely() -> None:
    entries = [(s, f"{s}_{n}", f"{s}_{n}_{c}") for s in "AB" for n in (1, 2) for c in "xy"]
    assert spread(entries) == ["A_1_x", "B_1_x", "A_2_x", "B_2_x", "A_1_y", "B_1_y", "A_2_y", "B_2_y"]


def test_chosen_splits_alone_are_rendered(inputs: dict[str, Path], tmp_path: Path) -> None:
    job = run(tmp_path / "run", inputs, splits=["test"], limit=2, stills=0)
    assert sorted(index(job)["clips"]) == ["B_s1_condition_A", "C_s1_condition_A"]
    assert not list((job.out / "stills").iterdir())


def test_the_most_telling_frames_come_first() -> None:
    curve = np.array([3.0, 1, 2, 9, 2, 4, 4, 4, 4])
    assert informative_frames(curve, 1) == [3]
    assert informative_frames(curve, 2) == [1, 3]
    assert informative_frames(curve, 4) == [1, 2, 3, 4]
    assert informative_frames(curve, 50) == list(range(9))
    assert informative_frames(curve, 0) == []


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"size": 65}, "size must be even"),
        ({"columns": []}, "at least one panel"),
        ({"columns": ["truth", "truth"]}, "each once"),
        ({"background": "mauve"}, "background must be"),
        ({"background": "#12345"}, "background must be"),
    ],
)
def test_parameters_that_cannot_be_are_refused_while_planning(params: dict[str, Any], words: str) -> None:
    (problem,) = Render(Params(**params)).check()
    assert words in problem
    assert problem.split()[0] in params, "the engine derives the place from the first word"


def test_defaults_are_fine() -> None:
    assert not list(Render(Params()).check())
    assert not list(Render(Params(background="#a0B1c2")).check())


def test_planning_imports_nothing_heavy() -> None:
    code = "import sys, stages.render; print(sorted({'numpy', 'av', 'numba', 'PIL', 'soundfile'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_prediction_without_its_file_is_named(inputs: dict[str, Path], tmp_path: Path) -> None:
    shutil.rmtree(inputs["predictions"] / "npy")
    with pytest.raises(DataError, match=r"A_s1_condition_A\.npy cannot be read"):
        run(tmp_path / "run", inputs)


def test_the_legend_stands_above_the_error_wherever_it_is(inputs: dict[str, Path], tmp_path: Path) -> None:
    for columns in (["error", "prediction"], ["truth", "error", "prediction"]):
        job = run(tmp_path / columns[0], inputs, size=128, columns=columns)
        still = np.asarray(Image.open(next((job.out / "stills").iterdir())))
        strip = still[: len(still) - 128].astype(int)
        coloured = [np.ptp(panel, axis=2).max() > 80 for panel in np.split(strip, len(columns), axis=1)]
        assert coloured == [column == "error" for column in columns]


def test_index_says_which_rasteriser_drew(
    inputs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("numba")
    assert index(run(tmp_path / "numba", inputs, stills=0))["rasteriser"] == "numba"
    monkeypatch.setitem(sys.modules, "faces.raster.numba_raster", None)
    assert index(run(tmp_path / "numpy", inputs, stills=0))["rasteriser"] == "numpy"


def with_texts(predictions: Path, heard: str | None, read: str = "we saw it") -> None:
    (predictions / "text").mkdir(exist_ok=True)
    for name in Predictions(predictions).items:
        write_text(predictions, name, Text(heard, read))


def test_texts_stand_below_the_panels(inputs: dict[str, Path], tmp_path: Path) -> None:
    job = run(tmp_path / "none", inputs, texts=True)
    assert any("holds no texts: its network reads no lips" in line for line in job.said)
    with_texts(inputs["predictions"], "we saw a large old house and went on")
    plain, shown = run(tmp_path / "plain", inputs), run(tmp_path / "shown", inputs, texts=True, size=128)
    (name,) = index(plain)["clips"]
    assert decoded(plain.out / f"{name}.mp4")[0].shape[0] == 64 + 12
    picture = decoded(shown.out / f"{name}.mp4")[3].astype(int)
    assert picture.shape == (128 + 3 * 12, 3 * 128, 3)
    first, second = picture[140:152], picture[152:]
    ink = [[np.ptp(part) > 60 for part in np.split(line, 3, axis=1)] for line in (first, second)]
    assert ink == [[True, True, False], [True, False, False]]
    said = []
    for number, read in enumerate(("", "(nothing)")):
        with_texts(inputs["predictions"], "", read)
        said.append(decoded(run(tmp_path / f"{number}", inputs, texts=True, size=128).out / f"{name}.mp4")[3])
    np.testing.assert_array_equal(*said)
    with_texts(inputs["predictions"], None)
    silent = run(tmp_path / "silent", inputs, texts=True, size=128)
    assert np.ptp(decoded(silent.out / f"{name}.mp4")[3][142:, :120]) < 60


def test_a_text_is_content_of_its_clip_where_it_is_shown(inputs: dict[str, Path]) -> None:
    def items(**params: Any) -> Any:
        predictions = inputs["predictions"]
        files = {str(file.relative_to(predictions)): (1, file.read_text("latin1")) for file in predictions.rglob("*.*")}
        given = {"data": Given(inputs["data"], {}, lambda: Manifest({}))}
        given["predictions"] = Given(predictions, {}, lambda: Manifest(files))
        return Render(Params(**SMALL | params)).items(given, {}).each

    with_texts(inputs["predictions"], "one")
    before = items(), items(texts=True)
    with_texts(inputs["predictions"], "two")
    assert items() == before[0]
    assert items(texts=True) != before[1]

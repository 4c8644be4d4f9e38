"""The work of the stage `render`: from predictions to videos, clip by clip."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faces.errors import DataError
from faces.heatmap import HeatScale, nice_end
from pipeline.stage import Job
from stages.kinds.plain import write_json
from stages.kinds.predictions import Predictions, check_alike
from stages.kinds.sequences import Sequences
from stages.render import Params
from stages.render.captions import caption_strip, strip_height, text_strip
from stages.render.choice import Clip, choose
from stages.render.panels import Panels, Style, clip_camera, few_frames, rasteriser, tints
from stages.render.reel import INDEX, STILLS, Reel
from stages.render.settings import parse_colour
from stages.render.stills import informative_frames, mouth_opening
from stages.render.video import exact_rate

MILLIMETRES = {"m": 1000.0, "cm": 10.0, "mm": 1.0, "nphm": 250.0}
"""Units of length → millimetres. Errors of other data ("unit-area") are shown in their own units."""
SCALE_FRAMES, SCALE_PERCENTILE = 24, 99.0
SMALLEST_SCALE = 1e-6


@dataclass(frozen=True)
class Shoot:
    """What all clips of a run share."""

    data: Sequences
    predictions: Predictions
    params: Params
    style: Style
    reel: Reel


def produce(job: Job, params: Params) -> None:
    """Fill `job.out` with videos, stills and `video.json`."""
    data, predictions = Sequences(job.inputs["data"].path), Predictions(job.inputs["predictions"].path)
    predictions.check_vertices()
    check_alike(data, predictions)
    clips = choose(data, predictions, params.columns, params.splits, params.limit)
    style = make_style(data, predictions, clips, params)
    reel = Reel(data, job.out, exact_rate(data.fps), params.crf, params.preset)
    shoot = Shoot(data, predictions, params, style, reel)
    (job.out / STILLS).mkdir(exist_ok=True)
    by_name = {clip.name: clip for clip in clips}
    reel.say_what_lacks(job, clips, params.columns)
    if params.texts and not predictions.has_texts:
        job.say(f"{predictions.path} holds no texts: its network reads no lips, or infer was told not to")
    # An OpenGL context belongs to one thread; our own renderer holds no lock and gains from several.
    threads = job.workers if params.renderer == "soft" else 1
    # The scale of the error is of all clips together: where another clip moves it, all are drawn anew.
    late = None if style.scale is None else [style.scale.high, style.scale.unit]
    job.each(list(by_name), lambda name: film(shoot, by_name[name]), unit="clips", threads=threads, late=late)
    write_index(shoot, clips)


def make_style(data: Sequences, predictions: Predictions, clips: Sequence[Clip], params: Params) -> Style:
    """The look of all panels, with one error scale for all clips."""
    to_unit, unit = (MILLIMETRES[data.units], "mm") if data.units in MILLIMETRES else (1.0, "units")
    scale = None
    if any("error" in clip.columns for clip in clips):
        end = params.error_scale or automatic_scale(data, predictions, clips) * to_unit
        scale = HeatScale(end if params.error_scale else nice_end(max(end, SMALLEST_SCALE)), unit)
    background = parse_colour(params.background)
    return Style(params.renderer, params.size, params.supersample, background, tints(data), scale, to_unit)


def automatic_scale(data: Sequences, predictions: Predictions, clips: Sequence[Clip]) -> float:
    """The error, in the data's units, that one vertex in a hundred passes in the worst frame; of a few in each clip."""
    worst = 0.0
    for clip in clips:
        if clip.has_truth:
            frames = np.unique(np.linspace(0, clip.frames - 1, SCALE_FRAMES).round().astype(int))
            truth, prediction = motions(data, predictions, clip)
            assert truth is not None, "a clip with truth has it"
            errors = np.linalg.norm(prediction[frames] - truth[frames], axis=2)
            worst = max(worst, float(np.nanmax(np.percentile(errors, SCALE_PERCENTILE, axis=1), initial=0)))
    return worst


def motions(
    data: Sequences, predictions: Predictions, clip: Clip
) -> tuple[NDArray[np.float32] | None, NDArray[np.float32]]:
    """Truth, if the clip has it, and prediction: (T, V, 3) each, memory maps. DataError for another topology."""
    prediction = predictions.motion(clip.name)
    if prediction.shape[1] != data.info.vertices:
        raise DataError(
            f"{predictions.file(clip.name)} has {prediction.shape[1]} vertices a frame and {data.path} has "
            f"{data.info.vertices}: give predictions of the same topology"
        )
    truth = data.vertices(clip.item.id)[: clip.frames] if clip.has_truth else None
    return truth, prediction[: clip.frames]


def film(shoot: Shoot, clip: Clip) -> list[Path]:
    """Make one clip's video and stills; returns their paths."""
    params = shoot.params
    lines = params.captions + 2 * (params.texts and shoot.predictions.has_texts)
    size = (params.size * len(clip.columns), params.size + lines * strip_height(params.size))
    pictures = draw(shoot, clip, *motions(shoot.data, shoot.predictions, clip))
    return shoot.reel.record(clip, size, pictures, still_frames(shoot, clip))


def draw(
    shoot: Shoot, clip: Clip, truth: NDArray[np.float32] | None, prediction: NDArray[np.float32]
) -> Iterator[NDArray[np.uint8]]:
    """The finished frames of a clip. A frame that cannot be drawn is a DataError that names it."""
    params, style = shoot.params, shoot.style
    template = shoot.data.template_for(clip.item.subject, clip.name)
    shown = prediction if truth is None else truth
    seen = [template, *shown[few_frames(len(shown))]]
    camera = clip_camera(params.camera, params.size, seen, shoot.data.info.up)
    panels = Panels(shoot.data.faces, camera, clip.columns, style)
    scales = [style.scale if column == "error" else None for column in clip.columns]
    strip = caption_strip(_titles(shoot, clip), scales, params.size, style.background) if params.captions else None
    below = text_strip(texts, params.size, style.background) if (texts := _texts(shoot, clip)) else None
    for number in range(clip.frames):
        try:
            picture = panels.picture(prediction[number], None if truth is None else truth[number])
        except DataError as error:
            raise DataError(f"{shoot.predictions.file(clip.name)}, frame {number}: {error}") from error
        yield np.concatenate([part for part in (strip, picture, below) if part is not None])


def still_frames(shoot: Shoot, clip: Clip) -> list[int]:
    """The frames of a clip that become pictures, chosen by the truth's mouth, or the prediction's without truth."""
    truth, prediction = motions(shoot.data, shoot.predictions, clip)
    opening = mouth_opening(prediction if truth is None else truth, shoot.data)
    return informative_frames(opening, shoot.params.stills)


def _titles(shoot: Shoot, clip: Clip) -> list[str]:
    info = shoot.predictions.info
    words = {"truth": "ground truth", "prediction": info.in_style(info.model, clip.item), "error": "error"}
    return [words[column] for column in clip.columns]


def _texts(shoot: Shoot, clip: Clip) -> list[str]:
    """What stands below each panel; nothing where it is not wished for, or no lips were read."""
    text = shoot.predictions.text(clip.name) if shoot.params.texts else None
    if text is None:
        return []
    said = {"truth": ("heard", text.heard), "prediction": ("lips say", text.lip_read)}
    shown = (said.get(column, ("", None)) for column in clip.columns)
    return ["" if words is None else f"{how}: {words or '(nothing)'}" for how, words in shown]


def write_index(shoot: Shoot, clips: Sequence[Clip]) -> Path:
    """Write `video.json`: what each video shows, and the scale of the error colours."""
    scale, params = shoot.style.scale, shoot.params
    facts = {
        "fps": float(shoot.reel.rate),
        "rate": str(shoot.reel.rate),
        "size": params.size,
        "camera": params.camera,
        "renderer": params.renderer,
        "rasteriser": rasteriser(params.renderer, shoot.data.faces),
        "error_scale": None if scale is None else {"end": scale.high, "unit": scale.unit},
        "clips": {clip.name: shoot.reel.facts(clip, still_frames(shoot, clip)) for clip in clips},
    }
    return write_json(shoot.reel.out / INDEX, facts)

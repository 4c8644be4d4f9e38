"""What stages share that make a video of each clip: what of the parameters cannot be, and what a clip hangs on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

from pipeline.stage import Given, Items
from stages.kinds.predictions import Predictions
from stages.kinds.sequences import REGIONS, SOUND, TOPOLOGY, VERTICES, Sequences
from stages.kinds.surfaces import Surfaces
from stages.render.choice import Clip, choose
from stages.render.settings import background_problem


def picture_problems(params: Any) -> Iterator[str]:
    """Sentences on size, columns and background."""
    if params.size % 2:
        yield f"size must be even (H.264 halves the colour), not {params.size}"
    if not params.columns or len(set(params.columns)) != len(params.columns):
        yield "columns must name at least one panel, and each once"
    yield from background_problem(params.background)


def clip_items(
    given: Mapping[str, Given], made: Predictions | Surfaces, params: Any, own: Callable[[str], list[Any]]
) -> Items:
    """A clip: of its own, what is known of it, its truth, its sound and its subject's template. own: name → what of a
    clip was made."""
    data, files = Sequences(given["data"].path), given["data"].files

    def facts(clip: Clip) -> list[Any]:
        name, item = clip.item.id, asdict(clip.item)
        truth, sound = files.get(f"{VERTICES}/{name}.npy"), files.get(f"{SOUND}/{name}.wav")
        return [*own(clip.name), truth, sound, item, clip.frames, data.template_digests.get(item["subject"])]

    clips = choose(data, made, params.columns, params.splits, params.limit)
    shared = [
        {top: hash_ for top, hash_ in given["data"].content.items() if top in (TOPOLOGY, REGIONS)},
        [data.fps, data.units, data.info.up, data.info.vertices, made.info.model, made.info.styles],
    ]
    return Items({clip.name: facts(clip) for clip in clips}, shared)

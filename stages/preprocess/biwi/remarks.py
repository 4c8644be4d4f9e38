"""What a user should know of BIWI files that can be read: how they were normalised, and what is not as published."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from stages.kinds.sequences import sequence_id
from stages.preprocess.biwi.layout import FRAME_FOLDERS
from stages.preprocess.biwi.normalise import Place
from stages.preprocess.prepare import Name, Sound, first_lines
from stages.preprocess.split_file import read_splits

if TYPE_CHECKING:
    from stages.preprocess.biwi.prepare import Biwi

VERTICES = 23370
TEST_A, TEST_A_SEQUENCES, TEST_A_FRAMES = "test-a", 24, 3879
"""What CodeTalker's evaluation counts when the data are complete and whole."""
MOST_FRAMES_APART = 3
"""Sound and motion of the corpus begin together and end within a few frames of each other."""
FAR = 0.1
"""Of a head's size, from its template: more than speaking moves it."""
RULES = {
    "frame": "each by itself, as published",
    "template": "all of a subject by its template",
    "none": "taken as they are",
}


def all_of(data: Biwi, sounds: Mapping[Name, Sound]) -> Iterator[str]:
    """The lines, most important first. sounds: of the sequences that can be used."""
    yield _what_was_done(data, sounds)
    yield from _not_read(data)
    yield from first_lines(list(_places(data, sounds)))
    yield from _upside_down(data)
    yield from first_lines(list(_lengths(data, sounds)))
    yield from _test_a(data, sounds)


def _what_was_done(data: Biwi, sounds: Iterable[Name]) -> str:
    rules = sorted({RULES[data.rule(data.opened[name].ready)] for name in sounds})
    return f"frames: {' or '.join(rules)}; templates: {RULES[data.rule(data.ready_templates)]}"


def _not_read(data: Biwi) -> Iterator[str]:
    layout = data.layout
    if layout.others:
        yield f"sentences = {data.settings.sentences!r}: {layout.others} other sequences are left out"
    if layout.packed:
        yield f"{len(layout.packed)} more sequences are packed in archives; unpack them in {layout.frames} to have them"
    silent = [name for name in data.opened if name not in layout.sound]
    if videos := sum(name in layout.videos for name in silent):
        yield f"sequences without sound that have a video: {videos}; extract it to wav/<subject>_<sentence>.wav"
    second = data.root / FRAME_FOLDERS[1]
    if not data.settings.frames and layout.frames != second and second.is_dir():
        yield f"the frames are those in {layout.frames.name}; {second.name} is there too and is not read"


def _places(data: Biwi, sounds: Iterable[Name]) -> Iterator[str]:
    """Of each subject the template and one frame; those that were normalised by themselves cannot be out of place."""
    firsts = {name[0]: name for name in sorted(sounds, reverse=True)}
    rules = {name: data.rule(data.opened[name].ready) for _, name in sorted(firsts.items())}
    frames = {
        sequence_id(*name): Place.of(data.read(name, range(1))[0], data.faces, str(data.layout.motion[name]))
        for name, rule in rules.items()
        if rule != "frame"
    }
    untouched = {sequence_id(*name): frames[sequence_id(*name)] for name, rule in rules.items() if rule == "none"}
    if data.rule(data.ready_templates) == "none":
        templates = {s: Place.of(vertices, data.faces, s) for s, vertices in data.templates.items()}
        yield from _not_normalised(templates, "templates")
    yield from _not_normalised(untouched, "sequences, by their first frame,")
    yield from _elsewhere({key: place for key, place in frames.items() if key not in untouched})


def _not_normalised(places: Mapping[str, Place], what: str) -> Iterator[str]:
    odd = [name for name, place in places.items() if not place.is_normalised]
    if odd:
        place = places[odd[0]]
        yield (
            f"warning: {len(odd)} of {len(places)} {what} are not normalised as published, {odd[0]} for one: area "
            f"{place.scale**2:.4g} instead of 1, centre {np.linalg.norm(place.centre):.3g} from 0; figures will not "
            "compare with published ones"
        )


def _elsewhere(places: Mapping[str, Place]) -> Iterator[str]:
    """What was normalised by a template that was recorded in another place or size."""
    for key, place in places.items():
        away = float(np.linalg.norm(place.centre))
        if away > FAR or abs(place.scale - 1) > FAR:
            yield (
                f"warning: {key} is {away:.2f} heads away from its template, or of another size ({place.scale:.2f}): "
                "they do not belong together as they are; normalise = 'frame' does not need that"
            )


def _upside_down(data: Biwi) -> Iterator[str]:
    """The half turn was made once too often, or not at all."""
    lips, upper = (data.regions.get(name) for name in ("lips", "upper_face"))
    if lips is None or upper is None:
        return
    wrong = [s for s, points in data.templates.items() if points[lips, 1].mean() > points[upper, 1].mean()]
    if wrong:
        yield (
            f"warning: the lips of {', '.join(wrong)} are above the upper face: the heads are upside down; choose "
            "another value of normalise"
        )


def _lengths(data: Biwi, sounds: Mapping[Name, Sound]) -> Iterator[str]:
    for name, sound in sounds.items():
        frames, expected = data.frames(name), sound.seconds * data.fps
        if abs(frames - expected) > MOST_FRAMES_APART:
            yield f"{sequence_id(*name)}: {frames} frames, but sound for {expected:.0f}"


def _test_a(data: Biwi, sounds: Iterable[Name]) -> Iterator[str]:
    if data.settings.splits:
        return
    splits = read_splits(data.settings.split_file)
    counts = [data.frames(name) for name in sounds if splits.of(*name) == TEST_A]
    if len(counts) == TEST_A_SEQUENCES and sum(counts) == TEST_A_FRAMES:
        yield f"{TEST_A} has {TEST_A_FRAMES:,} frames, as published"
    elif counts:
        yield (
            f"warning: {TEST_A} has {sum(counts):,} frames in {len(counts)} of {TEST_A_SEQUENCES} sequences; published "
            f"figures are of {TEST_A_FRAMES:,}"
        )

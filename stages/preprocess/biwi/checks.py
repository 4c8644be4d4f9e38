"""What is known of BIWI, looked at in a user's files: counts, the place and size of heads, sound against frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from stages.kinds.card import Check
from stages.kinds.sequences import sequence_id
from stages.preprocess.biwi.layout import CUT
from stages.preprocess.biwi.normalise import TOLERANCE, Place
from stages.preprocess.prepare import Name, Sound, first_few

if TYPE_CHECKING:
    from stages.preprocess.biwi.prepare import Biwi

VERTICES, TRIANGLES = 23370, 46068
TEST_A_SUBJECTS, TEST_A_SENTENCES = ("F2", "F3", "F4", "M3", "M4", "M5"), ("e37", "e38", "e39", "e40")
TEST_A_FRAMES = 3879
"""What CodeTalker's evaluation counts when the data are complete and whole."""
EXACT = 1e-12
"""What float64 leaves of a mean of 0 and a size of 1."""
MOST_FRAMES_APART = 3
"""Sound and motion of the corpus begin together and end within a few frames of each other."""
FAR = 0.1
"""Of a head's size, from its template: more than speaking moves it."""


def all_of(data: Biwi, sounds: Mapping[Name, Sound]) -> Iterator[Check]:
    """sounds: of the sequences that can be used."""
    yield Check("vertices", f"{VERTICES:,}", f"{data.vertices:,}", data.vertices == VERTICES)
    if data.is_corpus:
        count = len(data.faces)
        yield Check("triangles, the same for all subjects", f"{TRIANGLES:,}", f"{count:,}", count == TRIANGLES)
    yield from _templates(data)
    yield from _first_frames(data, sounds)
    yield _upright(data)
    yield _lengths(data, sounds)
    if data.is_corpus:
        yield _test_a(data, sounds)
    if data.settings.published.cut_first:
        yield _cut(data, sounds)


def _templates(data: Biwi) -> Iterator[Check]:
    """Before they are rounded to float32; those that were stored so by somebody else cannot be as exact."""
    limit = TOLERANCE if data.coarse_templates else EXACT
    by_extent = data.rule(ready=False) == "extent"
    means = {s: float(np.abs(place.centre).max()) for s, place in data.template_places.items()}
    sizes = {
        s: float(np.abs(place.extent - 1).max() if by_extent else abs(place.scale**2 - 1))
        for s, place in data.template_places.items()
    }
    for what, value, found in (("mean of the vertices", 0, means), ("extents" if by_extent else "area", 1, sizes)):
        worst = max(found, key=lambda subject: found[subject])
        text = f"{found[worst]:.1e} from {value} at most ({worst})"
        yield Check(f"templates, {what}", f"{value} within {limit:g}", text, found[worst] < limit)


def _first_frames(data: Biwi, sounds: Iterable[Name]) -> Iterator[Check]:
    """Of each subject one frame; those that were normalised by themselves cannot be out of place."""
    firsts = {name[0]: name for name in sorted(sounds, reverse=True)}
    rules = {name: data.rule(data.opened[name].ready) for _, name in sorted(firsts.items())}
    places = {
        name: Place.of(data.read(name, range(1))[0], data.faces, str(data.layout.motion[name]))
        for name, rule in rules.items()
        if rule != "frame"
    }
    if data.rule(ready=False) == "extent":
        sizes = {name: float(np.abs(place.extent - 1).max()) for name, place in places.items()}
        yield from _near(places, sizes)
        return
    ready = {name: place for name, place in places.items() if rules[name] == "none"}
    odd = [f"{sequence_id(*name)} {_described(p)}" for name, p in ready.items() if not p.is_normalised()]
    if ready:
        found = f"{len(odd)} of {len(ready)} are not: {first_few(odd)}" if odd else f"all {len(ready)} are"
        yield Check("first frame of each subject", "mean 0 and area 1, as published", found, not odd)
    yield from _near(places, {name: abs(place.scale - 1) for name, place in places.items() if name not in ready})


def _near(places: Mapping[Name, Place], sizes: Mapping[Name, float]) -> Iterator[Check]:
    """What was normalised by a template that was recorded in another place or size. sizes: how far from 1."""
    away = {sequence_id(*name): max(float(np.linalg.norm(places[name].centre)), size) for name, size in sizes.items()}
    if away:
        far = [f"{name} {distance:.2f}" for name, distance in away.items() if distance > FAR]
        found = f"{len(far)} of {len(away)} are further: {first_few(far)}" if far else f"{max(away.values()):.2f}"
        yield Check("first frames, from their template in place and size", f"below {FAR:g} heads", found, not far)


def _described(place: Place) -> str:
    return f"(area {place.scale**2:.4g}, mean {np.linalg.norm(place.centre):.3g} from 0)"


def _upright(data: Biwi) -> Check:
    """The half turn was made once too often, or not at all."""
    what, expected = "lips below the upper face", "of every template"
    lips, upper = (data.regions.get(name) for name in ("lips", "upper_face"))
    if lips is None or upper is None:
        return Check(what, expected, "the regions lips and upper_face are not both there", None)
    sign = -1 if data.up == "-y" else 1
    heights = {s: sign * (points[lips, 1].mean() - points[upper, 1].mean()) for s, points in data.templates.items()}
    wrong = [subject for subject, height in heights.items() if height > 0]
    found = f"not of {', '.join(wrong)}: upside down; choose another value of normalise" if wrong else "of all"
    return Check(what, expected, found, not wrong)


def _lengths(data: Biwi, sounds: Mapping[Name, Sound]) -> Check:
    apart = {sequence_id(*name): abs(data.frames(name) - sound.seconds * data.fps) for name, sound in sounds.items()}
    far = [f"{name} {frames:.0f}" for name, frames in apart.items() if frames > MOST_FRAMES_APART]
    found = f"more in {len(far)} of {len(apart)} sequences: {first_few(far)}" if far else f"{max(apart.values()):.1f}"
    expected = f"at most {MOST_FRAMES_APART} frames"
    return Check(f"frames from {data.fps:g} a second of sound", expected, found, not far)


def _test_a(data: Biwi, sounds: Iterable[Name]) -> Check:
    numbering = data.settings.published.numbering
    members = {(subject, numbering(sentence)) for subject in TEST_A_SUBJECTS for sentence in TEST_A_SENTENCES}
    counts = [data.frames(name) for name in sounds if name in members]
    passed = (sum(counts), len(counts)) == (TEST_A_FRAMES, len(members)) if counts else None
    found = f"{sum(counts):,} frames in {len(counts)} sequences" if counts else "none of its sequences"
    return Check("test-a, the published one", f"{TEST_A_FRAMES:,} frames in {len(members)} sequences", found, passed)


def _cut(data: Biwi, sounds: Iterable[Name]) -> Check:
    others = [sequence_id(*name) for name in sounds if not data.layout.sound[name].stem.endswith(CUT)]
    found = f"not of {len(others)}: {first_few(others)}" if others else "of all"
    return Check(f"sound from …{CUT}.wav", "of every sequence", found, not others)

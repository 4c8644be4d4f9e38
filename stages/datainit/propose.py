"""From what lies in a folder to a draft of its dataset.toml, and a table of how each value was told."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from faces.blendshapes import NEUTRAL, Basis, plain_name, read_basis
from faces.errors import DataError
from faces.mesh import Mesh, read_mesh
from pipeline.errors import RecipeError
from stages.datainit.guesses import Guess, axes, frame_rate, propose_splits, unit
from stages.datainit.naming import Naming, find_naming
from stages.datainit.rows import Look, Row, rows_of, some, stopping, told
from stages.datainit.survey import Survey, survey, topology_of
from stages.kinds.card import Source
from stages.preprocess.own.description import AXES, UNITS, Description, Files
from stages.preprocess.own.layout import MESHES
from stages.preprocess.own.motion import Frames, Morphs, Motion, Weights, open_motion
from stages.preprocess.own.prepare import read_regions
from stages.preprocess.own.writing import Draft

CLIPS = 400
"""Pairs whose lengths are compared; frames of meshes are counted, not read."""
SAMPLED = 24
"""Frames that are read to see what moves."""
UNTIMED = 1.0


@dataclass(frozen=True)
class Proposal:
    """draft: None where something must be said first. rows: to be shown."""

    draft: Draft | None
    rows: Sequence[Row]


def propose(folder: Path, wishes: Mapping[str, str | float]) -> Proposal:
    """Look at a folder. wishes: fps (0: none), units, up, front, splits, pattern ("": none), which win.

    Raises:
        DataError: there is no motion, or none can be read.
        RecipeError: a wish is not one of the words that there are.
    """
    _check_wishes(wishes)
    look = _look(survey(folder), str(wishes["pattern"]))
    rate = _wished(wishes["fps"]) or _rate(look)
    units = _wished(wishes["units"]) or unit(look.model.vertices, _area(look.model))
    up, front = axes(look.model.vertices, look.moves, look.regions)
    up, front = _wished(wishes["up"]) or up, _wished(wishes["front"]) or front
    splits, how = propose_splits(look.naming, str(wishes["splits"]))
    rows = [*rows_of(look), *told({"frames per second": rate, "units": units, "up": up, "front": front})]
    for split, (subjects, sentences) in splits.items():
        count = sum(s in subjects and (sentences == "all" or t in sentences) for s, t in look.naming.names)
        rows.append(Row(split, f"{count} sequences of {some(subjects)}", how if split == "train" else ""))
    rows += stopping(look, rate, str(up.value), str(front.value))
    if any(row.stops for row in rows):
        return Proposal(None, rows)
    assert rate.value is not None
    draft = Draft(
        folder.resolve().name,
        float(rate.value),
        str(units.value),
        str(up.value),
        str(front.value),
        _files(look),
        splits,
    )
    return Proposal(draft, rows)


def _check_wishes(wishes: Mapping[str, str | float]) -> None:
    for key, words in (("units", UNITS), ("up", AXES), ("front", AXES), ("splits", ("subject", "sentence", "none"))):
        if wishes[key] and wishes[key] not in words:
            raise RecipeError(f"--{key} is {wishes[key]!r}; it must be one of {', '.join(words)}")


def _wished(value: str | float) -> Guess | None:
    return Guess(value, "as you say") if value else None


def _look(found: Survey, pattern: str) -> Look:
    try:
        naming = find_naming(found, pattern)
    except ValueError as error:
        raise RecipeError(f"--pattern = {pattern!r} {error}") from None
    first, motion = _first(found, naming)
    templates = _templates(found, naming)
    topology = topology_of([mesh for mesh in found.meshes if not templates or templates not in mesh.parents])
    topology = topology if found.form in ("npy", "npz") or (topology and _fits(topology, len(first[0]))) else None
    model, model_from = _model(found, motion, topology, templates, first[0])
    same = model.vertices.shape == first[0].shape
    moves = np.ptp(first, axis=0).max(axis=1).astype(np.float64) if same else np.ones(len(model.vertices))
    try:
        regions = read_regions(found.regions, len(model.vertices))
    except DataError:
        regions = {}
    return Look(found, naming, model, model_from, topology, templates, moves, regions)


def describe(found: Survey, naming: Naming) -> Description:
    """As much as it takes to open a sequence."""
    files = Files(found.form, found.motion_folder, found.sound_folder, naming.motion, naming.sound, basis=found.basis)
    return Description(found.folder, "", UNTIMED, "unknown", "y", "z", Source("", "", "", "", ""), files)


def _opened(found: Survey, naming: Naming, path: Path) -> Motion:
    def basis() -> Basis:
        assert found.basis
        return _basis(found.basis)

    return open_motion(path, describe(found, naming), basis)


@cache
def _basis(path: Path) -> Basis:
    """Read once for all tables."""
    return read_basis(path)


def _first(found: Survey, naming: Naming) -> tuple[NDArray[np.float32], Motion]:
    """Some frames, spread over the first sequence that can be read."""
    reasons = list[str]()
    for path in found.motion:
        try:
            motion = _opened(found, naming, path)
            if isinstance(motion, Morphs):
                motion = Morphs(motion.path, motion.face, motion.face.rate or 30.0)
            if motion.frames:
                frames = motion.read(np.unique(np.linspace(0, motion.frames - 1, SAMPLED).astype(int)).tolist())
                if np.isfinite(frames).all():
                    return frames, motion
                reasons.append(f"{path} holds NaN; export it again")
        except DataError as error:
            reasons.append(str(error))
    raise DataError("\n".join(reasons[:5]) or f"{found.folder} holds no frame; record something first")


def _fits(mesh: Path, vertices: int) -> bool:
    try:
        return len(read_mesh(mesh).vertices) == vertices
    except DataError:
        return False


def _templates(found: Survey, naming: Naming) -> Path | None:
    """A folder of meshes or arrays called after subjects; or one mesh that is called neutral, or a template."""
    named = [file for file in (*found.meshes, *found.arrays) if file.stem in naming.subjects]
    if named:
        return named[0].parent
    neutral = [m for m in found.meshes if plain_name(m.stem) in (*NEUTRAL, "template") and m.parent != found.basis]
    return neutral[0] if neutral else None


def _model(
    found: Survey, motion: Motion, topology: Path | None, templates: Path | None, frame: NDArray[np.float32]
) -> tuple[Mesh, str]:
    if topology:
        return read_mesh(topology), str(topology.relative_to(found.folder))
    if templates:
        files = [templates] if templates.is_file() else sorted(templates.iterdir())
        meshes = [file for file in files if file.suffix.lower() in MESHES]
        if meshes:
            return read_mesh(meshes[0]), str(meshes[0].relative_to(found.folder))
    if isinstance(motion, Morphs):
        return Mesh(motion.face.neutral, motion.face.faces), "the glTF files"
    if isinstance(motion, Frames):
        return motion.mesh(), "the frames"
    if isinstance(motion, Weights) and len(motion.basis.faces):
        return Mesh(motion.basis.neutral, motion.basis.faces), "the basis"
    return Mesh(frame, np.zeros((0, 3), np.int32)), "no mesh"


def _rate(look: Look) -> Guess:
    frames, seconds = list[int](), list[float]()
    keyed, how = list[float](), ""
    for path, sound in list(look.naming.pairs.values())[:CLIPS]:
        try:
            motion = _opened(look.found, look.naming, path)
            with soundfile.SoundFile(sound) as stream:
                length = stream.frames / stream.samplerate
        except (DataError, soundfile.LibsndfileError, OSError):
            continue
        frames, seconds = [*frames, motion.frames], [*seconds, length]
        if isinstance(motion, Morphs) and motion.face.rate:
            keyed, how = [*keyed, motion.face.rate], "keys a second of the animations"
    if not frames and look.found.form == "csv":
        return _by_timecode(look)
    return frame_rate(frames, seconds, float(np.median(keyed)) if keyed else None, how)


def _by_timecode(look: Look) -> Guess:
    motion = _opened(look.found, look.naming, look.found.motion[0])
    rate = motion.curves.rate if isinstance(motion, Weights) else None
    return frame_rate([], [], rate, "the timecode")


def _area(mesh: Mesh) -> float:
    corners = mesh.vertices[mesh.faces].astype(np.float64)
    crossed = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    return float(np.linalg.norm(crossed, axis=1).sum() / 2) if len(crossed) else 0.0


def _files(look: Look) -> dict[str, str]:
    found, naming = look.found, look.naming
    paths = {
        "motion": found.motion_folder, "sound": found.sound_folder, "templates": look.templates,
        "topology": look.topology, "regions": found.regions if look.regions else None, "basis": found.basis,
    }  # fmt: skip
    files = {"form": found.form, "pattern": naming.motion.text}
    files |= {"sound_pattern": naming.sound.text} if naming.sound != naming.motion else {}
    return files | {key: os.path.relpath(path, found.folder) for key, path in paths.items() if path}

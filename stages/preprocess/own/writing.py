"""Writing `dataset.toml` so that people can go on from there: every value with a word on what it may be."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

Parts = Mapping[str, tuple[Sequence[str], Sequence[str] | str]]
"""split → (subjects, sentences by name, or "all")"""


@dataclass(frozen=True)
class Draft:
    """The values of a `dataset.toml`, paths as in it. files: key of [files] → text, "" where there is none."""

    name: str
    fps: float
    units: str
    up: str
    front: str
    files: Mapping[str, str]
    splits: Parts
    notes: Mapping[str, str] = field(default_factory=dict)


FILE_NOTES = {
    "form": "npy, npz, meshes (a folder of OBJ or PLY for each sequence), gltf or csv",
    "motion": "folder of the recordings",
    "sound": "folder of wav, flac, ogg or mp3",
    "pattern": "place below that folder, without the ending; {subject:word} stops at the first _ or -",
    "sound_pattern": "the same for sound, where it is called otherwise",
    "array": "npz: which array is the motion",
    "templates": "neutral faces: folder of <subject>.obj, .ply or .npy, npz by subject, or one mesh for all",
    "topology": "a mesh with the triangles and with the vertices in the data's order",
    "regions": "folder of <region>.txt, lists of vertex indices: lips, upper_face, lip_upper, lip_lower",
    "basis": "csv: folder of meshes called after their shapes and neutral.obj, npz, or glTF",
}


def to_toml(draft: Draft) -> str:
    """The text of the file."""
    lines = [
        "# What `pipe run` and `pipe data check` know of this folder. Written by `pipe data init`; edit it freely.",
        "",
        _line("name", draft.name, "of the data set, in tables and cards"),
        _line("fps", draft.fps, draft.notes.get("fps") or "frames per second of the motion"),
        _line("units", draft.units, "m, cm, mm (all become metres), unit-area or unknown"),
        _line("up", draft.up, "the axis to the top of the head: x, y, z, -x, -y or -z"),
        _line("front", draft.front, "the axis to the tip of the nose"),
        "",
        "[source]  # whose data these are; shown by `pipe data card`",
        _line("citation", "unknown", ""),
        _line("url", "unknown", ""),
        _line("licence", "unknown", ""),
        _line("terms", "unknown", "what its owners allow"),
        "",
        "[files]  # paths from this file's folder",
    ]
    lines += [_line(key, draft.files[key], note) for key, note in FILE_NOTES.items() if draft.files.get(key)]
    lines += [f'# {key} = ""  # {note}' for key, note in FILE_NOTES.items() if _is_worth_telling(key, draft)]
    for split, (subjects, sentences) in draft.splits.items():
        lines += ["", f"[splits.{split}]", f"subjects = {_list(subjects)}"]
        lines += [f'sentences = "{sentences}"' if isinstance(sentences, str) else f"sentences = {_list(sentences)}"]
    return "\n".join(lines) + "\n"


def _is_worth_telling(key: str, draft: Draft) -> bool:
    return key in ("templates", "topology", "regions") and not draft.files.get(key)


def _line(key: str, value: object, note: str) -> str:
    told = f"{key} = {json.dumps(value, ensure_ascii=False)}"
    return f"{told:<36} # {note}" if note else told


def _list(names: Sequence[str]) -> str:
    return json.dumps(list(names), ensure_ascii=False)

"""What `pipe infer` leaves: files under plain names where the user looks for them, and a table of them.

In the folder of outputs they are links into the store, in a folder of the user's own copies that outlive it.
"""

from __future__ import annotations

import json
import os
import shutil
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cache.store import Artifact
from pipeline.errors import StageError
from pipeline.progress import table
from pipeline.toml import shown

FOLDER = "infer"
MOTION, VIDEO, TEXT = ".npy", ".mp4", ".json"
LONGEST = 160
"""Letters of a text that are printed."""


@dataclass(frozen=True)
class Place:
    """Where results are put. links: as links into the store, else as copies."""

    folder: Path
    links: bool

    @classmethod
    def of(cls, out: str, outputs: Path) -> Place:
        return cls(Path(out).expanduser(), False) if out else cls(outputs / FOLDER, True)

    def put(self, source: Path, name: str) -> Path:
        """A result under its plain name; an earlier one of that name gives way. StageError where it cannot be put."""
        target = self.folder / name
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            partial = target.with_name(f".{name}.{os.getpid()}.tmp")
            partial.unlink(missing_ok=True)
            if self.links:
                partial.symlink_to(os.path.relpath(source.resolve(), self.folder.resolve()))
            else:
                shutil.copyfile(source, partial)
            os.replace(partial, target)
        except OSError as error:
            raise StageError(
                f"{target} cannot be written ({error.strerror}): the result is in {source}; give another --out"
            ) from None
        return target

    def clear(self, name: str) -> None:
        """Take away an earlier result's link that has no successor; a copy, or a file of the user's own, stays."""
        if (target := self.folder / name).is_symlink():
            target.unlink()


@dataclass(frozen=True)
class Row:
    """One motion. style: or which sample it is. seconds: of the sound. file: where it was put. text: what was heard and
    what its lips say, where the network reads lips."""

    sound: str
    style: str
    seconds: float
    frames: int
    file: Path
    text: Mapping[str, str | None] | None = None


def show(made: Mapping[str, Artifact], place: Place) -> None:
    """Put what was made where it is looked for, and print it."""
    rows = _put(made, place)
    cells = [(row.sound, f"{row.seconds:.1f}", row.frames, row.style, shown(row.file)) for row in rows]
    print(table(cells, ("sound", "seconds", "frames", "style", "motion")))
    for row in rows:
        if row.text is not None:
            print(f"{row.sound}, {row.style}: {_told(row.text)}")
    if skipped := _read(made["voice"], "sequences.json").get("skipped"):
        print("\n".join(f"skipped {name}: {why}" for name, why in skipped.items()))
    if "render" in made:
        print(f"videos: {shown(place.folder)}/*{VIDEO}")
    print(_speed(made["infer"], sum(row.seconds for row in rows)))


def show_way(speaker: Any, data: Artifact | None, motion: Artifact, voice: Artifact) -> None:
    """Say that motion of a track is no face, and by which commands it becomes one, where there are any."""
    print(f"these are {speaker.faceless}")
    if not speaker.drivable:
        return
    behind: Mapping[str, str] = data.record["provenance"].get("inputs", {}) if data else {}
    made = f"--predictions {motion.name} --data {data.name if data else 'NAME'} --head {behind.get('head', 'NAME')}"
    if "head" in behind:  # the data were tracked with it, so that it knows their subjects, and vertices follow it
        print(f"  pipe stage drive {made}")
        print(f"  pipe stage render --predictions drive/… --data {voice.name}    (drive/…: the name that drive prints)")
    else:
        print(f"  pipe stage meshes {made} --identity zero")
        print(f"  pipe stage film --surfaces meshes/… --data {voice.name}    (meshes/…: the name that meshes prints)")


def _put(made: Mapping[str, Artifact], place: Place) -> list[Row]:
    index, sounds = _read(made["infer"], "predictions.json"), _read(made["voice"], "sequences.json")["sequences"]
    rows = []
    for name, item in index["items"].items():
        style, seed = item["condition"], item.get("seed")
        plain = f"{item['id']}_{style}" if seed is None else f"{item['id']}_{style}_seed{seed}"
        file = place.put(made["infer"].path / "npy" / f"{name}{MOTION}", plain + MOTION)
        if "render" in made:
            place.put(made["render"].path / f"{name}{VIDEO}", plain + VIDEO)
        sound = sounds[item["id"]]
        seconds = sound["samples"] / sound["sample_rate"]
        text = _put_text(made["infer"], place, name, plain + TEXT)
        shown_style = style if seed is None else f"sample {seed}"
        rows.append(Row(item["id"], shown_style, seconds, item["frames"], file, text))
    return rows


def _put_text(artifact: Artifact, place: Place, name: str, plain: str) -> Mapping[str, str | None] | None:
    """What a motion says, where the network reads lips; an earlier network's reading does not stay beside it."""
    if not (artifact.path / f"text/{name}{TEXT}").is_file():
        place.clear(plain)
        return None
    place.put(artifact.path / f"text/{name}{TEXT}", plain)
    return _read(artifact, f"text/{name}{TEXT}")


def _told(text: Mapping[str, str | None]) -> str:
    """In one line, long texts cut."""
    said = {"heard": text.get("heard"), "lip-read": text.get("lip_read")}
    return ", ".join(f"{how} “{textwrap.shorten(it, LONGEST)}”" for how, it in said.items() if it is not None)


def _speed(artifact: Artifact, seconds: float) -> str:
    """How quickly the motion was made: as inference itself noted it, else as long as its step took."""
    provenance = artifact.record["provenance"]
    notes: Mapping[str, Any] = provenance.get("notes", {})
    took = float(provenance.get("seconds", 0.0))
    factor, delay = notes.get("times_real_time"), notes.get("first_frame_seconds")
    processor = notes.get("first_frame_processor_seconds")
    if factor is None:
        told = f"{seconds:.1f} s of motion in {took:.1f} s, loading the network included"
        return f"{told}: {seconds / took:.3g} times real time" if took else told
    first = "" if delay is None else f", the first frame after {delay:.2f} s"
    first += "" if processor is None else f" ({processor:.1f} s of processor since its process began)"
    return f"{seconds:.1f} s of motion at {factor:.3g} times real time{first}"


def _read(artifact: Artifact, name: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads((artifact.path / name).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise StageError(f"{artifact.path / name} cannot be read; run the command again") from None
    return found

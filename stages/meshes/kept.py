"""A sentence's frames while they are made: in the state folder, with a line each, so that a stopped run goes on.

A frame counts whose line is whole and whose file is what the line says, and only if all before it do: whatever a kill
or a power cut has left half written is made again.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from faces.ply import Mesh, write_ply
from models.nphm.surfaces import Frame
from stages.kinds.plain import built
from stages.kinds.readings import digest_of

LINES = "frames.jsonl"


@dataclass(frozen=True)
class Done:
    """What is known of a frame; fields as of `Frame`. vertices: V. digest: of its file."""

    vertices: int
    asked: int
    whole: bool
    unsolved: int
    digest: str


class Kept:
    """The finished frames of one sentence, from the first on."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.lines = folder, folder / LINES
        self.done = self._found()

    def go_on(self, count: int) -> None:
        """Keep so many of the frames and forget the others."""
        self.done = self.done[:count]
        self.folder.mkdir(parents=True, exist_ok=True)
        self.lines.write_text("".join(_line(done) for done in self.done), encoding="utf-8")

    def add(self, frame: Frame, mesh: Mesh) -> None:
        """The next frame. mesh: in the data's units."""
        file = write_ply(self._file(len(self.done)), mesh.vertices, mesh.faces)
        done = Done(len(mesh.vertices), frame.asked, frame.whole, frame.unsolved, digest_of(file))
        with self.lines.open("a", encoding="utf-8") as stream:
            stream.write(_line(done))
        self.done.append(done)

    def move(self, files: list[Path]) -> None:
        """Bring the frames to where they are published."""
        for number, file in enumerate(files):
            file.parent.mkdir(parents=True, exist_ok=True)
            os.replace(self._file(number), file)
        shutil.rmtree(self.folder)

    def _file(self, number: int) -> Path:
        return self.folder / f"{number}.ply"

    def _found(self) -> list[Done]:
        found = list[Done]()
        text = self.lines.read_text(encoding="utf-8", errors="replace") if self.lines.is_file() else ""
        for number, line in enumerate(text.splitlines()):
            try:
                done = built(Done, json.loads(line))
                if digest_of(self._file(number)) != done.digest:
                    break
            except (OSError, ValueError, TypeError):
                break
            found.append(done)
        return found


def _line(done: Done) -> str:
    return json.dumps(asdict(done)) + "\n"

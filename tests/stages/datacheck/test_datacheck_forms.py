"""What `pipe data check` finds in forms other than arrays, and in data sets of papers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from faces.mesh import Mesh, write_mesh
from stages.datacheck.command import examine, opened
from stages.datacheck.findings import Finding
from tests.pipeline.test_cli import pipe
from tests.stages.preprocess.own_files import People, describe, write
from tests.stages.preprocess.raw_files import TEST, TRAIN, VAL, raw_data

PEOPLE = People()
COUNT = len(PEOPLE.mesh.vertices)


def found(folder: Path) -> list[Finding]:
    return list(examine(opened(folder, ""), jobs=2).findings)


def short(findings: list[Finding]) -> list[str]:
    """The lines without how to mend it."""
    return [str(finding).partition("; ")[0] for finding in findings]


def test_frames_of_meshes(tmp_path) -> None:
    folder = describe(write(tmp_path / "mine", "meshes"), "meshes")
    take = folder / "motion" / "bob_s2"
    mixed = np.random.default_rng(0).permutation(COUNT)
    for number, points in enumerate(PEOPLE.motion("anna", "s3")):
        mesh = Mesh(points[mixed], np.argsort(mixed)[PEOPLE.mesh.faces])
        write_mesh(folder / "motion" / "anna_s3" / f"frame_{number:03d}.obj", mesh)
    (take / "frame_007.obj").unlink()
    text = (folder / "motion" / "cleo_s1" / "frame_004.obj").read_text()
    (folder / "motion" / "cleo_s1" / "frame_004.obj").write_text(text.replace("v ", "v nan ", 1))
    lines = short(found(folder))
    assert "motion/bob_s2: error FRAMES: 1 frames are missing between frame_006.obj and frame_008.obj" in lines
    assert "motion/anna_s3: error ORDER: the same vertices in another order than the mesh with the triangles" in lines
    assert any(line.startswith("motion/anna_s3/frame_000.obj: warning SHAPE: other triangles than") for line in lines)
    assert "motion/cleo_s1/frame_004.obj: vertex 0: error NAN: NaN or infinity" in lines


def test_tables_of_weights(tmp_path) -> None:
    folder = describe(write(tmp_path / "mine", "csv"), "csv")
    rows = (folder / "motion" / "bob_s2.csv").read_text().splitlines()
    (folder / "motion" / "bob_s2.csv").write_text("\n".join(rows[:11] + rows[14:]) + "\n")
    table = (folder / "motion" / "cleo_s2.csv").read_text().splitlines()
    (folder / "motion" / "cleo_s2.csv").write_text("\n".join([table[0], *(percent(row) for row in table[1:])]) + "\n")
    lines = short(found(folder))
    assert any("motion/bob_s2.csv: frame 9: error FRAMES: 3 frames are missing in 1 places" in line for line in lines)
    assert any(line.startswith("motion/cleo_s2.csv: frame ") and "warning WEIGHTS" in line for line in lines)


def percent(row: str) -> str:
    cells = row.split(",")
    return ",".join([*cells[:2], *(f"{float(cell) * 100:g}" for cell in cells[2:5]), *cells[5:]])


def test_a_truncated_archive_of_arrays(tmp_path) -> None:
    folder = describe(write(tmp_path / "mine", "npz"), "npz")
    file = folder / "motion" / "bob_s2.npz"
    content = bytearray(file.read_bytes())
    file.write_bytes(content[:-200])
    (folder / "motion" / "anna_s2.npz").write_bytes(bytes(content[:2000]) + b"\0" * 50 + bytes(content[2050:]))
    codes = {(f.file, f.code) for f in found(folder)}
    assert codes >= {("motion/bob_s2.npz", "TRUNCATED"), ("motion/anna_s2.npz", "TRUNCATED")}


def test_a_data_set_of_a_paper_as_it_lies(tmp_path, capsys) -> None:
    raw = raw_data(vertices=4)
    raw.vertices[raw.rows(TRAIN, "sentence21")[3], 2, 1] = np.nan
    raw.audio[TEST]["sentence01"]["audio"] = np.zeros(3000, np.int16)
    del raw.audio[VAL]["sentence40"]
    raw.write(tmp_path / "raw")
    assert pipe("data", "check", str(tmp_path / "raw"), "--dataset", "vocaset", "--json") == 1
    told = json.loads(capsys.readouterr().out)
    assert told["sequences"] == 9
    codes = {(finding["file"], finding["code"], finding["level"]) for finding in told["findings"]}
    assert codes >= {
        (f"{TRAIN}_sentence21", "NAN", "error"),
        (f"{TEST}_sentence01", "SILENT", "warning"),
        (f"{VAL}_sentence40", "NO-SOUND", "warning"),
    }
    for without in ("synthetic", "ict-facegood"):  # no folder, and two
        assert pipe("data", "check", str(tmp_path / "raw"), "--dataset", without) == 1
        assert "cannot be checked as it lies" in capsys.readouterr().out
    assert pipe("data", "check", str(tmp_path / "nowhere")) == 1
    assert "nowhere is no folder; give the one with dataset.toml" in capsys.readouterr().out
    (tmp_path / "empty").mkdir()
    for other in ("biwi", "mead", "multiface", "facetalk"):
        assert pipe("data", "check", str(tmp_path / "empty"), "--dataset", other) == 1
        assert "1 error, 0 warnings" in capsys.readouterr().out
    assert pipe("data", "check", str(tmp_path / "raw"), "--dataset", "vocasset") == 2
    assert "Did you mean 'vocaset'?" in capsys.readouterr().err

"""`pipe regions`: what is drawn of whose mesh, what is told of it, and what one hears who asks for something else."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from faces import region_registry, region_table
from faces.ply import write_ply
from faces.region_registry import triangles_digest
from faces.region_table import Topology
from faces.regions import region_digest, write_region
from pipeline import registry
from stages.preprocess.synthetic.head import neutral_head
from tests.pipeline.test_cli import pipe
from tests.stages.tiny import make_sequences

REGIONS = ("brows", "lips", "teeth", "upper_face")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to be in, and the synthetic head as an own mesh with some of its regions."""
    monkeypatch.chdir(tmp_path)
    head = neutral_head()
    write_ply(tmp_path / "head.ply", head.points.astype(np.float32), head.faces)
    (tmp_path / "lists").mkdir()
    for name in REGIONS:
        write_region(tmp_path / "lists" / f"{name}.txt", head.regions[name])
    return tmp_path


def picture(file: Path) -> np.ndarray:
    return np.asarray(Image.open(file)).astype(int)


def coloured(file: Path) -> np.ndarray:
    """(rows, columns) where a picture is red rather than grey."""
    found = picture(file)
    return found[:, :, 0] - found[:, :, 2] > 60


def test_the_synthetic_head_needs_no_file(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert pipe("regions", "show", "synthetic", "--size", "128") == 0
    out = capsys.readouterr().out
    head = neutral_head()
    assert {file.stem for file in (here / "regions-synthetic").iterdir()} == {*head.regions, "overview"}
    assert region_digest(head.regions["lips"]) in out
    assert "13 pictures in regions-synthetic, all together in regions-synthetic/overview.png" in out
    assert "warning" not in out


def test_regions_are_coloured_where_they_are(here: Path) -> None:
    """On the synthetic head: lips below the brows, both inside the head's outline, teeth behind closed lips."""
    assert pipe("regions", "show", "head.ply", "--regions", "lists", "--size", "200", "--out", "drawn") == 0
    places = {}
    for name in ("lips", "brows", "upper_face"):
        file = here / "drawn" / f"{name}.png"
        assert picture(file).shape == (200, 200, 3)
        places[name] = np.argwhere(coloured(file))
        assert np.all(picture(file)[coloured(file)].sum(axis=1) < 700)
    assert places["lips"][:, 0].min() > places["brows"][:, 0].max()
    assert abs(places["lips"][:, 1].mean() - 99.5) < 1
    assert len(places["upper_face"]) > 5 * len(places["lips"]) > 100
    assert not coloured(here / "drawn" / "teeth.png").any()
    assert picture(here / "drawn" / "overview.png")[:, :, :3].std() > 5


def test_what_is_hidden_is_known(here: Path) -> None:
    from stages.regions.pictures import draw
    from stages.regions.subject import find

    subject = find("head.ply", None, [Path("lists")], lambda _: here)
    assert {name: seen for name, _, seen in draw(subject, 100)} == {name: name != "teeth" for name in REGIONS}


def test_a_folder_of_sequences_has_its_own_regions(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = make_sequences(here / "data")
    write_region(here / "extra.txt", [3, 4])
    assert pipe("regions", "show", "data", "--regions", "extra.txt", "--size", "64", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    names = [one["name"] for one in found["regions"]]
    assert names == sorted({"extra", *(file.stem for file in (data / "regions").iterdir())})
    extra = next(one for one in found["regions"] if one["name"] == "extra")
    assert extra == {
        "name": "extra", "entries": 2, "unique": 2, "sha256": region_digest(np.array([3, 4])), "published": "",
        "match": "", "as_published": False,
    }  # fmt: skip
    assert [Path(file).stem for file in found["files"]] == ["overview", *names]
    assert all(Path(file).is_file() for file in found["files"])


def test_an_artifact_is_found_in_the_store(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--dataset", "synthetic", "--subjects", "3", "--sentences", "2", "--seconds", "1", "--limit", "1")
    assert pipe("stage", "preprocess", *words) == 0
    name = next((here / ".pipe" / "preprocess").iterdir()).name
    assert pipe("regions", "show", f"preprocess/{name}", "--size", "64", "--out", "drawn") == 0
    assert (here / "drawn" / "lips.png").is_file()


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """The synthetic head is the mesh of the topology flame."""
    faces = neutral_head().faces
    mesh = Topology("flame", "Flame", 5023, len(faces), triangles_digest(faces), ("a.ply", "b.ply"))
    for module in (region_registry, region_table):
        monkeypatch.setattr(module, "topologies", lambda: {"flame": mesh})
        monkeypatch.setattr(module, "published", lambda: ())
    monkeypatch.setattr("stages.regions.subject.topologies", lambda: {"flame": mesh})


def test_a_topology_takes_the_user_s_mesh(here: Path, known: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert pipe("regions", "show", "flame", "--mesh", "head.ply", "--regions", "lists/lips.txt", "--size", "64") == 0
    assert "regions that are no published set: lips (504 entries)" in capsys.readouterr().out
    assert {file.name for file in (here / "regions-flame").iterdir()} == {"lips.png", "overview.png"}


def other_mesh(here: Path) -> None:
    write_ply(here / "other.ply", np.eye(3, dtype=np.float32), np.array([[0, 1, 2]]))
    (here / "empty").mkdir()


ERRORS = {
    "flame": "the mesh of flame is its owners': give your copy with --mesh FILE (a.ply, or b.ply)",
    "flame --mesh other.ply": "other.ply is no mesh of flame: it has 3 vertices and 1 triangles, flame 5,023 and 9,708",
    "flame --mesh head.ply": "there are no regions for flame; give files or folders of them with --regions",
    "other.ply --regions lists": "brows.txt names vertex",
    "other.ply --regions empty": "the folder empty holds no files of regions",
    "head.ply --mesh other.ply": "--mesh is for the names flame; head.ply has a mesh of its own",
    "lists": "lists holds no sequences.json: it is no folder of sequences",
    "gone.ply": "there is no mesh file gone.ply",
    "flmae": "topologies are flame, synthetic, synthetic-biwi. Did you mean 'flame'?",
}


@pytest.mark.parametrize("words", ERRORS)
def test_errors_say_what_to_do(here: Path, known: None, capsys: pytest.CaptureFixture[str], words: str) -> None:
    other_mesh(here)
    assert pipe("regions", "show", *words.split()) in (1, 2)
    assert ERRORS[words] in capsys.readouterr().err
    assert not list(here.glob("regions-*"))


def test_the_table_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert pipe("regions", "ls", "biwi") == 0
    out = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in out[1:]] == [
        name for one in region_table.published() if one.topology == "biwi" for name in one.ids
    ]
    assert pipe("regions", "ls", "--json") == 0
    listed = json.loads(capsys.readouterr().out)
    assert [one["id"] for one in listed] == [one.id for one in region_table.published()]
    assert next(one for one in listed if one["id"] == "flame-masks/lips")["entries"] == 254
    assert pipe("regions", "ls", "biwy") == 2
    assert "only for flame, biwi. Did you mean 'biwi'?" in capsys.readouterr().err


def test_the_commands_are_found_through_the_registry() -> None:
    for name in ("regions ls", "regions show"):
        assert callable(registry.load_command(name))

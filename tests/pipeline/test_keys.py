"""What enters a key: components apart from each other, the contents of folders, pretrained weights."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pipeline import registry
from pipeline.errors import RecipeError, StageError
from pipeline.plan import State, plan
from pipeline.pretrained import NotDownloaded, identity
from pipeline.recipe import load
from pipeline.workspace import Workspace

STAGES = '''
from dataclasses import dataclass
from pathlib import Path
from pipeline.stage import Sources, Stage, param


@dataclass(frozen=True)
class Params:
    model: str = param(help="the network", component="models")
    folder: str = param("", help="more data", path=True)
    encoder: str = param("", help="pretrained")


class Train(Stage):
    """A stage with a component."""

    name = "toytrain"
    Params = Params
    output = "checkpoint"

    def sources(self):
        files = {"folder": Path(self.params.folder)} if self.params.folder else {}
        return Sources(files=files, pretrained={"encoder": self.params.encoder} if self.params.encoder else {})
'''
MODEL = "from dataclasses import dataclass\n\n@dataclass(frozen=True)\nclass Settings:\n    width: int = 4\n"
CLASH = MODEL.replace("width: int = 4", "folder: str = ''")
RECIPE = '[step.train]\nstage = "keytoys.stages:Train"\nmodel = "keytoys.red"\n'


@pytest.fixture
def toys(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = here / "keytoys"
    folder.mkdir()
    for name, text in (("__init__", ""), ("stages", STAGES), ("red", MODEL), ("blue", MODEL), ("green", CLASH)):
        (folder / f"{name}.py").write_text(text)
    (here / "t.toml").write_text(RECIPE)
    monkeypatch.syspath_prepend(here)
    for name in [name for name in sys.modules if name.partition(".")[0] == "keytoys"]:
        monkeypatch.delitem(sys.modules, name)
    return folder


def key(*settings: str) -> dict:
    entry = plan(load(Path("t.toml"), settings), Workspace.find())["train"]
    assert entry.key is not None, entry.reason
    return entry.key


def test_editing_one_model_leaves_the_key_of_another_alone(toys) -> None:
    red, blue = key(), key("step.train.model=keytoys.blue")
    (toys / "blue.py").write_text(MODEL + "\nFACTOR = 2\n")
    assert key() == red
    assert key("step.train.model=keytoys.blue") != blue
    assert "keytoys.blue" not in red["code"]


def test_another_component_is_no_earlier_version(toys, here) -> None:
    workspace = Workspace.find()
    work = workspace.store.work("toytrain", key())
    workspace.store.begin(work)
    (work.out / "x").write_text("made")
    workspace.store.publish(work, "x", "checkpoint", {}, {"recipe": "t", "step": "train"})
    reasons = [plan(load(Path("t.toml"), [word]), workspace)["train"].reason for word in CHANGES]
    assert reasons == ["parameter width: 4 → 8   --set", "first run"]


CHANGES = ["step.train.width=8", "step.train.model=keytoys.blue"]


def test_settings_of_the_component_are_parameters_of_the_step(toys) -> None:
    assert key()["params"] == {"model": "keytoys.red", "encoder": "", "width": 4}
    assert key("step.train.width=8")["params"]["width"] == 8


def test_a_clash_of_names_is_refused(toys) -> None:
    with pytest.raises(RecipeError, match=r"both declare 'folder'"):
        key("step.train.model=keytoys.green")


PARTS = {"avguidance": ("faceformer", "lipreader")}


def test_real_models_share_nothing_but_what_they_import(here) -> None:
    """The table imports no model, and no package's __init__ imports what it contains. A prior is a model's own part, as
    are the face and the expert of a guided one. Training itself knows none of them."""
    code = Workspace.find().code
    packages = {name: registry.component_module("models", name) for name in registry.names("models")}
    for name, package in packages.items():
        prior = getattr(registry.load_component("models", name).Settings, "prior", "")
        own = {name, prior, *PARTS.get(name, ())}
        others = {other for key, other in packages.items() if key not in own}
        found = code.closure(["stages.train", package])
        assert package in found
        assert not [module for module in found for other in others if module == other or module.startswith(f"{other}.")]
    alone = code.closure(["stages.train"])
    needless = ("models.lipreader", "models.avguidance", "faces.mouth")
    assert not [module for module in alone if module.startswith(needless)]


def test_training_does_not_hang_on_the_code_of_all_metrics(here) -> None:
    """It tells the lip vertex error, and shall not be repeated for a new metric, a figure or a faster renderer."""
    found = Workspace.find().code.closure(["stages.train"])
    assert "faces.lips" in found
    assert not [module for module in found if module.startswith(("stages.metrics", "faces.metrics", "faces.raster"))]


def test_a_folder_counts_by_names_and_contents_not_by_place(toys, here) -> None:
    (here / "data" / "deep").mkdir(parents=True)
    (here / "data" / "deep" / "a.txt").write_text("1")
    before = key("step.train.folder=data")["sources"]
    (here / "data").rename(here / "moved")
    assert key("step.train.folder=moved")["sources"] == before
    (here / "moved" / "deep" / "b.txt").write_text("2")
    assert key("step.train.folder=moved")["sources"] != before


def test_a_link_to_a_folder_below_a_folder_is_told(toys, here) -> None:
    (here / "data").mkdir()
    (here / "data" / "more").symlink_to(toys)
    entry = plan(load(Path("t.toml"), ["step.train.folder=data"]), Workspace.find())["train"]
    assert entry.key is None
    assert entry.reason.startswith("data/more is a link to a folder, and below a folder")


def test_a_pretrained_folder_counts_by_its_files(toys, here) -> None:
    stats = Workspace.find().stats
    (here / "enc").mkdir()
    (here / "enc" / "config.json").write_text("{}")
    with pytest.raises(StageError, match="holds no transformers checkpoint"):
        identity("enc", stats)
    (here / "enc" / "model.safetensors").write_bytes(b"1")
    before = key("step.train.encoder=enc")["sources"]
    (here / "enc" / "README.md").write_text("not a weight")
    assert key("step.train.encoder=enc")["sources"] == before
    (here / "enc" / "model.safetensors").write_bytes(b"2")
    assert key("step.train.encoder=enc")["sources"] != before


def test_a_hub_checkpoint_counts_by_commit(toys, here, monkeypatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(here / "hub"))
    with pytest.raises(NotDownloaded, match="neither a folder here nor in the Hugging Face cache"):
        identity("lab/enc", Workspace.find().stats)
    entry = plan(load(Path("t.toml"), ["step.train.encoder=lab/enc"]), Workspace.find())["train"]
    assert entry.state is State.TO_RUN
    assert entry.key is None
    refs = here / "hub" / "models--lab--enc" / "refs"
    refs.mkdir(parents=True)
    (refs / "main").write_text("abc123\n")
    assert key("step.train.encoder=lab/enc")["sources"] == {"encoder": {"hub": "lab/enc", "commit": "abc123"}}


def test_reading_much_for_the_first_time_is_told(toys, here, monkeypatch, capsys) -> None:
    """One large file by its name, many small ones by what they come to."""
    monkeypatch.setattr("pipeline.keys._WORTH_TELLING", 1000)
    monkeypatch.setattr("pipeline.keys._read", {"bytes": 0})
    (here / "data").mkdir()
    for number in range(5):
        (here / "data" / f"{number}.vl").write_bytes(bytes([number]) * 600)
    key("step.train.folder=data")
    assert capsys.readouterr().err.count("reading new input files once") == 3  # past 1000, 2000 and 3000 bytes
    (here / "data" / "large.npy").write_bytes(b"x" * 2000)
    key("step.train.folder=data")
    assert "reading large.npy once" in capsys.readouterr().err

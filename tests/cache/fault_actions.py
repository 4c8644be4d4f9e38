"""What the fault tests interrupt, and what must hold afterwards."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cache import digest
from cache.manifest import Made
from cache.store import OWN_FOLDERS, Artifact, Store
from pipeline import provenance
from pipeline.errors import Interrupted, StageError
from pipeline.execute import Choice, Means, run, sentence
from pipeline.progress import Reporter
from pipeline.recipe import load
from pipeline.workspace import Workspace

provenance.git()  # asked once, by the server that all children are forked from, and remembered

KEY = {"stage": "toy", "params": {"n": 1}}
PAYLOAD = {f"wav/{number}.wav": f"sound {number}" for number in range(4)} | {"info.json": "{}", "deep/er/x": "x"}
RECIPE = """\
[recipe]
seed = 7
[step.read]
stage = "tests.pipeline.toy:Read"
file = "numbers.txt"
[step.double]
stage = "tests.pipeline.toy:Double"
[step.sum]
stage = "tests.pipeline.toy:Sum"
"""


def publish(root: str) -> None:
    """Publish a small artifact straight on the store, if it is not there."""
    store = Store(Path(root))
    with store.making("toy", KEY, "toy") as work:
        if store.find("toy", KEY) is None:
            try:
                for name, text in PAYLOAD.items():
                    (work.out / name).parent.mkdir(parents=True, exist_ok=True)
                    (work.out / name).write_text(text)
            except OSError as error:
                raise StageError(sentence(error)) from error
            store.publish(work, "label", "sequences", {"a": Made("", ["wav/0.wav"])}, {})


def right(root: str) -> None:
    """The artifact has its bytes, and the store holds nothing half-made."""
    store = Store(Path(root))
    artifact = store.find("toy", KEY)
    assert artifact is not None
    assert {name: (artifact.path / name).read_text() for name in artifact.manifest().files} == PAYLOAD
    whole(store)


def prepare(folder: str) -> None:
    """The toy recipe and its input."""
    (Path(folder) / "toy.toml").write_text(RECIPE)
    (Path(folder) / "numbers.txt").write_text("1\n2\n3\n4\n")


def run_recipe(folder: str, stop_at: str = "") -> None:
    """`pipe run` of the toy recipe; its middle step works item by item."""
    os.environ["PIPE_STATE"] = f"{folder}/state"
    workspace = Workspace(Store(Path(folder) / "store"), Path(folder) / "outputs")
    settings = [f"step.double.stop_at={stop_at}", f"step.read.file={folder}/numbers.txt"]
    run(load(Path(folder) / "toy.toml", settings), workspace, Reporter(quiet=True), Choice(), Means("cpu", 1))


def recipe_right(folder: str) -> None:
    """All three results are right, and the store holds nothing half-made."""
    outputs = Path(folder) / "outputs/toy"
    assert (outputs / "sum/total.json").read_text() == '{"total": 20.0, "seed": 7}'
    assert sorted(path.read_text() for path in outputs.glob("double/n*.txt")) == ["2.0", "4.0", "6.0", "8.0"]
    assert sorted(path.read_text() for path in outputs.glob("read/numbers/*")) == ["1", "2", "3", "4"]
    whole(Store(Path(folder) / "store"))


def damage(folder: str) -> None:
    """A published artifact that has lost bytes."""
    publish(folder)
    victim = next(Path(folder).glob("toy/*/info.json"))
    victim.chmod(0o644)
    victim.write_text("")


def interrupt(folder: str) -> None:
    """The recipe, stopped in the middle of its items."""
    prepare(folder)
    try:
        run_recipe(folder, "n2")
    except Interrupted:
        return
    raise AssertionError("it was to be interrupted")


def nothing(folder: str) -> None:
    """From scratch."""


@dataclass(frozen=True)
class Scenario:
    """before: what is there. action: what is interrupted, then repeated. check: what must hold then."""

    name: str
    before: Callable[[str], None]
    action: Callable[[str], None]
    check: Callable[[str], None]

    def prepared(self, folder: Path) -> str:
        """A folder of its own in which the action can be taken."""
        folder.mkdir(parents=True)
        self.before(str(folder))
        return str(folder)


SCENARIOS = (
    Scenario("publish", nothing, publish, right),
    Scenario("replace damaged", damage, publish, right),
    Scenario("recipe", prepare, run_recipe, recipe_right),
    Scenario("resume", interrupt, run_recipe, recipe_right),
)


def whole(store: Store) -> None:
    """Every folder of the store is an artifact with the bytes of its manifest; nothing else is left behind."""
    store.sweep()
    stages = [path for path in store.root.iterdir() if path.is_dir() and path.name not in OWN_FOLDERS]
    found = {artifact.path: artifact for artifact in store.artifacts()}
    there = {path for stage in stages for path in stage.iterdir()}
    assert there == set(found), there ^ set(found)
    for artifact in found.values():
        unchanged(artifact)
    left = [str(path.relative_to(store.root)) for path in (store.root / "work").rglob("*")]
    assert not left, left
    torn = [path for path in store.root.rglob("*.tmp") if not {"quarantine", "inuse"} & set(path.parts)]  # gc's to tidy
    assert not torn, torn


def unchanged(artifact: Artifact) -> None:
    """Content, not only size, is as the manifest says."""
    for name, (size, digest_) in artifact.manifest().files.items():
        assert (artifact.path / name).stat().st_size == size
        assert digest.of_file(artifact.path / name) == digest_

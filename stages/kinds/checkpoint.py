"""The kind `checkpoint`: a trained network, what it was built for, and how its training went.

`Checkpoint(path)` reads such an artifact; weights are safetensors, so a checkpoint can never run code. `read_weights`
also takes the files that the papers published. What is missing, of another model or of another size is a `DataError`.
Importing this module loads no torch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from faces.errors import DataError, said
from faces.texts import read_json
from models.settings import draws, fits_motion, has_styles, moves
from pipeline import registry
from pipeline.errors import RecipeError
from pipeline.stage import replacing
from stages.kinds.plain import write_json

if TYPE_CHECKING:
    from torch import Tensor

    from models.motion_prior import MotionPrior
    from models.talking_face import DataFacts, TalkingFace
    from pipeline.stage import Upstream
    from stages.kinds.sequences import Sequences

Network: TypeAlias = "TalkingFace | MotionPrior"

BEST = "model.safetensors"
LAST = "last.safetensors"
PRIOR = "prior.safetensors"
"""The frozen motion prior under a network that predicts codes; it is not among the network's own weights."""
EXPERT = "expert"
"""Folder of an expert that learnt along with a guided network: a checkpoint of its own."""
MOUTHS = "mouths"
"""Folder of the videos that a guided network's validations leave."""
CONFIG = "config.json"
TRAINING = "training.json"
"""How training went, for the reader's eyes: apart from what inference reads, so that it reruns nothing."""
HISTORY = "history.jsonl"
CURVES = "curves.png"
OURS = {"producer": "facepipe"}
"""One entry only: safetensors writes several in an order that changes from run to run."""


@dataclass(frozen=True)
class Config:
    """What `config.json` says.

    model: its name in recipes. settings: its `Settings`, as plain values. facts: the fields of `DataFacts`.
    dataset, units: of the training data. encoder_weights: digest of the speech encoder that made the features, empty
    for log-mel. prior: model and settings of the frozen motion prior, empty where there is none. head: of a network
    that makes expression codes, whose they are, as in `tracks`; "" where nobody knows.
    """

    model: str
    settings: Mapping[str, Any]
    facts: Mapping[str, Any]
    dataset: str
    units: str
    encoder_weights: str = ""
    prior: Mapping[str, Any] = field(default_factory=dict)
    head: str = ""


def write_config(folder: Path, config: Config) -> None:
    write_json(folder / CONFIG, asdict(config))


def write_weights(file: Path, state: Mapping[str, Tensor]) -> None:
    """Safetensors in sorted order, whole or not at all."""
    from safetensors.torch import save_file

    # Sorted and cloned: tied tensors share memory, which the format refuses.
    tensors = {name: state[name].detach().cpu().clone().contiguous() for name in sorted(state)}
    with replacing(file) as partial:
        save_file(tensors, partial, metadata=OURS)


def read_weights(file: Path) -> dict[str, Tensor]:
    """The state dict in a `.safetensors` file, or in a published `.pth` or `.pt` file (`models.official`)."""
    from models.official import OfficialState, read_official

    if file.suffix != ".safetensors":
        return read_official(file)
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        state = OfficialState(load_file(file))
    except FileNotFoundError:
        raise DataError(f"{file} is not there: give the file of a checkpoint, or train again") from None
    except (SafetensorError, OSError) as error:
        raise DataError(f"{file} cannot be read as weights ({said(error)}): copy it again, or train again") from error
    state.source = str(file)
    return state


def read_some(file: Path, beginning: str) -> dict[str, Tensor]:
    """Of a `.safetensors` file, the tensors whose names begin so, under the rest of their names."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="pt") as stream:
            names = [name for name in stream.keys() if name.startswith(beginning)]  # noqa: SIM118  it is no mapping
            return {name.removeprefix(beginning): stream.get_tensor(name) for name in names}
    except (SafetensorError, OSError) as error:
        raise DataError(f"{file} cannot be read as weights ({said(error)}): copy it again, or train again") from error


def is_ours(file: Path) -> bool:
    """Whether `write_weights` made this file, so that its names are those of our own modules."""
    if file.suffix != ".safetensors":
        return False
    from safetensors import safe_open

    with safe_open(file, framework="pt") as stream:
        return (stream.metadata() or {}).get("producer") == OURS["producer"]


def fill(network: Network, file: Path, *, model: str, mapped: bool = False) -> None:
    """Load a file of weights, our own or a published one, into a network. DataError where they do not fit.

    mapped: the network's weights become the file's pages, read when they are used, instead of copies. The file must
    not be written to while the network lives: artifacts never are.
    The best weights of a guided training hold its expert beside the network (`beside`), which is left out here.
    """
    state: Mapping[str, Tensor] = read_weights(file)
    if not is_ours(file):
        network.load_official(state)
        return
    if beside := getattr(network, "beside", ""):
        state = {name: value for name, value in state.items() if not name.startswith(beside)}
    import torch

    from models.unfilled import take_over

    load = take_over if mapped else torch.nn.Module.load_state_dict
    try:
        load(cast("torch.nn.Module", network), state)
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        first = (lines[1] if len(lines) > 1 else lines[0]).rstrip(".")
        raise DataError(
            f"{file} does not fit the model {model!r} with these settings and data ({first}): "
            "it is of another model or of another size"
        ) from None


class Checkpoint:
    """Reads an artifact of the kind `checkpoint`."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)

    @cached_property
    def config(self) -> Config:
        file = self.path / CONFIG
        try:
            return Config(**read_json(file))
        except (OSError, ValueError, TypeError) as error:
            raise DataError(
                f"{file} does not describe a network ({said(error)}): train again, or give its folder"
            ) from None

    @cached_property
    def facts(self) -> DataFacts:
        from models.talking_face import DataFacts

        try:
            return DataFacts(**self.config.facts)
        except TypeError as error:
            raise DataError(
                f"{self.path / CONFIG} does not say what data its network is for ({said(error)}): train again, or give "
                "another copy"
            ) from None

    def training(self) -> dict[str, Any]:
        """How it went: epochs, steps, best epoch and loss, motion energy, parameters."""
        facts: dict[str, Any] = read_json(self.path / TRAINING)
        return facts

    def history(self) -> list[dict[str, Any]]:
        """One record per epoch."""
        text = (self.path / HISTORY).read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()]

    def load_network(self, device: str = "cpu", *, weights: str = BEST) -> TalkingFace:
        """The network in evaluation mode, the best weights by default, upon its prior where it has one."""
        return cast("TalkingFace", self._filled(self._built(), weights, device))

    def load_prior(self, device: str = "cpu", *, weights: str = BEST) -> MotionPrior:
        """A motion prior in evaluation mode. DataError where the checkpoint holds none."""
        network = self._built()
        if not hasattr(network, "tokens"):
            model = self.config.model
            raise DataError(f"{self.path} holds {model!r}, which is no motion prior: give the step that trains one")
        return cast("MotionPrior", self._filled(network, weights, device))

    def _built(self) -> Network:
        """With weights that are nobody's yet."""
        from models.unfilled import unfilled

        upon: list[Network] = []
        with unfilled():
            if self.config.prior:
                upon.append(build(**self.config.prior, facts=self.facts, where=self.path / CONFIG))
                fill(upon[0], self.path / PRIOR, model=self.config.prior["model"], mapped=True)
            return build(self.config.model, self.config.settings, self.facts, *upon, where=self.path / CONFIG)

    def _filled(self, network: Network, weights: str, device: str) -> Any:
        fill(network, self.path / weights, model=self.config.model, mapped=True)
        return cast("Any", network).to(device).eval()


def weights_file(which: str) -> str:
    """The file behind the words of parameters, "best" and "last"."""
    return {"best": BEST, "last": LAST}[which]


def check_alike(checkpoint: Checkpoint, data: Sequences) -> None:
    """DataError where a network was made for other motion than this. One that moves a track knows no vertices."""
    facts, config = checkpoint.facts, checkpoint.config
    pairs: list[tuple[str, Any, Any, str]] = [
        ("frame rate", facts.fps, data.fps, "preprocess the data at the checkpoint's rate")
    ]
    if not facts.track:
        topology = "use a checkpoint of the same topology"
        pairs = [
            ("topology (vertices)", facts.vertices, data.info.vertices, topology),
            *pairs,
            ("unit", config.units, data.units, "use a checkpoint that was trained on data in the same unit"),
        ]
    for what, expected, found, remedy in pairs:
        if expected != found:
            raise DataError(f"{checkpoint.path} was trained for another {what}: {expected}, this is {found}; {remedy}")


def check_prior(prior: Checkpoint, data: Sequences) -> None:
    """DataError where a motion prior was trained on other motion than this, or another data set's."""
    check_alike(prior, data)
    trained, given = prior.config.dataset, data.info.dataset
    if trained != given:
        raise DataError(
            f"{prior.path} is a prior of the data set {trained!r}, and {data.path} is {given!r}: "
            "train one on this data set"
        )


def other_weights(weights: str) -> str:
    """The file that is not read: of the two, a step asks one."""
    return LAST if weights == "best" else BEST


def modules_behind(checkpoint: Upstream) -> list[str]:
    """The modules of a trained model and of the prior that it is built upon: their code is in a step's key."""
    model = checkpoint.params["model"]
    return [registry.component_module("models", name) for name in (model, prior_of(model)) if name]


def network_class(model: str) -> type[Any]:
    """The class behind a model's name. Its module is a component of the step, so its code is in the step's key."""
    return cast("type[Any]", registry.load_component("models", model).network())


def prior_of(model: str) -> str:
    """The name of the motion prior that a model is built upon; "" for none."""
    return str(getattr(registry.load_component("models", model).Settings, "prior", ""))


def makes_motion(model: str) -> bool:
    """Whether a model of this name makes motion; a recogniser does not."""
    return moves(registry.load_component("models", model).Settings)


def reads_lips(model: str) -> bool:
    """Whether a model of this name is a lip reader: it makes no motion, and cuts texts into pieces of its own."""
    return not makes_motion(model) and hasattr(registry.load_component("models", model), "spelling")


def speaks_in_styles(model: str) -> bool:
    """Whether a model of this name has styles; one that has none moves alike for everybody."""
    return has_styles(registry.load_component("models", model).Settings)


def draws_motion(model: str) -> bool:
    """Whether a model of this name draws its motion, so that a sentence has as many as one asks for."""
    return draws(registry.load_component("models", model).Settings)


def makes_as_told(model: str) -> bool:
    """Whether a model of this name makes as many frames as it is told."""
    return fits_motion(registry.load_component("models", model).Settings)


def build(model: str, settings: Mapping[str, Any], facts: DataFacts, *prior: Network, where: Path) -> Network:
    """A fresh network from plain settings, upon a prior where it has one."""
    try:
        module = registry.load_component("models", model)
        return cast("Network", module.network().build(module.Settings(**settings), facts, *prior))
    except (RecipeError, TypeError) as error:
        raise DataError(f"{where} describes a model {model!r} that this program cannot build: {error}") from error

"""The published files of weights: NPHM's two, of identity and of expression, and MonoNPHM's one.

Read without running code, and without what their optimisers remembered. Anchors are in none: they come from the folder
of assets. Every file that does not fit is a DataError of one sentence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from faces.errors import DataError
from models.nphm.assets import read_anchors
from models.nphm.codes import looked_up
from models.nphm.deformation import NOISE
from models.nphm.head import BACKWARD, FORWARD, HeadModel, problems
from models.nphm.published import COLOURS, EXPRESSION, IDENTITY, deformation_sizes, identity_sizes, mono_sizes
from models.official import OfficialState, fit, read_torch, state_within
from models.unfilled import unfilled

STATE, CODES = "decoder_state_dict", "latent_codes_state_dict"
"""Of NPHM's files."""
TABLE = "weight"
MONO_CODES, MONO_TABLE = "latent_codes", "codebook.{}.embedding.weight"
BOTTLENECK = "communcation_bottleneck"


@dataclass(frozen=True)
class Table:
    """Trained codes (R, D), as stored. source: the file, for errors."""

    rows: Tensor
    source: str

    def code(self, number: int) -> Tensor:
        """Row `number` as the model saw it, (D,). DataError where there is none."""
        if not 0 <= number < len(self.rows):
            raise DataError(f"{self.source} holds codes 0 to {len(self.rows) - 1}, and number {number} is asked for")
        return looked_up(self.rows, self.rows.new_tensor(number).long())


@dataclass(frozen=True)
class Published:
    """A model in eval mode and the codes of its training, of subjects, scans and looks, where its files hold them."""

    model: HeadModel
    identities: Table | None = None
    expressions: Table | None = None
    appearances: Table | None = None


def read_nphm(identity: Path, expression: Path | None, assets: Path) -> Published:
    """NPHM of its `checkpoint_epoch_<n>.tar` of identity and, unless the head is to stay at rest, of expression."""
    held = _held(identity)
    state = state_within(held.get(STATE), identity, STATE)
    sizes = identity_sizes(_shapes(state), str(identity))
    state["mean_anchors"] = read_anchors(assets, sizes)
    identities = _table(held.get(CODES), TABLE, sizes.identity, identity)
    if expression is None:
        with unfilled():
            model = HeadModel.build(sizes)
        return Published(_fitted(model, state), identities)
    held = _held(expression)
    moves = state_within(held.get(STATE), expression, STATE)
    deformation = deformation_sizes(_shapes(moves), sizes, str(expression))
    for problem in problems(sizes, deformation, FORWARD):
        raise DataError(f"{identity} and {expression} do not go together: {problem}")
    with unfilled():
        model = HeadModel.build(sizes, deformation, FORWARD)
    assert model.deformation is not None
    model.deformation.noise = NOISE
    expressions = _table(held.get(CODES), TABLE, deformation.expression, expression)
    return Published(_fitted(model, state, moves), identities, expressions)


def read_mono(path: Path, assets: Path, colour: bool = False, neighbours: int = 0, spread: float = 0.0) -> Published:
    """MonoNPHM of its one file, without colour unless it is asked for.

    neighbours, spread: how many anchors a point hears and how wide, which no file tells; 0 for those of the time.
    """
    held = _held(path)
    parts = {prefix: state_within(held.get(prefix[:-1]), path, prefix[:-1]) for prefix in (IDENTITY, EXPRESSION)}
    shapes = {prefix + name: shape for prefix, part in parts.items() for name, shape in _shapes(part).items()}
    sizes, deformation = mono_sizes(shapes, str(path), neighbours, spread)
    state, table = parts[IDENTITY], held.get(MONO_CODES)
    if colour and not sizes.colour:
        raise DataError(f"{path} holds no colour; leave it out")
    if not colour:
        sizes = replace(sizes, colour=0)
        for name in [name for name in state if name.startswith((COLOURS, BOTTLENECK))]:
            del state[name]
    for problem in problems(sizes, deformation, BACKWARD):
        raise DataError(f"{path} is damaged: {problem}")
    state["mean_anchors"] = read_anchors(assets, sizes)
    with unfilled():
        model = HeadModel.build(sizes, deformation, BACKWARD)
    return Published(
        _fitted(model, state, parts[EXPRESSION]),
        _table(table, MONO_TABLE.format("geo"), sizes.identity, path),
        _table(table, MONO_TABLE.format("exp"), deformation.expression, path),
        _table(table, MONO_TABLE.format("app"), sizes.appearance, path) if colour else None,
    )


def _held(path: Path) -> Mapping[str, Any]:
    held = read_torch(path)
    if not isinstance(held, Mapping):
        raise DataError(f"{path} is no checkpoint of a head model: it holds no names")
    return held


def _shapes(state: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in state.items()}


def _fitted(model: HeadModel, state: OfficialState, moves: OfficialState | None = None) -> HeadModel:
    """The model with a file's weights, in eval mode. DataError where they are not its own, or no numbers."""
    fit(model.identity, state, tables={})
    if model.deformation is not None and moves is not None:
        fit(model.deformation, moves, tables={})
    for part in filter(None, (state, moves)):
        for name, value in part.items():
            if not bool(value.isfinite().all()):
                raise DataError(f"{part.source} holds numbers that are not finite ({name}); download it again")
    return model.eval().requires_grad_(False)


def _table(held: Any, name: str, width: int, path: Path) -> Table | None:
    """Codes that a file holds beside its weights; None where it holds none at all."""
    if held is None:
        return None
    rows = held.get(name) if isinstance(held, Mapping) else None
    if not isinstance(rows, Tensor):
        raise DataError(f"{path} is damaged: its codes lack {name}")
    rows = state_within({name: rows}, path, "codes")[name].float()
    if rows.ndim != 2 or rows.shape[1] != width:
        raise DataError(f"{path} is damaged: its codes {name} are {tuple(rows.shape)}, and its network takes {width}")
    if not bool(rows.isfinite().all()):
        raise DataError(f"{path} holds codes that are not finite ({name}); download it again")
    return Table(rows, str(path))

"""Where stages, models and datasets are found: a table of dotted paths, so that naming one imports only that one.

A name is looked up in the table, then among the entry points of installed packages (groups "facepipe.stages",
"facepipe.models", "facepipe.datasets"); a value with a colon or a dot in it is taken as a dotted path itself, so a
recipe can name a stage of the user's own: `stage = "my_lab.stages:Smooth"`. Commands that know of faces are found in
the same way, since the engine imports none of what they need.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterable
from typing import Any

from pipeline.errors import RecipeError
from pipeline.stage import Stage

TABLE: dict[str, dict[str, str]] = {
    "stages": {
        "preprocess": "stages.preprocess:Preprocess",
        "features": "stages.features:ExtractFeatures",
        "train": "stages.train:Train",
        "encode": "stages.encode:Encode",
        "reconstruct": "stages.reconstruct:Reconstruct",
        "segment": "stages.segment:SegmentSequences",
        "head": "stages.head:PublishedHead",
        "headfit": "stages.headfit:HeadFit",
        "track": "stages.track:TrackHeads",
        "drive": "stages.drive:Drive",
        "infer": "stages.infer:Infer",
        "meshes": "stages.meshes:Meshes",
        "film": "stages.film:Film",
        "geometry": "stages.geometry:Geometry",
        "render": "stages.render:Render",
        "voice": "stages.voice:Voice",
        "adopt": "stages.adopt:Adopt",
        "metrics": "stages.metrics:Metrics",
        "clip": "stages.clip:Clip",
        "style": "stages.style:Style",
        "lipread": "stages.lipread:LipRead",
    },
    "models": {
        "avguidance": "models.avguidance",
        "codetalker": "models.codetalker",
        "codetalker-vq": "models.codetalker_vq",
        "faceformer": "models.faceformer",
        "facetalk": "models.facetalk",
        "selftalk": "models.selftalk",
        "talkingstyle": "models.talkingstyle",
        "recogniser": "models.recogniser",
        "lipreader": "models.lipreader",
    },
    "datasets": {
        "biwi": "stages.preprocess.biwi",
        "facetalk": "stages.preprocess.facetalk",
        "ict-facegood": "stages.preprocess.ict_facegood",
        "mead": "stages.preprocess.mead",
        "multiface": "stages.preprocess.multiface",
        "own": "stages.preprocess.own",
        "synthetic": "stages.preprocess.synthetic",
        "synthetic-biwi": "stages.preprocess.synthetic_biwi",
        "vocaset": "stages.preprocess.vocaset",
    },
    "commands": {
        "bench": "stages.bench.command:bench",
        "data card": "stages.datacard.command:card",
        "data check": "stages.datacheck.command:check",
        "data init": "stages.datainit.command:init",
        "film mouths": "stages.mouth_film:film",
        "follow": "stages.train.follow:follow",
        "infer clip": "stages.clip.pairs:newcomer",
        "infer data": "stages.voice.speaker:fits",
        "infer face": "stages.voice.speaker:choose_face",
        "infer file": "stages.voice.speaker:of_file",
        "infer folder": "stages.voice.speaker:of_folder",
        "infer prior": "stages.kinds.checkpoint:prior_of",
        "infer recognise": "stages.adopt.about:recognise",
        "infer stream": "stages.voice.stream:stream",
        "infer styles": "stages.voice.speaker:choose_styles",
        "lead": "stages.train.rendezvous:lead",
        "regions ls": "stages.regions.command:ls",
        "regions show": "stages.regions.command:show",
    },
}


def names(table: str) -> list[str]:
    """The built-in names of a table."""
    return list(TABLE[table])


def nearest(word: str, words: Iterable[str]) -> str:
    """ " Did you mean …?" for a misspelt word, or ""."""
    import difflib  # only for mistakes

    close = difflib.get_close_matches(word, list(words), n=1, cutoff=0.6)
    return f" Did you mean {close[0]!r}?" if close else ""


def lookup(table: str, name: str) -> str:
    """The dotted path behind a name. RecipeError, with the nearest spelling, where there is none."""
    if not isinstance(name, str) or not name or name.startswith("."):
        raise RecipeError(f"{name!r} is no name of a {table[:-1]}; there are {', '.join(names(table))}")
    if name in TABLE[table]:
        return TABLE[table][name]
    if "." in name or ":" in name:
        return name
    from importlib.metadata import entry_points  # slow to import, and only third parties need it

    for point in entry_points(group=f"facepipe.{table}"):
        if point.name == name:
            return point.value
    known = names(table)
    raise RecipeError(f"unknown {table[:-1]} {name!r}; there are {', '.join(known)}.{nearest(name, known)}")


def module_of(path: str) -> str:
    """The module part of a dotted path "package.module:Name"."""
    return path.partition(":")[0]


def search(folder: str) -> None:
    """Let modules of the user's own in a folder be found, after all that is installed."""
    if folder not in sys.path:
        sys.path.append(folder)


def load_module(path: str) -> Any:
    """Import the module of a dotted path. Those in the current folder and beside a recipe count too (`search`)."""
    search(os.getcwd())
    try:
        return importlib.import_module(module_of(path))
    except ModuleNotFoundError as error:
        raise RecipeError(f"module {module_of(path)!r} cannot be imported ({error}); is it installed?") from error
    except Exception as error:  # a module of the user's own may fail in any way
        raise RecipeError(f"module {module_of(path)!r} fails to import: {type(error).__name__}: {error}") from error


def component_module(table: str, name: str) -> str:
    """The dotted module behind the name of a component, for the code that enters a key."""
    return module_of(lookup(table, name))


def load_component(table: str, name: str) -> Any:
    """The module behind the name of a component. RecipeError where there is none."""
    return load_module(lookup(table, name))


def speaks(settings: Any) -> bool:
    """Whether a network of these settings, or of this class of them, turns speech into motion: neither a motion prior,
    which hears nothing, nor a recogniser, which moves nothing."""
    return bool(getattr(settings, "hears", True) and getattr(settings, "moves", True))


def load_command(name: str) -> Callable[..., Any]:
    """What a command of the command line does where that is not the engine's business, such as looking into data."""
    path = lookup("commands", name)
    found: Callable[..., Any] = getattr(load_module(path), path.partition(":")[2])
    return found


def load_stage(name: str) -> type[Stage]:
    """The stage class of a name."""
    path = lookup("stages", name)
    module, attribute = load_module(path), path.partition(":")[2]
    found = getattr(module, attribute, None) if attribute else None
    if not (isinstance(found, type) and issubclass(found, Stage)):
        raise RecipeError(f"{path!r} is no stage; write it as 'package.module:ClassName' of a pipeline.stage.Stage")
    return found

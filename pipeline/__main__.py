"""The entry point: errors become sentences and exit codes, and what needs only a plan takes a short road.

Typer and what it imports take longer to load than a plan of 2,000 files takes to make. So a plain `pipe status` or
`pipe run RECIPE… [--set K=V]…` is first planned without it; only if something has to run, or any other option is
there, does Typer take over. Both roads use the same functions.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from pipeline.errors import PipeError
from pipeline.launched import Place, launched


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit code: 0 ok, 1 failed, 2 bad usage or recipe, 75 interrupted."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    words = [word for word in given if word != "--debug"]  # may stand anywhere
    sys.exit(guarded(lambda: _placed(words), debug=words != given))


def _placed(words: list[str]) -> int:
    """The command; among several processes, in the first, which the others follow."""
    place = launched()
    return _run(words) if place is None else _together(words, place)


def _together(words: list[str], place: Place) -> int:
    from pipeline.registry import load_command

    if place.rank:
        return int(load_command("follow")(place))
    with load_command("lead")(place):
        return _run(words)


def _run(words: list[str]) -> int:
    if planned_only(words):
        return 0
    from pipeline.app import app

    code = int(app(words, standalone_mode=False) or 0)
    return _interrupted() if code == 130 else code  # what Typer makes of Ctrl-C


def guarded(call: Callable[[], int], *, debug: bool = False) -> int:
    """`call()`, errors printed as sentences. With `debug` the traceback comes too."""
    try:
        return call()
    except KeyboardInterrupt:
        return _interrupted()
    except BrokenPipeError:  # the reader of our output, `head` say, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        code = getattr(type(error), "exit_code", None)
        if code is None and _is_of_ctrl_c(error):
            return _interrupted()
        if debug or code is None:
            import traceback

            if debug:
                traceback.print_exception(error)
        for line in (str(error) if code is not None else f"unexpected {type(error).__name__}: {error}").splitlines():
            print(f"error: {line}", file=sys.stderr)
        if code is None and not debug:
            print("this is a defect of facepipe; `pipe --debug …` shows where", file=sys.stderr)
        return int(code or 1)


def _is_of_ctrl_c(error: BaseException | None) -> bool:
    """Whether an error is what a library made of Ctrl-C, one that was being imported say."""
    seen = set[int]()
    while error is not None and id(error) not in seen:
        if isinstance(error, KeyboardInterrupt):
            return True
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return False


def _interrupted() -> int:
    print("interrupted; run again to go on", file=sys.stderr)
    return 75


def planned_only(words: Sequence[str]) -> bool:
    """Whether the words are a plain status, or a plain run in which nothing has to run. If so, it is done here."""
    parsed = _plain(words)
    if parsed is None:
        return False
    from pipeline.commands.run import settle, show_plan
    from pipeline.outputs import check_names
    from pipeline.plan import State, plan
    from pipeline.recipe import load
    from pipeline.workspace import Workspace

    try:
        workspace = Workspace.find()
        recipes = [load(path, parsed[1]) for path in parsed[0]]
        if words[0] == "run":
            check_names(recipes)
        plans = [(recipe, plan(recipe, workspace)) for recipe in recipes]
    except PipeError:
        return False  # the full command says it, in its own way
    if words[0] == "status":
        for recipe, planned in plans:
            show_plan(recipe, planned)
        workspace.stats.save()
        return True
    if any(entry.state is not State.CACHED for _, planned in plans for entry in planned.values()):
        return False
    for recipe, planned in plans:
        settle(recipe, workspace, planned, set(planned))
    return True


def _plain(words: Sequence[str]) -> tuple[list[Path], list[str]] | None:
    """(recipes, settings) of `run|status RECIPE… [--set K=V]…`, None for anything else."""
    if not words or words[0] not in ("run", "status"):
        return None
    paths: list[Path] = []
    settings: list[str] = []
    rest = list(words[1:])
    while rest:
        word = rest.pop(0)
        if word == "--set" and rest:
            settings.append(rest.pop(0))
        elif word.startswith("-"):
            return None
        else:
            paths.append(Path(word))
    return (paths, settings) if paths else None


if __name__ == "__main__":
    main()

"""`python -m tests.golden DIR…`: run every golden case in the given folders.

One line per case on standard output, `<case> ok|miss|unknown <largest difference> <tolerance>`; what is wrong goes to
standard error. Exit status 0 only where there are cases and all are ok.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path

from tests.golden.case import find_cases
from tests.golden.run import run_file


def main(arguments: Sequence[str]) -> int:
    """Run the cases of the folders; 0 all ok, 1 otherwise, 2 for bad usage."""
    folders = [Path(argument) for argument in arguments]
    absent = [str(folder) for folder in folders if not folder.is_dir()]
    if not folders:
        _complain("no folder given; usage: python -m tests.golden DIR…")
    if absent:
        _complain(f"no such folder: {', '.join(absent)}")
    if absent or not folders:
        return 2
    return 0 if all([_run_folder(folder) for folder in folders]) else 1


def _run_folder(folder: Path) -> bool:
    """Run the cases of one folder: True where there are some and all are ok."""
    paths = find_cases(folder)
    if not paths:
        _complain(f"no case in {folder}: a case is a .json file that names a `model`, and an .npz beside it")
    return bool(paths) and all([_run(path) for path in paths])


def _run(path: Path) -> bool:
    # Standard output is for our lines alone, whatever a network's libraries print.
    with redirect_stdout(sys.stderr):
        verdict = run_file(path)
    print(verdict.line(), flush=True)
    for complaint in verdict.complaints:
        _complain(f"  {verdict.case}: {complaint}")
    return verdict.status == "ok"


def _complain(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

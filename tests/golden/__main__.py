"""`python -m tests.golden DIR…`: run every golden case in the given folders.

One line per case on standard output, `<case> ok|miss|unknown <largest difference> <tolerance>`; what is wrong goes to
standard error. Exit status 0 only where there are cases and all are ok.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from tests.golden.case import find_cases
from tests.golden.run import run_file


def main(arguments: Sequence[str]) -> int:
    """Run the cases of the folders; 0 all ok, 1 otherwise, 2 for bad usage."""
    folders = [Path(argument) for argument in arguments]
    absent = [str(folder) for folder in folders if not folder.is_dir()]
    if absent or not folders:
        print(
            f"no such folder: {', '.join(absent)}" if absent else "usage: python -m tests.golden DIR…", file=sys.stderr
        )
        return 2
    statuses = []
    for path in (path for folder in folders for path in find_cases(folder)):
        verdict = run_file(path)
        print(verdict.line(), flush=True)
        for complaint in verdict.complaints:
            print(f"  {verdict.case}: {complaint}", file=sys.stderr, flush=True)
        statuses.append(verdict.status)
    if not statuses:
        print("no case found", file=sys.stderr)
    return 0 if statuses and set(statuses) == {"ok"} else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""What an item costs: `python -m benchmarks.items [--items 2000] [--rounds 5]`.

Two steps of as many items, each item a file of 256 bytes that is copied. Processor time of whole processes, medians:
the first run; a run in which nothing changed, beside the same with ten items; one item more. In the same run stand the
bare copying by a plain Python script, and `stat` of as many files; and, with `--exca PYTHON`, the same by exca's
`MapInfra`, where that Python has it (exca goes by the items' names and does not look at the files).
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from pathlib import Path

from benchmarks.items_chain import recipe
from benchmarks.noop import ROOT, processor_ms

COPY = """
import pathlib, sys
root, out = map(pathlib.Path, sys.argv[1:])
for target in (out / "a", out / "b"):
    target.mkdir(parents=True)
    for path in sorted(root.iterdir()):
        (target / path.name).write_bytes(path.read_bytes())
"""
STAT = "import os, sys; [os.stat(os.path.join(sys.argv[1], name)) for name in os.listdir(sys.argv[1])]"
EXCA = """
import pathlib, sys, typing
import exca, numpy, pydantic
class Copy(pydantic.BaseModel):
    step: int = 0
    infra: exca.MapInfra = exca.MapInfra(version="1")
    @infra.apply(item_uid=str)
    def process(self, items: typing.Iterable[str]) -> typing.Iterator[numpy.ndarray]:
        for item in items:
            yield numpy.fromfile(item, dtype=numpy.uint8)
root, store = sys.argv[1:]
names = [str(path) for path in sorted(pathlib.Path(root).iterdir())]
for step in range(2):
    for made in Copy(step=step, infra={"folder": store, "keep_in_ram": False}).process(names):
        pass
"""
PAST = 1_700_000_000


def add(folder: Path, first: int, last: int) -> None:
    """Input files, old enough to be remembered."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(first, last):
        path = folder / f"{number:06d}.bin"
        path.write_bytes(number.to_bytes(4, "little") * 64)
        os.utime(path, (PAST, PAST))


class Place:
    """One store with its input."""

    def __init__(self, folder: Path, items: int) -> None:
        self.folder = folder
        self.items = items
        add(folder / "input", 0, items)
        (folder / "r.toml").write_text(recipe(folder / "input"))
        self._env = os.environ | {"PYTHONPATH": str(ROOT), "PIPE_STATE": str(folder / "state")}

    def run(self) -> float:
        """ms of `pipe run`."""
        return processor_ms([sys.executable, "-m", "pipeline", "run", "r.toml"], self.folder, self._env)

    def python(self, code: str, *words: str, program: str = sys.executable) -> float:
        """ms of a plain script."""
        return processor_ms([program, "-c", code, *words], self.folder, self._env)

    def exca(self, program: str) -> float:
        """ms of exca on the same files."""
        return self.python(EXCA, str(self.folder / "input"), str(self.folder / "exca"), program=program)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--items", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--exca", metavar="PYTHON", help="a Python that has exca")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        many, few = Place(Path(name) / "many", options.items), Place(Path(name) / "few", 10)
        first, start = many.run(), few.run()
        source = str(many.folder / "input")
        bare = many.python(COPY, source, str(Path(name) / "copy")) - many.python("import pathlib")
        same = [(many.run(), few.run(), many.python(STAT, source) - many.python("import os, sys"))
                for _ in range(options.rounds)]  # fmt: skip
        theirs = [(many.exca(options.exca), few.exca(options.exca)) for _ in range(1 + options.rounds) if options.exca]
        add(many.folder / "input", options.items, options.items + 1)
        more, their_more = many.run(), many.exca(options.exca) if options.exca else 0.0
    nothing, little, stat = (statistics.median(column) for column in zip(*same, strict=True))
    made, steps = options.items - 10, 2
    per_item = 1000 * (nothing - little) / (steps * made)
    print(f"{steps} steps of {options.items} items; processor time")
    print(f"first run          {(first - start) / (steps * made):8.3f} ms an item, "
          f"{(first - start) / bare:.1f} × bare copying ({bare / (steps * options.items):.3f} ms)")  # fmt: skip
    print(
        f"nothing changed    {per_item:8.1f} µs an item and step, {(nothing - little) / stat:.1f} × stat of the input"
    )
    print(f"one item more      {more:8.0f} ms, {more / first:.2f} of the first run, {more / nothing:.1f} × no change")

    if theirs:
        first_many, first_few = theirs[0]
        nothing_many, nothing_few = (statistics.median(column) for column in zip(*theirs[1:], strict=True))
        cold, same_again = (first_many - first_few) / (steps * made), 1000 * (nothing_many - nothing_few) / steps / made
        print(f"exca: first run {cold:.3f} ms an item, no change {same_again:.1f} µs, one more {their_more:.0f} ms")


if __name__ == "__main__":
    main()

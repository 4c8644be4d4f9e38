"""What a run costs in which nothing changed: `python -m benchmarks.noop [--files 2000] [--rounds 9]`.

A chain of six steps over a folder of files is run once; then `pipe run` of it is timed in fresh processes, in turn
with `python -c pass`, a bare Typer application with one command, and, where they are installed, DVC and Snakemake on
the same chain. Figures are processor time (user + system) of whole processes, medians, and ratios to ours within the
same run, since machines differ.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.noop_chain import recipe

ROOT = Path(__file__).resolve().parents[1]
BARE_TYPER = """
import typer
app = typer.Typer()
@app.command()
def run(recipe: str, times: int = 1) -> None:
    print("nothing to do")
@app.command()
def other() -> None: ...
app()
"""


def processor_ms(command: list[str], folder: Path, env: dict[str, str]) -> float:
    """User and system time of one run of a command, in milliseconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=folder, env=env, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1000 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def prepare(folder: Path, files: int) -> dict[str, list[str]]:
    """Input files, recipe and peers' chains in `folder`; returns name → command of what is to be timed."""
    (folder / "input").mkdir()
    for number in range(files):
        (folder / "input" / f"{number:05d}.wav").write_bytes(number.to_bytes(4, "little") * 64)
    past = 1_700_000_000
    for path in (folder / "input").iterdir():
        os.utime(path, (past, past))
    (folder / "chain.toml").write_text(recipe(folder / "input"))
    (folder / "bare.py").write_text(BARE_TYPER)
    commands = {
        "pipe run, nothing changed": [sys.executable, "-m", "pipeline", "run", "chain.toml"],
        "pipe status": [sys.executable, "-m", "pipeline", "status", "chain.toml"],
        "python -c pass": [sys.executable, "-c", "pass"],
        "bare Typer app": [sys.executable, "bare.py", "run", "x"],
    }
    return commands | _dvc(folder) | _snakemake(folder)


def _dvc(folder: Path) -> dict[str, list[str]]:
    program = shutil.which("dvc")
    if not program:
        return {}
    stages = ["stages:", "  s0: {cmd: 'ls input | wc -l > s0.txt', deps: [input], outs: [s0.txt]}"]
    stages += [
        f"  s{n}: {{cmd: cp s{n - 1}.txt s{n}.txt, deps: [s{n - 1}.txt], outs: [s{n}.txt]}}" for n in range(1, 6)
    ]
    (folder / "dvc.yaml").write_text("\n".join(stages) + "\n")
    subprocess.run([program, "init", "--no-scm", "-q"], cwd=folder, check=True)
    return {"dvc repro": [program, "repro", "-q"], "dvc status": [program, "status", "-q"]}


def _snakemake(folder: Path) -> dict[str, list[str]]:
    program = shutil.which("snakemake")
    if not program:
        return {}
    rules = [
        "rule all:\n    input: 't5.txt'",
        "rule t0:\n    input: [f'input/{n:05d}.wav' for n in range(len(__import__('os').listdir('input')))]\n"
        "    output: 't0.txt'\n    shell: 'ls input | wc -l > {output}'",
    ]
    rules += [
        f"rule t{n}:\n    input: 't{n - 1}.txt'\n    output: 't{n}.txt'\n    shell: 'cp {{input}} {{output}}'"
        for n in range(1, 6)
    ]
    (folder / "Snakefile").write_text("\n".join(rules) + "\n")
    return {"snakemake": [program, "-c1", "-q", "all"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        env = os.environ | {"PYTHONPATH": str(ROOT), "PIPE_STATE": str(folder / "state")}
        commands = prepare(folder, options.files)
        for command in commands.values():
            subprocess.run(command, cwd=folder, env=env, check=True, capture_output=True)
        times: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(options.rounds):
            for name, command in commands.items():
                times[name].append(processor_ms(command, folder, env))
    ours = statistics.median(times["pipe run, nothing changed"])
    print(f"six steps, {options.files} input files, medians of {options.rounds} runs, processor time")
    for name, values in times.items():
        median = statistics.median(values)
        print(
            f"{name:<28}{median:7.0f} ms   {median / ours:5.2f} of pipe run   "
            f"(from {min(values):.0f} to {max(values):.0f})"
        )


if __name__ == "__main__":
    main()

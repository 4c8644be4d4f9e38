"""What `pipe infer` leaves and prints of a network that reads lips."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cache.store import Artifact
from pipeline.commands.infer_show import Place, show

NAME = "hello_condition_mean"


def made(folder: Path, text: dict[str, str | None] | None) -> dict[str, Artifact]:
    (folder / "infer" / "npy").mkdir(parents=True)
    (folder / "infer" / "npy" / f"{NAME}.npy").write_bytes(b"motion")
    item = {"id": "hello", "subject": "A", "condition": "mean", "split": "voice", "frames": 14}
    (folder / "infer" / "predictions.json").write_text(json.dumps({"items": {NAME: item}}))
    if text is not None:
        (folder / "infer" / "text").mkdir()
        (folder / "infer" / "text" / f"{NAME}.json").write_text(json.dumps(text))
    (folder / "voice").mkdir()
    sequences = {"hello": {"samples": 8000, "sample_rate": 16000}}
    (folder / "voice" / "sequences.json").write_text(json.dumps({"sequences": sequences}))
    return {name: Artifact(folder / name, {"provenance": {"seconds": 1.0}}) for name in ("infer", "voice")}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ({"heard": "a bad cab", "lip_read": "a bd"}, "hello, mean: heard “a bad cab”, lip-read “a bd”"),
        ({"heard": None, "lip_read": ""}, "hello, mean: lip-read “”"),
    ],
)
def test_texts_lie_beside_the_motion_and_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: dict[str, str | None], told: str
) -> None:
    place = Place.of("", tmp_path / "outputs")
    show(made(tmp_path / "a", text), place)
    assert told in capsys.readouterr().out.splitlines()
    assert json.loads((place.folder / "hello_mean.json").read_text()) == text
    assert (place.folder / "hello_mean.json").is_symlink()


def test_another_network_s_text_does_not_stay(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    links, copies = Place.of("", tmp_path / "outputs"), Place.of(str(tmp_path / "mine"), tmp_path)
    for place in (links, copies):
        show(made(tmp_path / f"of-{place.folder.name}", {"heard": "a", "lip_read": "b" * 400}), place)
    assert max(map(len, capsys.readouterr().out.splitlines())) < 200
    mute = made(tmp_path / "c", None)
    for place in (links, copies):
        show(mute, place)
    assert "lip-read" not in capsys.readouterr().out
    assert sorted(file.name for file in links.folder.iterdir()) == ["hello_mean.npy"]
    assert sorted(file.name for file in copies.folder.iterdir()) == ["hello_mean.json", "hello_mean.npy"]

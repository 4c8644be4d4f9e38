"""What is set where: files, environment, options, each above the one before; mistakes say where they are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.config import KEYS, settings
from pipeline.errors import RecipeError
from pipeline.workspace import Workspace
from tests.pipeline.test_cli import pipe, process


def user_file(here: Path, text: str) -> None:
    (here / "config/facepipe").mkdir(parents=True)
    (here / "config/facepipe/pipe.toml").write_text(text)


def test_without_a_file_everything_is_as_built_in(here) -> None:
    found = settings({})
    assert {name: setting.origin for name, setting in found.items()} == dict.fromkeys(KEYS, "default")
    workspace = Workspace.find()
    assert (workspace.store.root, workspace.outputs) == (here / ".pipe", here / "outputs")
    assert (workspace.remote, workspace.remote_mode, workspace.trust) == ("", "rw", "stat")


def test_the_project_wins_over_the_user_and_the_environment_over_files(here, monkeypatch) -> None:
    user_file(here, 'remote = "s3://users/cache"\ntrust = "content"\nstore = "mine"\n')
    (here / "pipe.toml").write_text('# ours\nremote = "s3://lab/cache"\nremote_mode = "ro"\n')
    monkeypatch.setenv("PIPE_REMOTE_MODE", "off")
    found = settings({"outputs": "elsewhere"})
    assert {name: (setting.value, setting.origin) for name, setting in found.items()} == {
        "store": (str(here / "config/facepipe/mine"), "config/facepipe/pipe.toml:3"),
        "outputs": (str(here / "elsewhere"), "--outputs"),
        "remote": ("s3://lab/cache", "pipe.toml:2"),
        "remote_mode": ("off", "PIPE_REMOTE_MODE"),
        "trust": ("content", "config/facepipe/pipe.toml:2"),
    }


def test_the_nearest_file_above_counts_up_to_the_root_of_the_project(here, monkeypatch) -> None:
    (here / "pipe.toml").write_text('store = "shared/store"\nremote = "~/cache"\n')
    inside = here / "project/deep/er"
    inside.mkdir(parents=True)
    monkeypatch.chdir(inside)
    assert settings({})["store"].value == str(here / "shared/store")
    assert settings({})["remote"].value == str(Path.home() / "cache")
    (here / "project/pipe.toml").write_text('store = "near"\n')
    assert settings({})["store"].value == str(here / "project/near")
    assert settings({})["remote"].value == ""  # one project file, not a chain of them
    (here / "project/deep/.git").mkdir()
    assert settings({})["store"].origin == "default"


def test_the_home_folder_is_the_end_of_the_search(here, monkeypatch) -> None:
    (here / "pipe.toml").write_text('store = "x"\n')
    (here / "home/work").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(here / "home"))
    monkeypatch.chdir(here / "home/work")
    assert settings({})["store"].origin == "default"


def test_names_of_the_environment_are_filled_in(here, monkeypatch) -> None:
    (here / "pipe.toml").write_text('store = "${SCRATCH:-here}/store"\n')
    assert settings({})["store"].value == str(here / "here/store")
    monkeypatch.setenv("SCRATCH", "/scratch/me")
    assert settings({})["store"].value == "/scratch/me/store"


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        (
            'remot = "x"\n',
            ["pipe.toml:1: unknown key 'remot'; there are store, outputs, remote, remote_mode, trust. Did"],
        ),
        ('\n[cache]\nsize = "1G"\n', ["pipe.toml:3: unknown key 'cache.size'"]),
        ("store = 3\n", ["pipe.toml:1: store must be a text in quotes, not 3"]),
        (
            'remote_mode = "wr"\ntrust = "all"\n',
            ["pipe.toml:1: remote_mode is 'wr'; allowed: rw, ro, off", "pipe.toml:2: trust is 'all'; allowed: stat"],
        ),
        ("store = \n", ["pipe.toml is not valid TOML"]),
        ('store = "${NOT_SET_ANYWHERE}"\n', ["pipe.toml:1: ${NOT_SET_ANYWHERE} is not set"]),
    ],
)
def test_mistakes_are_told_with_their_place_all_at_once(here, capsys, text, sentences) -> None:
    (here / "pipe.toml").write_text(text)
    assert pipe("run", "toy.toml") == 2
    told = capsys.readouterr().err
    for sentence in sentences:
        assert sentence in told


def test_mistakes_of_the_environment(here, monkeypatch) -> None:
    monkeypatch.setenv("PIPE_TRUST", "no")
    with pytest.raises(RecipeError, match=r"PIPE_TRUST is 'no'; allowed: stat, size\+mtime, content"):
        settings({})


def test_config_shows_each_value_and_its_origin(here, capsys) -> None:
    (here / "pipe.toml").write_text('remote = "ssh://me:secret@host/cache"\n')
    assert pipe("config") == 0
    out = capsys.readouterr().out
    assert "remote       ssh://me:…@host/cache" in out
    assert "pipe.toml:1" in out
    assert pipe("config", "--json") == 0
    out += capsys.readouterr().out
    assert json.loads(out[out.index("{") :])["store"] == {"value": str(here / ".pipe"), "origin": "default"}
    assert "secret" not in out


def test_a_run_with_nothing_to_do_imports_nothing_of_remotes(here) -> None:
    (here / "pipe.toml").write_text(f'remote = "{here}/remote"\n')
    assert process("run", "toy.toml").returncode == 0
    code = (
        "import sys\nfrom pipeline.__main__ import planned_only\nassert planned_only(sys.argv[1:])\n"
        "print([m for m in ('fsspec', 'cache.remote', 'cache.transport', 'pipeline.exchange') if m in sys.modules])"
    )
    assert process("run", "toy.toml", code=code).stdout.endswith("[]\n")

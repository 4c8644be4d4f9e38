"""A launcher's variables are read without torch, and only where all of them are there."""

from __future__ import annotations

import pytest

from pipeline.errors import RecipeError
from pipeline.execute import Means
from pipeline.launched import Place, launched

GIVEN = {"RANK": "3", "WORLD_SIZE": "8", "MASTER_ADDR": "first", "MASTER_PORT": "29500"}


def test_the_place_of_a_process() -> None:
    assert launched(GIVEN | {"LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "4"}) == Place(3, 8, 1, 4)
    assert launched(GIVEN) == Place(3, 8, 0, 1)


@pytest.mark.parametrize("name", GIVEN)
def test_without_a_launcher_there_is_none(name: str) -> None:
    assert launched({key: word for key, word in GIVEN.items() if key != name}) is None


def test_one_process_is_no_group() -> None:
    assert launched(GIVEN | {"RANK": "0", "WORLD_SIZE": "1"}) is None


@pytest.mark.parametrize("wrong", [{"RANK": "first"}, {"RANK": "8"}, {"WORLD_SIZE": "0"}, {"LOCAL_RANK": "-1"}])
def test_nonsense(wrong: dict[str, str]) -> None:
    with pytest.raises(RecipeError, match="start with torchrun"):
        launched(GIVEN | wrong)


def test_the_processes_of_a_host_share_its_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    there = Means().threads
    for name, word in (GIVEN | {"LOCAL_WORLD_SIZE": "2"}).items():
        monkeypatch.setenv(name, word)
    assert Means().threads == max(1, there // 2)
    assert Means(workers=5).threads == 5

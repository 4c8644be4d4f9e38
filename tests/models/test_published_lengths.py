"""The lengths of videos that were published with CodeTalker, made by its networks from one recording."""

from __future__ import annotations

from collections.abc import Callable

import av
import pytest

from models.listening import ListeningFace
from models.logmel import log_mel
from models.resample import feature_length
from stages.audio import speech
from tests.assets import asset, needs_assets
from tests.models import tiny, tiny_codetalker, tiny_talkingstyle

PUBLISHED = {"vocaset": (380, 30), "biwi": (317, 25)}
NETWORKS: dict[str, Callable[[str], ListeningFace]] = {
    "faceformer": lambda data: tiny.network({"vocaset": tiny.VOCASET, "biwi": tiny.BIWI}[data]),
    "talkingstyle": lambda data: tiny_talkingstyle.network(
        {"vocaset": tiny_talkingstyle.VOCASET, "biwi": tiny_talkingstyle.BIWI}[data]
    ),
    "codetalker": lambda data: tiny_codetalker.network(
        {"vocaset": tiny_codetalker.VOCASET, "biwi": tiny_codetalker.BIWI}[data]
    ),
}


@needs_assets
@pytest.mark.parametrize("data", PUBLISHED)
@pytest.mark.parametrize("model", NETWORKS)
def test_a_network_makes_as_many_frames_as_the_published_video_has(model: str, data: str) -> None:
    """VOCASET's networks stretch the features ("interpolate"), BIWI's give each frame two ("pairs")."""
    wave = speech(asset("speech/codetalker_man.wav"))
    network = NETWORKS[model](data)
    with av.open(str(asset(f"videos/codetalker_{data}_man.mp4"))) as video:
        rate = video.streams.video[0].average_rate
        frames = sum(1 for _ in video.decode(video=0))
    assert (frames, rate) == PUBLISHED[data]
    assert network.fps == rate
    assert network.frames_for(feature_length(len(wave))) == frames
    assert network.frames_for(len(log_mel(wave))) == frames

"""How the weights of morph targets move in a glTF file: LINEAR and STEP, of the first animation that moves any."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faces.gltf_buffers import Document, at, member

Array = NDArray[np.float32]

STEP, LINEAR = "STEP", "LINEAR"
MOST_SECONDS = 3600.0


@dataclass(frozen=True)
class Track:
    """times: (K,) seconds, rising. weights: (K, S). step: held until the next key, not blended."""

    times: NDArray[np.float64]
    weights: Array
    step: bool

    def at(self, times: NDArray[np.float64]) -> Array:
        """(T, S): the weights at these seconds; before the first key and after the last one its own."""
        if self.step:
            rows = np.clip(np.searchsorted(self.times, times, side="right") - 1, 0, None)
            return self.weights[rows]
        columns = [np.interp(times, self.times, column) for column in self.weights.T]
        return np.stack(columns, axis=1).astype(np.float32) if columns else np.zeros((len(times), 0), np.float32)


def animation(document: Document) -> tuple[dict[int, Track], list[str]]:
    """Node → its track, of the first animation that moves weights; and what else moves."""
    notes = list[str]()
    found = list[dict[int, Track]]()
    for animation in member(document.told, "animations", list, []):
        tracks = dict[int, Track]()
        for channel in member(animation, "channels", list, []):
            target = member(channel, "target", dict)
            if target.get("path") == "weights" and type(target.get("node")) is int:
                sampler = at(member(animation, "samplers", list), channel.get("sampler"), "samplers")
                tracks[target["node"]] = _track(document, sampler)
            else:
                notes.append("the movement of nodes (of the head, say) is left out: morph targets alone move the mesh")
        found += [tracks] if tracks else []
    if len(found) > 1:
        notes.append(f"of {len(found)} animations the first is read")
    return (found[0] if found else {}), notes


def _track(document: Document, sampler: dict[str, Any]) -> Track:
    kind = sampler.get("interpolation", LINEAR)
    if kind not in (LINEAR, STEP):
        raise ValueError(f"weights are interpolated as {kind}; export sampled animations (LINEAR)")
    times = document.array(sampler.get("input"), 1)[:, 0].astype(np.float64)
    values = document.array(sampler.get("output"), 1)[:, 0].astype(np.float32)
    if not len(times) or not np.isfinite(times).all() or (np.diff(times) <= 0).any() or times[0] < 0:
        raise ValueError("the times of an animation do not rise")
    if times[-1] > MOST_SECONDS:
        raise ValueError(f"its animation is {times[-1]:.0f} s long; up to {MOST_SECONDS:.0f} s are read")
    if len(values) % len(times):
        raise ValueError(f"an animation has {len(values)} weights for {len(times)} times")
    return Track(times, values.reshape(len(times), -1), kind == STEP)

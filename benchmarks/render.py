"""How fast the renderer is, beside pyrender the way the papers use it: `python -m benchmarks.render`.

Frames per CPU second (all threads counted) at 800×800 with 2×2 samples, for meshes of FLAME's and BIWI's size that fill
the image as a head does; then two threads against one, by the clock. The papers' way is a new renderer, scene and mesh
for every frame, with five lamps. All are timed in turns, and the best turn of each counts, so that other work on the
machine disturbs the ratios little.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faces import camera
from faces.camera import Camera
from faces.mesh import Mesh, read_mesh
from faces.raster.look import PUBLISHED
from faces.renderer import SoftRenderer

SIZE = 800
COUNTS = (5023, 23370)
TARGET, THREAD_TARGET = 7.0, 1.7
Frame = Callable[[], Any]


def head(count: int) -> Mesh:
    """A closed, bumpy, head-like egg of exactly `count` vertices; half of its triangles face away, as a head's do."""
    columns = int(np.sqrt(2 * count))
    rings = (count - 2) // columns
    polar, around = np.linspace(0, np.pi, rings + 2)[1:-1], np.arange(columns) * 2 * np.pi / columns
    ring = [np.outer(np.sin(polar), np.sin(around)), np.outer(np.cos(polar), np.ones(columns))]
    ring.append(np.outer(np.sin(polar), np.cos(around)))
    vertices = np.concatenate([np.stack(ring, axis=-1).reshape(-1, 3), [[0, 1, 0], [0, -1, 0]]])
    vertices *= 1 + 0.05 * np.sin(9 * vertices[:, :1]) * np.cos(7 * vertices[:, 1:2])
    return _filled_up(vertices * [0.09, 0.145, 0.11], _globe(rings, columns), count)


def _globe(rings: int, columns: int) -> NDArray[np.int64]:
    index = np.arange(rings * columns).reshape(rings, columns)
    right = np.roll(index, -1, axis=1)
    top, bottom = np.full(columns, index.size), np.full(columns, index.size + 1)
    strips = [
        np.stack([index[:-1], index[1:], right[1:]], axis=-1).reshape(-1, 3),
        np.stack([index[:-1], right[1:], right[:-1]], axis=-1).reshape(-1, 3),
        np.stack([top, index[0], right[0]], axis=-1),
        np.stack([bottom, right[-1], index[-1]], axis=-1),
    ]
    return np.concatenate(strips)


def _filled_up(vertices: NDArray[np.float64], faces: NDArray[np.int64], count: int) -> Mesh:
    """Cut as many triangles in three, at their middles, as vertices are missing."""
    missing = count - len(vertices)
    cut, kept = faces[:missing], faces[missing:]
    middle = np.arange(len(vertices), count)
    thirds = [np.column_stack([cut[:, k], cut[:, (k + 1) % 3], middle]) for k in range(3)]
    points = np.concatenate([vertices, vertices[cut].mean(axis=1)])
    return Mesh(points.astype(np.float32), np.concatenate([kept, *thirds]).astype(np.int32))


def papers_frame(mesh: Mesh, view: Camera) -> Frame:
    """One frame as the published scripts make it: everything new each time."""
    from faces.gl_setup import import_pyrender

    pyrender = import_pyrender()
    import trimesh

    def frame() -> Any:
        surface = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
        grey = [PUBLISHED.base] * 3 + [1.0]
        material = pyrender.MetallicRoughnessMaterial(
            alphaMode="BLEND", baseColorFactor=grey, metallicFactor=0.8, roughnessFactor=0.8
        )
        scene = pyrender.Scene(ambient_light=[0.2] * 3, bg_color=[0, 0, 0])
        scene.add(pyrender.Mesh.from_trimesh(surface, material=material, smooth=True), pose=np.eye(4))
        middle, pose = view.size / 2, np.eye(4)
        pose[:3, 3] = view.position
        scene.add(pyrender.IntrinsicsCamera(view.focal, view.focal, middle, middle, znear=0.01, zfar=3), pose=pose)
        for _ in range(5):
            scene.add(pyrender.DirectionalLight(color=np.ones(3), intensity=2.0), pose=pose)
        renderer = pyrender.OffscreenRenderer(view.size, view.size)
        colour, _ = renderer.render(scene, flags=pyrender.RenderFlags.SKIP_CULL_FACES)
        renderer.delete()
        return colour

    return frame


def cpu_seconds(frame: Frame, count: int) -> float:
    """CPU seconds of one frame, all threads of this process counted."""
    start = time.process_time()
    for _ in range(count):
        frame()
    return (time.process_time() - start) / count


def best_of_turns(frames: dict[str, tuple[Frame, int]], turns: int) -> dict[str, float]:
    """CPU seconds per frame of each contestant."""
    best = dict.fromkeys(frames, float("inf"))
    for frame, _ in frames.values():
        frame()
    for _ in range(turns):
        for name, (frame, count) in frames.items():
            best[name] = min(best[name], cpu_seconds(frame, count))
    return best


def thread_gain(renderer: SoftRenderer, vertices: NDArray[np.float32], frames: int, turns: int) -> float:
    """Frames per second by the clock of two threads over one's."""
    seconds = {1: float("inf"), 2: float("inf")}
    for _ in range(turns):
        for threads in seconds:
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(renderer.render, [vertices] * 2))
                start = time.perf_counter()
                list(pool.map(renderer.render, [vertices] * frames))
                seconds[threads] = min(seconds[threads], time.perf_counter() - start)
    return seconds[1] / seconds[2]


def measure(mesh: Mesh, view: Camera, turns: int) -> None:
    """Print one mesh's lines."""
    renderer = SoftRenderer(mesh.faces, view)
    contestants: dict[str, tuple[Frame, int]] = {"ours": (lambda: renderer.render(mesh.vertices), 10)}
    if find_spec("pyrender") is not None:
        contestants["pyrender"] = (papers_frame(mesh, view), 3)
    best = best_of_turns(contestants, turns)
    share = (renderer.render(mesh.vertices)[:, :, 0] > 0).mean()
    print(f"{len(mesh.vertices):,} vertices, {len(mesh.faces):,} triangles, {share:.0%} of {view.size}×{view.size}")
    for name, seconds in best.items():
        print(f"  {name:<9}{1 / seconds:7.1f} frames per CPU second")
    if "pyrender" in best:
        ratio = best["pyrender"] / best["ours"]
        print(f"  ratio    {ratio:7.1f} × ({verdict(ratio, TARGET)})")
    gain = thread_gain(renderer, mesh.vertices, 20, turns)
    print(f"  threads  {gain:7.2f} × two over one ({verdict(gain, THREAD_TARGET)})")


def verdict(ratio: float, target: float) -> str:
    return f"target {target:g}: {'ok' if ratio >= target else 'missed'}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--mesh", type=Path, action="append", help="a mesh file in place of the made ones (repeat)")
    parser.add_argument("--turns", type=int, default=5, help="how often each is timed")
    arguments = parser.parse_args()
    print(f"OpenGL platform: {os.environ.get('PYOPENGL_PLATFORM', 'chosen automatically')}")
    if find_spec("pyrender") is None:
        print("pyrender is not installed (facepipe[gl]): no ratio")
    for mesh in [read_mesh(file) for file in arguments.mesh or ()] or [head(count) for count in COUNTS]:
        measure(mesh, camera.fit(mesh.vertices, SIZE), arguments.turns)


if __name__ == "__main__":
    main()

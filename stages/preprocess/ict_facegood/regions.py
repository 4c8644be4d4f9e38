"""The regions of the kit's head, from its own landmarks, index lists and materials.

The kit has no list of the lips: they are what a line over the mesh through the twelve landmarks of their outline
encloses. On the open face part that is the red of the lips and their inner side.
"""

from __future__ import annotations

import heapq
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from faces.errors import DataError
from stages.preprocess.ict_facegood.kit import BACK, FACE, Kit
from stages.preprocess.region_files import Regions

OUTLINE, INNER_LIPS = slice(48, 60), slice(60, 68)
UPPER_LIP, LOWER_LIP = 62, 66
EYES = slice(36, 48)
"""Of Multi-PIE's 68 landmarks, counted from 0; 62 and 66 are the middles of the lips where they meet."""
TEETH, GUMS = "M_Teeth", "M_GumsTongue"
EYEBALLS = ("M_ScleraLeft", "M_ScleraRight")
INSIDE_EYES = ("M_IrisLeft", "M_IrisRight")

Neighbours = list[list[int]]
Points = NDArray[np.float64]


def find_regions(kit: Kit) -> Regions:
    """Name → vertices. Those of the face on every head; teeth, eyes and the mouth's inside where the head has them."""
    lowest = kit.neutral[kit.landmarks[EYES], 1].min()
    fitting = np.intersect1d(kit.fitting, kit.part(FACE))
    found = {
        "lips": _lips(kit),
        "lip_upper": kit.landmarks[UPPER_LIP : UPPER_LIP + 1],
        "lip_lower": kit.landmarks[LOWER_LIP : LOWER_LIP + 1],
        "upper_face": fitting[kit.neutral[fitting, 1] > lowest],
        "face": kit.part(FACE),
        "landmarks": kit.landmarks,
        "teeth": kit.part(TEETH),
        "eyes": kit.part(*EYEBALLS, *INSIDE_EYES),
        "iris": np.concatenate([_cornea(kit, eyeball) for eyeball in EYEBALLS]),
        "mouth_interior": np.union1d(kit.part(GUMS), _mouth_socket(kit)),
    }
    return {name: indices for name, indices in found.items() if len(indices)}


def _lips(kit: Kit) -> NDArray[np.int64]:
    faces = kit.faces[kit.materials == FACE]
    near = _neighbours(faces, len(kit.neutral))
    outline = kit.landmarks[OUTLINE].tolist()
    line = {vertex for a, b in pairwise([*outline, outline[0]]) for vertex in _path(near, kit.neutral, a, b)}
    inside, waiting = set[int](), kit.landmarks[INNER_LIPS].tolist()
    while waiting:
        vertex = waiting.pop()
        if vertex not in inside and vertex not in line:
            inside.add(vertex)
            waiting += near[vertex]
    return np.array(sorted(inside | line), np.int64)


def _mouth_socket(kit: Kit) -> NDArray[np.int64]:
    """Of the pieces that the back of the head falls into, the one that lies about the lips' middle, behind them."""
    back = kit.faces[kit.materials == BACK]
    if not len(back):
        return np.empty(0, np.int64)
    label = _pieces(back, len(kit.neutral))
    used = np.unique(back)
    lips = kit.neutral[kit.landmarks[INNER_LIPS]].mean(axis=0)
    centres = {piece: kit.neutral[used[label[used] == piece]].mean(axis=0) for piece in np.unique(label[used]).tolist()}
    nearest = min(centres, key=lambda piece: float(np.linalg.norm(centres[piece] - lips)))
    return used[label[used] == nearest].astype(np.int64)


def _cornea(kit: Kit, eyeball: str) -> NDArray[np.int64]:
    """Where an eyeball bulges. The kit's iris lies behind it and is seen only by a shader that lets light through."""
    ball = kit.part(eyeball)
    if not len(ball):
        return ball
    points = kit.neutral[ball]
    radius = np.linalg.norm(points - (points.min(axis=0) + points.max(axis=0)) / 2, axis=1)
    return ball[radius > (np.median(radius) + radius.max()) / 2]


def _neighbours(faces: NDArray[np.int32], vertices: int) -> Neighbours:
    sets = [set[int]() for _ in range(vertices)]
    for a, b, c in faces.tolist():
        sets[a] |= {b, c}
        sets[b] |= {a, c}
        sets[c] |= {a, b}
    return [sorted(found) for found in sets]


def _path(near: Neighbours, points: Points, start: int, goal: int) -> list[int]:
    """The vertices of the shortest way along edges, both ends included (Dijkstra)."""
    before, done, waiting = {start: start}, set[int](), [(0.0, start, start)]
    while waiting:
        length, vertex, came_from = heapq.heappop(waiting)
        if vertex in done:
            continue
        done.add(vertex)
        before[vertex] = came_from
        if vertex == goal:
            break
        for other in near[vertex]:
            heapq.heappush(waiting, (length + float(np.linalg.norm(points[other] - points[vertex])), other, vertex))
    else:
        raise DataError("the landmarks of the lips do not lie on one piece of the kit's face; clone the kit again")
    way = [goal]
    while way[-1] != start:
        way.append(before[way[-1]])
    return way


def _pieces(faces: NDArray[np.int32], vertices: int) -> NDArray[np.int64]:
    """(V,): the lowest vertex that each one is joined to."""
    label = np.arange(vertices)
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]]])
    while True:
        lowest = label.copy()
        joined = np.minimum(label[edges[:, 0]], label[edges[:, 1]])
        np.minimum.at(lowest, edges[:, 0], joined)
        np.minimum.at(lowest, edges[:, 1], joined)
        lowest = lowest[lowest]
        if np.array_equal(lowest, label):
            return label
        label = lowest

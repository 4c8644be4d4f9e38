"""The rasteriser's compiled loops. They hold no lock, so threads overlap.

All of them are in this one file: Numba's cache on disk notices a change of a kernel's own file only.
Every number is float32: an integer or a Python float in an expression would turn it into float64 and cost speed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

from faces.raster.look import FLAT, TABLE_SIZE

ZERO, HALF, ONE, TWO, FOUR = (np.float32(x) for x in (0, 0.5, 1, 2, 4))
SLACK = np.float32(1e-4)
"""Barycentric weight below zero that still counts as inside, so that rounding opens no cracks between triangles."""
MIN_AREA = np.float32(1e-6)
"""Triangles below this many square pixels (doubled) are skipped: they cover nothing and their weights overflow."""
TINY = np.float32(1e-30)
"""Slopes below this are none: their inverse times a weight could be no number."""
LEAST = np.float32(FLAT)
INVERSE_PI = np.float32(1 / np.pi)
DIFFUSE = np.float32(0.96)
DIELECTRIC = np.float32(0.04)
LAST = np.float32(TABLE_SIZE)


LOOSE = {"nsz", "arcp", "contract", "reassoc", "afn"}
"""Liberties the compiler may take with rounding; not those that suppose that infinity and NaN never occur."""


OPTIONS: dict[str, Any] = {"nogil": True, "fastmath": LOOSE, "error_model": "numpy"}


EXACT: dict[str, Any] = OPTIONS | {"fastmath": False}


def kernel(function: Callable[..., Any], options: dict[str, Any] = OPTIONS) -> Any:
    """Compile, and keep the result on disk where Numba finds a folder to write to (NUMBA_CACHE_DIR, else beside us)."""
    try:
        return njit(cache=True, **options)(function)
    except RuntimeError:  # an installation that cannot be written to, and no home: compile again in each process
        return njit(**options)(function)


def exact_kernel(function: Callable[..., Any]) -> Any:
    """Compile without any liberty: every operation is rounded to float32 on its own, as PyTorch's are."""
    return kernel(function, EXACT)


def inlined(function: Callable[..., Any]) -> Any:
    """Part of a kernel. Handing arrays from one compiled function to the next costs more than these do with them."""
    return njit(inline="always", **OPTIONS)(function)


@kernel
def vertex_normals(vertices, faces, normals):
    """normals (V, 3): area-weighted mean of the adjacent triangles' normals, of length 1 or 0."""
    normals[:] = ZERO
    for i in range(faces.shape[0]):
        a, b, c = faces[i, 0], faces[i, 1], faces[i, 2]
        ux, uy, uz = vertices[b, 0] - vertices[a, 0], vertices[b, 1] - vertices[a, 1], vertices[b, 2] - vertices[a, 2]
        wx, wy, wz = vertices[c, 0] - vertices[a, 0], vertices[c, 1] - vertices[a, 1], vertices[c, 2] - vertices[a, 2]
        for k in (a, b, c):
            normals[k, 0] += uy * wz - uz * wy
            normals[k, 1] += uz * wx - ux * wz
            normals[k, 2] += ux * wy - uy * wx
    for i in range(normals.shape[0]):
        length = np.sqrt(normals[i, 0] ** 2 + normals[i, 1] ** 2 + normals[i, 2] ** 2)
        if length > ZERO:
            normals[i] /= length


@kernel
def covered_box(screen, width):
    """First and past-the-last row and column that a mesh can touch in a square of `width` samples."""
    left = top = np.float32(width)
    right = bottom = ZERO
    for i in range(screen.shape[0]):
        if screen[i, 2] > ZERO:
            left, right = min(left, screen[i, 0]), max(right, screen[i, 0])
            top, bottom = min(top, screen[i, 1]), max(bottom, screen[i, 1])
    limit = np.float32(width)
    return (
        int(max(top, ZERO)),
        int(min(bottom + ONE, limit)),
        int(max(left, ZERO)),
        int(min(right + ONE, limit)),
    )


@inlined
def _narrow(low, high, weight, slope, inverse, slack):
    """The part of [low, high] in which weight + slope · x is not below -slack. Less than `TINY` is no slope."""
    if slope > TINY:
        low = max(low, (-slack - weight) * inverse)
    elif slope < -TINY:
        high = min(high, (-slack - weight) * inverse)
    elif weight < -slack:
        high = -ONE
    return low, high


@inlined
def _fill_nearest(screen, faces, depth, owner, first_x, first_y, slack, min_area, least):
    """The z-buffer of all our renderers: fill depth and owner (triangle) of every sample; of ties, the first triangle.

    screen (V, 3): x, y in samples, and what grows towards the eye and is linear in the picture (1 / distance, or less
    distance). first_x, first_y: left and top rim of the buffer. Samples of a weight down to -slack are inside.
    Triangles below min_area, doubled, are left out, and those with a corner that is not nearer than `least`.
    `faces.mouth.torch_visibility` has the same operations in the same order.
    """
    bottommost, rightmost = np.float32(depth.shape[0] - 1), np.float32(depth.shape[1] - 1)
    for i in range(faces.shape[0]):
        a, b, c = faces[i, 0], faces[i, 1], faces[i, 2]
        x0, y0, z0 = screen[a, 0], screen[a, 1], screen[a, 2]
        x1, y1, z1 = screen[b, 0], screen[b, 1], screen[b, 2]
        x2, y2, z2 = screen[c, 0], screen[c, 1], screen[c, 2]
        doubled = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        if min(z0, z1, z2) <= least or abs(doubled) < min_area:
            continue
        left = max(np.ceil(min(x0, x1, x2) - first_x - HALF), ZERO)
        right = min(np.floor(max(x0, x1, x2) - first_x - HALF), rightmost)
        top = max(np.ceil(min(y0, y1, y2) - first_y - HALF), ZERO)
        bottom = min(np.floor(max(y0, y1, y2) - first_y - HALF), bottommost)
        if not (left <= right and top <= bottom):  # also where one is no number
            continue
        inverse = ONE / doubled
        slope1, slope2 = (y2 - y0) * inverse, (y0 - y1) * inverse
        slope0 = -slope1 - slope2
        fall1, fall2 = (x0 - x2) * inverse, (x1 - x0) * inverse
        reach0, reach1, reach2 = ONE / slope0, ONE / slope1, ONE / slope2
        step = slope0 * z0 + slope1 * z1 + slope2 * z2
        dx, dy = left + first_x + HALF - x0, top + first_y + HALF - y0
        first, row = int(left), int(top)
        start1, start2 = slope1 * dx + fall1 * dy, slope2 * dx + fall2 * dy
        for y in range(int(bottom) - row + 1):
            w1, w2 = start1 + fall1 * np.float32(y), start2 + fall2 * np.float32(y)
            w0 = ONE - w1 - w2
            low, high = _narrow(ZERO, right - left, w0, slope0, reach0, slack)
            low, high = _narrow(low, high, w1, slope1, reach1, slack)
            low, high = _narrow(low, high, w2, slope2, reach2, slack)
            if not low <= high:  # also where either is no number, of which no range could be made
                continue
            z = w0 * z0 + w1 * z1 + w2 * z2
            for x in range(int(np.ceil(low)), int(np.floor(high)) + 1):
                here = z + step * np.float32(x)
                if here > depth[row + y, first + x]:
                    depth[row + y, first + x] = here
                    owner[row + y, first + x] = i


@kernel
def visible_triangles(screen, faces, depth, owner):
    """Fill depth (1 / distance; 0 where nothing is) and owner (triangle) of every sample; of ties, the first triangle.

    screen (V, 3): x, y, 1 / distance. A triangle with a corner of 1 / distance 0 (too near, behind) is left out.
    """
    _fill_nearest(screen, faces, depth, owner, ZERO, ZERO, SLACK, MIN_AREA, ZERO)


@exact_kernel
def exactly_visible(screen, faces, depth, owner, first_x, first_y, min_area, least):
    """The same, rounded as written, for a window (height, width) of a picture: what another back end can repeat.

    A sample is inside where no weight is below 0, so that a centre on a shared edge is no hole.
    """
    _fill_nearest(screen, faces, depth, owner, first_x, first_y, ZERO, min_area, least)


@inlined
def _weights(px, py, i, screen, faces):
    """Perspective-correct weights of triangle i's corners at a point; outside of it, of a point on its rim."""
    a, b, c = faces[i, 0], faces[i, 1], faces[i, 2]
    x0, y0 = screen[a, 0], screen[a, 1]
    ux, uy, wx, wy = screen[b, 0] - x0, screen[b, 1] - y0, screen[c, 0] - x0, screen[c, 1] - y0
    dx, dy = px - x0, py - y0
    inverse = ONE / (ux * wy - wx * uy)
    w1, w2 = (dx * wy - wx * dy) * inverse, (ux * dy - dx * uy) * inverse
    w0 = max(ONE - w1 - w2, ZERO) * screen[a, 2]
    w1, w2 = max(w1, ZERO) * screen[b, 2], max(w2, ZERO) * screen[c, 2]
    inverse = ONE / (w0 + w1 + w2)
    return w0 * inverse, w1 * inverse, w2 * inverse


@inlined
def _mix(values, k, a, b, c, w0, w1, w2):
    return w0 * values[a, k] + w1 * values[b, k] + w2 * values[c, k]


@kernel
def _light(nx, ny, nz, vx, vy, material):
    """(n·l, Fresnel weight, specular term without F) of a normal, towards the viewer at (vx, vy, 1), any lengths."""
    length = np.sqrt(nx * nx + ny * ny + nz * nz)
    inverse = ONE / length if length > ZERO else ZERO
    nx, ny, nz = nx * inverse, ny * inverse, nz * inverse
    vz = ONE / np.sqrt(vx * vx + vy * vy + ONE)
    facing = (nx * vx + ny * vy + nz) * vz
    # The half vector of view v and lamp (0, 0, 1) is (v + l) / sqrt(2 + 2 vz), so n·h and v·h need no third vector.
    half = ONE / np.sqrt(TWO + TWO * vz)
    nl, nv = min(max(nz, LEAST), ONE), min(max(abs(facing), LEAST), ONE)
    nh = min(max((facing + nz) * half, ZERO), ONE)
    miss = ONE - (ONE + vz) * half
    roughness = material[2]
    k = (roughness + ONE) * (roughness + ONE) * np.float32(0.125)
    shadowing = nv / (nv * (ONE - k) + k) * nl / (nl * (ONE - k) + k)
    square = roughness * roughness * roughness * roughness
    spread = nh * nh * (square - ONE) + ONE
    specular = shadowing * square * INVERSE_PI / (spread * spread * (FOUR * nl * nv + LEAST))
    return nl, miss * miss * miss * miss * miss, specular


@kernel
def _value(nl, fresnel, specular, material):
    """Linear light that the bare material returns."""
    base, metallic, intensity, ambient = material[0], material[1], material[3], material[4]
    f0 = DIELECTRIC * (ONE - metallic) + base * metallic
    f = f0 + (ONE - f0) * fresnel
    diffuse = (ONE - f) * base * DIFFUSE * (ONE - metallic) * INVERSE_PI
    return nl * intensity * (diffuse + f * specular) + base * ambient


@kernel
def _level(value, table):
    """Byte, not rounded, of linear light."""
    return table[int(min(max(value, ZERO), ONE) * LAST + HALF)]


@inlined
def _shade(px, py, i, screen, faces, normals, colours, coloured, view, material, table):
    """Bytes, not rounded, of triangle i at a point."""
    a, b, c = faces[i, 0], faces[i, 1], faces[i, 2]
    w0, w1, w2 = _weights(px, py, i, screen, faces)
    nx = _mix(normals, 0, a, b, c, w0, w1, w2)
    ny = _mix(normals, 1, a, b, c, w0, w1, w2)
    nz = _mix(normals, 2, a, b, c, w0, w1, w2)
    nl, fresnel, specular = _light(nx, ny, nz, (view[1] - px) * view[0], (py - view[1]) * view[0], material)
    value = _value(nl, fresnel, specular, material)
    red = green = blue = value
    if coloured:
        red = value * _mix(colours, 0, a, b, c, w0, w1, w2)
        green = value * _mix(colours, 1, a, b, c, w0, w1, w2)
        blue = value * _mix(colours, 2, a, b, c, w0, w1, w2)
    return _level(red, table), _level(green, table), _level(blue, table)


@kernel
def _surface(depth, x, y, tolerance):
    """How many samples a pixel of 2×2 needs: 0 where nothing is, 1 on one continuous surface, 4 on an edge."""
    low = min(min(depth[y, x], depth[y, x + 1]), min(depth[y + 1, x], depth[y + 1, x + 1]))
    high = max(max(depth[y, x], depth[y, x + 1]), max(depth[y + 1, x], depth[y + 1, x + 1]))
    if high == ZERO:
        return 0
    return 1 if low > ZERO and high - low < tolerance * high else 4


@kernel
def _fill(image, background):
    red, green, blue = np.uint8(background[0]), np.uint8(background[1]), np.uint8(background[2])
    for y in range(image.shape[0]):
        for x in range(image.shape[1]):
            image[y, x, 0], image[y, x, 1], image[y, x, 2] = red, green, blue


@kernel
def shade(
    image, box, depth, owner, screen, faces, normals, colours, coloured, view, material, table, background, tolerance
):
    """Fill an image (size, size, 3) from a depth buffer of as many samples, or of 2×2 times as many.

    box: rows and columns of samples outside of which is background. view: (1 / focal, centre) in samples.
    With 2×2, the middle of a pixel stands for its four samples where depth is continuous.
    """
    factor = depth.shape[0] // image.shape[0]
    _fill(image, background)
    for y in range(box[0] // factor, (box[1] + factor - 1) // factor):
        for x in range(box[2] // factor, (box[3] + factor - 1) // factor):
            sx, sy, count = factor * x, factor * y, 1
            if factor == 2:
                count = _surface(depth, sx, sy, tolerance)
            elif depth[sy, sx] == ZERO:
                count = 0
            if count == 0:
                continue
            offset = ONE if count < factor else HALF
            red = green = blue = ZERO
            for sample in range(count):
                column, row = sx + sample % 2, sy + sample // 2
                if depth[row, column] > ZERO:
                    r, g, b = _shade(
                        np.float32(column) + offset, np.float32(row) + offset, owner[row, column],
                        screen, faces, normals, colours, coloured, view, material, table,
                    )  # fmt: skip
                else:
                    r, g, b = background[0], background[1], background[2]
                red, green, blue = red + r, green + g, blue + b
            share = ONE / np.float32(count)
            image[y, x, 0] = np.uint8(red * share + HALF)
            image[y, x, 1] = np.uint8(green * share + HALF)
            image[y, x, 2] = np.uint8(blue * share + HALF)

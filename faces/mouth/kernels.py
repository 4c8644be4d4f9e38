"""Light of the mouth's pixels and its gradient, compiled: what `faces.mouth.surface` and `faces.mouth.light` say, in
one pass over the pixels and one over the triangles that bear on them, with next to no memory.

One frame each; they hold no lock, so threads overlap. Numbers are float32 or float64, as the vertices are: constants
come as arguments of that type. None of another file's are used: Numba's cache on disk would not notice their change.
"""

from __future__ import annotations

import numpy as np

from faces.raster.numba_kernels import inlined, kernel


@inlined
def _cross(ux, uy, uz, wx, wy, wz):
    return uy * wz - uz * wy, uz * wx - ux * wz, ux * wy - uy * wx


@inlined
def _edges(points, a, b, c):
    """Two edges of a triangle, from its first corner: six numbers."""
    x, y, z = points[a, 0], points[a, 1], points[a, 2]
    ux, uy, uz = points[b, 0] - x, points[b, 1] - y, points[b, 2] - z
    return ux, uy, uz, points[c, 0] - x, points[c, 1] - y, points[c, 2] - z


@inlined
def _weights(right, down, x0, y0, x1, y1, x2, y2, guard, one):
    """The three weights of a pixel, and one over the guarded area."""
    inverse = one / ((x2 - x0) * (y1 - y0) - (y2 - y0) * (x1 - x0) + guard)
    w0 = ((right - x1) * (y2 - y1) - (down - y1) * (x2 - x1)) * inverse
    w1 = ((right - x2) * (y0 - y2) - (down - y2) * (x0 - x2)) * inverse
    w2 = ((right - x0) * (y1 - y0) - (down - y0) * (x1 - x0)) * inverse
    return w0, w1, w2, inverse


@kernel
def _prepare(points, faces, owner, middle, factors, least, near, screen, lengths, normals):
    """near (V,): which corners are seen. screen (V, 2), lengths (V,) of the sums, at `least`, and normals (V, 3) of
    these."""
    near[:] = False
    for row in range(owner.shape[0]):
        for column in range(owner.shape[1]):
            if owner[row, column] >= 0:
                for k in range(3):
                    near[faces[owner[row, column], k]] = True
    normals[:] = 0
    for i in range(faces.shape[0]):
        a, b, c = faces[i, 0], faces[i, 1], faces[i, 2]
        if near[a] or near[b] or near[c]:
            ux, uy, uz, wx, wy, wz = _edges(points, a, b, c)
            x, y, z = _cross(ux, uy, uz, wx, wy, wz)
            for k in (a, b, c):
                normals[k, 0] += x
                normals[k, 1] += y
                normals[k, 2] += z
    for i in range(points.shape[0]):
        if near[i]:
            length = np.sqrt(normals[i, 0] ** 2 + normals[i, 1] ** 2 + normals[i, 2] ** 2)
            lengths[i] = max(length, least)
            for k in range(3):
                normals[i, k] /= lengths[i]
            screen[i, 0] = (points[i, 0] - middle[0]) * factors[0]
            screen[i, 1] = (points[i, 1] - middle[1]) * factors[1]


@kernel
def light(
    points, faces, owner, rights, downs, middle, factors, guard, least, lamps, strength,
    near, screen, lengths, normals, picture,
):  # fmt: skip
    """Fill picture (height, width), 0 where nothing is seen.

    points (V, 3), owner (height, width) triangles or -1. rights (width,), downs (height,): pixel centres. middle (3,),
    factors (3,): of the projection. lamps (L, 3): unit vectors; strength: of each, times albedo. The last but one line
    of arguments is room to work in.
    """
    zero, one = guard - guard, guard / guard  # of the vertices' type: a number written out would make float64 of all
    _prepare(points, faces, owner, middle, factors, least, near, screen, lengths, normals)
    for row in range(owner.shape[0]):
        for column in range(owner.shape[1]):
            i = owner[row, column]
            picture[row, column] = 0
            if i < 0:
                continue
            a, b, c = faces[i, 0], faces[i, 1], faces[i, 2]
            w0, w1, w2, _ = _weights(
                rights[column], downs[row], screen[a, 0], screen[a, 1], screen[b, 0], screen[b, 1],
                screen[c, 0], screen[c, 1], guard, one,
            )  # fmt: skip
            x = w0 * normals[a, 0] + w1 * normals[b, 0] + w2 * normals[c, 0]
            y = w0 * normals[a, 1] + w1 * normals[b, 1] + w2 * normals[c, 1]
            z = w0 * normals[a, 2] + w1 * normals[b, 2] + w2 * normals[c, 2]
            total = zero
            for k in range(lamps.shape[0]):
                total += min(max(x * lamps[k, 0] + y * lamps[k, 1] + z * lamps[k, 2], zero), one)
            picture[row, column] = total * strength * (w0 + w1 + w2)


@kernel
def light_gradient(
    points, faces, owner, rights, downs, middle, factors, guard, least, lamps, strength,
    near, screen, lengths, normals, slopes, attached, above, gradient,
):  # fmt: skip
    """Fill gradient (V, 3) from above (height, width), that of the picture. attached: also through the normals.

    Arguments as of `light`; slopes (V, 3) is room to work in.
    """
    _prepare(points, faces, owner, middle, factors, least, near, screen, lengths, normals)
    gradient[:] = 0
    slopes[:] = 0
    zero, one = guard - guard, guard / guard
    for row in range(owner.shape[0]):
        for column in range(owner.shape[1]):
            i = owner[row, column]
            if i < 0:
                continue
            a, b, c = faces[i, 0], faces[i, 1], faces[i, 2]
            right, down = rights[column], downs[row]
            x0, y0, x1, y1, x2, y2 = (
                screen[a, 0], screen[a, 1], screen[b, 0], screen[b, 1], screen[c, 0], screen[c, 1],
            )  # fmt: skip
            w0, w1, w2, inverse = _weights(right, down, x0, y0, x1, y1, x2, y2, guard, one)
            x = w0 * normals[a, 0] + w1 * normals[b, 0] + w2 * normals[c, 0]
            y = w0 * normals[a, 1] + w1 * normals[b, 1] + w2 * normals[c, 1]
            z = w0 * normals[a, 2] + w1 * normals[b, 2] + w2 * normals[c, 2]
            total = nx = ny = nz = zero
            for k in range(lamps.shape[0]):
                lit = x * lamps[k, 0] + y * lamps[k, 1] + z * lamps[k, 2]
                total += min(max(lit, zero), one)
                if zero <= lit <= one:
                    nx += lamps[k, 0]
                    ny += lamps[k, 1]
                    nz += lamps[k, 2]
            # Down to the weights: through their sum, and through the normal that they mix.
            strong = above[row, column] * strength
            d0 = d1 = d2 = strong * total
            if attached:
                strong *= w0 + w1 + w2
                nx, ny, nz = nx * strong, ny * strong, nz * strong
                d0 += nx * normals[a, 0] + ny * normals[a, 1] + nz * normals[a, 2]
                d1 += nx * normals[b, 0] + ny * normals[b, 1] + nz * normals[b, 2]
                d2 += nx * normals[c, 0] + ny * normals[c, 1] + nz * normals[c, 2]
                for corner, weight in ((a, w0), (b, w1), (c, w2)):
                    slopes[corner, 0] += weight * nx
                    slopes[corner, 1] += weight * ny
                    slopes[corner, 2] += weight * nz
            # Down to the corners: edge(p, s, e) changes by (p_y - e_y, e_x - p_x) with s, and by (s_y - p_y, p_x - s_x)
            # with e.
            area = -(d0 * w0 + d1 * w1 + d2 * w2) * inverse
            d0, d1, d2 = d0 * inverse, d1 * inverse, d2 * inverse
            gradient[a, 0] += factors[0] * (d1 * (y2 - down) + d2 * (down - y1) + area * (y2 - y1))
            gradient[a, 1] += factors[1] * (d1 * (right - x2) + d2 * (x1 - right) + area * (x1 - x2))
            gradient[b, 0] += factors[0] * (d2 * (y0 - down) + d0 * (down - y2) + area * (y0 - y2))
            gradient[b, 1] += factors[1] * (d2 * (right - x0) + d0 * (x2 - right) + area * (x2 - x0))
            gradient[c, 0] += factors[0] * (d0 * (y1 - down) + d1 * (down - y0) + area * (y1 - y0))
            gradient[c, 1] += factors[1] * (d0 * (right - x1) + d1 * (x0 - right) + area * (x0 - x1))
    if attached:
        _to_corners(points, faces, least, near, lengths, normals, slopes, gradient)


@kernel
def _to_corners(points, faces, least, near, lengths, normals, slopes, gradient):
    """Add what slopes (V, 3) of the normals make of the corners of the triangles around them."""
    for i in range(points.shape[0]):
        if near[i]:
            along = normals[i, 0] * slopes[i, 0] + normals[i, 1] * slopes[i, 1] + normals[i, 2] * slopes[i, 2]
            for k in range(3):
                # A sum shorter than `least` is divided by that, which does not change with it.
                turned = along * normals[i, k] if lengths[i] > least else along - along
                slopes[i, k] = (slopes[i, k] - turned) / lengths[i]
    for i in range(faces.shape[0]):
        a, b, c = faces[i, 0], faces[i, 1], faces[i, 2]
        if near[a] or near[b] or near[c]:
            ux, uy, uz, wx, wy, wz = _edges(points, a, b, c)
            sx = slopes[a, 0] + slopes[b, 0] + slopes[c, 0]
            sy = slopes[a, 1] + slopes[b, 1] + slopes[c, 1]
            sz = slopes[a, 2] + slopes[b, 2] + slopes[c, 2]
            fx, fy, fz = _cross(wx, wy, wz, sx, sy, sz)
            gx, gy, gz = _cross(sx, sy, sz, ux, uy, uz)
            gradient[a, 0] -= fx + gx
            gradient[a, 1] -= fy + gy
            gradient[a, 2] -= fz + gz
            gradient[b, 0] += fx
            gradient[b, 1] += fy
            gradient[b, 2] += fz
            gradient[c, 0] += gx
            gradient[c, 1] += gy
            gradient[c, 2] += gz

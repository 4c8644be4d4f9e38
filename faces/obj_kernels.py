"""The compiled loop that reads OBJ, in one pass over the bytes of a file.

It knows the plain forms that exporters write. At anything else, right or wrong, it gives up, and `faces.obj` reads
the file line by line: so there is one place that decides what is an error and says so.
All of it is in one function: handing state from one compiled function to the next costs more than the work in them.
"""

from __future__ import annotations

import numpy as np

from faces.raster.numba_kernels import kernel

V, F, SPACE, TAB, RETURN, LINE, PLUS, MINUS, POINT, SLASH, ZERO, E_SMALL, E_LARGE = (
    np.uint8(ord(c)) for c in "vf \t\r\n+-./0eE"
)
TEN = np.uint8(10)
NEXT = np.uint64(1)
"""Places are unsigned, since Numba looks at the sign of every other index; so nothing signed may be added to them."""
DIGITS = 18
"""What 64 bits hold of a number; further digits change its binary form by less than half of the last bit."""
LAST = 1 << 27
POWERS = 10.0 ** np.arange(23)
"""The powers of ten that float64 holds exactly."""
EXACT = 1 << 53
HALF, LOW, NEAR = 1 << 28, np.uint64((1 << 29) - 1), 16
"""Of a float64's bits, those that float32 lacks; half of them set is the tie, and NEAR it the next bit decides."""
SMALLEST, LARGEST = 1e-30, 1e30
"""Within these, float32 is neither denormal nor infinite."""


@kernel
def parse_lines(data, polygons, vertices, triangles, bits, doubtful):
    """Fill vertices (.., 3) and triangles (.., 3), zero-based, and give how many of each, and how many are doubtful.

    All -1: gave up. data: bytes, the last of which ends a line. An empty `triangles` is left so. polygons: whether
    faces of more corners are cut, or given up at. bits: room for one float64. doubtful: (.., 4), numbers that take more
    than this arithmetic to get right in the type of `vertices`, and so are left to the caller: vertex, axis, and where
    the text of one begins and ends.
    """
    so_far, cut, doubts, single = 0, 0, 0, vertices.itemsize == 4
    at, end = np.uint64(0), np.uint64(len(data))
    whole = bits.view(np.uint64)
    while at < end:
        while data[at] == SPACE or data[at] == TAB:
            at += NEXT
        kind, alone = data[at], False
        if kind in (V, F):
            alone = data[at + NEXT] == SPACE or data[at + NEXT] == TAB
        if alone and kind == V:
            at += NEXT
            for axis in range(3):
                while data[at] == SPACE or data[at] == TAB:
                    at += NEXT
                begin, negative = at, data[at] == MINUS
                if negative:
                    at += NEXT
                mantissa, digits, power, read = np.uint64(0), 0, 0, False
                while data[at] - ZERO < TEN and digits < DIGITS:
                    mantissa = mantissa * np.uint64(10) + np.uint64(data[at] - ZERO)
                    digits += mantissa > 0
                    read = True
                    at += NEXT
                while data[at] - ZERO < TEN:
                    power += 1
                    at += NEXT
                if data[at] == POINT:
                    at += NEXT
                    while data[at] - ZERO < TEN and digits < DIGITS:
                        mantissa = mantissa * np.uint64(10) + np.uint64(data[at] - ZERO)
                        digits += mantissa > 0
                        power -= 1
                        read = True
                        at += NEXT
                    while data[at] - ZERO < TEN:
                        at += NEXT
                if not read:
                    return -1, -1, -1
                if data[at] == E_SMALL or data[at] == E_LARGE:
                    at += NEXT
                    below = data[at] == MINUS
                    if below or data[at] == PLUS:
                        at += NEXT
                    exponent, read = 0, False
                    while data[at] - ZERO < TEN and exponent < 1000:
                        exponent = exponent * 10 + np.int64(data[at] - ZERO)
                        read = True
                        at += NEXT
                    if not read:
                        return -1, -1, -1
                    power += -exponent if below else exponent
                if data[at] != SPACE and data[at] != TAB and data[at] != LINE and data[at] != RETURN:
                    return -1, -1, -1
                value = np.float64(mantissa)
                if mantissa < EXACT and -22 <= power <= 0:
                    value = value / POWERS[-power]
                elif mantissa < EXACT and 0 < power <= 22:
                    value = value * POWERS[power]
                elif mantissa:
                    if power < -44 or power > 44:
                        value = 0.0
                    elif power < -22:
                        value = value / POWERS[22] / POWERS[-power - 22]
                    elif power < 0:
                        value = value / POWERS[-power]
                    elif power <= 22:
                        value = value * POWERS[power]
                    else:
                        value = value * POWERS[22] * POWERS[power - 22]
                    bits[0] = value
                    off = np.int64(whole[0] & LOW) - HALF
                    if not single or value < SMALLEST or value > LARGEST or -NEAR < off < NEAR:
                        doubtful[doubts, 0], doubtful[doubts, 1] = so_far, axis
                        doubtful[doubts, 2], doubtful[doubts, 3] = begin, at
                        doubts += 1
                vertices[so_far, axis] = -value if negative else value
            so_far += 1
        elif alone and len(triangles):
            at += NEXT
            corner, first_corner, last_corner = 0, 0, 0
            while True:
                while data[at] == SPACE or data[at] == TAB:
                    at += NEXT
                if data[at] == LINE or data[at] == RETURN:
                    break
                negative = data[at] == MINUS
                if negative:
                    at += NEXT
                number = 0
                while data[at] - ZERO < TEN and number < LAST:
                    number = number * 10 + np.int64(data[at] - ZERO)
                    at += NEXT
                if number == 0 or number >= LAST or (data[at] > SPACE and data[at] != SLASH):
                    return -1, -1, -1
                while data[at] > SPACE:
                    at += NEXT
                index = so_far - number if negative else number - 1
                if corner > 1:
                    if corner > 2 and not polygons:
                        return -1, -1, -1
                    triangles[cut, 0] = first_corner
                    triangles[cut, 1] = last_corner
                    triangles[cut, 2] = index
                    cut += 1
                elif corner == 0:
                    first_corner = index
                last_corner = index
                corner += 1
            if corner < 3:
                return -1, -1, -1
        elif (kind == V or (kind == F and len(triangles))) and data[at + NEXT] <= SPACE:
            return -1, -1, -1
        while data[at] != LINE and data[at] != RETURN:
            if data[at] < SPACE and data[at] != TAB:
                return -1, -1, -1
            at += NEXT
        at += NEXT
    return so_far, cut, doubts

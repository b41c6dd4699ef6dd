"""Finds the constants of the exponential in src/select/weight.h and prints them with their error.

    python3 tools/golden/weight_polynomial.py

2^-f = 1 - f/2 - q h with q = f (1 - f). h is sought as d f q + A q + B f + C with d = 2^-10 given, which is
(q + u)(d f + g) + w for u = B / d, g = A, w = C - u g. A Remez exchange makes the relative error of 2^-f minimax.
"""

from decimal import Decimal, getcontext
import struct

getcontext().prec = 40
LN2 = Decimal(2).ln()
D = Decimal(2) ** -10
STEPS = 800


def h_exact(f: Decimal) -> Decimal:
    return (1 - f / 2 - (-f * LN2).exp()) / (f * (1 - f))


def weight(f: Decimal) -> Decimal:
    """Turns an error of h into a relative error of 2^-f."""
    return f * (1 - f) * (f * LN2).exp()


def solve(matrix: list[list[Decimal]]) -> list[Decimal]:
    """Gauss-Jordan with pivoting on an augmented matrix."""
    size = len(matrix)
    for column in range(size):
        pivot = max(range(column, size), key=lambda row: abs(matrix[row][column]))
        matrix[column], matrix[pivot] = matrix[pivot], matrix[column]
        for row in range(size):
            if row != column:
                ratio = matrix[row][column] / matrix[column][column]
                matrix[row] = [a - ratio * b for a, b in zip(matrix[row], matrix[column])]
    return [matrix[i][size] / matrix[i][i] for i in range(size)]


def error_of(c: list[Decimal], f: Decimal) -> Decimal:
    q = f * (1 - f)
    return (h_exact(f) - (D * f * q + c[0] * q + c[1] * f + c[2])) * weight(f)


def exchange(points: list[Decimal]) -> tuple[list[Decimal], list[Decimal], Decimal]:
    """One step: levels the errors at these points, returns the coefficients and the new extrema."""
    rows = []
    for i, f in enumerate(points):
        q = f * (1 - f)
        rows.append([q, f, Decimal(1), (-1) ** i / weight(f), h_exact(f) - D * f * q])
    c = solve(rows)
    grid = [Decimal(i) / STEPS for i in range(1, STEPS)]
    errors = [error_of(c, f) for f in grid]
    runs: list[list[int]] = [[0]]
    for i in range(1, len(grid)):
        if (errors[i] > 0) == (errors[i - 1] > 0):
            runs[-1].append(i)
        else:
            runs.append([i])
    extrema = [grid[max(run, key=lambda i: abs(errors[i]))] for run in runs]
    return c, extrema, max(map(abs, errors))


def as_f32(value: Decimal) -> str:
    return struct.unpack("<f", struct.pack("<f", float(value)))[0].hex()


def main() -> None:
    points = [Decimal(x) for x in ("0.05", "0.35", "0.65", "0.95")]
    for _ in range(12):
        c, extrema, worst = exchange(points)
        if len(extrema) != len(points):
            break
        points = extrema
    u, g = c[1] / D, c[0]
    w = c[2] - u * g
    # Units: f 2^-24, q 2^-48, the result 2^-25, hence h 2^-23.
    print(f"u {as_f32(u * 2**48)}\nd {as_f32(D * Decimal(2) ** -95)}\ng {as_f32(g * Decimal(2) ** -71)}")
    print(f"w {as_f32(w * Decimal(2) ** -23)}\nrelative error before rounding 2^{float(worst.ln() / LN2):.2f}")


if __name__ == "__main__":
    main()

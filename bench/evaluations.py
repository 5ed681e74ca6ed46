"""Evaluations before a verdict on smooth right gradients, a few entries at a time.

python -m bench.evaluations
"""

import numpy as np

import fastgrad as fg

SIZES = (1, 2, 4, 6, 10, 50)


def smooth(x: np.ndarray) -> float:
    return float(np.sin(x).sum() + x[0] * x[-1])


def smooth_grad(x: np.ndarray) -> np.ndarray:
    a = np.cos(x)
    a[0] += x[-1]
    a[-1] += x[0]
    return a


def main() -> None:
    """A row for each number of entries, a column for each value of the loss."""
    print("   n     value 1  value 1e-250     value 0   (2n + 12)")
    for n in SIZES:
        x = np.random.default_rng(n).normal(size=n)
        at = smooth(x)
        losses = (
            (lambda x: 1 + 0.01 * smooth(x), lambda x: 0.01 * smooth_grad(x)),
            (lambda x: 1e-250 * smooth(x), lambda x: 1e-250 * smooth_grad(x)),
            (lambda x, at=at: smooth(x) - at, smooth_grad),
        )
        reports = [fg.check_grad(f, g, x, backend="python") for f, g in losses]
        cells = "".join(f"{r.evaluations:6d} {r.verdict[:5]}" for r in reports)
        print(f"{n:4d}{cells}   {2 * n + 12:8d}")


if __name__ == "__main__":
    main()

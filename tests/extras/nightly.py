"""A night's check as a script: it may be killed at any moment, and is run again.

``python -m tests.extras.nightly CHECKPOINT CALLS [ADDRESS]`` prints the report; every call of the loss
adds a byte to the file CALLS.
"""

import os
import sys
import time

import numpy as np

import fastgrad as fg

N = 60
SECONDS = 0.02
X = np.arange(N) / N + 0.5
A = np.linspace(1.0, 3.0, N)


def loss(x, a):
    with open(os.environ["FASTGRAD_CALLS"], "ab", buffering=0) as calls:
        calls.write(b".")
    time.sleep(SECONDS)
    return float(np.sum(a * x**4) + x[0] * x[-1])


def gradient():
    g = 4 * A * X**3
    g[0] += X[-1]
    g[-1] += X[0]
    g[17] *= 1.01
    return g


def check(**through):
    return fg.check_grad(loss, gradient(), X, A, backend="python", strategy="sweep", **through)


def said(report):
    """All of a report but for the time that it took."""
    fields = report.to_dict()
    del fields["seconds"]
    numeric = report.arrays("theta").numeric.tobytes().hex()
    return repr(fields), numeric


def main():
    checkpoint, calls = sys.argv[1:3]
    os.environ["FASTGRAD_CALLS"] = calls
    through = {"checkpoint": checkpoint}
    if len(sys.argv) > 3:
        from distributed import Client

        with Client(sys.argv[3]) as client:
            print(said(check(**through, executor=client)))
    else:
        print(said(check(**through)))


if __name__ == "__main__":
    from fastgrad.cluster import pace

    pace.PART_SECONDS = 0.2
    main()

"""A superconducting circuit: the derivative of its Hamiltonian by the flux has the wrong sign."""

import numpy as np

SOURCE = "scqubits/scqubits 4.3.1 Fluxonium.d_hamiltonian_d_flux, 2026-11-30"
KIND = "wrong sign"
LAWS = ("sign",)
SAYS = "flux has the wrong sign, all others are right"

grid = np.linspace(-9, 9, 60)
STEP = grid[1] - grid[0]
KINETIC = -4 * (np.eye(60, k=1) + np.eye(60, k=-1) - 2 * np.eye(60)) / STEP**2
theta = {"EC": 1.2, "EJ": 4.0, "EL": 0.6, "flux": 0.33}


def solved(p):
    angle = grid + 2 * np.pi * p["flux"]
    H = p["EC"] * KINETIC + np.diag(-p["EJ"] * np.cos(angle) + 0.5 * p["EL"] * grid**2)
    values, vectors = np.linalg.eigh(H)
    return values[0], vectors[:, 0], angle


def loss(p):
    return float(solved(p)[0])


def right(p):
    _, v, angle = solved(p)
    return {
        "EC": v @ KINETIC @ v,
        "EJ": -(v**2) @ np.cos(angle),
        "EL": 0.5 * (v**2) @ grid**2,
        "flux": 2 * np.pi * p["EJ"] * (v**2) @ np.sin(angle),
    }


def wrong(p):
    g = right(p)
    return {**g, "flux": -g["flux"]}

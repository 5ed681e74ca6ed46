"""An ODE's cost integral: its integrand contains the parameter too, and that term was left out."""

import numpy as np

SOURCE = "SciML/SciMLSensitivity.jl#285, 2020-06-18"
KIND = "ODE sensitivities"
LAWS = ()
SAYS = "the part of the cost that reads p without the solution is missing"

H, STEPS = 0.05, 40
theta = np.array([0.8, 1.7])


def loss(p):
    u, total = 1.0, 0.0
    for _ in range(STEPS):
        total += H * (u - 0.3) ** 2 * p[1] + H * p[0] * u
        u += H * (-p[0] * u + np.sin(p[1]))
    return float(total)


def forward(p, direct):
    u, S, g = 1.0, np.zeros(2), np.zeros(2)
    for _ in range(STEPS):
        g += H * (2 * (u - 0.3) * p[1] + p[0]) * S
        g += direct * H * np.array([u, (u - 0.3) ** 2])
        S = S + H * (-p[0] * S + np.array([-u, np.cos(p[1])]))
        u += H * (-p[0] * u + np.sin(p[1]))
    return g


def right(p):
    return forward(p, 1)


def wrong(p):
    return forward(p, 0)

"""Models of the sciences in SI units, with exact gradients: what units are judged by.

`MODELS` are fits of 2 to 5 parameters in one float64 vector, sizes from 1e-21 to 1e26 side by side,
near their optimum and never at it. `HARD_UNITS` are those that dividing every entry by its own size
does not help. Both have a ``name`` and a ``case(seed)``.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MATTERS = 1e-6
"""An entry matters if |g_i unit_i| is at least this part of the largest."""

IMAGINARY = 1e-100
"""Complex steps, in sizes of the parameter: their square is lost beside 1."""

R = 8.31446261815324
K_B = 1.380649e-23
H = 6.62607015e-34
C = 299792458.0
E = 1.602176634e-19
FARADAY = 96485.33212
M_E = 9.1093837015e-31


class Case(NamedTuple):
    """A loss and its right gradient at a point.

    ``unit`` is what entries naturally are measured in, ``typical`` (where the gradient is zero) the
    gradient a tenth of a unit away: an error there is planted as 1% of it. ``part`` is from what part
    of the largest effect on the loss an error of 1% can be seen, which float32 limits.
    """

    name: str
    loss: Callable[..., float]
    grad: Callable[..., Floats]
    theta: Floats
    args: tuple[Any, ...]
    unit: Floats
    typical: Floats | None = None
    part: float = MATTERS


def matters(case: Case) -> NDArray[np.bool_]:
    """Which entries matter to the loss at their own size."""
    g = case.grad(case.theta, *case.args) if case.typical is None else case.typical
    effect = np.abs(g * case.unit)
    return effect >= case.part * effect.max()


@cache
def compiled_loss(predict: Callable[..., Any], likelihood: str) -> Callable[..., float]:
    """The loss of a model, compiled once a process."""
    compiled = njit(predict)
    if likelihood == "poisson":

        @njit
        def poisson(theta, x, y):
            rate = compiled(theta, x)
            return (rate - y * np.log(rate)).mean()

        return poisson

    @njit
    def squares(theta, x, y):
        residual = compiled(theta, x) - y
        return (residual * residual).mean()

    return squares


@dataclass(frozen=True)
class Model:
    """A formula to be fitted: ``predict(theta, x)`` takes real and complex theta, and compiles."""

    name: str
    predict: Callable[[Any, Any], Any]
    truth: tuple[float, ...]
    x: Floats
    off: float
    noise: float
    likelihood: str

    @property
    def loss(self) -> Callable[..., float]:
        """``((predict(theta, x) - y) ** 2).mean()``, or Poisson's -log likelihood; compiled."""
        return compiled_loss(self.predict, self.likelihood)

    def interpreted_loss(self, theta: Any, x: Floats, y: Floats) -> Any:
        """The same in numpy, in the precision of theta."""
        prediction = self.predict(theta, x)
        if self.likelihood == "poisson":
            return (prediction - y * np.log(prediction)).mean()
        return ((prediction - y) ** 2).mean()

    def grad(self, theta: Floats, x: Floats, y: Floats) -> Floats:
        """The gradient by complex steps: nothing cancels, so it is exact to rounding."""
        prediction = self.predict(theta, x)
        slope = 1 - y / prediction if self.likelihood == "poisson" else 2 * (prediction - y)
        g = np.empty_like(theta)
        for i in range(theta.size):
            step = IMAGINARY * abs(theta[i])
            moved = theta.astype(np.complex128)
            moved[i] += 1j * step
            g[i] = (slope * (self.predict(moved, x).imag / step)).mean()
        return g

    def draw(self, seed: int) -> tuple[Floats, Floats, Floats]:
        """Parameters near the true ones, inputs, and observations with noise."""
        rng = np.random.default_rng([seed, *self.name.encode()])
        truth = np.array(self.truth)
        clean = self.predict(truth, self.x)
        if self.likelihood == "poisson":
            y = rng.poisson(clean).astype(float)
        else:
            y = clean + self.noise * np.sqrt((clean**2).mean()) * rng.normal(size=clean.shape)
        theta = truth * (1 + self.off * rng.uniform(-1, 1, truth.size))
        return theta, self.x, y

    def case(self, seed: int) -> Case:
        theta, x, y = self.draw(seed)
        return Case(self.name, self.loss, self.grad, theta, (x, y), np.abs(theta))


MODELS: list[Model] = []


def model(
    truth: tuple[float, ...],
    x: Floats,
    off: float = 0.1,
    noise: float = 0.02,
    likelihood: str = "squares",
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator: the formula below is a model, with these true parameters, seen at these inputs.

    ``off`` is how far theta may be from the truth, ``noise`` that of the data, both relative.
    """

    def register(predict: Callable[..., Any]) -> Callable[..., Any]:
        name = predict.__name__.replace("_", " ")
        MODELS.append(Model(name, predict, truth, x, off, noise, likelihood))
        return predict

    return register


# Chemistry


@model((10.2, 1730.0, -39.7), np.linspace(300.0, 400.0, 40), off=0.01)
def antoine(theta, T):
    """log10 p = A - B / (C + T): vapour pressure in Pa."""
    return np.exp(2.302585092994046 * (theta[0] - theta[1] / (theta[2] + T)))


@model((1.01e5, 4.1e4), np.linspace(300.0, 400.0, 40))
def clausius_clapeyron(theta, T):
    """p = p0 exp(-L / R (1/T - 1/T0))."""
    return theta[0] * np.exp(-theta[1] / R * (1.0 / T - 1.0 / 373.15))


@model((4e13, 1.2e5), np.linspace(600.0, 900.0, 40), off=0.05)
def arrhenius(theta, T):
    """k = A exp(-E / (R T))."""
    return theta[0] * np.exp(-theta[1] / (R * T))


@model((2e-2, 0.45, 3e-3), np.linspace(-0.1, 0.1, 41))
def butler_volmer(theta, eta):
    """i = i0 (exp(alpha f (eta - eta0)) - exp(-(1 - alpha) f (eta - eta0))), f = F / (R T)."""
    u = FARADAY / (R * 298.15) * (eta - theta[2])
    return theta[0] * (np.exp(theta[1] * u) - np.exp((theta[1] - 1.0) * u))


@model((0.051, 3e-9, 1.4e-4), np.geomspace(1e-2, 1e3, 40))
def tafel(theta, i):
    """eta = b ln(i / i0) + r i: overpotential with a resistance."""
    return theta[0] * np.log(i / theta[1]) + theta[2] * i


@model((2.3e-5, 110.0), np.linspace(0.005, 0.35, 40))
def brunauer_emmett_teller(theta, z):
    """v = vm c z / ((1 - z) (1 + (c - 1) z)): adsorbed volume in m^3."""
    return theta[0] * theta[1] * z / ((1.0 - z) * (1.0 + (theta[1] - 1.0) * z))


@model((2.7, 3.4e-6), np.linspace(1e4, 1e6, 40))
def langmuir(theta, p):
    """q = qm K p / (1 + K p), K in 1/Pa."""
    return theta[0] * theta[1] * p / (1.0 + theta[1] * p)


@model((3.1e-7, 2.7), np.geomspace(1e-3, 10.0, 40))
def freundlich(theta, c):
    """q = K c^(1/n)."""
    return theta[0] * np.exp(np.log(c) / theta[1])


@model((0.0371, 4.5e-10), np.geomspace(1.0, 300.0, 40))
def debye_hueckel(theta, ionic):
    """-ln gamma = A sqrt(I) / (1 + B a sqrt(I)): ion size a in m, I in mol/m^3."""
    root = np.sqrt(ionic)
    return theta[0] * root / (1.0 + 1.04e8 * theta[1] * root)


@model((2.1e3, 1.3e3, 0.3), np.linspace(0.02, 0.98, 40))
def non_random_two_liquid(theta, x1):
    """NRTL: ln gamma_1 of a binary mixture, energies in J/mol."""
    tau12 = theta[0] / (R * 330.0)
    tau21 = theta[1] / (R * 330.0)
    g12 = np.exp(-theta[2] * tau12)
    g21 = np.exp(-theta[2] * tau21)
    x2 = 1.0 - x1
    a = g21 / (x1 + x2 * g21)
    b = x2 + x1 * g12
    return x2 * x2 * (tau21 * a * a + tau12 * g12 / (b * b))


@model((1.5e2, 1e-2, 2e-3), np.linspace(0.02, 2.0, 40))
def beer_lambert_with_stray_light(theta, c):
    """A = -ln((exp(-eps c l) + s) / (1 + s)): eps in m^2/mol, l in m."""
    return -np.log((np.exp(-2.302585 * theta[0] * theta[1] * c) + theta[2]) / (1.0 + theta[2]))


@model((0.364, 4.27e-5, 320.0), np.geomspace(1.5e-4, 2e-3, 40))
def van_der_waals(theta, v):
    """p = R T / (v - b) - a / v^2: v in m^3/mol."""
    return R * theta[2] / (v - theta[1]) - theta[0] / (v * v)


# Biology


@model(
    (3e-9, 4e-5, 7e-7),
    np.stack([np.tile(np.geomspace(4e-6, 4e-4, 12), 3), np.repeat([0, 5e-7, 2e-6], 12)]),
)
def michaelis_menten_inhibited(theta, x):
    """v = Vmax S / (Km (1 + I / Ki) + S)."""
    return theta[0] * x[0] / (theta[1] * (1.0 + x[1] / theta[2]) + x[0])


@model((1.5e-6, 2.3e-7, 2.4), np.geomspace(2e-8, 3e-6, 40))
def hill(theta, c):
    """v = Vmax / (1 + (K / c)^n)."""
    return theta[0] / (1.0 + np.exp(theta[2] * np.log(theta[1] / c)))


@model((8e-5, 2.4e-2, 3e-6), np.geomspace(1e-3, 1.0, 40))
def monod_with_decay(theta, s):
    """mu = mu_max S / (Ks + S) - kd, in 1/s."""
    return theta[0] * s / (theta[1] + s) - theta[2]


@model((1e4, -0.055, 0.01), np.linspace(-0.1003, 0.0501, 40), off=0.05)
def hodgkin_huxley_rate(theta, v):
    """alpha_n = a (V - V0) / (1 - exp(-(V - V0) / k)), in 1/s."""
    u = v - theta[1]
    return theta[0] * u / (1.0 - np.exp(-u / theta[2]))


@model((4e14, 3e11, 2.1e-4), np.linspace(0.0, 6e4, 40))
def logistic_growth(theta, t):
    """N = K / (1 + (K / N0 - 1) exp(-r t)): cells in a cubic metre."""
    return theta[0] / (1.0 + (theta[0] / theta[1] - 1.0) * np.exp(-theta[2] * t))


@model((5.4e-9, 3e4, 1e3), np.linspace(2e-9, 1e-8, 40))
def fret(theta, r):
    """I = A / (1 + (r / R0)^6) + c: Foerster transfer."""
    u = r / theta[0]
    square = u * u
    return theta[1] / (1.0 + square * square * square) + theta[2]


@model((4e-9, 1.2e-10, 310.0), np.geomspace(1.0, 100.0, 40))
def goldman_nernst(theta, outside):
    """V = R T / F ln((PK Ko + PNa Nao) / (PK Ki + PNa Nai)): permeabilities in m/s."""
    above = theta[0] * outside + theta[1] * 145.0
    below = theta[0] * 140.0 + theta[1] * 12.0
    return R * theta[2] / FARADAY * np.log(above / below)


@model((4e-2, 4e-4, 5e-5), np.linspace(300.0, 6e4, 40))
def one_compartment(theta, t):
    """c = D ka / (V (ka - ke)) (exp(-ke t) - exp(-ka t)): a drug taken by mouth, 5e-6 mol."""
    ka, ke = theta[1], theta[2]
    return 5e-6 * ka / (theta[0] * (ka - ke)) * (np.exp(-ke * t) - np.exp(-ka * t))


# Electrical engineering


@model((5.0, 4.7e3, 2.2e-9), np.linspace(1e-6, 5e-5, 40))
def rc_circuit(theta, t):
    """V = V0 (1 - exp(-t / (R C)))."""
    return theta[0] * (1.0 - np.exp(-t / (theta[1] * theta[2])))


@model((3e-12, 1.6, 2e-7), np.linspace(0.2, 0.65, 40), off=0.05)
def shockley_diode(theta, v):
    """I = Is (exp(V / (n VT)) - 1) + G V."""
    return theta[0] * (np.exp(v / (theta[1] * 0.025852)) - 1.0) + theta[2] * v


@model((1e-4, 2.5e-7, 1e-10, 1e-12), np.geomspace(1e7, 1e10, 40))
def transmission_line(theta, f):
    """alpha = (R sqrt(f) sqrt(C / L) + G f sqrt(L / C)) / 2: loss by skin effect and dielectric."""
    impedance = np.sqrt(theta[1] / theta[2])
    return 0.5 * (theta[0] * np.sqrt(f) / impedance + theta[3] * f * impedance)


@model((12.0, 3.3e-6, 4.7e-11), np.linspace(1.1e7, 1.5e7, 40), off=0.02)
def series_resonance(theta, f):
    """|Y|^2 = 1 / (R^2 + (w L - 1 / (w C))^2)."""
    w = 6.283185307179586 * f
    reactance = w * theta[1] - 1.0 / (w * theta[2])
    return 1.0 / (theta[0] * theta[0] + reactance * reactance)


@model((1.1e-3, 2.4e-4, 7.5e-8), np.geomspace(1e3, 1e5, 40))
def steinhart_hart(theta, r):
    """1 / T = A + B ln R + C (ln R)^3: a thermistor."""
    u = np.log(r)
    return 1.0 / (theta[0] + theta[1] * u + theta[2] * u * u * u)


# Matter


@model((3.3e-9, 5.2, 0.1), np.geomspace(3e7, 3e9, 40))
def debye_relaxation(theta, w):
    """eps = A / (1 + (w tau)^2) + c."""
    u = w * theta[0]
    return theta[1] / (1.0 + u * u) + theta[2]


@model((2.6e-9, 1.1e-6, 1900.0), np.linspace(280.0, 340.0, 40), off=0.05)
def stokes_einstein(theta, T):
    """D = k T / (6 pi eta r), eta = eta0 exp(B / T)."""
    return K_B * T / (18.84955592153876 * theta[1] * np.exp(theta[2] / T) * theta[0])


@model((1.716e-5, 110.4), np.linspace(200.0, 1000.0, 40))
def sutherland(theta, T):
    """mu = mu0 (T / T0)^(3/2) (T0 + S) / (T + S): viscosity of air."""
    u = T / 273.15
    return theta[0] * u * np.sqrt(u) * (273.15 + theta[1]) / (T + theta[1])


@model((7.2e-19, 1.9e10, 7.4e-11), np.linspace(5e-11, 2.5e-10, 40))
def morse(theta, r):
    """V = D (1 - exp(-a (r - re)))^2: joules and metres."""
    u = 1.0 - np.exp(-theta[1] * (r - theta[2]))
    return theta[0] * u * u


@model((1.65e-21, 3.4e-10), np.linspace(3.4e-10, 8e-10, 40), off=0.03)
def lennard_jones(theta, r):
    """V = 4 eps ((s / r)^12 - (s / r)^6)."""
    u = theta[1] / r
    square = u * u
    six = square * square * square
    return 4.0 * theta[0] * (six * six - six)


@model((1e24, 2.5e-14), np.geomspace(2e12, 2e14, 40))
def drude(theta, w):
    """sigma = n e^2 tau / (m (1 + (w tau)^2)): n in 1/m^3."""
    u = w * theta[1]
    return theta[0] * theta[1] * (E * E / M_E) / (1.0 + u * u)


@model((4.7e-6, 22.0, -1e-9), np.linspace(60.0, 300.0, 40))
def curie_weiss(theta, T):
    """chi = C / (T - Tc) + chi0."""
    return theta[0] / (T - theta[1]) + theta[2]


@model((4e24, 2e24, 0.03, 0.12), np.linspace(0.5, 30.0, 40))
def two_carrier_hall(theta, b):
    """rho_xy of holes p and electrons n, with their mobilities."""
    p, n, hole, electron = theta[0], theta[1], theta[2], theta[3]
    both = hole * electron * b
    total = p * hole + n * electron
    above = p * hole * hole - n * electron * electron + (p - n) * both * both
    return b * above / (E * (total * total + (p - n) * (p - n) * both * both))


@model((1.2e-3, 290.0, 9e-7), np.linspace(20.0, 400.0, 40))
def einstein_heat_capacity(theta, T):
    """c = 3 N R (Te / T)^2 exp(Te / T) / (exp(Te / T) - 1)^2 + gamma T."""
    u = theta[1] / T
    decay = np.exp(-u)
    return 3.0 * theta[0] * R * u * u * decay / ((1.0 - decay) * (1.0 - decay)) + theta[2] * T


@model((2.3e9, 2e-8, -2e-9), np.linspace(0.0, 2e-8, 40))
def hertz_contact(theta, depth):
    """F = 4/3 E sqrt(R) (d - d0)^(3/2): a force microscope, newtons from nanometres."""
    u = depth - theta[2]
    return 4.0 / 3.0 * theta[0] * np.sqrt(theta[1]) * u * np.sqrt(u)


# Waves, quanta, nuclei


@model((3e-9, 2e5, 1.2e6, 0.4), np.linspace(0.0, 1e-5, 80), off=0.03)
def damped_oscillator(theta, t):
    """A exp(-g t) cos(2 pi f t + phi): a cantilever, metres and hertz."""
    return theta[0] * np.exp(-theta[1] * t) * np.cos(6.283185307179586 * theta[2] * t + theta[3])


@model((4e-5, 0.12, 6.33e-7), np.linspace(-0.05, 0.3, 40))
def gaussian_beam(theta, z):
    """w = w0 sqrt(1 + ((z - z0) lambda / (pi w0^2))^2)."""
    u = (z - theta[1]) * theta[2] / (3.141592653589793 * theta[0] * theta[0])
    return theta[0] * np.sqrt(1.0 + u * u)


@model((2e-3, 4.57e14, 2e13, 3e-4), np.linspace(3.8e14, 5.4e14, 60), off=0.02)
def lorentz_line(theta, nu):
    """A w^2 / ((nu - nu0)^2 + w^2) + c."""
    u = (nu - theta[1]) / theta[2]
    return theta[0] / (1.0 + u * u) + theta[3]


@model((5e-4, 4.57e14, 8e12, 0.3), np.linspace(4.2e14, 4.95e14, 60), off=0.01)
def pseudo_voigt_line(theta, nu):
    """A (m / (1 + u^2) + (1 - m) exp(-ln 2 u^2)), u = (nu - nu0) / w."""
    u = (nu - theta[1]) / theta[2]
    square = u * u
    mixed = theta[3] / (1.0 + square) + (1.0 - theta[3]) * np.exp(-0.6931471805599453 * square)
    return theta[0] * mixed


@model((5772.0, 6.8e-5), np.linspace(1e14, 1.5e15, 40))
def planck(theta, nu):
    """B = Omega 2 h nu^3 / c^2 / (exp(h nu / (k T)) - 1)."""
    radiance = 2.0 * H * nu * nu * nu / (C * C)
    return theta[1] * radiance / (np.exp(H * nu / (K_B * theta[0])) - 1.0)


@model((4.65e-26, 300.0, 1e20), np.linspace(50.0, 1500.0, 40))
def maxwell_boltzmann(theta, v):
    """A 4 pi (m / (2 pi k T))^(3/2) v^2 exp(-m v^2 / (2 k T))."""
    half = theta[0] / (2.0 * K_B * theta[1])
    u = half / 3.141592653589793
    return theta[2] * 12.566370614359172 * u * np.sqrt(u) * v * v * np.exp(-half * v * v)


@model((8.2e-19, 2.18e-18, 1.35), np.arange(3.0, 16.0))
def rydberg_with_quantum_defect(theta, n):
    """E = E0 - Ry / (n - delta)^2: joules."""
    u = n - theta[2]
    return theta[0] - theta[1] / (u * u)


@model((2e-6, 4e-12), np.linspace(1e-5, 1.4e-3, 41))
def josephson_junction(theta, b):
    """I = Ic sin(u) / u, u = pi B A / Phi0: currents beside a flux of 2e-15 Wb."""
    u = 3.141592653589793 * b * theta[1] / 2.067833848e-15
    return theta[0] * np.sin(u) / u


@model((4e-25, 1.07e-18, 6e-20, 2e-26), np.linspace(8e-19, 1.4e-18, 60), off=0.02)
def breit_wigner(theta, energy):
    """sigma = S (G/2)^2 / ((E - E0)^2 + (G/2)^2) + c: m^2 and joules."""
    u = (energy - theta[1]) / (0.5 * theta[2])
    return theta[0] / (1.0 + u * u) + theta[3]


@model((3e15, 1.81e11, 1e14), np.linspace(0.0, 6e11, 40))
def radioactive_decay(theta, t):
    """A 2^(-t / T) + c, with the half-life in seconds."""
    return theta[0] * np.exp(-0.6931471805599453 * t / theta[1]) + theta[2]


@model((1e21, 2.9e-6, 3.2e-5), np.linspace(3600.0, 8e5, 40))
def bateman_chain(theta, t):
    """N2 = N0 k1 / (k2 - k1) (exp(-k1 t) - exp(-k2 t)): a daughter nuclide."""
    k1, k2 = theta[1], theta[2]
    return theta[0] * k1 / (k2 - k1) * (np.exp(-k1 * t) - np.exp(-k2 * t))


@model((500.0, 2.2e-6, 6.0), np.linspace(2e-7, 1.5e-5, 50), likelihood="poisson")
def muon_lifetime(theta, t):
    """Counts A exp(-t / tau) + b, by their Poisson likelihood."""
    return theta[0] * np.exp(-t / theta[1]) + theta[2]


@model(
    (40.0, 1.06e-13, 4e-15, 8.0), np.linspace(8.5e-14, 1.3e-13, 60), off=0.02, likelihood="poisson"
)
def gamma_line(theta, energy):
    """Counts A exp(-((E - E0) / w)^2) + b, by their Poisson likelihood; joules."""
    u = (energy - theta[1]) / theta[2]
    return theta[0] * np.exp(-u * u) + theta[3]


# Astronomy


@model((55.0, 3.65e5, 0.3, 1.1, 120.0), np.linspace(0.0, 2e6, 60), off=0.03)
def kepler_radial_velocity(theta, t):
    """v = K (cos(nu + w) + e cos w) + gamma, Kepler's equation by Newton's method."""
    e = theta[2]
    mean = 6.283185307179586 * t / theta[1]
    anomaly = mean + e * np.sin(mean)
    for _ in range(8):
        excess = anomaly - e * np.sin(anomaly) - mean
        anomaly = anomaly - excess / (1.0 - e * np.cos(anomaly))
    distance = 1.0 - e * np.cos(anomaly)
    cosine = (np.cos(anomaly) - e) / distance
    sine = np.sqrt(1.0 - e * e) * np.sin(anomaly) / distance
    w = theta[3]
    return theta[0] * (cosine * np.cos(w) - sine * np.sin(w) + e * np.cos(w)) + theta[4]


@model((3e-6, 1.2e20, 2.5), np.geomspace(1e19, 5e20, 40))
def sersic(theta, r):
    """I = Ie exp(-b ((r / re)^(1/n) - 1)), b = 2 n - 1/3 + 0.009876 / n; metres."""
    b = 2.0 * theta[2] - 1.0 / 3.0 + 0.009876 / theta[2]
    return theta[0] * np.exp(-b * (np.exp(np.log(r / theta[1]) / theta[2]) - 1.0))


@model((2.27e-18, -0.55), np.linspace(0.02, 0.5, 40))
def hubble(theta, z):
    """d = c / H0 (z + (1 - q0) z^2 / 2): H0 in 1/s, distances of 1e26 m."""
    return C / theta[0] * (z + 0.5 * (1.0 - theta[1]) * z * z)


@model((3.986e14, 6.371e6), np.linspace(0.0, 4e7, 40))
def gravity_above_the_ground(theta, height):
    """g = G M / (R + h)^2."""
    u = theta[1] + height
    return theta[0] / (u * u)


# Hard units


@dataclass(frozen=True)
class HardUnit:
    """A case whose units are not the sizes of its entries, or that differences see badly."""

    name: str
    make: Callable[[np.random.Generator], tuple[Any, ...]]

    def case(self, seed: int) -> Case:
        return Case(self.name, *self.make(np.random.default_rng([seed, *self.name.encode()])))


HARD_UNITS: list[HardUnit] = []


def hard_unit(make: Callable[[np.random.Generator], tuple[Any, ...]]) -> Callable[..., Any]:
    """Decorator: ``make(rng)`` gives the fields of a `Case` after its name."""
    HARD_UNITS.append(HardUnit(make.__name__.replace("_", " "), make))
    return make


@njit
def tanh_net_loss(theta, X, y):
    m, k = X.shape[1], theta.size // (X.shape[1] + 1)
    hidden = np.tanh(X @ theta[: m * k].reshape((m, k)))
    residual = hidden @ theta[m * k :] - y
    return (residual * residual).mean()


def tanh_net_grad(theta, X, y):
    m, k = X.shape[1], theta.size // (X.shape[1] + 1)
    hidden = np.tanh(X @ theta[: m * k].reshape((m, k)))
    residual = 2 * (hidden @ theta[m * k :] - y) / y.size
    back = np.outer(residual, theta[m * k :]) * (1 - hidden**2)
    return np.concatenate([(X.T @ back).ravel(), hidden.T @ residual])


@hard_unit
def weights_small_by_accident(rng):
    """A net with 1e-9 to 1e-12 among weights of 0.1."""
    theta = 0.1 * rng.normal(size=48)
    theta[[3, 17, 29, 44]] = [1e-9, -1e-12, 3e-10, 2e-9]
    X, y = rng.normal(size=(30, 5)), rng.normal(size=30)
    return tanh_net_loss, tanh_net_grad, theta, (X, y), np.full(48, 0.1)


@njit
def parabola_loss(theta, t, y):
    residual = theta[0] + theta[1] * t + theta[2] * t * t - y
    return (residual * residual).mean()


def parabola_grad(theta, t, y):
    residual = 2 * (theta[0] + theta[1] * t + theta[2] * t * t - y) / y.size
    return np.array([residual.sum(), residual @ t, residual @ (t * t)])


@hard_unit
def a_drift_of_zero(rng):
    """Nanovolts in microseconds, and the second derivative exactly 0."""
    t = np.linspace(0, 1e-6, 30)
    y = 3e-9 + 2e-3 * t + 5e2 * t * t + 1e-10 * rng.normal(size=30)
    theta = np.array([3.2e-9, 1.8e-3, 0.0])
    return parabola_loss, parabola_grad, theta, (t, y), np.array([3e-9, 3e-3, 3e3])


@hard_unit
def all_zero(rng):
    """A regression in microseconds that starts at 0."""
    t = np.linspace(0, 1e-6, 30)
    y = 3e-9 + 2e-3 * t + 5e2 * t * t + 1e-10 * rng.normal(size=30)
    return parabola_loss, parabola_grad, np.zeros(3), (t, y), np.array([3e-9, 3e-3, 3e3])


@njit
def sines_far_out_loss(x, centre, k):
    return np.sin(k * (x - centre)).sum()


def sines_far_out_grad(x, centre, k):
    return k * np.cos(k * (x - centre))


@hard_unit
def sines_at_1e9(rng):
    """sin(3 (x - 1e9))."""
    x = 1e9 + rng.uniform(-2, 2, 4)
    return sines_far_out_loss, sines_far_out_grad, x, (1e9, 3.0), np.ones(4)


@hard_unit
def sine_of_1e9_x(rng):
    """sin(1e9 x) at 1: what moves it is 1e-9 wide."""
    x = rng.uniform(0.5, 1.5, 3)
    return sines_far_out_loss, sines_far_out_grad, x, (0.0, 1e9), np.full(3, 1e-9)


@njit
def bells_far_out_loss(x, centre):
    u = x - centre
    return np.exp(-u * u).sum()


def bells_far_out_grad(x, centre):
    u = x - centre
    return -2 * u * np.exp(-u * u)


@hard_unit
def bells_at_1e9(rng):
    """exp(-(x - 1e9)^2)."""
    x = 1e9 + rng.uniform(0.2, 1.5, 4) * rng.choice([-1, 1], 4)
    return bells_far_out_loss, bells_far_out_grad, x, (1e9,), np.ones(4)


@njit
def transit_loss(theta, t, y):
    u = (t - theta[0]) / theta[1]
    residual = 1.0 - theta[2] * np.exp(-u * u) - y
    return (residual * residual).mean()


def transit_grad(theta, t, y):
    u = (t - theta[0]) / theta[1]
    bell = np.exp(-u * u)
    residual = -2 * (1 - theta[2] * bell - y) / y.size
    slope = residual * theta[2] * bell * 2 * u / theta[1]
    return np.array([slope.sum(), (slope * u).sum(), (residual * bell).sum()])


@hard_unit
def transit_at_an_epoch(rng):
    """A dip of a star's light at a Unix time: 1.7e9 s, and 2000 s wide."""
    t = 1.7e9 + np.linspace(-8e3, 8e3, 60)
    u = (t - 1.7e9) / 2000.0
    y = 1 - 0.01 * np.exp(-u * u) + 2e-4 * rng.normal(size=60)
    theta = np.array([1.7e9 + rng.uniform(100, 400), 2200.0, 0.0105])
    return transit_loss, transit_grad, theta, (t, y), np.array([2000.0, 2000.0, 0.01])


@njit
def carrier_loss(theta, t, y):
    residual = theta[1] * np.cos(6.283185307179586 * theta[0] * t + theta[2]) - y
    return (residual * residual).mean()


def carrier_grad(theta, t, y):
    phase = 6.283185307179586 * theta[0] * t + theta[2]
    residual = 2 * (theta[1] * np.cos(phase) - y) / y.size
    turned = -residual * theta[1] * np.sin(phase)
    return np.array(
        [(turned * 6.283185307179586 * t).sum(), (residual * np.cos(phase)).sum(), turned.sum()]
    )


@hard_unit
def carrier_frequency(rng):
    """1.57542 GHz seen for 100 microseconds: 160,000 turns, so that kilohertz matter."""
    t = np.sort(rng.uniform(0, 1e-4, 50))
    y = 2e-3 * np.cos(6.283185307179586 * 1.57542e9 * t + 0.4) + 1e-4 * rng.normal(size=50)
    theta = np.array([1.57542e9 + rng.uniform(300, 900), 2.1e-3, 0.5])
    return carrier_loss, carrier_grad, theta, (t, y), np.array([2e3, 2e-3, 1.0])


@njit
def float32_buffer_loss(theta, X, C):
    out = np.empty(C.shape, np.float32)
    out[:] = np.tanh(X @ theta.reshape((X.shape[1], C.shape[1])))
    return (out * C).sum()


def float32_buffer_grad(theta, X, C):
    hidden = np.tanh(X @ theta.reshape((X.shape[1], C.shape[1])))
    return (X.T @ (C * (1 - hidden**2))).ravel()


@hard_unit
def float32_buffers(rng):
    """A float64 loss that keeps its activations in float32."""
    X, C = rng.normal(size=(40, 7)), rng.normal(size=(40, 5))
    return (
        float32_buffer_loss,
        float32_buffer_grad,
        rng.normal(size=35) / 3,
        (X, C),
        np.ones(35),
        None,
        1e-2,
    )


@njit
def sparse_float32_loss(x, w):
    total = np.float32(0.0)
    for i in range(x.size):
        total += np.float32(w[i] * np.sin(x[i]))
    return total


def sparse_float32_grad(x, w):
    return w * np.cos(x)


@hard_unit
def sparse_float32(rng):
    """float32(sum w sin x), w nonzero at 3 of 30."""
    w = np.zeros(30)
    w[rng.choice(30, 3, replace=False)] = rng.uniform(0.5, 2, 3) * rng.choice([-1, 1], 3)
    x = rng.uniform(-1, 1, 30).astype(np.float32).astype(float)
    return sparse_float32_loss, sparse_float32_grad, x, (w,), np.ones(30), None, 1e-2


@hard_unit
def optimum_with_residuals(rng):
    """A parabola at its least squares: the gradient is rounding."""
    t = np.linspace(0, 1e-6, 30)
    y = 3e-9 + 2e-3 * t + 5e2 * t * t + 1e-10 * rng.normal(size=30)
    unit = np.array([3e-9, 3e-3, 3e3])
    design = np.stack([unit[0] * t**0, unit[1] * t, unit[2] * t**2], axis=1)
    theta = unit * np.linalg.lstsq(design / 1e-9, y / 1e-9)[0]
    away = parabola_grad(theta + 0.1 * unit, t, y)
    return parabola_loss, parabola_grad, theta, (t, y), unit, away


@hard_unit
def optimum_fitted_perfectly(rng):
    """Debye's relaxation with data that it fits: loss and gradient are 0."""
    relaxation = next(m for m in MODELS if m.name == "debye relaxation")
    theta = np.array(relaxation.truth) * rng.uniform(0.9, 1.1, 3)
    x = relaxation.x
    y = relaxation.predict(theta, x)
    away = relaxation.grad(theta * 1.1, x, y)
    return relaxation.loss, relaxation.grad, theta, (x, y), np.abs(theta), away


@njit
def affine_loss(theta, g, x0):
    return g @ (theta - x0)


def affine_grad(theta, g, x0):
    return g.copy()


@hard_unit
def affine_at_its_zero(rng):
    """g @ (theta - x0) at x0, of zeros and values to 2,000: f is exact, the points are not."""
    x0 = rng.uniform(-2000, 2000, 97) * (rng.random(97) < 0.8)
    return affine_loss, affine_grad, x0.copy(), (rng.normal(size=97), x0), np.full(97, 1000.0)


@njit
def scaled_loss(theta, a, factor):
    return factor * (a * theta * theta).sum()


def scaled_grad(theta, a, factor):
    return factor * (2 * a * theta)


def scaled(rng: np.random.Generator, factor: float) -> tuple[Any, ...]:
    theta = rng.normal(size=6)
    return scaled_loss, scaled_grad, theta, (rng.uniform(1, 3, 6), factor), np.abs(theta)


@hard_unit
def loss_of_1e200(rng):
    return scaled(rng, 1e200)


@hard_unit
def loss_of_1e_minus_200(rng):
    return scaled(rng, 1e-200)


def cases(seeds: range) -> Iterator[Case]:
    """All of `MODELS` and `HARD_UNITS`, seed by seed."""
    for seed in seeds:
        for each in [*MODELS, *HARD_UNITS]:
            yield each.case(seed)

"""Engines of statistics, finance, chemistry and boosters, and errors that their authors make.

An engine is a loss and ``gradient(theta, error)``, which is right for ``error=""``. Each error is
planted in the line of the formula where it is made; `ERRORS` has what a report should call it:
for every wrong block a law, or several of which one will do, or `LAWLESS` where none is true.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy.special import digamma, expit, gammaln, i0, i1, ndtr, polygamma


class Engine(NamedTuple):
    """A loss, its gradient with a slot for an error, and theta."""

    loss: Callable[[Any], float]
    gradient: Callable[[Any, str], Any]
    theta: Any


LAWLESS = "unexplained"
"""The error obeys no law: it is to be found, and not to be named."""


def draw(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng([2911, seed]).normal(size=shape)


def positive(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng([2911, seed]).uniform(0.4, 2.0, shape)


# ---- statistics -------------------------------------------------------------------------------------

M = 60
X = draw(1, M, 5)
Y = (draw(2, M) > 0.2).astype(float)
COUNTS = np.floor(3 * positive(3, M))
EXPOSURE = positive(4, M)
SAMPLE = 1.3 + 0.8 * draw(5, M)
TIMES = positive(6, M)
SEEN = np.arange(M) % 4 > 0
RIDGE, N = 0.3, 60.0


def logit(b):
    eta = X @ b
    return float((np.logaddexp(0, eta) - Y * eta).mean() + 0.5 * RIDGE * (b**2).sum())


def logit_score(b, error):
    residual = expit(X @ b) - Y
    if error == "of the log-likelihood":
        return -(X.T @ residual / M + RIDGE * b)
    if error == "labels of -1 and 1":
        residual = expit(X @ b) - (2 * Y - 1)
    data = X.T @ residual / (1 if error == "summed over the rows" else M)
    penalty = {
        "without its prior": 0.0,
        "prior over m": RIDGE / M,
        "prior without its half": 2 * RIDGE,
    }
    return data + penalty.get(error, RIDGE) * b


def poisson(p):
    eta = p["intercept"] + X @ p["beta"] * 0.2
    return float((EXPOSURE * np.exp(eta) - COUNTS * eta).sum())


def poisson_score(p, error):
    eta = p["intercept"] + X @ p["beta"] * 0.2
    rate = (1.0 if error == "without exposure" else EXPOSURE) * np.exp(eta)
    residual = rate - COUNTS
    g = {"intercept": residual.sum(), "beta": 0.2 * X.T @ residual}
    if error == "averaged":
        g = {name: value / M for name, value in g.items()}
    if error == "intercept by the baseline rate":
        g["intercept"] *= np.exp(-p["intercept"])
    if error == "intercept negated":
        g["intercept"] *= -1
    if error == "a covariate left out":
        g["beta"][2] = 0.0
    return g


def normal(p):
    z = (SAMPLE - p["mu"]) / p["sigma"]
    return float(M * np.log(p["sigma"]) + 0.5 * (z**2).sum())


def normal_score(p, error):
    z = (SAMPLE - p["mu"]) / p["sigma"]
    mu, sigma = -z.sum() / p["sigma"], (M - (z**2).sum()) / p["sigma"]
    if error == "mu with the wrong sign":
        mu = -mu
    if error == "by the variance":
        sigma /= 2 * p["sigma"]
    if error == "by log sigma":
        sigma *= p["sigma"]
    if error == "by the precision":
        sigma *= -(p["sigma"] ** 2)
    if error == "mean for sum":
        mu, sigma = mu / M, sigma / M
    if error == "without the normaliser":
        sigma = -(z**2).sum() / p["sigma"]
    if error == "one half too much":
        sigma /= 2
    return {"mu": mu, "sigma": sigma}


def hierarchy(p):
    """Log-density of a centred hierarchy in (mu, log tau, theta), with its Jacobian."""
    z = (p["effects"] - p["mu"]) * np.exp(-p["log_tau"])
    fit = (p["effects"] - SAMPLE[:8]) / 0.7
    size = 8 * p["log_tau"] + 0.5 * (z**2).sum() + 0.5 * (fit**2).sum()
    return float(size + 0.5 * np.exp(2 * p["log_tau"]) - p["log_tau"] + 0.5 * p["mu"] ** 2 / 25)


def hierarchy_grad(p, error):
    z = (p["effects"] - p["mu"]) * np.exp(-p["log_tau"])
    tau = 8 - (z**2).sum() + np.exp(2 * p["log_tau"])
    tau -= 0 if error == "log-Jacobian forgotten" else 1
    tau *= np.exp(-p["log_tau"]) if error == "by tau" else 1
    effects = z * np.exp(-p["log_tau"]) + (p["effects"] - SAMPLE[:8]) / 0.49
    mu = -z.sum() * np.exp(-p["log_tau"]) + p["mu"] / 25
    if error == "effects of the log-density":
        effects = -effects
    if error == "effects with a flat prior":
        effects = (p["effects"] - SAMPLE[:8]) / 0.49
    if error == "mu: prior forgotten":
        mu -= p["mu"] / 25
    return {"mu": mu, "log_tau": tau, "effects": effects}


def gamma_fit(p):
    k, s = p["shape"], p["scale"]
    return float((gammaln(k) + k * np.log(s) - (k - 1) * np.log(TIMES) + TIMES / s).mean())


def gamma_score(p, error):
    k, s = p["shape"], p["scale"]
    psi = polygamma(1, k) if error == "trigamma for digamma" else digamma(k)
    shape = psi + np.log(s) - np.log(TIMES).mean()
    scale = k / s - TIMES.mean() / s**2
    if error == "scale by the rate":
        scale *= -(s**2)
    if error == "shape by log10":
        shape *= k * np.log(10)
    if error == "both summed":
        shape, scale = M * shape, M * scale
    return {"shape": shape, "scale": scale}


def cox(b):
    eta = X @ b
    order = np.argsort(-TIMES)
    risk = np.logaddexp.accumulate(eta[order])
    return float(-((eta[order] - risk) * SEEN[order]).sum())


def cox_score(b, error):
    order = np.argsort(-TIMES)
    x, seen, w = X[order], SEEN[order], np.exp(X[order] @ b)
    mean = np.cumsum(w[:, None] * x, axis=0) / np.cumsum(w)[:, None]
    if error == "everybody at risk":
        mean = (w[:, None] * x).sum(0) / w.sum()
    if error == "censored as events":
        seen = np.ones(M)
    g = -((x - mean) * np.asarray(seen)[:, None]).sum(axis=0)
    return -g if error == "ascent" else g / seen.sum() if error == "per event" else g


def mises(p):
    return float(
        M * np.log(i0(p["kappa"])) - p["kappa"] * np.cos(np.deg2rad(SAMPLE * 40 - p["mu"])).sum()
    )


def mises_score(p, error):
    d = np.deg2rad(SAMPLE * 40 - p["mu"])
    turn = 1.0 if error == "degrees" else np.pi / 180
    ratio = (
        i0(p["kappa"]) / i1(p["kappa"])
        if error == "ratio upside down"
        else i1(p["kappa"]) / i0(p["kappa"])
    )
    return {"mu": -p["kappa"] * np.sin(d).sum() * turn, "kappa": M * ratio - np.cos(d).sum()}


def weibull(p):
    k, s = p["shape"], p["scale"]
    u = (TIMES / s) ** k
    return float(u.sum() - (SEEN * (np.log(k / s) + (k - 1) * np.log(TIMES / s))).sum())


def weibull_score(p, error):
    k, s = p["shape"], p["scale"]
    u, r = (TIMES / s) ** k, np.log(TIMES / s)
    seen = np.ones(M) if error == "censoring ignored" else SEEN
    shape = (u * r).sum() - (seen * (1 / k + r)).sum()
    scale = (-u.sum() + seen.sum()) * k / s
    if error == "log scale":
        scale *= s
    if error == "averaged over rows":
        shape, scale = shape / M, scale / M
    return {"shape": shape, "scale": scale}


CLASSES = np.arange(M) % 3


def multinomial(W):
    eta = X @ W
    return float(
        (np.logaddexp.reduce(eta, axis=1) - eta[np.arange(M), CLASSES]).mean() + 0.05 * (W**2).sum()
    )


def multinomial_score(W, error):
    P = np.exp(X @ W - np.logaddexp.reduce(X @ W, axis=1)[:, None])
    R = P - np.eye(3)[CLASSES]
    if error == "baseline class forgotten":
        R[:, 2] = 0
    if error == "classes exchanged":
        R = R[:, [1, 0, 2]]
    if error == "one class counted twice":
        R[:, 1] *= 2
    g = X.T @ R / M
    g *= {"mean over classes too": 1 / 3, "ascent": -1}.get(error, 1)
    penalty = 0.1 * W
    if error == "intercept row free":
        penalty[0] = 0
    if error == "lasso for ridge":
        penalty = 0.1 * np.sign(W)
    return (-1 if error == "ascent" else 1) * penalty + g


POINTS = draw(9, 14, 3)
TARGETS = draw(10, 14)


def kernel(lengths):
    d = POINTS[:, None] - POINTS[None]
    return np.exp(-0.5 * (d**2 / lengths**2).sum(-1)), d


def gp(log_lengths):
    K, _ = kernel(np.exp(log_lengths))
    K = K + 0.1 * np.eye(14)
    return float(0.5 * TARGETS @ np.linalg.solve(K, TARGETS) + 0.5 * np.linalg.slogdet(K)[1])


def gp_grad(log_lengths, error):
    lengths = np.exp(log_lengths)
    K, d = kernel(lengths)
    inverse = np.linalg.inv(K + 0.1 * np.eye(14))
    alpha = inverse @ TARGETS
    outer = inverse - np.outer(alpha, alpha)
    if error == "determinant forgotten":
        outer = -np.outer(alpha, alpha)
    g = 0.5 * np.einsum("ij,ijk,ij->k", outer, d**2 / lengths**2, K)
    return {"by the lengths": g / lengths, "half forgotten": 2 * g}.get(error, g)


def mixture(p):
    z = SAMPLE[:, None] - p["means"]
    log_w = p["logits"] - np.logaddexp.reduce(p["logits"])
    return float(-np.logaddexp.reduce(log_w - 0.5 * z**2 / 0.09, axis=1).sum())


def mixture_grad(p, error):
    z = SAMPLE[:, None] - p["means"]
    log_w = p["logits"] - np.logaddexp.reduce(p["logits"])
    log_r = log_w - 0.5 * z**2 / 0.09
    r = np.exp(log_r - np.logaddexp.reduce(log_r, axis=1)[:, None])
    spread = 1.0 if error == "variance forgotten" else 0.09
    means = -(r * z).sum(axis=0) / spread
    logits = -r.sum(axis=0) + (0 if error == "softmax not differentiated" else M * np.exp(log_w))
    if error == "components relabelled":
        means = means[[1, 2, 3, 0]]
    return {"logits": logits, "means": means}


# ---- finance ----------------------------------------------------------------------------------------

OPTION = {"spot": 101.0, "strike": 97.0, "rate": 0.03, "vol": 0.24, "expiry": 0.75}
"""A call; named numbers, as pricers have them."""


def density(x):
    return np.exp(-0.5 * x * x) / np.sqrt(2 * np.pi)


def legs(p):
    root = p["vol"] * np.sqrt(p["expiry"])
    d1 = (np.log(p["spot"] / p["strike"]) + (p["rate"] + 0.5 * p["vol"] ** 2) * p["expiry"]) / root
    return d1, d1 - root


def call(p):
    d1, d2 = legs(p)
    return float(p["spot"] * ndtr(d1) - p["strike"] * np.exp(-p["rate"] * p["expiry"]) * ndtr(d2))


def greeks(p, error):
    d1, d2 = legs(p)
    paid = p["strike"] * np.exp(-p["rate"] * p["expiry"])
    root = np.sqrt(p["expiry"])
    vega = p["spot"] * density(d1) * root
    g = {
        "spot": ndtr(d1),
        "strike": -paid / p["strike"] * ndtr(d2),
        "rate": p["expiry"] * paid * ndtr(d2),
        "vol": vega,
        "expiry": vega * p["vol"] / (2 * p["expiry"]) + p["rate"] * paid * ndtr(d2),
    }
    units = {
        "vega per cent": ("vol", 0.01),
        "theta a calendar day": ("expiry", 1 / 365),
        "theta a trading day": ("expiry", 1 / 252),
        "rho a basis point": ("rate", 1e-4),
        "theta as decay": ("expiry", -1.0),
        "vega by the variance": ("vol", 1 / (2 * p["vol"])),
        "delta by the log-price": ("spot", p["spot"]),
        "dual delta unsigned": ("strike", -1.0),
    }
    if error in units:
        name, factor = units[error]
        g[name] *= factor
    if error == "a put's delta":
        g["spot"] -= 1
    if error == "gamma for delta":
        g["spot"] = density(d1) / (p["spot"] * p["vol"] * root)
    if error == "carry forgotten in theta":
        g["expiry"] = vega * p["vol"] / (2 * p["expiry"])
    if error == "all of a hundred shares":
        g = {name: 100 * value for name, value in g.items()}
    return g


YEARS = np.arange(1.0, 9.0)
CASH = np.r_[np.full(7, 4.0), 104.0]


def bond(rates):
    return float((CASH * np.exp(-rates * YEARS)).sum())


def bond_grad(rates, error):
    g = -CASH * YEARS * np.exp(-rates * YEARS)
    scale = {
        "DV01": 1e-4,
        "duration": -1 / bond(rates),
        "sign of a duration": -1.0,
        "actual/360": 365 / 360,
    }.get(error, 1.0)
    if error == "annual compounding":
        g = g / (1 + rates)
    if error == "years of each payment forgotten":
        g = g / YEARS
    if error == "principal forgotten":
        g[-1] *= 4 / 104
    return scale * g


def curve(p):
    u = YEARS / p["tau"]
    slope = (1 - np.exp(-u)) / u
    fit = p["level"] + p["slope"] * slope + p["hump"] * (slope - np.exp(-u))
    return float((0.5 * (fit - 0.01 * np.sqrt(YEARS)) ** 2).mean())


def curve_grad(p, error):
    u = YEARS / p["tau"]
    slope, decay = (1 - np.exp(-u)) / u, np.exp(-u)
    fit = p["level"] + p["slope"] * slope + p["hump"] * (slope - decay)
    r = (fit - 0.01 * np.sqrt(YEARS)) / (1 if error == "sum of squares" else 8)
    moved = (slope - decay) / p["tau"]
    tau = p["slope"] * moved + p["hump"] * (moved - u * decay / p["tau"])
    if error == "hump by its mirror":
        tau = p["slope"] * moved + p["hump"] * (moved + u * decay / p["tau"])
    g = {"level": r.sum(), "slope": r @ slope, "hump": r @ (slope - decay), "tau": r @ tau}
    if error == "level in per cent":
        g["level"] /= 100
    if error == "tau of 1/tau":
        g["tau"] *= -(p["tau"] ** 2)
    if error == "half forgotten":
        g = {name: 2 * value for name, value in g.items()}
    return g


COVARIANCE = draw(11, 6, 6) @ draw(11, 6, 6).T / 6 + 0.1 * np.eye(6)
RETURNS = 0.1 * draw(12, 6)


def utility(w):
    return float(-RETURNS @ w + 1.5 * w @ COVARIANCE @ w + 0.02 * np.abs(w).sum())


def utility_grad(w, error):
    risk = (1.5 if error == "2 of the risk forgotten" else 3.0) * COVARIANCE @ w
    g = -RETURNS + risk + (0 if error == "turnover forgotten" else 0.02 * np.sign(w))
    return -g if error == "of the utility" else g


def sharpe(w):
    return float(-(RETURNS @ w) / np.sqrt(w @ COVARIANCE @ w))


def sharpe_grad(w, error):
    risk = np.sqrt(w @ COVARIANCE @ w)
    g = -RETURNS / risk + (RETURNS @ w) * (COVARIANCE @ w) / risk**3
    if error == "risk held fixed":
        g = -RETURNS / risk
    return np.sqrt(252) * g if error == "annualised" else g


def correlated(p):
    """A fit of two margins with a correlation."""
    q = 1 - p["rho"] ** 2
    z = SAMPLE[:30] - p["drift"]
    y = SAMPLE[30:] - 1
    return float(0.5 * np.log(q) * 30 + (z**2 - 2 * p["rho"] * z * y + y**2).sum() / (2 * q))


def correlated_grad(p, error):
    rho, q = p["rho"], 1 - p["rho"] ** 2
    z, y = SAMPLE[:30] - p["drift"], SAMPLE[30:] - 1
    s = (z**2 - 2 * rho * z * y + y**2).sum()
    g = -30 * rho / q - (z * y).sum() / q + s * rho / q**2
    drift = -(z - rho * y).sum() / q
    if error == "rho by Fisher's z":
        g *= q
    if error == "drift a day":
        drift /= 252
    if error == "determinant with the wrong sign":
        g += 60 * rho / q
    return {"drift": drift, "rho": g}


def rmse(p):
    r = X @ p - SAMPLE
    return float(np.sqrt((r**2).mean()))


def rmse_grad(p, error):
    r = X @ p - SAMPLE
    g = X.T @ r / (M * np.sqrt((r**2).mean()))
    if error == "of the mean square":
        g = 2 * X.T @ r / M
    return g


# ---- chemistry --------------------------------------------------------------------------------------

ATOMS = 1.1 * np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0.2], [1, 0.1, 1.0]])
ATOMS = ATOMS + 0.05 * draw(13, 6, 3)
CHARGES = np.array([0.4, -0.3, 0.2, -0.5, 0.6, -0.4])


def lennard_jones(P):
    d = P[:, None] - P[None]
    r2 = (d**2).sum(-1) + np.eye(6)
    return float(np.triu(4 * (r2**-6 - r2**-3), 1).sum())


def lennard_jones_grad(P, error):
    d = P[:, None] - P[None]
    r2 = (d**2).sum(-1) + np.eye(6)
    six = -3.0 if error == "exponent of the attraction lost" else -6.0
    pull = 4 * (-12 * r2**-7 - six * r2**-4) * (1 - np.eye(6))
    if error == "half a neighbour list":
        pull = np.triu(pull)
    g = (pull[..., None] * d).sum(1)
    if error == "the last atom frozen":
        g[-1] = 0
    if error == "z not wrapped":
        g[:, 2] *= -1
    if error == "pairs in one direction":
        g[0] -= (pull[0, 1:, None] * d[0, 1:]).sum(0) / 2
    factors = {
        "forces": -1.0,
        "pairs counted twice": 2.0,
        "hartree a bohr": 1 / 51.4220675,
        "kcal": 23.0605478,
    }
    return factors.get(error, 1.0) * g


def coulomb(q):
    d = ATOMS[:, None] - ATOMS[None]
    r = np.sqrt((d**2).sum(-1)) + np.eye(6)
    return float(332.0637 * np.triu(np.outer(q, q) / r, 1).sum())


def coulomb_grad(q, error):
    d = ATOMS[:, None] - ATOMS[None]
    r = np.sqrt((d**2).sum(-1)) + np.eye(6)
    pairs = (1 / r) * (1 - np.eye(6))
    if error == "self-interaction":
        pairs = pairs + np.eye(6)
    g = 332.0637 * pairs @ q
    return g / {"constant forgotten": 332.0637, "pairs halved": 2.0}.get(error, 1.0)


TEMPERATURES = np.linspace(300, 900, 12)
RATES = np.log(1e3) - 30.0 / (8.31446262e-3 * TEMPERATURES) + 0.1 * draw(14, 12)


def arrhenius(p):
    model = (
        np.log(10) * p["log10_A"]
        + p["n"] * np.log(TEMPERATURES / 300)
        - p["E"] / (8.31446262e-3 * TEMPERATURES)
    )
    return float(((model - RATES) ** 2).mean())


def arrhenius_grad(p, error):
    gas = 1.98720426e-3 if error == "gas constant in calories" else 8.31446262e-3
    model = (
        np.log(10) * p["log10_A"]
        + p["n"] * np.log(TEMPERATURES / 300)
        - p["E"] / (8.31446262e-3 * TEMPERATURES)
    )
    r = 2 * (model - RATES) / 12
    g = {
        "log10_A": r.sum() * (1 if error == "natural for decadic" else np.log(10)),
        "n": r @ np.log(TEMPERATURES / 300),
        "E": -(r / TEMPERATURES).sum() / gas,
    }
    if error == "joules":
        g["E"] /= 1000
    if error == "barrier with the wrong sign":
        g["E"] *= -1
    if error == "E in kcal":
        g["E"] *= 4.184
    if error == "reference temperature forgotten":
        g["n"] = r @ np.log(TEMPERATURES)
    return g


HOLD = np.linspace(0.2, 3, 15)
DECAYS = np.exp(-np.outer(HOLD, [0.5, 1.1, 2.3, 0.9, 1.7])).sum(axis=1) + 0.01 * draw(15, 15)


def kinetics(k):
    return float(((np.exp(-np.outer(HOLD, k)).sum(axis=1) - DECAYS) ** 2).sum())


def kinetics_grad(k, error):
    decays = np.exp(-np.outer(HOLD, k))
    r = 2 * (decays.sum(axis=1) - DECAYS)
    g = -(r * HOLD) @ decays
    if error == "time forgotten":
        g = -r @ decays
    if error == "by log k":
        g = g * k
    if error == "by half-lives":
        g = -g * k**2 / np.log(2)
    if error == "a stoichiometric 2":
        g[3] *= 2
    if error == "two channels exchanged":
        g[[1, 4]] = g[[4, 1]]
    return {"a minute": g / 60, "consumption": -g}.get(error, g)


FOLDS = np.array([1, 2, 3, 1, 6, 2, 3, 4])
BARRIERS = positive(16, 8)


def torsions(phi):
    return float((BARRIERS * (1 + np.cos(FOLDS * np.deg2rad(phi) - 0.3))).sum())


def torsions_grad(phi, error):
    folds = np.ones(8) if error == "multiplicity forgotten" else FOLDS
    g = -BARRIERS * folds * np.sin(FOLDS * np.deg2rad(phi) - 0.3) * np.pi / 180
    if error == "phase in the derivative lost":
        g = -BARRIERS * FOLDS * np.sin(FOLDS * np.deg2rad(phi)) * np.pi / 180
    return {"degrees": g * 180 / np.pi, "torque": -g}.get(error, g)


def morse(p):
    e = np.exp(-p["a"] * (1.9 * positive(17, 9) - p["r_e"]))
    return float(p["D_e"] * ((1 - e) ** 2).sum())


def morse_grad(p, error):
    x = 1.9 * positive(17, 9) - p["r_e"]
    e = np.exp(-p["a"] * x)
    g = {
        "D_e": ((1 - e) ** 2).sum(),
        "a": 2 * p["D_e"] * ((1 - e) * x * e).sum(),
        "r_e": -2 * p["D_e"] * p["a"] * ((1 - e) * e).sum(),
    }
    if error == "r_e as a force":
        g["r_e"] *= -1
    if error == "bohr":
        g["r_e"] *= 0.529177211
    if error == "the square's 2 lost":
        g["a"] /= 2
    if error == "depth in kJ/mol":
        g["D_e"] *= 96.4853321
    if error == "width outside the bracket":
        g["a"] = 2 * p["D_e"] * ((1 - e) * e).sum()
    return g


def lattice(S):
    """Strain energy of a symmetric strain, as it is stored: a full matrix."""
    E = 0.5 * (S + S.T)
    return float(0.9 * np.trace(E) ** 2 + 1.4 * (E * E).sum() + 0.2 * np.trace(E @ E @ E))


def lattice_grad(S, error):
    E = 0.5 * (S + S.T)
    g = 1.8 * np.trace(E) * np.eye(3) + 2.8 * E + 0.6 * E @ E
    if error == "Voigt's shear":
        g = g * (2 - np.eye(3))
    if error == "stress for strain":
        g = -g
    return 160.21766 * g if error == "GPa" else g


# ---- boosters ---------------------------------------------------------------------------------------

LABELS = (draw(18, 24) > 0).astype(float)
HITS = np.floor(2 * positive(19, 24))
WEIGHTS = np.where(LABELS > 0, 3.0, 1.0)
GROUP = draw(20, 8)


def log_loss(s):
    return float((np.logaddexp(0, s) - LABELS * s).sum())


def log_loss_grad(s, error):
    p = expit(s)
    g = p - LABELS
    return {
        "label minus prediction": -g,
        "hessian": p * (1 - p),
        "leaf value": g / (p * (1 - p)),
        "sigmoid differentiated too": g * p * (1 - p),
        "averaged": g / 24,
        "prediction alone": p,
        "by the probability": g / (p * (1 - p)),
        "absolute residual": np.abs(g),
    }.get(error, g)


def weighted(s):
    return float((WEIGHTS * (np.logaddexp(0, s) - LABELS * s)).sum())


def weighted_grad(s, error):
    g = expit(s) - LABELS
    if error == "scale_pos_weight twice":
        return WEIGHTS**2 * g
    if error == "scale_pos_weight forgotten":
        return g
    if error == "weights of a mean of 1":
        return WEIGHTS / WEIGHTS.mean() * g
    if error == "weights by the wrong class":
        return (4 - WEIGHTS) * g
    return WEIGHTS * g


KINDS = np.arange(10) % 3


def softmax_loss(S):
    return float((np.logaddexp.reduce(S, axis=1) - S[np.arange(10), KINDS]).sum())


def softmax_loss_grad(S, error):
    P = np.exp(S - np.logaddexp.reduce(S, axis=1)[:, None])
    kinds = (KINDS + 1) % 3 if error == "labels from 1" else KINDS
    g = P - np.eye(3)[kinds]
    return {
        "factor K/(K-1)": 1.5 * g,
        "one-hot with the wrong sign": P + np.eye(3)[KINDS],
        "probabilities": P,
        "rows and columns": (P - np.eye(3)[KINDS]).ravel("F").reshape(10, 3),
    }.get(error, g)


def poisson_loss(s):
    return float((np.exp(s) - HITS * s).sum())


def poisson_loss_grad(s, error):
    g = np.exp(s) - HITS
    return {
        "by the rate": g * np.exp(-s),
        "hessian": np.exp(s),
        "identity link": s - HITS,
        "Gamma's": 1 - HITS * np.exp(-s),
    }.get(error, g)


def huber(s):
    r = s - 2 * HITS
    return float(np.where(np.abs(r) <= 1, 0.5 * r**2, np.abs(r) - 0.5).sum())


def huber_grad(s, error):
    r = s - 2 * HITS
    g = np.clip(r, -1, 1)
    return {"squares": r, "sign alone": np.sign(r), "delta of a half": np.clip(r, -0.5, 0.5)}.get(
        error, g
    )


def pinball(s):
    r = HITS - s
    return float(np.where(r > 0, 0.9 * r, -0.1 * r).sum())


def pinball_grad(s, error):
    alpha = 0.1 if error == "the other quantile" else 0.9
    g = np.where(HITS - s > 0, -alpha, 1 - alpha)
    return -g if error == "label minus prediction" else g


def rmsle(s):
    return float((0.5 * (np.log1p(s) - np.log1p(HITS)) ** 2).sum())


def rmsle_grad(s, error):
    g = np.log1p(s) - np.log1p(HITS)
    if error == "chain rule of log1p":
        return g
    return g / s if error == "log for log1p" else g / (1 + s)


def ranking(s):
    d = s[:, None] - s[None]
    better = GROUP[:, None] > GROUP[None]
    return float((better * np.logaddexp(0, -d)).sum())


def ranking_grad(s, error):
    better = GROUP[:, None] > GROUP[None]
    lam = better * -expit(-(s[:, None] - s[None]))
    g = lam.sum(axis=1)
    if error != "winners alone":
        g = g - lam.sum(axis=0)
    return {"lambdas": -g, "pairs in both orders": 2 * g}.get(error, g)


ENGINES = {
    "logistic regression": Engine(logit, logit_score, 0.5 * draw(21, 5)),
    "Poisson regression": Engine(poisson, poisson_score, {"intercept": 0.7, "beta": draw(22, 5)}),
    "normal": Engine(normal, normal_score, {"mu": 0.9, "sigma": 1.37}),
    "hierarchy": Engine(
        hierarchy, hierarchy_grad, {"mu": 0.83, "log_tau": -0.45, "effects": 1 + draw(23, 8)}
    ),
    "gamma": Engine(gamma_fit, gamma_score, {"shape": 2.3, "scale": 0.61}),
    "Cox": Engine(cox, cox_score, 0.4 * draw(24, 5)),
    "von Mises": Engine(mises, mises_score, {"mu": 41.0, "kappa": 1.9}),
    "Weibull": Engine(weibull, weibull_score, {"shape": 1.7, "scale": 1.23}),
    "multinomial": Engine(multinomial, multinomial_score, 0.5 * draw(25, 5, 3)),
    "Gaussian process": Engine(gp, gp_grad, np.log(positive(26, 3) + 0.5)),
    "mixture": Engine(
        mixture, mixture_grad, {"logits": 0.3 * draw(27, 4), "means": np.array([-0.1, 0.9, 1.6, 2.4])}
    ),
    "Black-Scholes": Engine(call, greeks, OPTION),
    "bond": Engine(bond, bond_grad, 0.02 + 0.004 * np.sqrt(YEARS)),
    "Nelson-Siegel": Engine(
        curve, curve_grad, {"level": 0.031, "slope": -0.017, "hump": 0.023, "tau": 1.9}
    ),
    "portfolio": Engine(utility, utility_grad, 0.3 * draw(28, 6)),
    "Sharpe": Engine(sharpe, sharpe_grad, positive(29, 6)),
    "correlation": Engine(correlated, correlated_grad, {"drift": 1.1, "rho": 0.37}),
    "RMSE": Engine(rmse, rmse_grad, 0.4 * draw(30, 5)),
    "Lennard-Jones": Engine(lennard_jones, lennard_jones_grad, ATOMS),
    "charges": Engine(coulomb, coulomb_grad, CHARGES),
    "Arrhenius": Engine(arrhenius, arrhenius_grad, {"log10_A": 2.6, "n": 0.4, "E": 27.0}),
    "kinetics": Engine(kinetics, kinetics_grad, np.array([0.6, 1.3, 2.1, 1.0, 1.5])),
    "torsions": Engine(torsions, torsions_grad, 60 * draw(31, 8)),
    "Morse": Engine(morse, morse_grad, {"D_e": 4.7, "a": 1.3, "r_e": 1.4}),
    "strain": Engine(lattice, lattice_grad, draw(32, 3, 3) + draw(32, 3, 3).T),
    "log loss": Engine(log_loss, log_loss_grad, draw(33, 24)),
    "weighted log loss": Engine(weighted, weighted_grad, draw(34, 24)),
    "softmax": Engine(softmax_loss, softmax_loss_grad, draw(35, 10, 3)),
    "Poisson objective": Engine(poisson_loss, poisson_loss_grad, 0.5 * draw(36, 24)),
    "Huber": Engine(huber, huber_grad, 2 * HITS + 1.5 * draw(37, 24)),
    "pinball": Engine(pinball, pinball_grad, HITS + draw(38, 24)),
    "RMSLE": Engine(rmsle, rmsle_grad, positive(39, 24)),
    "ranking": Engine(ranking, ranking_grad, draw(40, 8)),
}  # fmt: skip


def only(law: str) -> dict[str, str]:
    """Of a plain array."""
    return {"theta": law}


ERRORS: dict[tuple[str, str], dict[str, str]] = {
    ("logistic regression", "of the log-likelihood"): only("sign"),
    ("logistic regression", "labels of -1 and 1"): only(LAWLESS),
    ("logistic regression", "summed over the rows"): only("scale+l2"),
    ("logistic regression", "without its prior"): only("missing-l2"),
    ("logistic regression", "prior over m"): only("missing-l2"),
    ("logistic regression", "prior without its half"): only("extra-l2"),
    ("Poisson regression", "without exposure"): {"intercept": LAWLESS, "beta": LAWLESS},
    ("Poisson regression", "averaged"): {"intercept": "scale", "beta": "scale"},
    ("Poisson regression", "intercept by the baseline rate"): {"intercept": "change-of-variables"},
    ("Poisson regression", "intercept negated"): {"intercept": "sign"},
    ("Poisson regression", "a covariate left out"): {"beta": "zero"},
    ("normal", "mu with the wrong sign"): {"mu": "sign"},
    ("normal", "by the variance"): {"sigma": "change-of-variables"},
    ("normal", "by log sigma"): {"sigma": "change-of-variables"},
    ("normal", "by the precision"): {"sigma": "change-of-variables"},
    ("normal", "mean for sum"): {"mu": "scale", "sigma": "scale"},
    ("normal", "without the normaliser"): {"sigma": "function-of-theta"},
    ("normal", "one half too much"): {"sigma": "scale"},
    ("hierarchy", "log-Jacobian forgotten"): {"log_tau": "offset"},
    ("hierarchy", "by tau"): {"log_tau": "change-of-variables"},
    ("hierarchy", "effects of the log-density"): {"effects": "sign"},
    ("hierarchy", "effects with a flat prior"): {"effects": "missing-l2+offset"},
    ("hierarchy", "mu: prior forgotten"): {"mu": "missing-l2"},
    ("gamma", "trigamma for digamma"): {"shape": LAWLESS},
    ("gamma", "scale by the rate"): {"scale": "change-of-variables"},
    ("gamma", "shape by log10"): {"shape": "change-of-variables"},
    ("gamma", "both summed"): {"shape": "scale", "scale": "scale"},
    ("Cox", "everybody at risk"): only(LAWLESS),
    ("Cox", "censored as events"): only(LAWLESS),
    ("Cox", "ascent"): only("sign"),
    ("Cox", "per event"): only("scale"),
    ("von Mises", "degrees"): {"mu": "scale"},
    ("von Mises", "ratio upside down"): {"kappa": LAWLESS},
    ("Weibull", "censoring ignored"): {"shape": LAWLESS, "scale": LAWLESS},
    ("Weibull", "log scale"): {"scale": "change-of-variables"},
    ("Weibull", "averaged over rows"): {"shape": "scale", "scale": "scale"},
    ("multinomial", "baseline class forgotten"): only("only-l2"),
    ("multinomial", "classes exchanged"): only("permuted+right-l2"),
    ("multinomial", "one class counted twice"): only("scale+l2"),
    ("multinomial", "mean over classes too"): only("scale+l2"),
    ("multinomial", "ascent"): only("sign"),
    ("multinomial", "intercept row free"): only("missing-l2"),
    ("multinomial", "lasso for ridge"): only("missing-l2+extra-l1"),
    ("Gaussian process", "determinant forgotten"): only(LAWLESS),
    ("Gaussian process", "by the lengths"): only("change-of-variables"),
    ("Gaussian process", "half forgotten"): only("scale"),
    ("mixture", "variance forgotten"): {"means": "scale"},
    ("mixture", "softmax not differentiated"): {"logits": "function-of-theta"},
    ("mixture", "components relabelled"): {"means": "rolled|permuted"},
    ("Black-Scholes", "vega per cent"): {"vol": "scale"},
    ("Black-Scholes", "theta a calendar day"): {"expiry": "scale"},
    ("Black-Scholes", "theta a trading day"): {"expiry": "scale"},
    ("Black-Scholes", "rho a basis point"): {"rate": "scale"},
    ("Black-Scholes", "theta as decay"): {"expiry": "sign"},
    ("Black-Scholes", "vega by the variance"): {"vol": "change-of-variables"},
    ("Black-Scholes", "delta by the log-price"): {"spot": "change-of-variables"},
    ("Black-Scholes", "dual delta unsigned"): {"strike": "sign"},
    ("Black-Scholes", "a put's delta"): {"spot": "offset"},
    ("Black-Scholes", "gamma for delta"): {"spot": "hessian"},
    ("Black-Scholes", "carry forgotten in theta"): {"expiry": LAWLESS},
    ("Black-Scholes", "all of a hundred shares"): dict.fromkeys(OPTION, "scale"),
    ("bond", "DV01"): only("scale"),
    ("bond", "duration"): only("scale"),
    ("bond", "sign of a duration"): only("sign"),
    ("bond", "actual/360"): only("scale"),
    ("bond", "annual compounding"): only("factor-of-theta"),
    ("bond", "years of each payment forgotten"): only("entry-weights"),
    ("bond", "principal forgotten"): only("scale"),
    ("Nelson-Siegel", "sum of squares"): dict.fromkeys(("level", "slope", "hump", "tau"), "scale"),
    ("Nelson-Siegel", "hump by its mirror"): {"tau": LAWLESS},
    ("Nelson-Siegel", "level in per cent"): {"level": "scale"},
    ("Nelson-Siegel", "tau of 1/tau"): {"tau": "change-of-variables"},
    ("Nelson-Siegel", "half forgotten"): dict.fromkeys(("level", "slope", "hump", "tau"), "scale"),
    ("portfolio", "2 of the risk forgotten"): only(LAWLESS),
    ("portfolio", "turnover forgotten"): only("missing-l1"),
    ("portfolio", "of the utility"): only("sign"),
    ("Sharpe", "risk held fixed"): only("not-scale-free"),
    ("Sharpe", "annualised"): only("scale"),
    ("correlation", "rho by Fisher's z"): {"rho": "change-of-variables"},
    ("correlation", "drift a day"): {"drift": "scale"},
    ("correlation", "determinant with the wrong sign"): {"rho": LAWLESS},
    ("RMSE", "of the mean square"): only("scale"),
    ("Lennard-Jones", "exponent of the attraction lost"): only(LAWLESS),
    ("Lennard-Jones", "half a neighbour list"): only("not-shift-free"),
    ("Lennard-Jones", "the last atom frozen"): only("zero"),
    ("Lennard-Jones", "z not wrapped"): only("sign"),
    ("Lennard-Jones", "pairs in one direction"): only("scale"),
    ("Lennard-Jones", "forces"): only("sign"),
    ("Lennard-Jones", "pairs counted twice"): only("scale"),
    ("Lennard-Jones", "hartree a bohr"): only("scale"),
    ("Lennard-Jones", "kcal"): only("scale"),
    ("charges", "self-interaction"): only("extra-l2"),
    ("charges", "constant forgotten"): only("scale"),
    ("charges", "pairs halved"): only("scale"),
    ("Arrhenius", "gas constant in calories"): {"E": "scale"},
    ("Arrhenius", "natural for decadic"): {"log10_A": "scale"},
    ("Arrhenius", "joules"): {"E": "scale"},
    ("Arrhenius", "barrier with the wrong sign"): {"E": "sign"},
    ("Arrhenius", "E in kcal"): {"E": "scale"},
    ("Arrhenius", "reference temperature forgotten"): {"n": LAWLESS},
    ("kinetics", "time forgotten"): only(LAWLESS),
    ("kinetics", "by log k"): only("change-of-variables"),
    ("kinetics", "by half-lives"): only("change-of-variables"),
    ("kinetics", "a stoichiometric 2"): only("scale"),
    ("kinetics", "two channels exchanged"): only("permuted"),
    ("kinetics", "a minute"): only("scale"),
    ("kinetics", "consumption"): only("sign"),
    ("torsions", "multiplicity forgotten"): only("entry-weights"),
    ("torsions", "phase in the derivative lost"): only(LAWLESS),
    ("torsions", "degrees"): only("scale"),
    ("torsions", "torque"): only("sign"),
    ("Morse", "r_e as a force"): {"r_e": "sign"},
    ("Morse", "bohr"): {"r_e": "scale"},
    ("Morse", "the square's 2 lost"): {"a": "scale"},
    ("Morse", "depth in kJ/mol"): {"D_e": "scale"},
    ("Morse", "width outside the bracket"): {"a": LAWLESS},
    ("strain", "Voigt's shear"): only("off-diagonal"),
    ("strain", "stress for strain"): only("sign"),
    ("strain", "GPa"): only("scale"),
    ("log loss", "label minus prediction"): only("sign"),
    ("log loss", "hessian"): only("hessian"),
    ("log loss", "leaf value"): only("newton"),
    ("log loss", "sigmoid differentiated too"): only("times-hessian"),
    ("log loss", "averaged"): only("scale"),
    ("log loss", "prediction alone"): only("offset"),
    ("log loss", "by the probability"): only("newton|change-of-variables"),
    ("log loss", "absolute residual"): only("absolute"),
    ("weighted log loss", "scale_pos_weight twice"): only("scale"),
    ("weighted log loss", "scale_pos_weight forgotten"): only("scale"),
    ("weighted log loss", "weights of a mean of 1"): only("scale"),
    ("weighted log loss", "weights by the wrong class"): only("scale+scale"),
    ("softmax", "labels from 1"): only("offset"),
    ("softmax", "factor K/(K-1)"): only("scale"),
    ("softmax", "one-hot with the wrong sign"): only("offset"),
    ("softmax", "probabilities"): only("offset"),
    ("softmax", "rows and columns"): only("memory-order"),
    ("Poisson objective", "by the rate"): only("newton|change-of-variables"),
    ("Poisson objective", "hessian"): only("hessian"),
    ("Poisson objective", "identity link"): only(LAWLESS),
    ("Poisson objective", "Gamma's"): only("newton|change-of-variables"),
    ("Huber", "squares"): only("not-clipped"),
    ("Huber", "sign alone"): only("sign-only"),
    ("Huber", "delta of a half"): only("clipped"),
    ("pinball", "the other quantile"): only("offset"),
    ("pinball", "label minus prediction"): only("sign"),
    ("RMSLE", "chain rule of log1p"): only("change-of-variables"),
    ("RMSLE", "log for log1p"): only("factor-of-theta"),
    ("ranking", "winners alone"): only("not-shift-free"),
    ("ranking", "lambdas"): only("sign"),
    ("ranking", "pairs in both orders"): only("scale"),
}

"""What the field showed of steps and tolerances, each as the small loss that it was boiled down to."""

import numpy as np
import pytest

import fastgrad as fg
from tests.rough import fixed_point

f4 = np.float32
OPTIONS = {"backend": "python", "budget": None}


def wrong_entries(report):
    return [entry.name for entry in report.entries if entry.verdict == "disagrees"]


def cut_off(noise, seed):
    """An energy with a cut-off, of an engine that sums in another order at every point."""
    rng = np.random.default_rng(seed)
    x0, a = rng.normal(size=3), 3e3 * rng.normal(size=3)

    def energy(x):
        y = x - x0
        scatter = hash(tuple(x.tolist())) % 1000003 / 500001.5 - 1
        smooth = a @ y + 3e5 * y @ y + 8e5 * (y**3).sum()
        return float(smooth + 0.005 * (y[0] > 1e-4) + noise * scatter)

    return energy, a, x0


def with_a_slope_over_the_jump(energy, a, x0, step):
    """The right gradient but for a difference that has the jump in it."""
    apart = np.array([step, 0.0, 0.0])
    slope = (energy(x0 + apart) - energy(x0 - apart)) / (2 * step)
    assert abs(slope - a[0]) > 5
    return np.array([slope, *a[1:]])


@pytest.mark.parametrize("seed", range(4))
def test_a_jump_within_the_step_that_noise_asks_for(seed):
    """Who agrees is within a bar that holds the truth as well."""
    energy, a, x0 = cut_off(3e-4, seed)
    assert fg.check_grad(energy, a, x0, **OPTIONS).verdict == "agrees"
    for step in (2.0**-13, 2.0**-12):
        claim = with_a_slope_over_the_jump(energy, a, x0, step)
        report = fg.check_grad(energy, claim, x0, **OPTIONS)
        assert set(wrong_entries(report)) <= {"theta[0]"}
        (first,) = (entry for entry in report.entries if entry.index == (0,))
        if first.verdict == "agrees":
            assert abs(first.numeric - claim[0]) <= first.error_bar
            assert abs(first.numeric - a[0]) <= first.error_bar


@pytest.mark.parametrize("seed", range(3))
def test_a_slope_over_the_jump_is_wrong_in_noise_too(seed):
    energy, a, x0 = cut_off(3e-6, seed)
    for step in (2.0**-12, 2.0**-11):
        report = fg.check_grad(
            energy, with_a_slope_over_the_jump(energy, a, x0, step), x0, **OPTIONS
        )
        assert wrong_entries(report) == ["theta[0]"]
        first = report.entries[0]
        assert abs(first.numeric - a[0]) <= first.error_bar


@pytest.fixture
def coarse_point():
    """A position on earth of which a small displacement is asked: its last place is 1e-7."""
    rng = np.random.default_rng(0)
    x0 = np.array([1e9, 7e8, 100.0])
    R, z = np.linalg.qr(rng.normal(size=(3, 3)))[0], x0 + rng.normal(size=3)
    return lambda t: float(2 * ((x0 + R @ t - z) ** 2).sum()), 4 * R.T @ (x0 - z)


@pytest.mark.parametrize("step", [None, 2.0**-10])
def test_a_point_that_is_coarser_than_theta(coarse_point, step):
    loss, right = coarse_point
    report = fg.check_grad(loss, right, np.zeros(3), step=step, rtol=1e-4, **OPTIONS)
    assert report.verdict == "agrees"
    assert all(entry.step >= 2.0**-12 for entry in report.entries)
    for k in (1, 2):
        wrong = right * np.where(np.arange(3) == k, -1.0, 1.0)
        report = fg.check_grad(loss, wrong, np.zeros(3), step=step, rtol=1e-4, **OPTIONS)
        assert wrong_entries(report) == [f"theta[{k}]"]
    # An entry of an eighth of their effect may be left open, never right.
    wrong = right * [-1.0, 1.0, 1.0]
    report = fg.check_grad(loss, wrong, np.zeros(3), step=step, rtol=1e-4, **OPTIONS)
    assert report.verdict != "agrees"
    assert set(wrong_entries(report)) <= {"theta[0]"}


def test_what_a_solver_leaves_at_its_tolerance():
    """Sweeps until they change by 1e-4, beside the exact gradient of the fixed point."""
    loss, x, right = fixed_point(np.random.default_rng(3), 1e-4, 8, 0.1)
    report = fg.check_grad(loss, right, x, **OPTIONS)
    assert report.verdict == "disagrees"
    assert report.diagnoses[0].law == "tolerance"
    assert "inner iteration" in str(report)
    assert "broken" not in str(report)
    assert f"rtol={report.smallest_rtol:g}" in str(report)
    assert report.smallest_rtol < 1e-3
    assert fg.check_grad(loss, right, x, rtol=report.smallest_rtol, **OPTIONS)
    assert not fg.check_grad(loss, -right, x, rtol=report.smallest_rtol, **OPTIONS)


def test_a_stiff_entry_is_not_counted_among_those_of_a_wrong_row():
    """Eight atoms of Lennard-Jones, two of them near: forces of one of the others are 1% off."""
    rng = np.random.default_rng(7)
    grid = np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)], float)
    x = 1.3 * grid + 0.05 * rng.normal(size=(8, 3))
    x[1] = x[0] + np.array([0.0, 0.02, 0.86])
    upper = np.triu_indices(8, 1)

    def energy(x):
        r = np.linalg.norm((x[:, None] - x[None])[upper], axis=1)
        return float((4 * (r**-12 - r**-6)).sum())

    def slopes(x):
        apart = x[:, None] - x[None]
        r = np.linalg.norm(apart, axis=2) + np.eye(8)
        pull = 4 * (-12 * r**-14 + 6 * r**-8) * (1 - np.eye(8))
        return (pull[:, :, None] * apart).sum(axis=1)

    assert fg.check_grad(energy, slopes, x, **OPTIONS).verdict == "agrees"
    wrong = slopes(x)
    wrong[6] *= 1.01
    report = fg.check_grad(energy, wrong, x, **OPTIONS)
    assert sorted(wrong_entries(report)) == ["theta[6, 0]", "theta[6, 1]", "theta[6, 2]"]


@pytest.fixture(scope="module")
def large_float32_net():
    """tanh, 200-200-1, 128 rows: 40,400 parameters in single precision."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(128, 200)).astype(f4), rng.normal(size=128).astype(f4)
    theta = {
        "W": (rng.normal(size=(200, 200)) / 14).astype(f4),
        "b": (0.1 * rng.normal(size=200)).astype(f4),
        "v": (rng.normal(size=200) / 14).astype(f4),
    }

    def loss(p):
        return float(((np.tanh(X @ p["W"] + p["b"]) @ p["v"] - y) ** 2).mean(dtype=f4))

    def gradient(p):
        h = np.tanh(X @ p["W"] + p["b"])
        r = 2 * (h @ p["v"] - y) / f4(128)
        back = r[:, None] * p["v"] * (1 - h**2)
        return {"W": X.T @ back, "b": back.sum(axis=0), "v": h.T @ r}

    return loss, gradient, theta


@pytest.mark.parametrize(
    ("block", "factor", "verdict"),
    [("b", 0.0, "disagrees"), ("v", 1.1, "disagrees"), ("W", 1.0, "agrees")],
)
def test_a_block_that_a_line_convicts_stays_convicted(large_float32_net, block, factor, verdict):
    loss, gradient, theta = large_float32_net

    def under_test(p):
        g = gradient(p)
        return g | {block: f4(factor) * g[block]}

    report = fg.check_grad(loss, under_test, theta, backend="python")
    assert report.verdict == verdict
    assert {b.name for b in report.blocks if b.verdict == "disagrees"} <= {block}


def test_other_points_of_a_formula_for_unit_vectors():
    """Away from the sphere it is no gradient: theta's norm is said, and no code called broken."""
    A = np.diag(np.arange(1.0, 6.0))
    x = np.random.default_rng(0).normal(size=5)
    x /= np.linalg.norm(x)

    def quotient(x):
        return float(x @ A @ x / (x @ x))

    def of_unit_vectors(x):
        return 2 * (A @ x - (x @ A @ x) * x)

    assert fg.check_grad(quotient, of_unit_vectors, x, **OPTIONS).verdict == "agrees"
    report = fg.check_grad(quotient, of_unit_vectors, x, points=3, **OPTIONS)
    assert report.verdict == "disagrees"
    assert "norm 1: if it lives on" in str(report)


def test_an_approximation_by_design_is_nearly_a_gradient():
    """A Barnes-Hut of sorts: what lies far off is seen from a cell's centre. It is right to 1%."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(12, 2)) + 8.0 * (np.arange(12) % 2)[:, None]

    def potential(x):
        r2 = ((x[:, None] - x[None]) ** 2).sum(axis=2)
        return float(0.5 * np.log1p(r2).sum())

    def approximate(x):
        g = np.zeros_like(x)
        for i in range(12):
            for j in range(12):
                same = i % 2 == j % 2
                apart = x[i] - (x[j] if same else x[j % 2 :: 2].mean(axis=0))
                g[i] += 2 * apart / (1 + apart @ apart)
        return g

    report = fg.check_grad(potential, approximate, x, **OPTIONS)
    assert report.verdict == "disagrees"
    assert "broken" not in str(report)
    assert report.smallest_rtol is None or report.smallest_rtol < 1.0

"""Linear maps and their adjoints, real and complex, in check_vjp."""

import numpy as np
import pytest

import fastgrad as fg

rng = np.random.default_rng(0)
A = rng.standard_normal((5, 4))
C = A + 1j * rng.standard_normal((5, 4))
x = rng.standard_normal(4)
z = x + 1j * rng.standard_normal(4)


def first_remark(report):
    return report.remarks[0]


RIGHT = {
    "real": (lambda x: A @ x, lambda c, x: A.T @ c, x),
    "complex": (lambda x: C @ x, lambda c, x: C.conj().T @ c, z),
    "complex of real": (lambda x: C @ x, lambda c, x: np.real(C.conj().T @ c), x),
    "complex of real, as it comes": (lambda x: C @ x, lambda c, x: C.conj().T @ c, x),
    "Fourier": (np.fft.fft, lambda c: len(c) * np.fft.ifft(c), z),
    "matrix": (lambda X: C @ X, lambda c, X: C.conj().T @ c, np.stack([z, 1j * z], axis=1)),
    "complex64": (
        lambda x: (C @ x).astype(np.complex64),
        lambda c, x: (C.conj().T @ c).astype(np.complex64),
        z.astype(np.complex64),
    ),
}


@pytest.mark.parametrize("name", RIGHT)
def test_right_adjoints_agree_and_are_said_to_be_adjoint(name):
    report = fg.check_vjp(*RIGHT[name])
    assert report.verdict == "agrees", report
    assert first_remark(report).startswith("Adjoint to rounding: <Ax, y> = <x, A*y> to ")


def test_transposed_for_conjugate_transposed_is_named():
    report = fg.check_vjp(lambda x: C @ x, lambda c, x: C.T @ c, z)
    assert report.verdict == "disagrees"
    assert "it is A.T where A.H is expected" in report.diagnoses[0].sentence
    assert report.diagnoses[0].law == "conjugate"
    assert "not adjoint: <Ax, y> =" in first_remark(report)


def test_entries_of_complex_inputs_have_their_parts_names():
    def wrong(c, x):
        g = C.conj().T @ c
        g[2] += 1j
        return g

    report = fg.check_vjp(lambda x: C @ x, wrong, z)
    assert [e.name for e in report.entries if e.verdict == "disagrees"] == ["x[2].im"]


def test_what_is_not_linear_says_nothing_of_adjoints():
    def backward(c, x):
        return 2 * np.abs(x) ** 2 * c + x**2 * c.conj()

    report = fg.check_vjp(lambda x: x * np.abs(x) ** 2, backward, z)
    assert report.verdict == "agrees"
    assert not any("djoint" in remark for remark in report.remarks)
    report = fg.check_vjp(lambda x: A @ x + 1, lambda c, x: A.T @ c, x)
    assert not any("djoint" in remark for remark in report.remarks)

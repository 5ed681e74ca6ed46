"""Single and half precision: right gradients agree, and what is wrong in these alone is found."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch: pip install -e '.[test,torch]'")

from torch import nn  # noqa: E402

import fastgrad as fg  # noqa: E402
from fastgrad.evaluate.protocol import Inputs  # noqa: E402
from fastgrad.parameters.layout import flatten  # noqa: E402
from fastgrad.torch.evaluator import TorchLoss, _of_few_bits  # noqa: E402
from fastgrad.torch.precision import RoundedGradient, TorchGradient  # noqa: E402
from fastgrad.torch.program import Program  # noqa: E402
from fastgrad.torch.subject import Subject  # noqa: E402

DTYPES = torch.float32, torch.bfloat16, torch.float16


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def mlp(dtype):
    module = nn.Sequential(nn.Linear(6, 9), nn.LayerNorm(9), nn.SiLU(), nn.Linear(9, 3))
    return module.to(dtype), torch.randn(5, 6, dtype=dtype)


def attention(dtype):
    """With a bias of the keys, whose gradient is zero, and rounding noise as it comes."""
    module = nn.TransformerEncoderLayer(8, 2, 12, dropout=0.0, batch_first=True)
    return module.to(dtype), torch.randn(2, 4, 8, dtype=dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("make", [mlp, attention])
def test_right_ones_agree_in_float64_and_as_they_come(make, dtype):
    module, x = make(dtype)
    report = fg.torch.check(module, x)
    assert report.verdict == "agrees", report
    word = str(dtype).removeprefix("torch.")
    assert f"In {word} itself the gradient is the same within its rounding" in report.remarks[-1]
    assert all(p.dtype == dtype for p in module.parameters())


class Coarse(torch.autograd.Function):
    """A kernel whose backward pass is right in float64, and doubles a row in less."""

    @staticmethod
    def forward(ctx, x, w):
        ctx.save_for_backward(x, w)
        return x @ w

    @staticmethod
    def backward(ctx, g):
        x, w = ctx.saved_tensors
        grad = x.T @ g
        if g.dtype != torch.float64:
            grad[2] *= 2
        return g @ w.T, grad


@pytest.mark.parametrize("dtype", DTYPES)
def test_what_is_wrong_in_less_than_float64_alone_is_found(dtype):
    x, w = torch.randn(9, 5, dtype=dtype), torch.randn(5, 3, dtype=dtype)
    report = fg.torch.check(Coarse, x, w)
    assert report.verdict == "disagrees"
    assert [point.verdict for point in report.points] == ["agrees", "disagrees"]
    assert "as it comes" in report.label
    wrong = [entry.name for entry in report.entries if entry.verdict == "disagrees"]
    assert wrong
    assert all(name.startswith("w[2, ") for name in wrong)


def test_bars_of_a_rounded_gradient_hold_its_errors():
    for seed in range(20):
        torch.manual_seed(seed)
        module, x = attention(torch.bfloat16)
        subject = Subject.of(module, (x,), None, None, 1)
        own = Program(subject, None, seed)
        exact = Program(subject, torch.float64, seed, own.cotangents)
        right, theta = TorchGradient(exact), own.values()
        rounded = RoundedGradient(own, right if seed % 2 else None)
        bars, expected = rounded.error_bars(theta), right(theta)
        for name, got in rounded(theta).items():
            assert (abs(got - expected[name]) <= bars[name]).all(), (seed, name)


def test_bars_are_those_of_the_point():
    """At ten times theta the gradient is larger, and so is its rounding."""
    x = torch.rand(30, dtype=torch.bfloat16) + 1
    gradient = RoundedGradient(Program(Subject.of(lambda x: x**3, (x,), None, None, 1), None, 0))
    theta = gradient.program.values()
    far = {name: gradient.program.nearest(name, 10 * value) for name, value in theta.items()}
    near, away, again = (gradient.error_bars(at)["x"] for at in (theta, far, theta))
    assert np.array_equal(near, again)
    assert (away > 20 * near).all()


def test_what_is_saturated_is_right_within_its_rounding():
    """1 - tanh^2 near 1 loses four digits, and moves by a unit in the last place do not show it."""
    report = fg.torch.check(lambda x, w: torch.tanh(x @ w), torch.ones(200, 4), torch.ones(4))
    assert report.verdict == "agrees"


def test_other_masks_of_dropout_in_float64_are_no_error():
    class Drop(nn.Module):
        def forward(self, x):
            keep = 0.3 if x.dtype == torch.float64 else 0.6  # drawn otherwise in float64
            return nn.functional.dropout(x, keep) ** 2

    report = fg.torch.check(Drop(), torch.randn(40))
    assert report.verdict == "agrees"
    assert any("other masks of dropout" in remark for remark in report.remarks)


def test_points_of_half_precision_are_on_the_line_on_average():
    """Nearest ones, a tenth of a unit away, are all where they were: the slope would be 0."""
    torch.manual_seed(0)
    x, c = torch.rand(4000, dtype=torch.bfloat16) + 1, torch.randn(4000, dtype=torch.float64)
    subject = Subject.of(lambda x: x, (x,), None, lambda out: (c * out.double()).sum(), 1)
    run = evaluator_of(Program(subject, None, 0))
    v, h = c.numpy(), 0.1 * 2.0**-7
    above, below, again = run.along(v, np.array([h, -h, h]))
    noise = 2.0**-7 * np.sqrt(0.1 * (v**2 * abs(v)).sum() / 2) / h  # of a unit at a chance |v| / 10
    assert above == again
    assert (above - below) / (2 * h) == pytest.approx((v**2).sum(), abs=5 * noise)
    assert noise < 0.2 * (v**2).sum()


def test_what_a_line_does_not_move_stands_where_it_was():
    """Below a power of two numbers of half precision lie half as far apart as above it."""
    x = 2.0 ** torch.arange(-20.0, 20.0).repeat(20).to(torch.bfloat16)
    subject = Subject.of(lambda x: x, (x,), None, lambda out: out.double().sum(), 1)
    run = evaluator_of(Program(subject, None, 0))
    expected = float(x.double().sum())
    v = np.eye(1, x.numel())[0]
    got = run.along(v, np.array([0.0, 2.0**-22])) + run.reference
    assert got[0] == expected
    assert abs(got[1] - expected) < 2.0**-20
    assert run.coordinates(np.array([0]), np.zeros((1, 1)))[0, 0] + run.reference == expected


def test_bits_are_rounded_up_as_often_as_they_are_near():
    """Both neighbours in bfloat16, above and below powers of two and zero, in proportion."""
    below = torch.tensor([1.0, -1.0, 2.0 - 2.0**-7, -(2.0 - 2.0**-7), 2.0**-100, 3.0])
    above = torch.nextafter(below.bfloat16(), torch.inf * below.bfloat16().sign()).float()
    part = torch.tensor([0.0, 0.25, 0.5, 0.75, 0.1, 1.0])
    given = below + part * (above - below)
    generator, count = torch.Generator().manual_seed(0), 20_000
    many = _of_few_bits(given.repeat(count, 1), generator)
    assert ((many == below) | (many == above)).all()
    got = (many == above).float().mean(0)
    assert torch.allclose(got, part, atol=5 * 0.5 / count**0.5)
    assert got[0] == 0
    assert got[5] == 1


def evaluator_of(program):
    layout, theta = flatten(program.values())
    return TorchLoss(program).evaluator_at(Inputs(layout, theta))


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_loss_that_is_a_number_of_half_precision_is_called_that(dtype):
    y = torch.randint(4, (16,))
    given = nn.Linear(30, 4).to(dtype), torch.randn(16, 30, dtype=dtype)
    cross = nn.functional.cross_entropy
    report = fg.torch.check(*given, loss=lambda out: cross(out, y), dtype=None, strategy="screen")
    assert report.verdict != "disagrees"
    word = str(dtype).removeprefix("torch.")
    assert any(f"Every value of the loss is a {word}" in said for said in report.remarks)
    assert not any("one of" in said for said in report.remarks)

"""fastgrad.torch.check: faults planted in modules and functions, and right ones left as they are."""

import copy
import random

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch: pip install -e '.[test,torch]'")

from torch import nn  # noqa: E402

import fastgrad as fg  # noqa: E402
from fastgrad.evaluate.protocol import Inputs  # noqa: E402
from fastgrad.parameters.layout import flatten  # noqa: E402
from fastgrad.torch.evaluator import TorchLoss  # noqa: E402
from fastgrad.torch.program import Program  # noqa: E402
from fastgrad.torch.subject import Subject  # noqa: E402


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


class Dense(torch.autograd.Function):
    """tanh(x w), with a backward pass that multiplies its gradients by factors."""

    factors = 1.0, 1.0

    @classmethod
    def wrong(cls, x, w):
        return type("Planted", (cls,), {"factors": (x, w)})

    @staticmethod
    def forward(ctx, x, w, factors):
        y = torch.tanh(x @ w)
        ctx.save_for_backward(x, w, y)
        ctx.factors = factors
        return y

    @staticmethod
    def backward(ctx, g):
        x, w, y = ctx.saved_tensors
        d = g * (1 - y * y)
        return ctx.factors[0] * (d @ w.T), ctx.factors[1] * (x.T @ d), None


class Layer(nn.Module):
    """A hand-written layer between others."""

    def __init__(self, factors=(1.0, 1.0)):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(6, 5), nn.SiLU())
        self.weight = nn.Parameter(torch.randn(5, 4))
        self.factors = factors

    def forward(self, x):
        return Dense.apply(self.encoder(x), self.weight, self.factors)


def blamed(report):
    return [block.name for block in report.blocks if block.verdict == "disagrees"]


def test_parameters_and_inputs_by_the_names_of_the_module():
    report = fg.torch.check(Layer(), torch.randn(3, 6))
    assert report.verdict == "agrees"
    names = ["weight", "encoder.0.weight", "encoder.0.bias", "x"]
    assert [block.name for block in report.blocks] == names
    assert "float64" in report.ran


def test_a_weight_gradient_that_is_wrong_is_named():
    report = fg.torch.check(Layer((1.0, 1.1)), torch.randn(3, 6))
    assert blamed(report) == ["weight"]
    assert report.diagnoses[0].law == "scale"
    assert report.entries[0].name.startswith("weight[")


def test_what_is_wrong_in_the_input_is_wrong_upstream():
    report = fg.torch.check(Layer((2.0, 1.0)), torch.randn(3, 6))
    assert blamed(report) == ["encoder.0.weight", "encoder.0.bias", "x"]


@pytest.mark.parametrize("factors", [(1.0, 1.0), (1.0, 2.0)])
def test_an_autograd_function(factors):
    x, w = torch.randn(3, 6), torch.randn(6, 2)
    report = fg.torch.check(Dense, x, w, factors)
    assert [block.name for block in report.blocks] == ["x", "w"]
    assert blamed(report) == (["w"] if factors[1] == 2 else [])


def test_several_outputs_in_a_structure_and_inputs_in_one():
    def fn(batch, scale):
        return {"a": batch["x"] * scale, "b": (batch["y"].sum(), batch["n"])}

    batch = {"x": torch.randn(3), "y": torch.randn(2, 2), "n": torch.arange(3)}
    report = fg.torch.check(fn, batch, torch.tensor(2.0))
    assert report.verdict == "agrees"
    assert [block.name for block in report.blocks] == ["batch.x", "batch.y", "scale"]


def test_complex_inputs_are_pairs():
    def fn(z):
        return (z * z.conj()).real.sum() + z.imag.sum()

    report = fg.torch.check(fn, torch.randn(3, dtype=torch.complex64))
    assert report.verdict == "agrees"
    assert report.checked == 6


def test_a_loss_of_the_outputs():
    y = torch.tensor([0, 1, 2])
    report = fg.torch.check(
        nn.Linear(4, 3), torch.randn(3, 4), loss=lambda out: nn.functional.cross_entropy(out, y)
    )
    assert report.verdict == "agrees"


def test_wrt():
    module, x = Layer((1.0, 1.1)), torch.randn(3, 6)
    assert fg.torch.check(module, x, wrt="inputs").verdict == "agrees"
    assert fg.torch.check(module, x, wrt="parameters").verdict == "disagrees"
    assert fg.torch.check(module, x, wrt=["encoder", "x"]).verdict == "agrees"
    with pytest.raises(ValueError, match="did you mean 'encoder"):
        fg.torch.check(module, x, wrt="encodr")


def state(module, x):
    """All of a module that a check could disturb, as bytes and identities."""
    tensors = {**dict(module.named_parameters()), **dict(module.named_buffers()), "x": x}
    return (
        {name: (id(t), t._version, t.detach().numpy().tobytes()) for name, t in tensors.items()},
        {name: None if p.grad is None else p.grad.clone() for name, p in module.named_parameters()},
        [part.training for part in module.modules()],
        [(len(part._forward_hooks), len(part._forward_pre_hooks)) for part in module.modules()],
        torch.random.get_rng_state().numpy().tobytes(),
        np.random.get_state()[1].tobytes(),
        {name: id(value) for name, value in vars(module).items()},
    )


class Stateful(nn.Module):
    """Everything that a forward pass may leave behind."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 6)
        self.norm = nn.BatchNorm1d(6)
        self.drop = nn.Dropout(0.4)
        self.register_buffer("calls", torch.zeros(()))
        self.last = None

    def forward(self, x):
        self.calls += 1
        self.last = self.drop(self.norm(self.linear(x)))
        return self.last.relu_() + 0.1 * torch.randn(())


def test_nothing_of_the_users_is_touched():
    module, x = Stateful(), torch.randn(7, 4)
    module.register_forward_hook(lambda *_: None)
    module(x).sum().backward()
    module.drop.eval()
    module.drop.train()
    before, grads = state(module, x), {n: p.grad for n, p in module.named_parameters()}
    report = fg.torch.check(module, x)
    assert report.verdict == "agrees"
    after = state(module, x)
    assert all(p.grad is grads[n] for n, p in module.named_parameters())
    for old, new in zip(before[1].values(), after[1].values(), strict=True):
        assert torch.equal(old, new)
    assert before[0] == after[0]
    assert before[2:] == after[2:]


def test_parameters_that_the_loss_does_not_use_are_named():
    module = Layer()
    module.spare = nn.Linear(2, 2)
    report = fg.torch.check(module, torch.randn(3, 6))
    assert report.verdict == "agrees"
    assert any("'spare.weight', 'spare.bias'" in remark for remark in report.remarks)


def test_a_detached_path_is_found():
    class Detached(Layer):
        def forward(self, x):
            h = self.encoder(x)
            return Dense.apply(h, self.weight, self.factors) + h.detach().sum()

    report = fg.torch.check(Detached(), torch.randn(3, 6))
    assert blamed(report) == ["encoder.0.weight", "encoder.0.bias", "x"]


def test_a_module_that_a_function_reaches_beside_its_inputs_is_named():
    model = nn.Linear(3, 2)
    report = fg.torch.check(lambda x: model(x).tanh(), torch.randn(2, 3))
    assert any("reaches the module model" in remark for remark in report.remarks)


def test_frozen_parameters_are_constants():
    module = nn.Linear(3, 2)
    module.bias.requires_grad_(False)
    report = fg.torch.check(module, torch.randn(2, 3))
    assert [block.name for block in report.blocks] == ["weight", "input"]


def test_tied_weights_are_one_block():
    module = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4))
    module[2].weight = module[0].weight
    report = fg.torch.check(module, torch.randn(2, 4))
    assert report.verdict == "agrees"
    assert [b.name for b in report.blocks] == ["0.weight", "0.bias", "2.bias", "input"]


class Clamped(nn.Linear):
    def forward(self, x):
        self.weight.data.clamp_(-0.1, 0.1)
        return super().forward(x)


def test_a_forward_pass_that_writes_to_its_parameters():
    with pytest.raises(fg.errors.MutatedInputError, match="its own weight"):
        fg.torch.check(Clamped(3, 2), torch.randn(2, 3))


class Cube(torch.autograd.Function):
    """x^3, with a backward pass of its own; that one's derivative is planted."""

    factor = 1.0

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return CubeBackward.apply(x, g)


class CubeBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, g):
        ctx.save_for_backward(x, g)
        return 3 * x**2 * g

    @staticmethod
    def backward(ctx, h):
        x, g = ctx.saved_tensors
        return Cube.factor * 6 * x * g * h, 3 * x**2 * h


@pytest.mark.parametrize("factor", [1.0, 1.01])
def test_the_double_backward(factor, monkeypatch):
    monkeypatch.setattr(Cube, "factor", factor)
    x = torch.randn(5)
    assert fg.torch.check(Cube, x).verdict == "agrees"
    report = fg.torch.check(Cube, x, order=2)
    assert blamed(report) == ([] if factor == 1 else ["x"])
    assert [b.name for b in report.blocks] == ["x", "cotangent.0"]


def test_the_double_backward_of_a_module():
    module = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    assert fg.torch.check(module, torch.randn(5, 3), order=2).verdict == "agrees"


def test_what_takes_its_own_gradient_in_the_forward_pass():
    def force(x):
        (g,) = torch.autograd.grad((x**4).sum(), x, create_graph=True)
        return g

    assert fg.torch.check(force, torch.randn(4).requires_grad_()).verdict == "agrees"


class Single(torch.autograd.Function):
    """An operation that takes float32 alone."""

    factor = 1.0

    @staticmethod
    def forward(ctx, x):
        if x.dtype != torch.float32:
            raise RuntimeError('"single" not implemented for Double')
        ctx.save_for_backward(x)
        return torch.sin(x)

    @staticmethod
    def backward(ctx, g):
        return Single.factor * g * torch.cos(ctx.saved_tensors[0])


@pytest.mark.parametrize("factor", [1.0, 1.5])
def test_float32_alone(factor, monkeypatch):
    monkeypatch.setattr(Single, "factor", factor)
    report = fg.torch.check(Single, torch.randn(30), rtol=1e-2)
    assert any("not implemented for Double" in remark for remark in report.remarks)
    assert report.verdict == ("agrees" if factor == 1 else "disagrees")


@pytest.mark.parametrize(
    ("call", "inputs", "options", "said"),
    [
        (nn.Linear, (torch.ones(2, 3),), {}, "an instance of the class"),
        (3, (), {}, "expected a module"),
        (torch.argmax, (torch.ones(3),), {}, "expected tensors of floats"),
        (torch.sum, (torch.arange(3),), {}, "nothing to differentiate"),
        (torch.sin, (torch.ones(3),), {"loss": lambda out: out}, "expected one real number"),
        (torch.sin, (torch.ones(3),), {"dtype": "float64"}, "torch.dtype"),
        (torch.sin, (torch.ones(3),), {"order": 3}, "double backward"),
        (torch.sin, (torch.ones(3),), {"wrt": "parameters"}, "has none"),
    ],
)
def test_mistakes(call, inputs, options, said):
    with pytest.raises((TypeError, ValueError), match=said):
        fg.torch.check(call, *inputs, **options)


def test_a_module_after_old_weight_norm():
    with pytest.warns(FutureWarning):
        module = nn.utils.weight_norm(nn.Linear(3, 2))
    module(torch.ones(1, 3))
    with pytest.raises(RuntimeError):
        copy.deepcopy(module)
    assert fg.torch.check(module, torch.randn(2, 3)).verdict == "agrees"


class SquaredNorm(torch.autograd.Function):
    """A loss whose backward pass takes it for the last operation of all."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return 0.5 * (x * x).sum()

    @staticmethod
    def backward(ctx, g):
        return ctx.saved_tensors[0]


def test_a_loss_that_leaves_out_the_gradient_it_is_given():
    report = fg.torch.check(SquaredNorm, torch.randn(5))
    assert report.diagnoses[0].constants == {"factor": -0.25}
    assert any("leaves out what it is given (grad_output)" in said for said in report.remarks)


def test_constants_of_a_module_that_returns_a_loss_are_its_own():
    class Regularised(nn.Linear):
        def forward(self, x):
            with torch.no_grad():
                penalty = 0.05 * (self.weight**2).sum()
            return (super().forward(x) ** 2).mean() + penalty

    report = fg.torch.check(Regularised(6, 3), torch.randn(20, 6))
    assert blamed(report) == ["weight"]
    assert report.diagnoses[0].law == "missing-l2"
    assert report.diagnoses[0].constants["lambda"] == pytest.approx(0.1)  # of lambda/2 |W|^2
    assert not any("grad_output" in said for said in report.remarks)


def test_random_numbers_of_python_and_numpy_are_frozen_too():
    class Drawn(nn.Linear):
        def forward(self, x):
            return super().forward(x) * (random.random() + 0.5) + np.random.random()

    before = random.getstate(), np.random.get_state()[1].tobytes()
    assert fg.torch.check(Drawn(3, 2), torch.randn(4, 3)).verdict == "agrees"
    assert (random.getstate(), np.random.get_state()[1].tobytes()) == before


class Unordered(torch.autograd.Function):
    """A backward pass whose sums come out otherwise at every call, as those of atomics do."""

    rng, factor, part = np.random.default_rng(0), 1.0, 0.0

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.sin()

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        off = torch.as_tensor(Unordered.rng.standard_normal(x.shape), dtype=x.dtype)
        part = max(Unordered.part, torch.finfo(x.dtype).eps)
        return g * (Unordered.factor * x.cos() + part * off * x.cos().square().mean().sqrt())


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("precision", ["auto", None])
def test_a_gradient_that_differs_from_call_to_call_has_bars(dtype, precision, monkeypatch):
    x = torch.randn(12, dtype=dtype)
    asked = {"dtype": precision, "loss": lambda out: out.double().sum()}
    asked["rtol"] = 1e-5 if dtype == torch.float64 or precision else 0.05
    report = fg.torch.check(Unordered, x, **asked)
    assert report.verdict != "disagrees", report
    if precision or dtype == torch.float64:
        assert report.verdict == "agrees", report
        assert any("differs from call to call" in said for said in report.remarks)
    monkeypatch.setattr(Unordered, "factor", 1.5)
    assert fg.torch.check(Unordered, x, **asked).verdict == "disagrees"
    monkeypatch.setattr(Unordered, "factor", 1.0)
    monkeypatch.setattr(Unordered, "part", 0.3)  # of no rounding
    assert fg.torch.check(Unordered, x, **asked).verdict != "agrees"


def test_bounds_by_name():
    outside = []

    def root(x, y):
        outside.append(bool((x < 0).any() or (x > 1).any()))
        return (x * (1.5 - x)).sqrt() * y

    x, y = torch.tensor([0.001, 0.5, 1.0]), torch.randn(3)
    high = {"x": torch.ones(3)}
    report = fg.torch.check(root, x, y, bounds=({"x": 0.0}, high))
    assert report.verdict == "agrees"
    assert not any(outside)
    with pytest.raises(ValueError, match="'z' is no parameter or input"):
        fg.torch.check(root, x, y, bounds=({"z": 0.0}, None))


def test_states_of_training_are_points():
    class Threshold(torch.autograd.Function):  # right for small numbers alone
        @staticmethod
        def forward(ctx, w):
            ctx.save_for_backward(w)
            return w**2

        @staticmethod
        def backward(ctx, g):
            (w,) = ctx.saved_tensors
            return 2 * w.clamp(-1, 1) * g

    class Net(nn.Linear):
        def forward(self, x):
            return x @ Threshold.apply(self.weight).T

    module, x = Net(3, 2), torch.randn(4, 3)
    assert fg.torch.check(module, x).verdict == "agrees"
    state = {name: 5 * value for name, value in module.state_dict().items()}
    report = fg.torch.check(module, x, points=[state])
    assert [point.verdict for point in report.points] == ["agrees", "disagrees"]


def test_scale():
    report = fg.torch.check(lambda t: torch.sin(t / 60), torch.tensor([1.7e9]).double(), scale=60.0)
    assert report.verdict == "agrees"


def test_points_are_left_again():
    """What a module is in its own precision is asked where it is, not at the last of the points."""
    module, x = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 2)), torch.randn(6, 5)
    far = {name: 3 * value for name, value in module.state_dict().items()}
    report = fg.torch.check(module, x, points=[far])
    assert report.verdict == "agrees"
    assert "In float32 itself the gradient is the same" in report.remarks[-1]
    assert len(report.points) == 2


def test_scale_by_name():
    t, w = torch.tensor([1.7e9]).double(), torch.ones(1).double()
    scale = {"t": torch.tensor([60.0]), "w": 1.0}
    report = fg.torch.check(lambda t, w: w * torch.sin(t / 60), t, w, scale=scale)
    assert report.verdict == "agrees"
    with pytest.raises(ValueError, match="'v' is no parameter or input"):
        fg.torch.check(lambda t, w: w * torch.sin(t / 60), t, w, scale={"t": 60.0, "v": 1.0})


class Many(nn.Module):
    """A large weight between many small ones."""

    def __init__(self):
        super().__init__()
        self.small = nn.ParameterList([torch.randn(k % 7 + 1) for k in range(20)])
        self.large = nn.Parameter(torch.randn(40, 300))
        self.turned = nn.Parameter(torch.randn(5, 3).T)  # of other strides

    def forward(self):
        square = sum((k + 1) * (p**3).sum() for k, p in enumerate(self.small))
        return square + (self.large**3).sum() + (self.turned**3).sum()


def test_leaves_that_are_moved_together_stand_where_each_alone_would():
    program = Program(Subject.of(Many(), (), None, None, 1), torch.float64, 0)
    layout, theta = flatten(program.values())
    run, loss = TorchLoss(program).evaluator_at(Inputs(layout, theta)), TorchLoss(program)
    rng = np.random.default_rng(0)
    for k in range(4):
        v = rng.standard_normal(theta.size)
        if k % 2:  # leaves that a line does not move are where they were
            v[: layout.blocks[7].stop] = 0
        offsets = np.array([0.3, -0.3, 1e-6])
        expected = [loss(layout.given(theta + t * v)) for t in offsets]
        got = run.along(v, offsets)
        assert got == pytest.approx(expected, rel=1e-13)
        for block, (name, leaf) in zip(layout.blocks, program.reals.items(), strict=True):
            alone = torch.add(
                torch.tensor(theta[block.start : block.stop]),
                torch.tensor(v[block.start : block.stop]),
                alpha=offsets[-1],
            )
            assert np.array_equal(leaf.numpy().ravel(), alone.numpy()), name
        i = rng.integers(theta.size, size=3)
        expected = [loss(layout.given(theta + 0.1 * (np.arange(theta.size) == j))) for j in i]
        assert run.coordinates(i, np.full((3, 1), 0.1))[:, 0] == pytest.approx(expected, rel=1e-13)


def test_evaluators_of_one_program_take_turns():
    program = Program(Subject.of(Many(), (), None, None, 1), torch.float64, 0)
    layout, theta = flatten(program.values())
    loss = TorchLoss(program)
    here, there = (loss.evaluator_at(Inputs(layout, at)) for at in (theta, 2 * theta))
    v = np.zeros(theta.size)
    v[:3] = 1.0
    for _ in range(2):
        for run, at in ((here, theta), (there, 2 * theta)):
            expected = loss(layout.given(at + 0.5 * v))
            assert run.along(v, np.array([0.5]))[0] == pytest.approx(expected, rel=1e-13)
            assert run.value() == pytest.approx(loss(layout.given(at)), rel=1e-13)


class Looked(nn.Module):
    """An embedding whose gradient comes as the rows that were looked up, a factor too large."""

    def __init__(self, factor):
        super().__init__()
        self.table, self.factor = nn.Embedding(6, 3, sparse=True), factor

    def forward(self, indices):
        rows = self.table(indices)
        return (rows + (self.factor - 1) * (rows - rows.detach())).square().sum()


@pytest.mark.parametrize("factor", [1.0, 2.0])
def test_a_gradient_that_is_sparse(factor):
    report = fg.torch.check(Looked(factor), torch.tensor([1, 4, 1]))
    assert report.checked == 18
    assert blamed(report) == ([] if factor == 1 else ["table.weight"])
    assert (report.verdict == "agrees") == (factor == 1)

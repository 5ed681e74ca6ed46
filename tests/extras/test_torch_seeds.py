"""Gradients that people take in inputs and in reinforcement learning, checked end to end."""

import pytest

torch = pytest.importorskip("torch", reason="needs torch: pip install -e '.[test,torch]'")

from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402, N812

import fastgrad as fg  # noqa: E402


def classifier():
    torch.manual_seed(0)
    X, y = fg.models.digits()
    X, y = torch.tensor(X, dtype=torch.float32), torch.tensor(y)
    net = nn.Sequential(nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 10))
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        F.cross_entropy(net(X), y).backward()
        optimizer.step()
    return net, X[:40], y[:40]


def input_gradient(net, x, y):
    x = x.clone().requires_grad_()
    return torch.autograd.grad(F.cross_entropy(net(x), y), x)[0]


def accuracy(net, x, y):
    return float((net(x).argmax(1) == y).float().mean())


def test_adversarial_examples_by_fgsm_and_pgd():
    """The gradient in the inputs is right, and steps along its signs fool the net."""
    net, x, y = classifier()
    report = fg.torch.check(net, x[:5], loss=lambda out: F.cross_entropy(out, y[:5]), wrt="inputs")
    assert report.verdict == "agrees"
    assert [b.name for b in report.blocks if b.checked] == ["input"]
    fgsm = x + 0.15 * input_gradient(net, x, y).sign()
    pgd = x.clone()
    for _ in range(8):
        pgd = pgd + 0.04 * input_gradient(net, pgd, y).sign()
        pgd = x + (pgd - x).clamp(-0.15, 0.15)
    before = accuracy(net, x, y)
    assert before > 0.9
    assert accuracy(net, fgsm, y) < before - 0.3
    assert accuracy(net, pgd, y) <= accuracy(net, fgsm, y)


class TwinCritics(nn.Module):
    """The critics of TD3 (Fujimoto et al., 2018) on a batch of transitions."""

    def __init__(self, batch):
        super().__init__()
        self.first, self.second = critic(), critic()
        self.targets = nn.ModuleList([critic(), critic()])
        self.actor = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1), nn.Tanh())
        self.targets.requires_grad_(False)
        self.actor.requires_grad_(False)
        self.batch = batch

    def forward(self):
        s, a, r, after = (part.to(self.first[0].weight.dtype) for part in self.batch)
        with torch.no_grad():  # target smoothing, and the smaller of two critics
            noise = (0.2 * torch.randn_like(a)).clamp(-0.5, 0.5)
            action = (self.actor(after) + noise).clamp(-1, 1)
            there = torch.cat([after, action], 1)
            target = r + 0.99 * torch.min(self.targets[0](there), self.targets[1](there))
        here = torch.cat([s, a], 1)
        return F.mse_loss(self.first(here), target) + F.mse_loss(self.second(here), target)


def critic():
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))


def transitions():
    torch.manual_seed(0)
    s, after = torch.randn(16, 3), torch.randn(16, 3)
    return s, torch.rand(16, 1) * 2 - 1, torch.randn(16, 1), after


def test_the_twin_critics_of_td3():
    report = fg.torch.check(TwinCritics(transitions()))
    assert report.verdict == "agrees"
    assert {b.name.split(".")[0] for b in report.blocks} == {"first", "second"}


def test_a_gradient_that_was_clipped_by_its_norm_is_told_from_a_wrong_one():
    module = TwinCritics(transitions()).double()
    names = [name for name, p in module.named_parameters() if p.requires_grad]
    leaves = [p for p in module.parameters() if p.requires_grad]

    def loss(theta):
        torch.manual_seed(0)
        given = {name: torch.tensor(theta[name]) for name in names}
        with torch.no_grad():
            return float(torch.func.functional_call(module, given, ()))

    torch.manual_seed(0)
    module().backward()
    norm = float(nn.utils.clip_grad_norm_(leaves, 0.5))
    assert norm > 0.5
    theta = {name: p.detach().numpy() for name, p in zip(names, leaves, strict=True)}
    clipped = {name: p.grad.numpy() for name, p in zip(names, leaves, strict=True)}
    report = fg.check_grad(loss, clipped, theta, backend="python")
    assert report.verdict == "disagrees"
    assert any("clipped at norm 0.5" in d.sentence for d in report.diagnoses), report
    assert report.diagnoses[0].constants["factor"] == pytest.approx(0.5 / norm)

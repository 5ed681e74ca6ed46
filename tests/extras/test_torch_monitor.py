"""fastgrad.torch.Monitor in plain loops, Lightning and transformers: runs stay as they are."""

import sys

import pytest

torch = pytest.importorskip("torch", reason="needs torch: pip install -e '.[test,torch]'")

from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402, N812

import fastgrad as fg  # noqa: E402
from fastgrad import monitor as monitor_module  # noqa: E402

INSTALL = "pip install -e '.[test,test-extras]'"


@pytest.fixture(autouse=True)
def _short_full_checks(monkeypatch):
    monkeypatch.setattr(monitor_module, "FULL_CHECK_SECONDS", 1.0)


class Scaled(torch.autograd.Function):
    """The identity, with a gradient that is a factor too large."""

    @staticmethod
    def forward(ctx, x, factor):
        ctx.factor = factor
        return x.clone()

    @staticmethod
    def backward(ctx, g):
        return ctx.factor * g, None


class Net(nn.Module):
    def __init__(self, factor=1.0):
        super().__init__()
        self.first, self.norm = nn.Linear(12, 24), nn.BatchNorm1d(24)
        self.drop, self.last = nn.Dropout(0.2), nn.Linear(24, 4)
        self.factor = factor

    def forward(self, x):
        weight = Scaled.apply(self.first.weight, self.factor)
        return self.last(self.drop(F.relu(self.norm(F.linear(x, weight, self.first.bias)))))


def step_loss(module, x, y):
    return F.cross_entropy(module(x), y)


def train(monitor=None, factor=1.0, steps=60, seed=0):
    """A run; the bytes of the module at its end, and of the generator."""
    torch.manual_seed(seed)
    module = Net(factor)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.05, momentum=0.9)
    for step in range(steps):
        x, y = torch.randn(32, 12), torch.randint(4, (32,))
        if monitor is not None:
            monitor(step, module, x, y)
            if monitor.records[-1].alarm:
                break
        optimizer.zero_grad()
        step_loss(module, x, y).backward()
        optimizer.step()
    state = {name: t.numpy().tobytes() for name, t in module.state_dict().items()}
    return state, torch.random.get_rng_state().numpy().tobytes()


def test_a_run_stays_bitwise_what_it_was():
    monitor = fg.torch.Monitor(step_loss, every=2, on_alarm="record")
    assert train(monitor) == train()
    assert len(monitor.records) == 30
    assert not any(record.alarm for record in monitor.records)
    assert all(record.evaluations <= 4 for record in monitor.records[1:])


@pytest.mark.parametrize("factor", [1.02, 1.5])
def test_an_error_of_a_block_is_found_within_60_checks(factor):
    monitor = fg.torch.Monitor(step_loss, every=1, on_alarm="record")
    train(monitor, factor)
    alarm = monitor.records[-1].alarm
    assert alarm is not None
    assert alarm.kind == "gross" or alarm.block == "first.weight"
    assert "first.weight" in repr(alarm.report)


def test_half_precision_is_monitored_in_single():
    torch.manual_seed(0)
    monitor = fg.torch.Monitor(step_loss, every=1, on_alarm="raise")
    module = Net().to(torch.bfloat16)
    for step in range(20):
        monitor(step, module, torch.randn(32, 12, dtype=torch.bfloat16), torch.randint(4, (32,)))
    assert all(p.dtype == torch.bfloat16 for p in module.parameters())
    # A slope may be small by its signs: the typical one is told.
    assert sorted(abs(record.relative) for record in monitor.records)[10] < 0.01


def test_mistakes():
    with pytest.raises(TypeError, match=r"loss\(module, \*batch\)"):
        fg.torch.Monitor(nn.MSELoss())
    with pytest.raises(TypeError, match="give loss="):
        fg.torch.Monitor()(0, nn.Linear(3, 2), torch.randn(4, 3))


def test_the_neutral_monitor_takes_tensors():
    def loss(w, x):
        return ((x @ w["a"]).tanh() ** 2).mean() + w["b"].square().sum()

    def grad(w, x):
        w = {name: value.clone().requires_grad_() for name, value in w.items()}
        return dict(zip(w, torch.autograd.grad(loss(w, x), list(w.values())), strict=True))

    torch.manual_seed(0)
    w, x = {"a": torch.randn(6, 3), "b": torch.randn(4)}, torch.randn(20, 6)
    monitor = fg.Monitor(loss, grad, every=1, on_alarm="raise")
    for step in range(20):
        monitor(step, w, x)
    assert max(abs(record.relative) for record in monitor.records) < 1e-2


def lightning_run(callbacks, factor):
    import lightning.pytorch as pl

    class Module(pl.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = Net(factor)

        def training_step(self, batch, index):
            loss = step_loss(self.net, *batch)
            self.log("loss", loss)
            return loss

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.05)

    pl.seed_everything(0)
    module = Module()
    data = torch.utils.data.TensorDataset(torch.randn(128, 12), torch.randint(4, (128,)))
    loader = torch.utils.data.DataLoader(data, batch_size=32, shuffle=True)
    trainer = pl.Trainer(
        max_epochs=4,
        callbacks=callbacks,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        accelerator="cpu",
    )
    trainer.fit(module, loader)
    return {name: t.numpy().tobytes() for name, t in module.state_dict().items()}


@pytest.mark.filterwarnings("ignore")  # of Lightning: workers of loaders, logging intervals
def test_lightning():
    pytest.importorskip("lightning", reason=f"needs lightning: {INSTALL}")
    monitor = fg.torch.Monitor(every=2, on_alarm="record")
    assert lightning_run([monitor.as_lightning()], 1.0) == lightning_run([], 1.0)
    assert [record.step for record in monitor.records] == list(range(0, 16, 2))
    assert not any(record.alarm for record in monitor.records)
    wrong = fg.torch.Monitor(every=1, on_alarm="record")
    lightning_run([wrong.as_lightning()], -1.0)
    assert any(record.alarm for record in wrong.records)


def transformers_run(callbacks, directory):
    from transformers import (
        BertConfig,
        BertForSequenceClassification,
        Trainer,
        TrainingArguments,
        set_seed,
    )

    set_seed(0)
    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = BertConfig(vocab_size=50, intermediate_size=32, max_position_embeddings=16, **shape)
    model = BertForSequenceClassification(config)
    rows = [
        {"input_ids": torch.randint(50, (8,)), "labels": torch.randint(2, ())} for _ in range(32)
    ]
    args = TrainingArguments(
        output_dir=str(directory),
        max_steps=8,
        per_device_train_batch_size=8,
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
        save_strategy="no",
    )
    Trainer(model=model, args=args, train_dataset=rows, callbacks=callbacks).train()
    return {name: t.numpy().tobytes() for name, t in model.state_dict().items()}


@pytest.mark.filterwarnings("ignore")  # of transformers and accelerate: pinned memory, backends
def test_transformers(tmp_path):
    pytest.importorskip("transformers", reason=f"needs transformers: {INSTALL}")
    pytest.importorskip("accelerate", reason=f"needs accelerate: {INSTALL}")
    monitor = fg.torch.Monitor(every=2, on_alarm="record")
    run = transformers_run([monitor.as_transformers()], tmp_path)
    assert run == transformers_run([], tmp_path)
    assert [record.step for record in monitor.records] == [0, 2, 4, 6]
    assert not any(record.alarm for record in monitor.records)
    assert "transformers" in sys.modules

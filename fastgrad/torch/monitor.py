"""Monitor: the gradients of a module checked while it is trained, and callbacks for its trainers."""

import warnings
from collections.abc import Callable, Mapping
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import nn

from fastgrad.arrays import Floats
from fastgrad.checking import check_grad
from fastgrad.evaluate.protocol import Evaluator, Inputs
from fastgrad.monitor import Schedule
from fastgrad.monitoring.moment import RTOL, Moment
from fastgrad.monitoring.records import Record
from fastgrad.parameters.layout import Layout, flatten
from fastgrad.results import GradientCheck
from fastgrad.torch.evaluator import TorchGradient, TorchLoss
from fastgrad.torch.program import Program, all_generators_kept
from fastgrad.torch.subject import Subject
from fastgrad.torch.tensors import mapped, to_precision

FULL_PRECISION = 4
"""Bytes of a parameter from which on a module is monitored in its own precision: with fewer, a step that
the differences need is no number any more."""


class Monitor:
    """The gradients of a module, checked while it is trained; as `fastgrad.Monitor`.

    Every check is on a private copy of the module as it is, with autograd's gradient of its own: it
    neither reads nor writes ``.grad``, and the run stays bitwise what it is without it.

    Parameters
    ----------
    loss : callable, optional
        ``loss(module, *batch) -> scalar``; whatever depends on parameters must use that module. By
        default the module's own: ``training_step`` of Lightning, ``.loss`` of what it returns.
    every, directions, alpha, on_alarm, seed
        As of `fastgrad.Monitor`.

    Attributes
    ----------
    records : list of Record
        One for each check.

    Examples
    --------
    >>> import torch, fastgrad.torch
    >>> module, mse = torch.nn.Linear(3, 1), torch.nn.functional.mse_loss
    >>> monitor = fastgrad.torch.Monitor(lambda m, x, y: mse(m(x), y), every=100)
    >>> record = monitor(0, module, torch.randn(8, 3), torch.randn(8, 1))
    >>> record.alarm is None, monitor(1, module, torch.randn(8, 3), torch.randn(8, 1)) is None
    (True, True)
    """

    def __init__(
        self,
        loss: Callable[..., Any] | None = None,
        every: int = 500,
        directions: int = 1,
        alpha: float = 1e-3,
        on_alarm: str | Callable[[Record], object] = "warn",
        seed: int = 0,
    ):
        if loss is not None and (isinstance(loss, nn.Module) or not callable(loss)):
            raise TypeError(
                f"loss is {type(loss).__name__}: expected a function loss(module, *batch)"
            )
        self._loss, self._seed = own_loss if loss is None else loss, seed
        self._schedule = Schedule(every, directions, alpha, on_alarm, seed)

    @property
    def records(self) -> list[Record]:
        """One for each check."""
        return self._schedule.records

    def is_due(self, step: int) -> bool:
        """Whether there is a check at this step."""
        return self._schedule.is_due(step)

    def __call__(self, step: int, module: nn.Module, *batch: Any) -> Record | None:
        """Check at this step, if one is due; its record, or None."""
        if not self.is_due(step):
            return None
        with all_generators_kept():
            return self._schedule.check(step, TorchMoment(module, self._loss, batch, self._seed))

    def summary(self) -> str:
        """The run so far in a few sentences."""
        return self._schedule.summary()

    def plot(self, ax: Any = None) -> Any:
        """Evidence over steps, on axes of matplotlib; returns them."""
        return self._schedule.plot(ax)

    def as_lightning(self) -> Any:
        """A callback for the trainers of Lightning."""
        try:
            from lightning.pytorch import Callback
        except ModuleNotFoundError:
            from pytorch_lightning import Callback
        monitor = self

        class LightningMonitor(Callback):
            """Checks at the beginning of a batch, on that batch, on the first rank alone."""

            def on_train_batch_start(
                self, trainer: Any, module: Any, batch: Any, index: int
            ) -> None:
                """What Lightning calls before every batch."""
                if trainer.is_global_zero:
                    monitor(trainer.global_step, module, batch)

        return LightningMonitor()

    def as_transformers(self) -> Any:
        """A callback for the Trainer of transformers."""
        from transformers import TrainerCallback

        monitor = self

        class TransformersMonitor(TrainerCallback):
            """Checks at the beginning of a step, on rows of the training set drawn for it."""

            def on_step_begin(self, args: Any, state: Any, control: Any, **given: Any) -> None:
                """What transformers calls before every step."""
                if state.is_world_process_zero and monitor.is_due(state.global_step):
                    with all_generators_kept():
                        batch = rows_of(given["train_dataloader"], args, state.global_step)
                    monitor(state.global_step, given["model"], batch)

        return TransformersMonitor()


def rows_of(loader: Any, args: Any, step: int) -> Any:
    """A batch of a loader's data set, on the device of training; the loader itself is left alone."""
    data, size = loader.dataset, args.per_device_train_batch_size
    if hasattr(data, "__getitem__") and hasattr(data, "__len__"):
        chosen = np.random.default_rng(step).choice(len(data), min(size, len(data)), replace=False)
        rows = [data[int(k)] for k in chosen]
    else:
        rows = list(islice(iter(data), size))
    return mapped(loader.collate_fn(rows), "", lambda _, tensor: tensor.to(args.device))


def own_loss(module: nn.Module, *batch: Any) -> Any:
    """The loss of a module that knows its own.

    Raises
    ------
    TypeError
    """
    given = batch[0] if len(batch) == 1 else batch
    if hasattr(module, "training_step"):
        with warnings.catch_warnings():  # of what it logs without a trainer
            warnings.simplefilter("ignore")
            out = module.training_step(given, 0)
    else:
        out = module(**given) if isinstance(given, Mapping) else module(*batch)
    found = out.get("loss") if isinstance(out, Mapping) else getattr(out, "loss", out)
    if isinstance(found, torch.Tensor) and found.numel() == 1:
        return found
    raise TypeError(
        f"{type(module).__name__} returned {type(out).__name__}: expected a loss, alone or under that "
        "name; give loss=, a function of the module and the batch"
    )


class Step(nn.Module):
    """A module, a loss and a batch, as a module of no inputs; names of parameters are the module's."""

    def __init__(self, module: nn.Module, loss: Callable[..., Any], batch: tuple[Any, ...]):
        super().__init__()
        self.module, self.loss, self.batch = module, loss, batch

    def named_parameters(self, *args: Any, **kwargs: Any) -> Any:
        """Those of the module."""
        return self.module.named_parameters(*args, **kwargs)

    def forward(self) -> Any:
        """The loss on the batch."""
        return self.loss(self.module, *mapped(self.batch, "", lambda _, tensor: tensor.clone()))


class TorchMoment(Moment):
    """A module and a batch at one step.

    Parameters
    ----------
    module : nn.Module
    loss : callable
    batch : tuple
    seed : int
    """

    def __init__(
        self, module: nn.Module, loss: Callable[..., Any], batch: tuple[Any, ...], seed: int
    ):
        dtype = _dtype_for(module)
        own = mapped(batch, "", lambda _, tensor: to_precision(tensor, dtype))
        subject = Subject(Step(module, loss, own), (), loss=lambda out: out)
        self.program = Program(subject, dtype, seed)
        self._values = self.program.values()

    @cached_property
    def _flat(self) -> tuple[Layout, Floats]:
        return flatten(self._values)

    @property
    def layout(self) -> Layout:
        return self._flat[0]

    @property
    def theta(self) -> Floats:
        return self._flat[1]

    @cached_property
    def _run(self) -> Evaluator:
        return TorchLoss(self.program).evaluator_at(Inputs(*self._flat))

    def gradient(self) -> Floats:
        found = TorchGradient(self.program)(self._values)
        return np.concatenate([g.astype(np.float64).ravel() for g in found.values()])

    def along(self, direction: Floats, offsets: Floats) -> Floats:
        return self._run.along(direction, offsets)

    def check(self, block: str | None, budget: float) -> GradientCheck:
        return check_grad(
            TorchLoss(self.program),
            TorchGradient(self.program),
            self._values,
            trainable=block,
            rtol=RTOL,
            budget=budget,
        )


def _dtype_for(module: nn.Module) -> torch.dtype | None:
    """Its own precision, or float32 where that is coarser."""
    sizes = [p.element_size() for p in module.parameters() if p.is_floating_point()]
    return torch.float32 if sizes and min(sizes) < FULL_PRECISION else None

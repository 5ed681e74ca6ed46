"""How a loss is run: one interface, and who implements it."""

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fastgrad.errors import NonFiniteLossError
from fastgrad.evaluate.compiled import CompiledEvaluator
from fastgrad.evaluate.interpreted import PythonEvaluator
from fastgrad.evaluate.structured.base import StructuredEvaluator, plain_loss, structure_of
from fastgrad.numerics.stencils import Stencil
from fastgrad.params import Floats, Layout

BACKENDS = ("auto", "python")


class Evaluator(Protocol):
    """A loss around one flat theta. What asks it does not know what runs it."""

    theta: Floats
    advance: Callable[[int], None] | None
    chunk: int
    """Entries best asked for at a time."""

    @property
    def evaluations(self) -> int:
        """How many were made so far."""
        ...

    @property
    def reference(self) -> float:
        """What is subtracted from all that `coordinates` and `along` return: 0, or f(theta)."""
        ...

    def value(self) -> float:
        """The loss at theta."""
        ...

    def coordinates(self, indices: NDArray[np.int64], offsets: Floats) -> Floats:
        """``values[k, j]``: the loss at ``theta + offsets[k, j] e_{indices[k]}``, shape (m, k)."""
        ...

    def along(self, direction: Floats, offsets: Floats) -> Floats:
        """``values[j]``: the loss at ``theta + offsets[j] direction``, shape (k,)."""
        ...


def evaluator(
    loss: Callable[..., Any],
    layout: Layout,
    theta: Floats,
    arguments: tuple[Any, ...],
    argnum: int = 0,
    backend: str = "auto",
    structure: bool = True,
) -> Evaluator:
    """The evaluator of a loss around a flat theta.

    Parameters
    ----------
    backend : {"auto", "python"}
        ``"auto"`` runs compiled code and refuses what numba cannot compile; ``"python"`` calls
        the loss from Python, whatever it is.
    structure : bool
        Whether a loss that comes with a structure may be evaluated by it.

    Raises
    ------
    ValueError
        An unknown backend.
    LossCompilationError, TypeError
        A loss that cannot be compiled, or does not return one real number.
    """
    require_backend(backend)
    if backend == "python":
        return PythonEvaluator(plain_loss(loss), layout, theta, arguments, argnum)
    found = structure_of(loss) if structure and argnum == 0 else None
    plain = partial(CompiledEvaluator, plain_loss(loss), layout, theta, arguments, argnum)
    return plain() if found is None else found.around(plain, layout, theta, arguments)


def certify(
    run: Evaluator, indices: NDArray[np.int64] | None, gradient: Floats, again: bool = False
) -> tuple[str, ...]:
    """What a report says of the structure that a gradient was taken by; nothing for a plain loss.

    The structure is compared with the plain loss when it is first used for parameters and
    arguments of these types, or ``again``.

    Parameters
    ----------
    indices : ndarray, optional
        The entries that were differenced; by default all.
    gradient : ndarray, shape (n,)

    Raises
    ------
    StructureError
    """
    if not isinstance(run, StructuredEvaluator):
        return ()
    from fastgrad.evaluate.structured import certificate

    structure = run.structure
    key = certificate.key_of(run, indices)
    if again or key not in structure.certified:
        entries = np.arange(gradient.size) if indices is None else indices
        certificate.certify(run, entries, gradient[entries])
        structure.certified.add(key)
    trust = f" It trusts {structure.trusts}." if structure.trusts else ""
    return (
        f"Differences were taken by the loss's {structure.kind} structure, and agreed with the "
        f"plain loss along {certificate.DIRECTIONS} directions and at "
        f"{min(certificate.ENTRIES, gradient.size)} entries.{trust}",
    )


def entry_noise(run: Evaluator, trainable: NDArray[np.bool_] | None, seed: int) -> Floats | None:
    """sd of the noise of each entry's values, shape (n,), where it is not that of the loss."""
    if not isinstance(run, StructuredEvaluator):
        return None
    from fastgrad.evaluate.structured import noise

    return noise.entry_noise(run, trainable, seed)


def whole_gradient(run: Evaluator, stencil: Stencil) -> Floats | None:
    """The gradient at the stencil's default steps where a structure has a shorter way to it."""
    return run.gradient(stencil) if isinstance(run, StructuredEvaluator) else None


def require_backend(backend: str) -> None:
    """Raise ValueError unless ``backend`` is one there is."""
    if backend not in BACKENDS:
        raise ValueError(f"backend={backend!r}: expected one of {', '.join(map(repr, BACKENDS))}")


def finite_value(run: Evaluator) -> float:
    """The loss at theta.

    Raises
    ------
    NonFiniteLossError
    """
    return require_finite(run.value())


def require_finite(value: float) -> float:
    """Raise `NonFiniteLossError` unless the loss at theta is finite."""
    if not np.isfinite(value):
        raise NonFiniteLossError(
            f"the loss is {value} at the given parameters: expected a finite number to start from"
        )
    return value

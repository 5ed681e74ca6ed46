"""What every evaluator of a structured loss shares.

It answers `coordinates` with the differences ``f(theta + h e_i) - f(theta)`` that the structure
gives, so its ``reference`` is f(theta); everything else it asks of the plain loss.
"""

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import numpy as np

from fastgrad.arrays import Floats, Indices, Mask
from fastgrad.evaluate.argument_guard import ArgumentGuard
from fastgrad.evaluate.protocol import Evaluator, Inputs
from fastgrad.evaluate.signature import argument_name
from fastgrad.parameters.native import native_argument
from fastgrad.structured import certificate
from fastgrad.structured.noise import noise_of_differences
from fastgrad.structured.structure import Plain, Structure


class StructuredEvaluator(Evaluator):
    """The plain loss, with the differences of its coordinates taken another way.

    Parameters
    ----------
    structure : Structure
    plain : callable
        Makes the evaluator of the plain loss.
    inputs : Inputs
    """

    chunk = 1 << 62
    """All at once, for what is shared between them."""
    structured = True

    def __init__(self, structure: Structure, plain: Plain, inputs: Inputs):
        super().__init__(inputs.theta)
        self._evaluations = 0
        self.structure = structure
        self._make_plain = plain
        self._plain: Evaluator | None = None
        self.layout = inputs.layout
        self.arguments = tuple(map(native_argument, inputs.arguments))
        self._reference: float | None = None

    @property
    def evaluations(self) -> int:  # type: ignore[override]
        """Evaluations of the loss, or of what stands for one."""
        return self._evaluations + (0 if self._plain is None else self._plain.evaluations)

    @property
    def remarks(self) -> tuple[str, ...]:
        return () if self._plain is None else self._plain.remarks

    @property
    def ran(self) -> str:  # type: ignore[override]
        said = "Ran compiled, by its structure"
        if self._plain is None:
            return said
        beside = self._plain.ran
        return f"{said}; the plain loss {beside[:1].lower()}{beside[1:]}"

    @property
    def plain(self) -> Evaluator:
        """The evaluator of the plain loss, made when it is first asked for."""
        if self._plain is None:
            self._plain = self._make_plain()
        return self._plain

    @property
    def reference(self) -> float:  # type: ignore[override]
        """f(theta), which `coordinates` and `along` have subtracted."""
        if self._reference is None:
            self._reference = self.plain.value()
        return self._reference

    @property
    @abstractmethod
    def magnitudes(self) -> Floats:
        """What the noise of each entry's differences is in proportion to, shape (n,)."""

    def value(self) -> float:
        """The loss at theta, evaluated plainly."""
        value = self.plain.value()
        if self._reference is None:
            self._reference = value
        return value

    def along(self, direction: Floats, offsets: Floats) -> Floats:
        """Differences of the plain loss along a direction, shape (k,)."""
        return self.plain.along(direction, offsets) - self.reference

    def certified(
        self, indices: Indices | None, gradient: Floats, again: bool = False
    ) -> tuple[str, ...]:
        key = self.kinds, None if indices is None else hash(indices.tobytes())
        if again or key not in self.structure.certificates:
            pair = certificate.Pair(
                self, lambda: self.plain, self.layout, self.structure, lambda: self.magnitudes
            )
            entries = np.arange(gradient.size) if indices is None else indices
            certificate.certify(pair, entries, gradient[entries])
            self.structure.certificates.add(key)
        trust = f" It trusts {self.structure.trusts}." if self.structure.trusts else ""
        return (
            f"Differences were taken by the loss's {self.structure.kind} structure, and agreed with "
            f"the plain loss along {certificate.DIRECTIONS} directions and at "
            f"{min(certificate.ENTRIES, gradient.size)} entries.{trust}",
        )

    def entry_noise(self, trainable: Mask | None, seed: int) -> Floats | None:
        return noise_of_differences(self, self.layout, self.magnitudes, trainable, seed)

    @cached_property
    def kinds(self) -> Any:
        """What a certificate is good for: theta's structure and the types of the arguments.

        A number counts as zero or not: a penalty of weight 0 proves nothing.
        """
        return self.layout, *(
            (value.dtype, value.ndim)
            if isinstance(value, np.ndarray)
            else (type(value), bool(value) if isinstance(value, int | float | np.number) else None)
            for value in self.arguments
        )

    @contextmanager
    def guarded(self, what: str, function: Any, *own: Any) -> Iterator[None]:
        """Raise `MutatedInputError` if one of a structure's functions writes to its inputs.

        Only where it first runs for inputs of these types: a checksum of large ones takes as long
        as the function itself. ``own`` are its arguments before those of the loss.
        """
        key = what, self.kinds
        if key in self.structure.watched:
            yield
            return
        who = f"{what} ({function.__name__})"
        inputs = (*own, *self.arguments)
        guard = ArgumentGuard(inputs, lambda k: argument_name(function, k), who)
        yield
        guard.check()
        self.structure.watched.add(key)

    def _made(self, evaluations: int, values: int) -> None:
        """Count ``evaluations``; show progress of ``values`` differences."""
        self._evaluations += evaluations
        if self.advance is not None:
            self.advance(values)

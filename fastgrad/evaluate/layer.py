"""A function of several arrays and its backward pass, called as their user calls them.

Contracted with a cotangent c, the function is a scalar, ``<c, fun(inputs)>``, and the backward pass its
gradient: what checks a gradient checks a layer.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from functools import update_wrapper
from typing import Any, cast

import numpy as np

from fastgrad.arrays import Array, Floats
from fastgrad.errors import LossError, MutatedInputError
from fastgrad.evaluate.argument_guard import ArgumentGuard
from fastgrad.evaluate.explain import name_of
from fastgrad.evaluate.protocol import Inputs
from fastgrad.evaluate.signature import argument_name
from fastgrad.parameters.operands import Operands, floating_leaves, is_floating
from fastgrad.parameters.outputs import Outputs
from fastgrad.parameters.trees import describe
from fastgrad.spaces.placed import placed
from fastgrad.spaces.points import copied, same_numbers

PAIR = 2
"""What a function with a cache returns: the output, and the cache."""


def inputs_of(operands: Operands) -> Inputs:
    """What a function of some operands is given: their leaves as theta, and all of them as they are."""
    theta = placed(operands.theta, operands.space)
    return Inputs(*theta, operands.values, len(operands.values))


@dataclass(frozen=True)
class Pushforward:
    """A function at some inputs, and its forward-mode rule.

    Parameters
    ----------
    fun, jvp : callable
    operands : Operands
    outputs : Outputs
    """

    fun: Callable[..., Any]
    jvp: Callable[..., Any]
    operands: Operands
    outputs: Outputs

    @classmethod
    def of(
        cls, fun: Callable[..., Any], jvp: Callable[..., Any], inputs: tuple[Any, ...], argnums: Any
    ) -> "Pushforward":
        """Call the function once, and read what it takes and returns.

        Raises
        ------
        TypeError, ValueError, LossError, MutatedInputError
        """
        require_functions(fun=fun, jvp=jvp)
        names = [argument_name(fun, k) for k in range(len(inputs))]
        operands = Operands.of(names, inputs, argnums)
        return cls(fun, jvp, operands, Outputs.of(_called_at(fun, operands), name_of(fun)))

    @property
    def of_leaves(self) -> Callable[[Mapping[str, Any]], Any]:
        """The function of the leaves of its inputs."""
        fun, operands = self.fun, self.operands

        def of_leaves(leaves: Mapping[str, Any]) -> Any:
            return fun(*operands.filled(leaves))

        return update_wrapper(of_leaves, fun, assigned=(), updated=())

    def forward(self, tangent: Mapping[str, Any]) -> tuple[Floats, Floats]:
        """The outputs' derivative along a tangent, and the rounding unit of each block of outputs.

        Raises
        ------
        MutatedInputError, StructureMismatchError, TypeError
            The rule wrote to the tangent or to an input, or returned what is not like the outputs.
        """
        theta, who = self.operands.theta, name_of(self.jvp)
        given = {path: _copied(leaf) for path, leaf in theta.items()}
        moved = {path: _copied(leaf) for path, leaf in tangent.items()}
        inputs = self.operands.filled(given)
        parts = self.operands.filled(moved)
        chosen = tuple(parts[k] for k in self.operands.chosen)
        result = self.jvp(chosen[0] if len(chosen) == 1 else chosen, *inputs)
        _require_kept(moved, tangent, who, "the tangent of ")
        _require_kept(given, theta, who)
        units = [
            float(np.finfo(np.asarray(leaf).dtype).eps)
            for _, leaf in floating_leaves(result, "out")
        ]
        return self.outputs.claimed(result, who), np.array(units)


STREAM = 0x636F74
"""Beside the seed, what draws cotangents: data that a user drew with the same seed are another stream.
The gradient of a batch norm of x along a cotangent that is x itself is zero."""


class Form(Enum):
    """What a backward pass takes."""

    INPUTS = "vjp(cotangent, *inputs)"
    CACHE = "fun(*inputs) -> (out, cache) and vjp(cotangent, cache)"
    COTANGENT = "vjp(cotangent), of an object that keeps what it needs"


@dataclass(frozen=True)
class Layer:
    """A function at some inputs, and its backward pass.

    Parameters
    ----------
    fun, vjp : callable
    operands : Operands
    outputs : Outputs
    form : Form
    """

    fun: Callable[..., Any]
    vjp: Callable[..., Any]
    operands: Operands
    outputs: Outputs
    form: Form

    @classmethod
    def of(
        cls,
        fun: Callable[..., Any],
        vjp: Callable[..., Any],
        inputs: tuple[Any, ...],
        argnums: Any,
        with_cache: bool,
        spaces: tuple[Any, ...] = (),
    ) -> "Layer":
        """Call the function once, and read what it takes and returns.

        Raises
        ------
        TypeError, ValueError, LossError, MutatedInputError
            What is wrong with the function, its inputs or its output.
        """
        require_functions(fun=fun, vjp=vjp)
        names = [argument_name(fun, k) for k in range(len(inputs))]
        operands = Operands.of(names, inputs, argnums, spaces)
        out = _called_at(fun, operands)
        if with_cache:
            out, _ = _split(fun, out)
        elif isinstance(out, tuple) and len(out) == PAIR and not _is_floating_tree(out[1]):
            raise TypeError(
                f"{name_of(fun)} returned a tuple of 2, of which the second is {describe(out[1])}: "
                "expected arrays of floats; a function that returns (out, cache) takes cache=True"
            )
        alone = _takes_cotangent_alone(vjp, len(inputs), with_cache)
        outputs = Outputs.of(out, name_of(fun))
        vector = outputs.vector(out, name_of(fun))
        bad = np.flatnonzero(~np.isfinite(vector))
        if bad.size:
            where = outputs.layout.name(int(bad[0]))
            raise ValueError(
                f"{name_of(fun)} returned {vector[bad[0]]} for {where} ({bad.size} of {vector.size} "
                "outputs are not finite): expected finite outputs to start from"
            )
        form = Form.CACHE if with_cache else Form.COTANGENT if alone else Form.INPUTS
        return cls(fun, vjp, operands, outputs, form)

    def forward(self, leaves: Mapping[str, Any]) -> Floats:
        """The outputs along one vector, where the leaves of the inputs are these."""
        out = self.fun(*self.operands.filled(leaves))
        return self.outputs.vector(out[0] if self.form is Form.CACHE else out, name_of(self.fun))

    def backward(self, leaves: Mapping[str, Any], cotangent: Floats) -> dict[str, Array]:
        """The gradients of ``<cotangent, fun(inputs)>``, by the paths of the leaves.

        The function is called first, so that a layer may keep what its backward pass reads.

        Raises
        ------
        MutatedInputError
            The backward pass wrote to the cotangent, or to an input.
        StructureMismatchError, TypeError
        """
        given = {path: _copied(leaf) for path, leaf in leaves.items()}
        inputs = self.operands.filled(given)
        names, who = self.operands.names, name_of(self.vjp)
        guard = ArgumentGuard(self.operands.values, lambda k: names[k], who)
        out = self.fun(*inputs)
        _require_kept(given, leaves, name_of(self.fun))
        c = self.outputs.shaped(cotangent)
        match self.form:
            case Form.CACHE:
                grads = self.vjp(c, _split(self.fun, out)[1])
            case Form.COTANGENT:
                grads = self.vjp(c)
            case Form.INPUTS:
                grads = self.vjp(c, *inputs)
        changed = np.flatnonzero(
            self.outputs.vector(c, who) != self.outputs.vector(self.outputs.shaped(cotangent), who)
        )
        if changed.size:
            raise MutatedInputError(
                f"{who} wrote to the cotangent it was given (that of "
                f"{self.outputs.layout.name(int(changed[0]))}): whoever calls it may need that "
                "again; expected it to leave the cotangent alone, so copy what it changes first"
            )
        _require_kept(given, leaves, who)
        guard.check()
        return self.operands.laid_out(grads, who)

    def projected(self, cotangent: Floats) -> Callable[..., float]:
        """``<cotangent, fun(inputs)>`` as a loss of the leaves; further arguments are not used."""
        forward = replace(self, vjp=self.fun).forward  # which may go where a backward pass cannot

        def projection(leaves: Mapping[str, Any], *_: Any) -> float:
            return float(np.sum(cotangent * forward(leaves)))

        made: Any = update_wrapper(projection, self.fun, assigned=(), updated=())
        made.__name__, made.__signature__ = name_of(self.fun), self._signature()
        return cast(Callable[..., float], made)

    def pulled(self, cotangent: Floats) -> Callable[..., dict[str, Array]]:
        """Its gradient by the backward pass."""

        def pullback(leaves: Mapping[str, Any], *_: Any) -> dict[str, Array]:
            return self.backward(leaves, cotangent)

        return pullback

    def cotangent(self, seed: int) -> Floats:
        """A Gaussian one: with ones, all that a batch norm or a softmax returns adds up to a constant.

        In the precision of the outputs, so that what the backward pass gets is what is differenced.
        """
        c = np.random.default_rng([seed, STREAM]).standard_normal(self.outputs.layout.size)
        return self.outputs.vector(self.outputs.shaped(c), "")

    def _signature(self) -> inspect.Signature:
        """What names the inputs in messages about what was written to."""
        kind = inspect.Parameter.POSITIONAL_ONLY
        names = dict.fromkeys(("leaves_", *self.operands.names))
        return inspect.Signature(
            [inspect.Parameter(name, kind) for name in names if name.isidentifier()]
        )


def require_functions(**functions: Any) -> None:
    for what, function in functions.items():
        if not callable(function):
            raise TypeError(f"{what} is {describe(function)}: expected a function")


def _called_at(fun: Callable[..., Any], operands: Operands) -> Any:
    """The function at its inputs; what it raises is named."""
    try:
        return _called(fun, operands, operands.theta)
    except (MutatedInputError, TypeError):
        raise
    except Exception as error:
        raise LossError(
            f"{name_of(fun)} raised {type(error).__name__} at the given inputs: {error}"
        ) from error


def _called(fun: Callable[..., Any], operands: Operands, leaves: Mapping[str, Any]) -> Any:
    """The function at copies of the leaves, which it must leave alone."""
    given = {path: _copied(leaf) for path, leaf in leaves.items()}
    guard = ArgumentGuard(operands.values, lambda k: operands.names[k], name_of(fun))
    out = fun(*operands.filled(given))
    guard.check()
    _require_kept(given, leaves, name_of(fun))
    return out


def _copied(leaf: Any) -> Any:
    return leaf if np.isscalar(leaf) else copied(leaf)


def _require_kept(
    now: Mapping[str, Any], before: Mapping[str, Any], who: str, of: str = "its input "
) -> None:
    """Raise `MutatedInputError` naming the entry, unless inputs are what they were."""
    for path, leaf in now.items():
        if not is_floating(leaf):  # a point of a space
            if not same_numbers(leaf, before[path]):
                raise MutatedInputError(
                    f"{who} wrote to {of}{path}: expected it to leave its inputs alone; copy what it "
                    "changes first"
                )
            continue
        old, new = np.asarray(before[path]), np.asarray(leaf)
        changed = np.argwhere(~((old == new) | ((old != old) & (new != new))))
        if changed.size:
            index = tuple(map(int, changed[0]))
            entry = f"{path}[{', '.join(map(str, index))}]" if index else path
            raise MutatedInputError(
                f"{who} wrote to {of}{path} ({entry} was {old[index]:.17g}, became "
                f"{new[index]:.17g}): expected it to leave its inputs alone; copy what it changes "
                "first"
            )


def _split(fun: Callable[..., Any], out: Any) -> tuple[Any, Any]:
    """Output and cache."""
    if isinstance(out, tuple) and len(out) == PAIR:
        return out
    got = f"a tuple of {len(out)}" if isinstance(out, tuple) else describe(out)
    raise TypeError(
        f"{name_of(fun)} returned {got}: with cache=True expected two, (out, cache); several outputs "
        "are a structure of their own, ((mean, variance), cache)"
    )


def _is_floating_tree(value: Any) -> bool:
    return any(True for _ in floating_leaves(value, ""))


def _takes_cotangent_alone(vjp: Callable[..., Any], inputs: int, with_cache: bool) -> bool:
    """Whether a backward pass takes the cotangent and nothing else, as that of an object does.

    Raises
    ------
    TypeError
        It takes neither that nor what it is to be given.
    """
    try:
        signature = inspect.signature(getattr(vjp, "py_func", vjp))
    except (TypeError, ValueError):  # a builtin that does not tell
        return False
    if _binds(signature, PAIR if with_cache else 1 + inputs):
        return False
    if not with_cache and _binds(signature, 1):
        return True
    wanted = "(cotangent, cache)" if with_cache else f"(cotangent, *inputs), {1 + inputs} in all"
    hint = "; if fun returns (out, cache), pass cache=True" if _binds(signature, PAIR) else ""
    raise TypeError(
        f"{name_of(vjp)}{signature} cannot be called with {wanted}: expected a backward pass that "
        f"takes these{hint}"
    )


def _binds(signature: inspect.Signature, count: int) -> bool:
    try:
        signature.bind(*range(count))
    except TypeError:
        return False
    return True


def require_takes(function: Callable[..., Any], wanted: str, count: int) -> None:
    """Raise `TypeError` unless a function can be called with so many arguments, or does not tell."""
    try:
        signature = inspect.signature(getattr(function, "py_func", function))
    except (TypeError, ValueError):
        return
    if not _binds(signature, count):
        raise TypeError(
            f"{name_of(function)}{signature} cannot be called with {wanted}, {count} in all: expected a "
            "function that takes these"
        )

"""The same problem said otherwise: in other units, scaled, moved, permuted, packed.

What a check answers must not depend on how a problem is said. `problems` are some hundred losses with
right gradients; a `Saying` is one way to say any of them; `differences` tells what a check of it
answers otherwise than a check of the plain one.
``python -m tests.units.transformed [--only NAME] [--strategy sweep] [--backend python]`` prints all
that differs, in Python some ten times as quickly as compiled.
"""

import argparse
import warnings
from collections import Counter, namedtuple
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

import fastgrad as fg
from fastgrad.evaluate.units import Units
from fastgrad.numerics.norms import rms
from fastgrad.parameters.layout import flatten
from fastgrad.results import GradientCheck
from tests.problems import Problem, correct_problems
from tests.units.models import HARD_UNITS, MATTERS, MODELS, Case, Floats

STRATEGIES = ("sweep", "screen")

SIGN = -1.0
"""What the entry with a planted error is multiplied by."""

EVALUATIONS = 0.2
EVALUATIONS_AT_LEAST = {"sweep": 4, "screen": 12}
"""How far the number of evaluations may be off: 20%, or 4 where they are few; a screen of some 40 seeks
one step, by 4 a try."""

WIDER = 8.0
"""Detection limits may grow as the noise does, times this: it is an estimate, at another seed."""

LARGEST_EXPONENT = 280
"""Factors keep losses and gradients within 1e-280 and 1e280."""

SPLIT_INTO_NUMBERS = 8
"""Vectors up to this size are split into blocks of one number, larger ones into three arrays."""

# A problem as a function of one vector


def leaves(theta: Any) -> Iterator[Any]:
    """The arrays and numbers of a structure, in order."""
    if isinstance(theta, dict):
        for value in theta.values():
            yield from leaves(value)
    elif isinstance(theta, tuple):
        for value in theta:
            yield from leaves(value)
    else:
        yield theta


def flat(theta: Any) -> Floats:
    """A structure as one vector."""
    return np.concatenate([np.ravel(np.asarray(leaf, float)) for leaf in leaves(theta)])


class _Unpacking:
    """Source code that takes slices of a vector ``t`` for the leaves of a structure."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {}
        self.used = 0

    def expression(self, like: Any, named: bool) -> str:
        if isinstance(like, dict):
            inner = {key: self.expression(value, named) for key, value in like.items()}
            if not named:
                return "{" + ", ".join(f"{key!r}: {code}" for key, code in inner.items()) + "}"
            return f"{self._named(namedtuple('Blocks', list(like)))}({', '.join(inner.values())})"
        if isinstance(like, tuple):
            parts = [self.expression(value, named) for value in like]
            if hasattr(like, "_fields"):
                return f"{self._named(type(like))}({', '.join(parts)})"
            return f"({', '.join(parts)},)"
        shape = np.shape(like)
        start = self.used
        self.used += int(np.prod(shape))
        if not shape:
            return f"t[{start}]"
        return f"t[{start}:{self.used}].reshape({shape!r})"

    def _named(self, kind: Any) -> str:
        name = f"T{len(self.names)}"
        self.names[name] = kind
        return name


def unpacker(like: Any, named: bool) -> Callable[[Floats], Any]:
    """A function from a vector to the structure; to NamedTuples throughout if ``named``."""
    made = _Unpacking()
    code = made.expression(like, named)
    exec(f"def unpack(t):\n    return {code}", made.names)
    unpack: Callable[[Floats], Any] = made.names["unpack"]
    return unpack


def packer(like: dict[str, Any]) -> Callable[[Any], Floats]:
    """A compiled function from a dict of vectors and numbers to one vector."""
    made, used = ["def pack(p):", f"    t = np.empty({flat(like).size})"], 0
    for key, value in like.items():
        target = f"t[{used}:{used + value.size}]" if np.shape(value) else f"t[{used}]"
        used += np.size(value)
        made.append(f"    {target} = p.{key}")
    names: dict[str, Any] = {"np": np}
    exec("\n".join([*made, "    return t"]), names)
    return njit(names["pack"])


SAID = """
def said(u, scale, shift, order, factor, addend{args}):
    theta = np.empty(u.size)
    for j in range(u.size):
        i = order[j]
        theta[i] = scale[i] * (u[j] - shift[i])
    return factor * inner(unpack(theta){args}) + addend
"""
"""A problem, said in any way: see `Saying`."""

OF_BLOCKS = """
def said(p{args}):
    return inner(pack(p){args})
"""


def compiled(code: str, count: int, **names: Any) -> Callable[..., Any]:
    """The function ``said`` of a source, with so many further arguments."""
    known = {"np": np, **names}
    exec(code.format(args="".join(f", a{k}" for k in range(count))), known)
    return njit(known["said"])


@dataclass(frozen=True)
class Saying:
    """One way to say a problem: ``factor loss(theta) + addend`` as a function of u,
    ``theta[order[j]] = scale[order[j]] (u[j] - shift[order[j]])``."""

    name: str
    scale: Floats
    shift: Floats
    order: NDArray[np.intp]
    factor: float = 1.0
    addend: float = 0.0
    may_widen: bool = False
    """Whether noise grows: limits may be wider then, and the verdict left open."""

    def theta(self, u: Floats) -> Floats:
        """The same arithmetic as the compiled loss has."""
        theta = np.empty_like(u)
        theta[self.order] = self.scale[self.order] * (u - self.shift[self.order])
        return theta

    def u(self, theta: Floats) -> Floats:
        return theta[self.order] / self.scale[self.order] + self.shift[self.order]

    @property
    def args(self) -> tuple[Any, ...]:
        return self.scale, self.shift, self.order, self.factor, self.addend


def interpreted(inner: Callable[..., Any], unpack: Callable[[Floats], Any]) -> Callable[..., float]:
    """`SAID` in Python, around a loss that may be compiled: nothing is compiled for it."""

    def said(
        u: Floats,
        scale: Floats,
        shift: Floats,
        order: NDArray[np.intp],
        factor: float,
        addend: float,
        *args: Any,
    ) -> float:
        theta = np.empty(u.size)
        theta[order] = scale[order] * (u - shift[order])
        return float(factor * inner(unpack(theta), *args) + addend)

    return said


class Flat:
    """A problem as a function of one vector, compiled once for all that is said of it; or in Python."""

    def __init__(self, problem: Problem, unit: Floats | None = None, backend: str = "auto"):
        self.backend = backend
        self.name = problem.name
        self.problem = problem
        self.theta = flat(problem.theta)
        self.structured = not isinstance(problem.theta, np.ndarray)
        unpack = unpacker(problem.theta, named=True) if self.structured else _itself
        if backend == "python":
            self.loss = interpreted(problem.loss, unpack)
        else:
            inner = problem.loss if hasattr(problem.loss, "py_func") else njit(problem.loss)
            self.loss = compiled(SAID, len(problem.args), inner=inner, unpack=njit(unpack))
        self._unpack = unpacker(problem.theta, named=False) if self.structured else _itself
        self.value = float(self.loss(*self.plainly()))
        self.slope = self.gradient(self.theta)
        own = np.where(self.theta == 0, self._block_sizes(), np.abs(self.theta))
        self.unit = own if unit is None else unit
        self.planted = self._entry_to_plant()

    def plainly(self) -> tuple[Any, ...]:
        return (self.theta, *plain(self).args, *self.problem.args)

    def gradient(self, theta: Floats) -> Floats:
        return flat(self.problem.grad(self._unpack(theta), *self.problem.args))

    def _block_sizes(self) -> Floats:
        """The rms of an entry's block, of theta where that is zero, then 1."""
        whole = np.sqrt((self.theta**2).mean()) or 1.0
        sizes = []
        for leaf in leaves(self.problem.theta):
            block = np.ravel(np.asarray(leaf, float))
            sizes.append(np.full(block.size, np.sqrt((block**2).mean()) or whole))
        return np.concatenate(sizes)

    def _entry_to_plant(self) -> int:
        """The one in the middle of those that matter, by what it does to the loss."""
        effect = np.abs(self.slope) * self.unit
        matter = np.flatnonzero(effect > MATTERS * effect.max())
        return int(matter[np.argsort(effect[matter])[matter.size // 2]]) if matter.size else 0

    def blocks(self) -> dict[str, Any]:
        """A vector in blocks."""
        if self.theta.size <= SPLIT_INTO_NUMBERS:
            return {f"b{i}": float(t) for i, t in enumerate(self.theta)}
        return {f"b{i}": t for i, t in enumerate(np.array_split(self.theta, 3))}

    def loss_of_blocks(self, blocks: dict[str, Any], *args: Any) -> float:
        """The loss of theta in blocks, in Python."""
        plainly = plain(self).args
        return float(self.loss(flat(blocks), *plainly, *args))

    @cache  # noqa: B019 - problems live as long as the process
    def split(self) -> tuple[Any, Callable[..., Any]]:
        """Theta in blocks, and the loss of it."""
        blocks = self.blocks()
        known = len(plain(self).args) + len(self.problem.args)
        return blocks, compiled(OF_BLOCKS, known, inner=self.loss, pack=packer(blocks))


def _itself(theta: Any) -> Any:
    return theta


# What there is


@cache
def problems() -> dict[str, Problem]:
    """Problems by name: models in SI units, hard units, reference models, nets, kinks, float32."""
    found = {
        name: Problem(name, case.loss, case.grad, case.theta, case.args)
        for name, case in _cases().items()
        if case.typical is None
    }
    return {**found, **{problem.name: problem for problem in correct_problems(range(1))}}


@cache
def _cases() -> dict[str, Case]:
    return {each.name: each.case(0) for each in [*MODELS, *HARD_UNITS]}


@cache
def flat_problem(name: str, backend: str = "auto") -> Flat:
    """A problem as a function of a vector; in Python, models are formulas in NumPy."""
    problem = problems()[name]
    if backend == "python" and name in _formulas():
        problem = problem._replace(loss=_formulas()[name])
    return Flat(problem, _cases()[name].unit if name in _cases() else None, backend)


@cache
def _formulas() -> dict[str, Callable[..., Any]]:
    return {each.name: each.interpreted_loss for each in MODELS}


def plain(problem: Flat) -> Saying:
    n = problem.theta.size
    return Saying("plain", np.ones(n), np.zeros(n), np.arange(n))


def largest_exponent(problem: Flat) -> tuple[int, int]:
    """How far down and up the loss may be scaled by powers of ten, 200 where that is in range."""
    entries = np.abs(problem.slope)
    sizes = [abs(problem.value), *entries, *(entries * problem.unit), *problem.unit]
    exponents = np.log10([size for size in sizes if size > 0])
    down = min(200, int(LARGEST_EXPONENT + exponents.min()))
    return down, min(200, int(LARGEST_EXPONENT - exponents.max()))


def sayings(problem: Flat) -> dict[str, Saying]:
    """All the ways in which a vector can be said."""
    n = problem.theta.size
    rng = np.random.default_rng([n, *problem.name.encode()])
    one, zero, order = np.ones(n), np.zeros(n), np.arange(n)
    k = rng.integers(-15, 16, n)
    down, up = largest_exponent(problem)
    away = problem.unit * 10.0 ** rng.uniform(0, 9, n) * rng.choice([-1, 1], n)
    size = abs(problem.value) or 1.0
    every = [
        Saying("units of 10^k", 10.0**k, zero, order),
        Saying("units of 2^k", 2.0 ** rng.integers(-50, 51, n), zero, order),
        Saying("loss times 1e200", one, zero, order, factor=10.0**up),
        Saying("loss times 1e-200", one, zero, order, factor=10.0**-down),
        Saying("loss plus 1e6 of it", one, zero, order, addend=1e6 * size, may_widen=True),
        Saying("shifted up to 1e9", one, away, order, may_widen=True),
        Saying("permuted", one, zero, rng.permutation(n)),
    ]
    return {saying.name: saying for saying in every}


SAYINGS = (
    "units of 10^k",
    "units of 2^k",
    "loss times 1e200",
    "loss times 1e-200",
    "loss plus 1e6 of it",
    "shifted up to 1e9",
    "permuted",
    "in other blocks",
)
"""Names of all the ways; the last packs a structure into one vector, and splits a vector."""

# What is answered


class Answer(NamedTuple):
    """What must not depend on how a problem is said; entries by their place in the plain vector."""

    verdict: str
    blamed: frozenset[int]
    laws: frozenset[tuple[str, str]]
    evaluations: int
    limit: float
    noise: float
    open_limit: float = 0.0
    """The widest bar of an entry that is left open, in units of the problem, as limits are."""
    share: float = 0.0
    """The planted error in what limits are parts of, by the units that theta shows as it is said, by
    those of the problem, or in one unit for all, whichever is least."""


def answer(
    report: GradientCheck, order: NDArray[np.intp], sizes: tuple[Floats, float] | None = None
) -> Answer:
    """What a report answers about a vector, or a structure with blocks in the vector's order.

    Parameters
    ----------
    sizes : (ndarray, float), optional
        What bars are parts of, entry by entry as said; and the share of the planted error.
    """
    starts, shapes, used = {}, {}, 0
    for block in report.blocks:
        starts[block.name], shapes[block.name] = used, block.shape
        used += block.size
    blamed, open_limit = set(), 0.0
    for entry in report.entries:
        if sizes is not None and entry.verdict in ("inconclusive", "kink: outside"):
            size = float(sizes[0][entry.index[0]])
            open_limit = max(open_limit, entry.error_bar / size if size else np.inf)
        if entry.verdict in ("disagrees", "kink: outside"):
            shape = shapes[entry.block]
            inside = int(np.ravel_multi_index(entry.index, shape)) if shape else 0
            blamed.add(int(order[starts[entry.block] + inside]))
    return Answer(
        report.verdict,
        frozenset(blamed),
        frozenset((diagnosis.block, diagnosis.law) for diagnosis in report.diagnoses),
        report.evaluations,
        max(block.detection_limit for block in report.blocks),
        report.noise,
        open_limit,
        0.0 if sizes is None else sizes[1],
    )


def sizes_of(problem: Flat, saying: Saying) -> tuple[Floats, float]:
    """What bars are parts of, entry by entry as said; and the share of the planted error."""
    u = saying.u(problem.theta)
    g = (saying.factor * saying.scale * problem.slope)[saying.order]
    shown = Units.of(u, flatten(u)[0]).entry
    own = (problem.unit / saying.scale)[saying.order]
    at = int(np.flatnonzero(saying.order == problem.planted)[0])
    error = (1 - SIGN) * abs(g[at])
    effects = [(unit, rms(g * unit)) for unit in (shown, own, np.ones(u.size))]
    share = min((error * unit[at] / size if size else np.inf) for unit, size in effects)
    return effects[1][1] / own, float(share)


def check_said(problem: Flat, saying: Saying, strategy: str, wrong: bool) -> Answer:
    """The answer about a vector, with the right gradient or with the planted error."""

    def gradient(u: Floats, *_: Any) -> Floats:
        g = _marred(problem, problem.gradient(saying.theta(u)), wrong)
        return (saying.factor * saying.scale * g)[saying.order]

    u = saying.u(problem.theta)
    args = (*saying.args, *problem.problem.args)
    options = {"backend": "python"} if problem.backend == "python" else {}
    report = fg.check_grad(
        problem.loss, gradient, u, *args, strategy=strategy, budget=None, **options
    )
    return answer(report, saying.order, sizes_of(problem, saying))


def check_in_blocks(problem: Flat, strategy: str, wrong: bool) -> Answer:
    """The answer about a structure as it is, or about a vector that is split."""
    every = np.arange(problem.theta.size)
    if problem.backend == "python":
        theta = problem.problem.theta if problem.structured else problem.blocks()
        loss, args = problem.loss_of_blocks, problem.problem.args
    elif problem.structured:
        loss, theta, args = problem.problem.loss, problem.problem.theta, problem.problem.args
    else:
        theta, loss = problem.split()
        args = (*plain(problem).args, *problem.problem.args)
    unpack = unpacker(theta, named=False)

    def gradient(p: Any, *_: Any) -> Any:
        return unpack(_marred(problem, problem.gradient(flat(p)), wrong))

    options = {"backend": "python"} if problem.backend == "python" else {"structure": False}
    report = fg.check_grad(loss, gradient, theta, *args, strategy=strategy, budget=None, **options)
    return answer(report, every)


def _marred(problem: Flat, gradient: Floats, wrong: bool) -> Floats:
    if wrong:
        gradient = gradient.copy()
        gradient[problem.planted] *= SIGN
    return gradient


@cache
def plain_answer(name: str, strategy: str, wrong: bool, backend: str = "auto") -> Answer:
    problem = flat_problem(name, backend)
    return check_said(problem, plain(problem), strategy, wrong)


# What differs


def growth(problem: Flat, saying: Saying, before: Answer, after: Answer) -> float:
    """How much larger noise may be: that of the values, and that of points that theta cannot hold."""
    eps = float(np.finfo(float).eps)
    value = saying.factor * problem.value + saying.addend
    was = max(before.noise, eps * abs(problem.value))
    rounding = float(np.abs(problem.slope) @ np.spacing(np.abs(saying.u(problem.theta))))
    now = max(after.noise, eps * abs(value)) + (rounding if np.any(saying.shift) else 0.0)
    return max(1.0, now / was) if was > 0 else np.inf


def differences(
    name: str, saying_name: str, strategy: str, wrong: bool, backend: str = "auto"
) -> list[str]:
    """What a check answers otherwise than one of the plain problem; empty if nothing.

    - The verdict, the blamed entries, the laws of blocks that keep their name, and the evaluations
      (within 20% or 4) are the same.
    - Where noise grows, a right gradient may be left open if the limit is wider than before. A planted
      error may be left open, or pass, if the limit that is then stated is wider than it is: that of
      the open entry itself will do where it is left open. Where the plain verdict is inconclusive it
      may be the true one. No entry is blamed that was not; the limit grows by no more than the noise
      does, times `WIDER`. Evaluations are compared where the verdict is the same.
    """
    problem = flat_problem(name, backend)
    before = plain_answer(name, strategy, wrong, backend)
    if saying_name == "in other blocks":
        after = check_in_blocks(problem, strategy, wrong)
        return _strictly(before, after, False, strategy)
    saying = sayings(problem)[saying_name]
    after = check_said(problem, saying, strategy, wrong)
    if not saying.may_widen:
        return _strictly(before, after, True, strategy)
    planted = {problem.planted} if wrong else set()
    return _loosely(before, after, planted, growth(problem, saying, before, after), strategy)


def _strictly(before: Answer, after: Answer, with_laws: bool, strategy: str = "sweep") -> list[str]:
    found = []
    if after.verdict != before.verdict:
        found.append(f"verdict: {before.verdict} -> {after.verdict}")
    if after.blamed != before.blamed:
        found.append(f"blamed: {_listed(before.blamed)} -> {_listed(after.blamed)}")
    if with_laws and after.laws != before.laws:
        found.append(f"laws: {sorted(before.laws)} -> {sorted(after.laws)}")
    return found + _evaluations(before, after, strategy)


def _loosely(
    before: Answer, after: Answer, planted: set[int], allowed: float, strategy: str = "sweep"
) -> list[str]:
    found = []
    opened = after.verdict == "inconclusive" != before.verdict
    stated = max(after.limit, after.open_limit) if opened else after.limit
    least = after.share if planted else before.limit
    truth = "disagrees" if planted else "agrees"
    if after.verdict in (before.verdict, truth) or (not planted and not opened):
        within = True
    else:
        within = stated > least
    if not within:
        found.append(
            f"verdict: {before.verdict} -> {after.verdict}, with a limit of {stated:.1e} for "
            f"{least:.1e}"
        )
    if not opened and not planted and after.verdict not in (before.verdict, truth):
        found.append(f"verdict: {before.verdict} -> {after.verdict}")
    same = after.verdict == before.verdict
    settled = planted if before.verdict == "inconclusive" else set()
    lost = same and before.verdict == "disagrees" and not before.blamed <= after.blamed
    if lost or not after.blamed <= before.blamed | settled:
        found.append(f"blamed: {_listed(before.blamed)} -> {_listed(after.blamed)}")
    most = WIDER * allowed * before.limit
    if after.limit > most and most < 1:  # beyond 1 a limit says that nothing is seen
        found.append(f"limit: {before.limit:.1e} -> {after.limit:.1e}, noise by {allowed:.1e}")
    if same and after.blamed == before.blamed and after.laws != before.laws:
        found.append(f"laws: {sorted(before.laws)} -> {sorted(after.laws)}")
    return found + (_evaluations(before, after, strategy) if same else [])


def _evaluations(before: Answer, after: Answer, strategy: str) -> list[str]:
    allowed = max(EVALUATIONS * before.evaluations, EVALUATIONS_AT_LEAST[strategy])
    if abs(after.evaluations - before.evaluations) <= allowed:
        return []
    return [f"evaluations: {before.evaluations} -> {after.evaluations}"]


def _listed(entries: frozenset[int]) -> str:
    shown = ", ".join(map(str, sorted(entries)[:6]))
    return f"[{shown}{', ...' if len(entries) > 6 else ''}] ({len(entries)})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="problems with this in their name")
    parser.add_argument("--saying", default="", help="ways with this in their name")
    parser.add_argument("--strategy", choices=STRATEGIES)
    parser.add_argument("--backend", choices=("auto", "python"), default="auto")
    asked = parser.parse_args()
    warnings.simplefilter("error")  # as in the tests
    counts: Counter[str] = Counter()
    tried = 0
    for name in [name for name in problems() if asked.only in name]:
        for saying in [saying for saying in SAYINGS if asked.saying in saying]:
            for strategy in [asked.strategy] if asked.strategy else STRATEGIES:
                for wrong in (False, True):
                    tried += 1
                    try:
                        found = differences(name, saying, strategy, wrong, asked.backend)
                    except Exception as error:  # the list goes on
                        found = [f"raises: {type(error).__name__}: {error}".partition("\n")[0]]
                    if found:
                        kind = "planted" if wrong else "right"
                        print(
                            f"{name} | {saying} | {strategy} | {kind}: {'; '.join(found)}",
                            flush=True,
                        )
                        counts.update({saying: 1})
                        counts.update(text.partition(":")[0] for text in found)
    print(f"\n{tried} comparisons; what differs, by way and by what:")
    for what, count in counts.most_common():
        print(f"{count:6d}  {what}")


if __name__ == "__main__":
    main()

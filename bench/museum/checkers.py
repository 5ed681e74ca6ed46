"""Who visits the museum: fastgrad, and every rival at its defaults and by its own rule."""

import time
import warnings
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np

import fastgrad as fg
from bench.checkers import CHECKERS
from bench.museum import Answer, Exhibit, loaded
from bench.museum.visit import Visit, where_of
from bench.rivals import (
    jacobi_gradient,
    numdifftools_gradient,
    scipy_three_point,
    statsmodels_centered,
    version,
)

Says = Callable[[Exhibit], Answer | bool | None]

CONSISTENT = 1e-6
"""scipy's `check_derivative`: its result is to be "close to or less than 1e-6", says its example."""


def judged(exhibit: Exhibit, says: Says) -> Visit:
    """One visit: an error of the checker is no answer, as "cannot tell" is none."""
    module = loaded(exhibit)
    began = time.perf_counter()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            said = says(exhibit)
        except Exception:
            said = None
    seconds = time.perf_counter() - began
    answer = said if isinstance(said, Answer) else Answer(said)
    where = where_of(answer.blamed, exhibit.off()) if exhibit.is_bug else ""
    causes = tuple(module.LAWS) if exhibit.is_bug else ()
    passes = None if answer.passes is None else bool(answer.passes)
    name, kind, is_bug = exhibit.name, exhibit.kind, exhibit.is_bug
    return Visit(name, kind, is_bug, passes, where, answer.laws, causes, seconds)


def fastgrad_says(exhibit: Exhibit) -> Answer:
    """`check_grad` with its defaults, but that Python runs the loss: compiling is not the question."""
    module = exhibit.module
    report = fg.check_grad(module.loss, exhibit.gradient, module.theta, backend="python")
    passes = {"agrees": True, "disagrees": False, "inconclusive": None}[report.verdict]
    starts, stop = {}, 0
    for block in report.blocks:
        starts[block.name], stop = (stop, block.shape), stop + block.size
    blamed = frozenset(
        starts[e.block][0]
        + int(np.ravel_multi_index(e.index, starts[e.block][1]) if e.index else 0)
        for e in report.entries
        if e.verdict == "disagrees"
    )
    laws = dict.fromkeys(word for d in report.diagnoses for word in d.law.split("+"))
    return Answer(passes, blamed or None, tuple(laws))


def scipy_check_derivative(exhibit: Exhibit) -> bool:
    from scipy.optimize._numdiff import check_derivative

    loss, gradient, x = exhibit.flat()
    return check_derivative(loss, gradient, x) <= CONSISTENT


def close(differences: Callable[..., Any], exhibit: Exhibit) -> bool:
    """An estimator of gradients and numpy's `allclose`, as most test suites have it."""
    loss, gradient, x = exhibit.flat()
    return bool(np.allclose(gradient(x), differences(loss, x)))


def rule_of(passes: Callable[..., bool], exhibit: Exhibit) -> bool:
    """One of the checkers of `bench.checkers`, which want a loss and a model."""
    loss, gradient, x = exhibit.flat()

    def model(xp: Any, theta: Any) -> Any:
        if xp.__name__ != "jax.numpy":
            return loss(np.asarray(theta))
        import jax

        double = jax.ShapeDtypeStruct((), "float64")
        return jax.pure_callback(lambda t: np.asarray(loss(np.asarray(t))), double, theta)

    return passes(SimpleNamespace(loss=loss, model=model, theta=x, args=()), gradient)


VISITORS: dict[str, tuple[str, Says]] = {
    "fastgrad": ("numpy", fastgrad_says),
    "scipy check_derivative": ("scipy", scipy_check_derivative),
    "scipy 3-point, allclose": ("scipy", partial(close, scipy_three_point)),
    "statsmodels centered, allclose": ("statsmodels", partial(close, statsmodels_centered)),
    "numdifftools, allclose": ("numdifftools", partial(close, numdifftools_gradient)),
    "jacobi, allclose": ("jacobi", partial(close, jacobi_gradient)),
    **{c.name: (c.package, partial(rule_of, c.passes)) for c in CHECKERS if c.name != "fastgrad"},
}
"""Names, the package that each needs, and what each says."""


def installed() -> dict[str, Says]:
    """Those that can come."""
    return {name: says for name, (package, says) in VISITORS.items() if version(package)}

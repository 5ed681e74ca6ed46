"""Programs that XLA compiles for JAX: a loss that has one compiled at every call is slow by it alone."""

import sys
from typing import Any, NamedTuple

EVERY_OTHER = 2
"""Programs for every so many evaluations are no first call of something new."""


class _Compiled:
    """How many were compiled since this was first asked; it does not load JAX."""

    EVENT = "/jax/core/compile/backend_compile_duration"

    def __init__(self) -> None:
        self._count, self._listens = 0, False

    def _heard(self, event: str, *_: Any, **__: Any) -> None:
        self._count += event == self.EVENT

    def count(self, jax: Any) -> int:
        """How many so far, by what JAX tells."""
        if not self._listens:
            self._listens = True
            jax.monitoring.register_event_duration_secs_listener(self._heard)
        return self._count


_compiled = _Compiled()


class Programs(NamedTuple):
    """The programs, and the evaluations of a loss, that were made when nothing was left to compile."""

    jax: Any
    programs: int
    evaluations: int

    def remarks(self, evaluations: int) -> list[str]:
        """Whether JAX has compiled at every evaluation since then, or at every other."""
        programs = _compiled.count(self.jax) - self.programs
        made = evaluations - self.evaluations
        if not made or EVERY_OTHER * programs < made:
            return []
        return [
            f"JAX compiled {programs:,} programs in {made:,} evaluations: make the loss one function "
            "that is compiled once, loss = jax.jit(loss), outside of what is called."
        ]


def programs_after(evaluations: int) -> Programs | None:
    """What to tell from, once a loss was evaluated so often; None where JAX is not loaded."""
    jax = sys.modules.get("jax")
    return None if jax is None else Programs(jax, _compiled.count(jax), evaluations)

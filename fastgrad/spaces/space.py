"""Space: a set that theta lives on, told by how a point is moved along it.

It comes in two forms. By coordinates, ``retract(point, v)`` moves a point by a vector of ``dim``
numbers, and a gradient is the slope along each of them, at v = 0. Projected, theta keeps its own
entries: ``project(point, w)`` is the orthogonal projection onto the tangent space, entry i moves along
``project(point, e_i)``, and a gradient is like the point.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from fastgrad.arrays import Floats
from fastgrad.spaces.charts import Chart, Reading

GRADIENTS = ("riemannian", "euclidean")


class Space:
    """A set that theta lives on, for ``space=`` of `fastgrad.check_grad` and `fastgrad.grad`.

    Parameters
    ----------
    retract : callable
        ``retract(point, v) -> point``, of the same type: the point moved by v. With ``dim``, v has
        shape (dim,); with ``project``, it is like the point.
    dim : int, optional
        The number of coordinates of v; the gradient has as many.
    names : sequence of str, optional
        What they are called: entries are then ``x0.wy``.
    project : callable, optional
        ``project(point, w)``: the orthogonal projection of w onto the tangent space at the point.
    gradient : {"riemannian", "euclidean"}
        What the gradient beside ``project`` is: tangent, or to be projected first.
    flat : callable, optional
        ``flat(w) -> ndarray``: a point or gradient of another type as an array.

    Raises
    ------
    TypeError, ValueError
        Neither or both of ``dim`` and ``project``, or options of the other form.

    Examples
    --------
    >>> import numpy as np
    >>> import fastgrad as fg
    >>> def turn(angle, v):
    ...     return (angle + v[0]) % (2 * np.pi)
    >>> circle = Space(turn, dim=1, names=["phi"])
    >>> fg.check_grad(np.cos, lambda a: -np.sin(a), 6.283, space=circle).verdict
    'agrees'
    """

    title = "space"
    """What messages call it."""
    trusted = False
    """Whether it need not be verified at every point: tests hold it to be a space."""
    for_arrays = False
    """Whether its points are arrays, so that one space stands for every array of a structure."""

    def __init__(
        self,
        retract: Callable[[Any, Any], Any],
        dim: int | None = None,
        names: Sequence[str] | None = None,
        *,
        project: Callable[[Any, Any], Any] | None = None,
        gradient: str = "riemannian",
        flat: Callable[[Any], Any] | None = None,
    ):
        if not callable(retract):
            raise TypeError(
                f"retract is {type(retract).__name__}: expected a function of a point and a vector"
            )
        if (dim is None) == (project is None):
            raise TypeError(
                "Space: expected dim, the number of coordinates that retract takes, or project, the "
                f"projection onto the tangent space; got {'both' if project else 'neither'}"
            )
        if gradient not in GRADIENTS:
            raise ValueError(f'gradient={gradient!r}: expected "riemannian" or "euclidean"')
        if dim is not None and (isinstance(dim, bool) or int(dim) != dim or dim < 1):
            raise ValueError(f"dim={dim!r}: expected a whole number from 1 up")
        if names is not None and (project is not None or len(names) != dim):
            raise ValueError(f"names: expected one for each of the dim={dim} coordinates")
        self.retract, self.project = retract, project
        self.dim = None if dim is None else int(dim)
        self.names = None if names is None else tuple(map(str, names))
        self.gradient, self.flat = gradient, flat
        self.verified: dict[Any, float] = {}

    def __repr__(self) -> str:
        form = f"dim={self.dim}" if self.project is None else f"gradient={self.gradient!r}"
        return f"{self.title}({form})"

    def at(self, point: Any, name: str) -> Chart:
        """The chart around a point.

        Raises
        ------
        ValueError, TypeError
            The space is not one there: see `fastgrad.spaces.verify`.
        """
        from fastgrad.spaces.coordinates import CoordinatesChart
        from fastgrad.spaces.projected import ProjectedChart

        if self.project is None:
            return CoordinatesChart(self, point, name)
        return ProjectedChart(self, point, name)

    def shape_of(self, point: Any) -> tuple[int, ...]:
        """The shape of the coordinates at a point."""
        assert self.dim is not None
        return (self.dim,)

    def require(self, point: Any, name: str) -> None:
        """Raise ValueError if a point is not on the set, as far as that is known."""

    def readings(self, point: Any, slopes: Floats) -> Iterator[Reading]:
        """The slopes that a gradient claims, shape (size,), under other conventions."""
        return iter(())

    def orders(self, gradient: Floats) -> Iterator[tuple[str, str, Floats]]:
        """A gradient by the numbers of a point in other orders of them: a law, what it is, and that."""
        return iter(())

    def dimension_at(self, point: Any) -> float | None:
        """The dimension of the set, where it is known."""
        return None

    def compiled(self, point: Any) -> Any:
        """The retraction as a compiled function of the point's numbers and the entries."""
        if not hasattr(self.retract, "py_func"):
            return None
        if self.project is None:
            return self.retract
        from fastgrad.spaces import retractions

        is_njit = hasattr(self.project, "py_func")
        return retractions.projected(self.retract, self.project) if is_njit else None

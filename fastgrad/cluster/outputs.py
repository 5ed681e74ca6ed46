"""A function of many outputs, evaluated here, on workers, or long ago."""

from fastgrad.arrays import Floats, Indices
from fastgrad.cluster.spread import Spread
from fastgrad.evaluate.vector import Store, VectorEvaluator


class SpreadOutputs(VectorEvaluator):
    """What asks for outputs, over what gets them from wherever they are made.

    Parameters
    ----------
    run : VectorEvaluator
        The function in this process.
    spread : Spread
        Over it.
    """

    def __init__(self, run: VectorEvaluator, spread: Spread):
        super().__init__(spread, Store(), run.outputs)
        self._spread = spread

    def coordinates(self, indices: Indices, offsets: Floats) -> Floats:
        return self._spread.coordinates(indices, offsets)

    def along(self, direction: Floats, offsets: Floats) -> Floats:
        return self._spread.along(direction, offsets)

    def lines(self, directions: Floats, offsets: Floats) -> Floats:
        return self._spread.lines(directions, offsets)

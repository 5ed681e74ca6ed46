"""A gradient checker: is a gradient right, where is it wrong, and how sure is the answer?"""

from fastgrad import structured
from fastgrad.checking import check_grad
from fastgrad.gradient import grad, value_and_grad

__all__ = ["check_grad", "grad", "structured", "value_and_grad"]

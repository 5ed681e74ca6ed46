"""What fastgrad raises about a loss or a gradient; each is also the built-in kind it stands for."""


class LossCompilationError(TypeError):
    """numba cannot compile the loss, or cannot type what it is given.

    Parameters
    ----------
    message : str
    reason : str, optional
        The same in one line; by default the first of the message.
    """

    def __init__(self, message: str = "", reason: str = ""):
        super().__init__(message)
        self.reason = reason or message.partition("\n")[0]


class PythonBackendWarning(UserWarning):
    """A loss that could not be compiled is called from Python, which is slower; with the reason."""


class GradientAlarm(UserWarning):
    """A gradient that is checked while training was found to be wrong; with where, and why."""


class StepWarning(UserWarning):
    """A numerical gradient whose own values show that its step does not suit the loss; with where."""


class LossError(RuntimeError):
    """The loss raised; the message says at which entry and offset, ``__cause__`` is its error."""


class NonFiniteLossError(ArithmeticError):
    """The loss is NaN or infinite where a difference needs its value."""


class NondeterministicLossError(ValueError):
    """The loss gives different values at the same parameters."""


class MutatedInputError(ValueError):
    """The loss, or the gradient under test, wrote to its own input."""


class StructureMismatchError(ValueError):
    """Something that must be shaped like theta (a step, a mask, a gradient) is not."""


class StructureError(ValueError):
    """A structured loss does not agree with the plain loss it stands for."""


class GradientMismatch(AssertionError):  # noqa: N818 - an assertion that failed, and named like one
    """The gradient under test was not confirmed; the message is the whole report."""


class CheckpointError(ValueError):
    """A checkpoint file belongs to another run, is none, or cannot be written."""


class ExecutorError(RuntimeError):
    """An executor broke, or cannot be given the loss.

    Parameters
    ----------
    message : str
    reason : str, optional
        What became of the executor, and what to do.
    """

    def __init__(self, message: str = "", reason: str = ""):
        super().__init__(message)
        self.reason = reason

"""What the engine raises: one class for each of its error codes, each also the class that Python's users expect."""


class Error(Exception):
    """What every error of the engine is. Its text names the file, node or input and, where there is one, the remedy."""

    code = "internal"


class InvalidModel(Error, ValueError):
    """The file breaks the ONNX format or its own declarations."""

    code = "invalid_model"


class Unsupported(Error, NotImplementedError):
    """The model is valid, but uses an operator, type or attribute that the engine lacks."""

    code = "unsupported"


class InvalidInput(Error, ValueError):
    """What was given does not fit the model."""

    code = "invalid_input"


class ResourceLimit(Error, MemoryError):
    """A size or memory limit was reached."""

    code = "resource_limit"


class InputOutput(Error, OSError):
    """Reading or writing failed."""

    code = "io"


class Internal(Error, RuntimeError):
    """A defect of the engine."""

    code = "internal"


class Cancelled(Error):
    """RunOptions.terminate was set."""

    code = "cancelled"

"""The errors that mien raises. Each message says what was expected, what came, and what to do."""


class MienError(Exception):
    """Base of every error a caller may want to catch. The command line turns it into one line and exit code 2."""

    kind = "error"


class InputError(MienError):
    """An argument or a picture is not what was asked for."""

    kind = "input"


class ModelError(MienError):
    """A model file cannot be used: unreadable, altered, too new, or its self-test failed."""

    kind = "model"


class DataError(MienError):
    """Training or evaluation data is wrong; the message names the file and the line."""

    kind = "data"


class SourceError(MienError):
    """A source of frames (file, folder, camera, stream) cannot be opened or has ended early."""

    kind = "source"

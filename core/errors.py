"""The errors that a user is meant to read: one sentence that says what is wrong, where, and what to do."""


class SleepcliError(Exception):
    """An expected failure.

    Parameters
    ----------
    message
        One sentence: what is wrong and where. It never holds a patient, recording, transducer,
        equipment or technician field, nor free annotation text.
    hint
        What to do about it; empty where the message says it already.
    """

    exit_code = 3

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()

    def __reduce__(self) -> tuple[type["SleepcliError"], tuple[str, str]]:
        """Keep the hint when an error travels between worker processes."""
        return type(self), (self.message, self.hint)


class StudyError(SleepcliError):
    """One study cannot be read or processed; the others of a batch can."""


class UsageError(SleepcliError):
    """An option, a path, a channel or a model name that does not exist or does not fit."""

    exit_code = 2


class ModelError(UsageError):
    """A bundle that is missing, damaged, or unfit for what was asked."""


class MissingExtraError(UsageError):
    """A package of an optional extra is not installed."""

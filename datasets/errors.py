"""The errors that serlds raises on purpose.

Every message says what is wrong, where (file, episode, step or field), what was expected, what was
found and what to do. The command line prints it without a traceback and exits with `exit_code`.
"""


class SerldsError(Exception):
    """Base of all errors that serlds raises on purpose."""

    exit_code = 1


class UsageError(SerldsError):
    """What was asked for cannot be done as asked: a wrong value, name or path."""

    exit_code = 2


class DatasetNotFoundError(UsageError):
    """There is no dataset where one was named."""


class SchemaError(UsageError):
    """A field is missing, unknown, or of another dtype or shape than needed."""


class DamagedDatasetError(SerldsError):
    """A dataset's files contradict each other, are torn or fail their checksum."""


class StoreLockedError(SerldsError):
    """Another process is writing the dataset.

    Attributes:
      holder: that process, its host and since when.
    """

    def __init__(self, message: str, holder: str = "") -> None:
        super().__init__(message)
        self.holder = holder


class StoreWriteError(SerldsError):
    """The operating system refused a write: a full disk, a quota, a failing device."""

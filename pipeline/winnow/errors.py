"""Errors of Winnow, in one tree. Each message says what was wrong and what to do.

    WinnowError                 exit code 1: units failed, storage refused, or the books do not close
      RefusedError              2: the config or the input cannot be used as it is
        ConfigError, AddressError (NamedObjectError), InputError, ClusterError, UnreadableShareError,
        HubError, ModelFolderError, CentresError, ExamplesError, FormatError, EncryptionError
      LeaseHeldError            3: another run owns the folder
      AlarmedError              4: the run is finished, but raised alarms (`alarms: fail`)
      StoppedError              75 or 130: stopped by a signal; the same command goes on
      OperatorError             1: a user's operator returned what it must not
      StageFailedError (engine.engine), ReaderError, SignatureError, BooksError, StorageError, ObjectStorageError,
      QuarantineError, SurroundingsError, ShardError, JobServerError

Where Python has a kind for it (``ValueError``, ``OSError``), an error is of that kind, too.
"""

import signal
from typing import ClassVar

# exit codes; schedulers rely on them, and the README lists them
FAILED = 1
"""Units failed for good, storage refused, or the books did not close."""
REFUSED = 2
"""The config or the input cannot be used as it is (also: too much of the input is unreadable)."""
HELD = 3
"""Another run owns the run folder."""
ALARMED = 4
"""A run finished and its shards are out, but it raised alarms that its config does not let pass."""
RESUMABLE = 75
"""EX_TEMPFAIL: stopped by SIGTERM (job stop, spot notice, Slurm); committed units stay, the same command goes on."""
INTERRUPTED = 130
"""Ctrl-C; committed units stay, the same command goes on."""


class WinnowError(Exception):
    """Base of all errors that Winnow raises for its users."""

    exit_code: ClassVar[int] = FAILED
    """Exit code of a command that ends with this error."""


class RefusedError(WinnowError):
    """The config or the input cannot be used as it is."""

    exit_code = REFUSED


class ConfigError(RefusedError, ValueError):
    """The config cannot be used; the message lists every mistake with its setting."""


class AddressError(RefusedError, ValueError):
    """A path that looks like a URL cannot be used as one; the message does not repeat what may be secret."""


class NamedObjectError(AddressError):
    """What an address names is not there, or is not what it was pinned to."""


class InputError(RefusedError, ValueError):
    """The inputs that the config names are not there or cannot be used."""


class ClusterError(RefusedError, RuntimeError):
    """The cluster cannot run this config's workers."""


class UnreadableShareError(RefusedError, RuntimeError):
    """More of the input could not be read than the config allows."""


class HubError(RefusedError, RuntimeError):
    """A data set on a hub is missing, or may not be read or written; the message says what to do."""

    def __init__(self, message: str, *, is_missing: bool = False) -> None:
        super().__init__(message)
        self.is_missing = is_missing
        """Whether there is no such data set or revision, as far as the token may see."""


class ModelFolderError(RefusedError, ValueError):
    """A model cannot be used; the message names the folder or file, and what would do."""


class CentresError(RefusedError, ValueError):
    """Stored centres cannot be used for these vectors."""


class ExamplesError(RefusedError, ValueError):
    """The examples cannot train a head."""


class FormatError(RefusedError, ValueError):
    """Rows that a format cannot hold."""


class EncryptionError(RefusedError, RuntimeError):
    """No key, one that cannot be used, or another one than this was encrypted with; the message names keys by id."""


class LeaseHeldError(WinnowError, RuntimeError):
    """Another run owns this run folder, or this index."""

    exit_code = HELD


class AlarmedError(WinnowError):
    """A finished run raised alarms with which its config has it fail."""

    exit_code = ALARMED


class ReaderError(WinnowError, TypeError):
    """A reader of another package yields something else than batches of records."""


class BooksError(WinnowError, RuntimeError):
    """Two sums that must be equal are not."""


class OperatorError(WinnowError, TypeError):
    """A user's operator broke its contract; the message names it, says what came and what was expected."""


class StorageError(WinnowError, OSError):
    """Storage refused a write or read; the message names the path and what to do."""


class ObjectStorageError(WinnowError, ConnectionError):
    """An object store refused, or did not answer for as long as it was asked; the message says what to do."""


class WebServerError(ObjectStorageError):
    """A web server refused, or did not answer: the file is unreadable, and the run goes on.

    Attributes:
        said: what the server said, without the address.
    """

    def __init__(self, message: str, said: str) -> None:
        super().__init__(message)
        self.said = said


class JobServerError(WinnowError, ConnectionError):
    """The job server of a cluster failed for a passing reason, however often it was asked."""


class QuarantineError(WinnowError, RuntimeError):
    """Documents were quarantined: this unit is to be planned again without them."""


class SurroundingsError(WinnowError, RuntimeError):
    """Work fails for a good document as well: the machine, a library or a model is at fault, and no document."""


class ShardError(WinnowError):
    """A shard set or one of its files is missing, cut short or altered; the message says which and what to do."""


class SignatureError(WinnowError, RuntimeError):
    """A signature is not the one that the reference library computes; the message names the document."""


class NothingToAuditError(WinnowError):
    """No document took part in what is asked about: every file was known already, or the filter dropped all."""


class NotReadyError(WinnowError):
    """A dry run met a stage with units still to run; nothing after it can be planned."""


class StoppedError(WinnowError, RuntimeError):
    """The run was asked to stop and has left work undone; the message says how much."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.signal_number = signal_number
        self.exit_code = exit_code_of(signal_number)  # type: ignore[misc]


class ForcedStop(BaseException):
    """A second signal came, or the grace time is over."""

    def __init__(self, signal_number: int) -> None:
        super().__init__("stopped before running units could commit; what is committed stays, the same command goes on")
        self.signal_number = signal_number
        self.exit_code = exit_code_of(signal_number)


def exit_code_of(signal_number: int) -> int:
    """130 for Ctrl-C; otherwise 75 (EX_TEMPFAIL): try again later."""
    return INTERRUPTED if signal_number == signal.SIGINT else RESUMABLE

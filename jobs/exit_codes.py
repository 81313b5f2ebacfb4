"""Exit codes, and how errors become messages. Schedulers rely on them: they are documented in the README."""

import logging
import os
import select
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Literal

from winnow.errors import ALARMED, FAILED, HELD, INTERRUPTED, REFUSED, RESUMABLE

__all__ = [
    "ALARMED",
    "FAILED",
    "HELD",
    "INTERRUPTED",
    "NO_READER",
    "OK",
    "REFUSED",
    "RESUMABLE",
    "leave",
    "log_to_stderr",
    "true_exit_codes",
]

OK = 0
NO_READER = 141
"""128 + SIGPIPE, as of other commands: whoever read stdout, such as `head`, had enough."""


@contextmanager
def true_exit_codes(failed: int = FAILED) -> Iterator[None]:
    """Run a command; every error ends the process with a message and the code that belongs to it.

    Args:
        failed: what stands for FAILED where that means something else, as for commands that compare.
    """
    # imported late so that `winnow --help` stays quick
    from winnow.errors import ForcedStop, WinnowError

    try:
        yield
        sys.stdout.flush()  # here, where it can be told that nobody reads it
    except SystemExit as error:
        if isinstance(error.__context__, BrokenPipeError):  # rich ends the process where nobody reads its tables
            leave(NO_READER)
        raise
    except (WinnowError, ForcedStop) as error:
        _end(error, failed if error.exit_code == FAILED else error.exit_code)
    except OSError as error:
        if isinstance(error, BrokenPipeError) and _has_no_reader():
            leave(NO_READER)
        _end(error, failed)
    except KeyboardInterrupt:
        _end("interrupted; what is committed stays, the same command goes on", INTERRUPTED)
    except Exception as error:  # noqa: BLE001 - the last resort: told with its trace, and exit code 1
        traceback.print_exc()
        _end(
            f"{type(error).__name__}: {error}\nthis is a fault in winnow: please report it with the trace above",
            failed,
        )


def _end(message: object, code: int) -> None:
    from winnow.report.printable import printable

    _flush_stdout()
    print(f"winnow: {printable(str(message))}", file=sys.stderr, flush=True)
    leave(code)


def leave(code: int) -> None:
    """End the process with this code; a Ray that it started on this machine ends with it."""
    from winnow.engine.executors.private_ray import leave_ray

    if not _flush_stdout() and code == OK:
        code = NO_READER
    sys.stderr.flush()
    if leave_ray():
        os._exit(code)  # Ray's threads may still be at work, and the interpreter's own end can fall over them
    sys.exit(code)


def _has_no_reader() -> bool:
    """Whether stdout is a pipe that nobody reads any more; a pipe can break in other places, too."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), select.POLLOUT)
    return any(events & (select.POLLERR | select.POLLHUP) for _, events in poll.poll(0))


def _flush_stdout() -> bool:
    """Write out what was printed; False where nobody reads it: then it is dropped, now and when Python ends."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
        return False
    return True


def log_to_stderr(log_format: Literal["text", "json"] = "text", run: str = "") -> None:
    """Log lines for runs without a terminal, and warnings everywhere; ``json``: one object a line, for collectors."""
    handler = logging.StreamHandler(sys.stderr)
    plain = logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S")
    handler.setFormatter(_JsonLines(run) if log_format == "json" else plain)
    logger = logging.getLogger("winnow")
    logger.handlers = [handler]
    logger.propagate = False
    logger.setLevel(logging.WARNING if sys.stderr.isatty() and log_format == "text" else logging.INFO)
    logging.getLogger("winnow.doing").setLevel(logging.INFO)  # on terminals, too: nothing else moves meanwhile


class _JsonLines(logging.Formatter):
    """One JSON object a line: time, level, run, message, and where known stage, unit, done, units, failed."""

    def __init__(self, run: str) -> None:
        super().__init__()
        self.run = run

    def format(self, record: logging.LogRecord) -> str:
        """The line of one record."""
        import orjson

        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "run": self.run,
            "message": record.getMessage(),
        }
        known = ("stage", "unit", "done", "units", "failed")
        return orjson.dumps(line | {k: getattr(record, k) for k in known if hasattr(record, k)}).decode()

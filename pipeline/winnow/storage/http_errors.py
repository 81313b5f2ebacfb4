"""What goes wrong with web servers, in the form in which object stores' errors are looked at (``object_errors``)."""

import contextlib
import email.utils
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import urllib3.exceptions as urllib3_errors

LONGEST_RETRY_AFTER_SECONDS = 120.0
"""A server that asks for more time than this is asked again after this."""


class HttpStatusError(OSError):
    """A server answered with a status that is none of success."""

    def __init__(self, status: int, reason: str, retry_after: float = 0.0) -> None:
        super().__init__(f"status {status}")
        self.status = status
        self.retry_after = min(retry_after, LONGEST_RETRY_AFTER_SECONDS)
        code = {408: "RequestTimeout", 416: "416"}.get(status, "")
        said: dict[str, Any] = {"Code": code, "Message": reason[:100]}
        self.response = {"Error": said, "ResponseMetadata": {"HTTPStatusCode": status}}


class HttpAnswerError(PermissionError):
    """A server answered with something that cannot be used, and will again."""

    def __init__(self, what: str) -> None:
        super().__init__(f"the server {what}")


@contextlib.contextmanager
def passing_error(host: str) -> Iterator[None]:
    """Errors of urllib3 as those of the system, in words of our own: its own quote addresses."""
    try:
        yield
    except urllib3_errors.NameResolutionError:
        raise ConnectionError(f"no host {host} is known") from None
    except urllib3_errors.SSLError as error:
        fault = error.args[0] if error.args else error
        if isinstance(fault, ssl.SSLCertVerificationError):
            raise HttpAnswerError(f"{host} has no certificate that holds: {fault.verify_message}") from None
        raise ConnectionError(f"no encrypted connection to {host}") from None
    except urllib3_errors.ProxyError:
        raise ConnectionError(f"the proxy to {host} does not answer (HTTP_PROXY, HTTPS_PROXY)") from None
    except urllib3_errors.NewConnectionError:  # a kind of timeout to urllib3
        raise ConnectionError(f"nobody answers at {host}") from None
    except urllib3_errors.TimeoutError:
        raise TimeoutError(f"{host} was silent for too long") from None
    except urllib3_errors.HTTPError as error:
        raise ConnectionError(f"the connection to {host} broke off ({type(error).__name__})") from None


def seconds_asked_for(said: str) -> float:
    """What Retry-After asks for: a number of seconds, or a time."""
    if said.strip().isdecimal():
        return float(said)
    try:
        until = email.utils.parsedate_to_datetime(said)
    except (ValueError, TypeError):
        return 0.0
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return max(0.0, (until - datetime.now(UTC)).total_seconds())

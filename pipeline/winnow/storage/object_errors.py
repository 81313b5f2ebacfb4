"""What an object store's refusal means: whether to ask again, and what to tell the user."""

import errno
import os
import re
from typing import Any

from winnow.errors import ObjectStorageError, WebServerError
from winnow.storage.address import is_web

_PASSING_CODES = {
    "InternalError",
    "OperationAborted",
    "RequestTimeout",
    "RequestTimeoutException",
    "ServiceUnavailable",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "TooManyRequests",
    "BadDigest",
    "IncompleteBody",
    "XAmzContentSHA256Mismatch",
}
_UNDECIDED_CODES = {"ConditionalRequestConflict", "409"}
"""Another write or removal of the same object is under way: it may be this one's own, whose answer was lost."""
_CREDENTIAL_CODES = {
    "AccessDenied",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidToken",
    "SignatureDoesNotMatch",
    "TokenRefreshRequired",
    "403",
}
_REGION_CODES = {"AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "PermanentRedirect", "301"}
_LOOKED_FOR = (
    "looked for: AWS_ACCESS_KEY_ID with AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN), AWS_PROFILE and ~/.aws, a web "
    "identity token (AWS_WEB_IDENTITY_TOKEN_FILE), the role of the container or machine; they must be there on every "
    "node. docs/operations.md lists the actions that the role needs"
)
_SECRETS = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ACCESS_KEY_ID", "AZURE_STORAGE_KEY", "HF_TOKEN")
_WEB_ADVICE = "run the same command again when it answers: it goes on; `storage.retries` says how long to hold out"
_SIGNED = re.compile(
    r"([?&](?:X-Amz-[A-Za-z-]+|X-Goog-[A-Za-z-]+|sig|Signature|AWSAccessKeyId)=)[^&\s\"']+", re.IGNORECASE
)

_IN_ADDRESS = re.compile(r"(https?://)[^/\s\"'@]*@")  # of AWS_ENDPOINT_URL or a proxy, say


def response_of(error: BaseException | None) -> dict[str, Any]:
    """What the server said, as botocore keeps it; empty where it said nothing."""
    seen: set[int] = set()  # causes may lead back
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        response = getattr(error, "response", None)
        if isinstance(response, dict) and "Error" in response:
            return response
        error = error.__cause__ or error.__context__
    return {}


def code_of(error: BaseException) -> str:
    """The server's code of the error, such as ``NoSuchKey``; empty where it gave none."""
    return str(response_of(error).get("Error", {}).get("Code", ""))


def is_missing_bucket(error: BaseException) -> bool:
    """Whether it is the bucket that is not there, rather than one object."""
    return code_of(error) in ("NoSuchBucket", "NoSuchContainer", "ContainerNotFound")


def lost_race(error: BaseException) -> bool:
    """Whether a conditional write found that somebody was first."""
    return isinstance(error, FileExistsError) or code_of(error) in ("PreconditionFailed", "412")


def is_full_disk(error: BaseException) -> bool:
    """Whether it is this node's own disk that refused, which no asking again mends."""
    full = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)
    return isinstance(error, OSError) and error.errno in full and not response_of(error)


def is_beyond_end(error: BaseException) -> bool:
    """Whether a range was asked for that begins behind the last byte."""
    return code_of(error) in ("InvalidRange", "416") or getattr(error, "code", None) == 416


def is_transient(error: BaseException) -> bool:
    """Whether the same request may succeed in a moment."""
    response = response_of(error)
    if response:
        status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) or 0)
        code = code_of(error)
        passing = _PASSING_CODES | _UNDECIDED_CODES | {"500", "502", "503", "504", "429"}
        return status >= 500 or status == 429 or code in passing
    if isinstance(error, PermissionError | FileNotFoundError | FileExistsError | IsADirectoryError):
        return False
    kind = f"{type(error).__module__}.{type(error).__name__}"
    if "NoCredentials" in kind or "PartialCredentials" in kind or "ProfileNotFound" in kind:
        return False
    named = ("botocore.", "aiobotocore.", "aiohttp.", "urllib3.", "gcsfs.", "google.", "azure.", "fsspec.exceptions")
    return isinstance(error, OSError | TimeoutError | EOFError) or kind.startswith(named)


def is_refusal(error: BaseException) -> bool:
    """Whether an error came from the store at all; anything else is a fault of the program."""
    kind = type(error).__module__
    return isinstance(error, OSError) or kind.startswith(
        ("botocore", "aiobotocore", "aiohttp", "gcsfs", "google", "azure")
    )


def explained(error: BaseException, doing: str, url: str, attempts: int) -> ObjectStorageError:
    """The error to raise: which object, what was tried, what the server said, what to do."""
    response = response_of(error)
    code = code_of(error)
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", "")
    said = f"{code} {response.get('Error', {}).get('Message', '')}".strip() if response else ""
    said = said or f"{type(error).__name__}: {error}"
    tried = f" ({attempts} attempts)" if attempts > 1 else ""
    if is_web(url):
        answer = f"the server said {status} {said}".rstrip() if status else str(error)
        return WebServerError(f"cannot {doing} {url}{tried}: {answer}; {_WEB_ADVICE}", f"{answer}{tried}")
    answer = f"the server said {status}: {said}" if status else f"no answer: {said}" if is_transient(error) else said
    return ObjectStorageError(without_secrets(f"cannot {doing} {url}{tried}: {answer}; {_advice(error, code)}"))


def _advice(error: BaseException, code: str) -> str:
    kind = type(error).__name__
    if is_missing_bucket(error):
        return (
            "create the bucket, or correct its name; buckets of MinIO and the like need `storage.endpoint` (or "
            "AWS_ENDPOINT_URL)"
        )
    if "NoCredentials" in kind or "PartialCredentials" in kind or "ProfileNotFound" in kind:
        return f"no usable credentials were found; {_LOOKED_FOR}"
    if code == "RequestTimeTooSkewed":
        return "this node's clock is wrong; set it (chrony, ntpd)"
    if code in _CREDENTIAL_CODES or isinstance(error, PermissionError):
        return f"the credentials in use may not do this, or belong to another server; {_LOOKED_FOR}"
    if code in _REGION_CODES:
        return "the bucket lies in another region or behind another server; set `storage.region` or `storage.endpoint`"
    if "EndpointConnection" in kind or "ConnectTimeout" in kind or "ConnectionRefused" in kind:
        return (
            "nobody answers there; check `storage.endpoint` (or AWS_ENDPOINT_URL), `storage.region` and the network, "
            "then run the same command: it goes on"
        )
    return "run the same command when the store is well again: it goes on; `storage.retries` says how long to hold out"


def without_secrets(text: str) -> str:
    """A message without signatures and without the values of this process's credentials."""
    text = _IN_ADDRESS.sub(r"\1***@", _SIGNED.sub(r"\1***", text))
    for name in _SECRETS:
        value = os.environ.get(name, "")
        if len(value) >= 8:
            text = text.replace(value, "***")
    return text

"""Pushing a finished run to a hub: what is missing there, commit by commit, and the card last.

A data set without its ``README.md`` is not whole. Whoever pushes again after an interruption sends what is not there
yet: the hub's own listing tells, by size and checksum. Nothing of others is overwritten unless that is asked for.
"""

import hashlib
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from winnow.errors import HubError, StorageError, WinnowError
from winnow.finished.hub_card import card
from winnow.finished.pushed_files import SHARDS, PushedFile, check_files, made, run_files
from winnow.flow.records import RunRecords
from winnow.report.sheet.croissant import croissant, schema_of
from winnow.stages.removals.lists import refuse_unproven
from winnow.storage.config import StorageConfig
from winnow.storage.encrypted_names import is_encrypted
from winnow.storage.hub import HubAddress
from winnow.storage.hub_files import TOKEN, endpoint, token, translated
from winnow.storage.object_errors import explained, is_refusal, is_transient, lost_race, without_secrets
from winnow.storage.object_files import (
    FIRST_WAIT_SECONDS,
    LONGEST_ASKED_WAIT_SECONDS,
    LONGEST_WAIT_SECONDS,
    ObjectState,
    object_files,
)
from winnow.storage.store import Store
from winnow.version import winnow_version

README = "README.md"
FILES_A_COMMIT = 99
BYTES_A_COMMIT = 4_000_000_000
"""A push that is interrupted has committed all but about so much of what it sent."""
ROUNDS = 2
"""How often all is sent that the listing does not show, without an error between."""
_OF_THE_HUB = (".gitattributes",)
"""Files that a hub makes by itself."""


class Remote(NamedTuple):
    """What a hub holds."""

    head: str
    """Commit of the branch; empty where there is no such branch or data set."""
    exists: bool
    files: dict[str, ObjectState]


class Difference(NamedTuple):
    """What a push has to do."""

    missing: list[PushedFile]
    foreign: list[str]
    """Paths that are there and are not this run's, or not as this run has them."""


class Pushed(NamedTuple):
    """What a push did, or would do."""

    files: int
    bytes: int
    sent: int
    sent_bytes: int
    removed: int
    commit: str
    """Empty where nothing was done."""


def push(
    run: RunRecords,
    address: HubAddress,
    *,
    private: bool = True,
    replace: bool = False,
    dry_run: bool = False,
    documents: str | None = None,
    progress: Callable[[str], None] = print,
) -> Pushed:
    """Bring a data set on a hub to hold a finished run, and nothing else.

    Args:
        run: a finished run.
        address: the data set, and the branch.
        private: whether a data set that has to be made is private.
        replace: whether files there that are not this run's are removed.
        dry_run: only tell what would be done.
        documents: which folder of clean text; None is the run's own, or the only one.
        progress: called with lines for people.

    Raises:
        ConfigError: a removal request to the run is not done.
        HubError: no token, or it may not write; the data set holds something else. StorageError: a file of the run is
            missing or altered. ObjectStorageError: the hub does not answer.
    """
    _check(address, dry_run=dry_run)
    refuse_unproven(run.store)
    found = run_files(run, documents)
    described = made(
        "croissant.json",
        croissant(
            ((file.path, file.size, file.sha256) for file in found.files),
            found.manifest,
            address.repository.partition("/")[2],
            f"https://huggingface.co/datasets/{address.repository}",
            schema_of(run),
            "README.md says from what and how",
            f"{SHARDS}/",
        ),
    )
    files = [*found.files, described, made(README, card(found, address.repository, winnow_version()))]
    check_files(run.store, files)
    hub = _Hub(address, run.config.storage)
    remote = hub.look()
    difference = compare(files, remote, run.store)
    if difference.foreign and not replace:
        raise HubError(_foreign(address, difference.foreign))
    size = sum(file.size for file in difference.missing)
    result = Pushed(
        len(files), sum(file.size for file in files), len(difference.missing), size, len(difference.foreign), ""
    )
    if dry_run:
        there = "is there" if remote.exists else f"would be made ({'private' if private else 'public'})"
        progress(f"{address.name} {there}")
        for path in difference.foreign:
            progress(f"remove {path}")
        for file in difference.missing:
            progress(f"send {file.path} ({file.size:,} bytes)")
        return result
    if not remote.head:
        hub.make(private=private)
    commit = hub.bring(files, run.store, replace=replace, progress=progress)
    return result._replace(commit=commit)


def compare(files: list[PushedFile], remote: Remote, store: Store) -> Difference:
    """What is missing on the hub, and what is there that is not this run's."""
    same = {file.path for file in files if file.path in remote.files and _is(file, remote.files[file.path], store)}
    foreign = sorted(path for path in remote.files if path not in same and path not in _OF_THE_HUB)
    return Difference([file for file in files if file.path not in same], foreign)


def _is(file: PushedFile, state: ObjectState, store: Store) -> bool:
    """Whether a file on the hub has this content: by the sha256 of large files, git's own hash of small ones."""
    if state.bytes != file.size or len(state.etag) == len(file.sha256):
        return state.bytes == file.size and state.etag == file.sha256
    content = store.read_stored(file.stored) if file.stored else file.content
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False)
    return state.etag == blob.hexdigest()


def batches(files: list[PushedFile]) -> Iterator[list[PushedFile]]:
    """Files of one commit after the other; the card comes alone, and last."""
    batch: list[PushedFile] = []
    for file in files:
        full = len(batch) == FILES_A_COMMIT or sum(f.size for f in batch) + file.size > BYTES_A_COMMIT
        if batch and (full or file.path == README):
            yield batch
            batch = []
        batch.append(file)
    if batch:
        yield batch


def _check(address: HubAddress, *, dry_run: bool) -> None:
    if address.path:
        raise HubError(
            f"{address.url}: a set is pushed to a data set as a whole; expected hf://datasets/OWNER/NAME or "
            "hf://datasets/OWNER/NAME@BRANCH"
        )
    if address.is_pinned:
        raise HubError(f"{address.name}: a commit, to which nothing can be added; name a branch")
    if not token() and not dry_run:
        raise HubError(
            f"{address.name}: no token; set {TOKEN} in the environment to one that may write there "
            f"({endpoint()}/settings/tokens). What `hf auth login` has saved is not read: export HF_TOKEN=$(hf auth "
            "token)"
        )


def _few(difference: Difference) -> str:
    paths = sorted({*difference.foreign, *(file.path for file in difference.missing)})
    return ", ".join(paths[:3]) + (f" and {len(paths) - 3:,} more" if len(paths) > 3 else "")


def _addition(file: PushedFile, source: Any) -> Any:
    from huggingface_hub import CommitOperationAdd  # noqa: PLC0415

    try:
        return CommitOperationAdd(file.path, source)
    except ValueError as error:
        raise StorageError(
            f"{file.stored}: cannot be pushed ({error}); run `winnow run` again, it writes it anew"
        ) from None


@contextmanager
def _answers(address: HubAddress, server: str, config: StorageConfig) -> Iterator[None]:
    """Errors of huggingface_hub's own requests as errors of ours; a silent server ends a request, too."""
    from huggingface_hub.utils import get_session  # noqa: PLC0415

    get_session().timeout = config.timeout_seconds
    try:
        with translated(address, server):
            try:
                yield
            except RuntimeError as error:  # an upload that failed in a thread of its own
                cause, error.__cause__ = error.__cause__, None  # else the two would lead to each other
                raise cause or error from None
    except ValueError as error:
        raise HubError(without_secrets(f"{address.name}: the hub takes this for wrong: {error}")) from None


def _foreign(address: HubAddress, paths: list[str]) -> str:
    shown = ", ".join(paths[:3]) + (f" and {len(paths) - 3:,} more" if len(paths) > 3 else "")
    return (
        f"{address.name}: holds {len(paths):,} files that are not this run's ({shown}); push to another data set or "
        "branch, or take them out with --replace (earlier commits keep them)"
    )


class _Hub:
    """One branch of a data set that is written."""

    def __init__(self, address: HubAddress, config: StorageConfig) -> None:
        from huggingface_hub import HfApi  # noqa: PLC0415 - the extra `hub`
        from huggingface_hub.utils import disable_progress_bars  # noqa: PLC0415

        self._files = object_files(address.name, config)  # first: it says which package is missing
        self.address, self._config, self._endpoint = address, config, endpoint()
        self._api = HfApi(endpoint=self._endpoint, token=token() or False, library_name="winnow")
        self._random = random.Random()  # noqa: S311 - spreads retries, no more
        disable_progress_bars()

    def look(self) -> Remote:
        """What is there."""
        for name in dict.fromkeys((self.address.name, self.address.at("main").name)):
            try:
                head = self._files.hub_revision(name).commit
            except HubError as error:
                if not error.is_missing:
                    raise
                continue
            if name != self.address.name:
                return Remote("", True, {})
            at = self.address.at(head).url
            return Remote(head, True, {s.url.removeprefix(f"{at}/"): s for s in self._files.below(at)})
        return Remote("", False, {})

    def make(self, *, private: bool) -> None:
        """Make the data set and the branch, where they are missing."""
        name, branch = self.address.repository, self.address.revision
        self._patiently(
            "make", lambda: self._api.create_repo(name, repo_type="dataset", private=private, exist_ok=True)
        )
        if branch != "main":
            self._patiently("make", self._make_branch)

    def _make_branch(self) -> None:
        """From the first commit, in which nothing stands yet: another branch's files are none of this one's."""
        name, branch = self.address.repository, self.address.revision
        first = self._api.list_repo_commits(name, repo_type="dataset")[-1].commit_id
        self._api.create_branch(name, branch=branch, revision=first, repo_type="dataset", exist_ok=True)

    def bring(self, files: list[PushedFile], store: Store, *, replace: bool, progress: Callable[[str], None]) -> str:
        """Commit until all is there, and look again at the end; returns the last commit.

        Whatever a commit's answer was, the hub's listing says what has come of it.
        """
        failed = rounds = 0
        while True:
            remote = self.look()
            difference = compare(files, remote, store)
            if difference.foreign and not replace:
                raise HubError(_foreign(self.address, difference.foreign))
            if not difference.missing and not difference.foreign:
                return remote.head
            if rounds == ROUNDS:
                raise StorageError(
                    f"{self.address.name}: what came there is not what was checked before ({_few(difference)}); leave "
                    "the run folder alone while it is pushed, and run the same command again"
                )
            try:
                head = self._remove(difference.foreign, remote.head)
                for batch in batches(difference.missing):
                    head = self._commit(batch, store, head)
                    progress(f"{len(batch):,} files, {sum(file.size for file in batch):,} bytes: {batch[-1].path}")
                    failed = 0
                rounds += 1
            except OSError as error:
                if isinstance(error, WinnowError) or not is_refusal(error):
                    raise
                failed += 1
                if not (is_transient(error) or lost_race(error)) or failed > self._config.retries:
                    raise explained(error, "push to", self.address.name, failed) from None
                self._wait(failed, error)

    def _remove(self, paths: list[str], head: str) -> str:
        """Remove what is not this run's, the card first: from then on nothing there looks whole."""
        from huggingface_hub import CommitOperationDelete  # noqa: PLC0415

        ordered = sorted(paths, key=lambda path: (path != README, path))
        for first in range(0, len(ordered), FILES_A_COMMIT):
            these = ordered[first : first + FILES_A_COMMIT]
            head = self._send([CommitOperationDelete(path) for path in these], f"Remove {len(these)} files", head)
        return head

    def _commit(self, batch: list[PushedFile], store: Store, head: str) -> str:
        opened: list[Any] = []
        try:
            operations = []
            for file in batch:
                source: Any = file.content
                if file.stored and (store.is_remote or is_encrypted(file.stored)):
                    source = store.open_stored(file.stored)
                    opened.append(source)
                elif file.stored:
                    source = str(store.local(file.stored))
                operations.append(_addition(file, source))
            return self._send(operations, f"Add {len(batch)} files of a Winnow run", head)
        finally:
            for source in opened:
                source.close()

    def _send(self, operations: list[Any], message: str, head: str) -> str:
        with _answers(self.address, self._endpoint, self._config):
            told = self._api.create_commit(
                self.address.repository,
                operations,
                commit_message=message,
                repo_type="dataset",
                revision=self.address.revision,
                parent_commit=head or None,
            )
        return str(told.oid)

    def _patiently(self, doing: str, request: Callable[[], Any]) -> None:
        for attempt in range(self._config.retries + 1):
            try:
                with _answers(self.address, self._endpoint, self._config):
                    request()
                return
            except OSError as error:
                if not is_transient(error) or attempt == self._config.retries:
                    raise explained(error, doing, self.address.name, attempt + 1) from None
                self._wait(attempt, error)

    def _wait(self, attempt: int, error: BaseException) -> None:
        seconds = min(FIRST_WAIT_SECONDS * 2**attempt, LONGEST_WAIT_SECONDS) * self._random.uniform(0.5, 1.0)
        time.sleep(max(seconds, min(getattr(error, "retry_after", 0.0), LONGEST_ASKED_WAIT_SECONDS)))

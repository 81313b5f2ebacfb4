"""Every call of storage goes wrong once, in a run of its own: the run ends true, and resumes to the same bytes.

    python -m tests.support.every_call disk|objects|s3 [--run select] [--sample 40 --seed 7] [--only "KIND: CALL"]

A process that has loaded everything forks one child a run, so that a run takes a fraction of a second. ``--run`` names
one of ``call_runs``; of those with further stages, calls of these stages alone are tried. ``objects`` is a store of a
few lines in a folder (``small_objects``), ``s3`` the S3 server that AWS_ENDPOINT_URL names. Source of the idea: SQLite,
"How SQLite Is Tested", sections 3.1 and 3.2 (out-of-memory and I/O error testing).
"""

import argparse
import contextlib
import gc
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path

import pytest
import xxhash
from rich.console import Console

from tests.support.call_runs import KINDS, prepare
from tests.support.configs import sample_config
from tests.support.small_objects import FolderObjects
from tests.support.storage_calls import Calls, in_object_store, kinds_of, lasting, on_disk
from winnow import fault_point
from winnow.audit.verify.verify import check_shards, recount
from winnow.config.config import Config, parse_config
from winnow.engine import engine, progress
from winnow.errors import WinnowError
from winnow.runs import run as run_module
from winnow.runs.run import run
from winnow.runs.state import load_run
from winnow.stages import versions
from winnow.storage.config import StorageConfig
from winnow.storage.open_store import open_store
from winnow.storage.store import Store

FINE, REFUSED, WRONG = 0, 10, 11
CASE = "case"
"""All runs have the same folder, one after the other: some files hold its name."""
VARIES = re.compile(r"work/.*\.json$|reports/|quarantine/")
"""Records hold times; what else differs between two runs without faults is compared by name alone."""
ABSENT = "the call did not come"
MOST_ABSENT = 0.02
"""Share of cases whose call may not come: what threads read ahead differs from run to run."""


class Cases:
    """A small corpus, an index of the runs before, and what one more run over both must end with."""

    def __init__(self, folder: Path, address: str, kind: str, stages: Sequence[str] = ()) -> None:
        self.folder, self.address = folder, address
        self.data = folder / "data"
        self.kind = prepare(kind, self.data, pytest.MonkeyPatch())
        self.stages = stages or self.kind.stages
        self.is_far = address.startswith("s3:")
        warmed = self.config("warmed").model_dump(mode="json")
        _leave_out_what_asks_no_storage()
        warmed |= {"run": f"{folder}/warmed/run", "dedup": warmed["dedup"] | {"index": None}}
        run(parse_config(warmed))  # loads what children need
        gc.collect()
        gc.freeze()  # else a child's first collection copies the pages of everything
        for number, night in enumerate(self.kind.nights):
            before = self.config(f"night-{number}", night)
            _must(self._fork(lambda before=before: run(before)), "a run before")
        if self.stages:
            _must(self._fork(self._come_to_the_stages), "what comes before the stages")
        self.names = self._recorded()
        once = self._found()
        _must(self._fork(lambda: (self._begin(), self._go_on())), "a second run without faults")
        again = self._found()
        assert [name for name, _ in once] == [name for name, _ in again], {*once} ^ {*again}
        self.varying = {one for one, other in zip(once, again, strict=True) if one != other}
        self.varying = {name for name, _ in self.varying}
        self.reference = self._without_varying(once)

    def config(self, case: str = CASE, night: tuple[str, ...] = ()) -> Config:
        sections = dict(self.kind.sections)
        values = sample_config(
            self.data,
            f"{self.address}/{case}/run",
            dedup={"keep": ["first"]} | self._index("base" if night else case) | sections.pop("dedup", {}),
            documents={"formats": ["jsonl.zst"]},
            compute={"attempts": 2, "max_unreadable_share": 0.2} | sections.pop("compute", {}),
            **({} if night else sections),
        )
        values["sources"] += self.kind.sources
        if night:  # of other texts, so that the run finds some of its own and some of these
            values["sources"] = [source for source in values["sources"] if source["name"] in night]
        if self.is_far:
            values["storage"] = {"retries": 1, "scratch": f"{self.folder}/scratch"}
        return parse_config(values)

    def _index(self, case: str) -> dict[str, str]:
        return {"index": f"{self.address}/{case}/index"} if self.kind.nights else {}

    def _begin(self) -> None:
        """The index as the runs before left it, and the run as it was before the stages whose calls are tried."""
        self._copy("base", CASE)

    def _copy(self, one: str, other: str) -> None:
        if not self.is_far:
            shutil.rmtree(f"{self.address}/{other}", ignore_errors=True)
            if Path(f"{self.address}/{one}").exists():
                shutil.copytree(f"{self.address}/{one}", f"{self.address}/{other}")
            return
        shutil.rmtree(self.folder / "scratch", ignore_errors=True)
        store = open_store(self.address, StorageConfig())
        for path in store.files_below(other):
            store.remove(path)
        for path in store.files_below(one):
            store.replace(f"{other}{path.removeprefix(one)}", store.read(path))

    def _come_to_the_stages(self) -> None:
        """What comes before them is done once for all cases."""

        def stop(stage: str) -> None:
            if stage in self.stages:
                raise _ThereError

        self._begin()
        with _told_of_stages(stop), contextlib.suppress(_ThereError):
            run(self.config())
        self._copy(CASE, "base")

    def _recorded(self) -> list[str]:
        """Names of the calls of a run without faults: of all, or of those while certain stages are at work."""
        found = self.folder / "calls"

        def record() -> None:
            self._begin()
            calls = self._counted()
            begun = [("", 0)]
            with _told_of_stages(lambda stage: begun.append((stage, len(calls.names)))):
                run(self.config())
            names = calls.names
            if self.stages:
                assert not (absent := {*self.stages} - dict(begun).keys()), f"the run has no stage {absent}"
                ends = [number for _, number in begun[1:]] + [len(names)]
                pieces = [names[at:end] for (stage, at), end in zip(begun, ends, strict=True) if stage in self.stages]
                names = [name for piece in pieces for name in piece]
            found.write_text("\n".join(sorted(set(names))))
            calls.mend()
            self._look()

        _must(self._fork(record), "the run without faults")
        return found.read_text().split("\n")

    def _counted(self, target: str = "", kind: str = "") -> Calls:
        calls = Calls(f"{self.address}/{CASE}", target, kind)
        (in_object_store if self.is_far else on_disk)(calls)
        return calls

    def _go_on(self) -> None:
        run(self.config())
        self._look()

    def _look(self) -> None:
        """Note what a run ended with; check what can be checked by itself."""
        config = self.config()
        finished = load_run(config.run)
        assert check_shards(finished) == []
        assert all(balance.expected == balance.found for balance in recount(finished))
        lines = []
        folders = [open_store(path, config.storage) for path in self._index(CASE).values()]
        for store in (finished.store, *folders):
            paths = store.files_below("")
            assert not [path for path in paths if ".draft-" in path or path.endswith("lease.json")], paths
            lines += [f"{_content(store, path)} {lasting(path)}" for path in paths if not VARIES.match(path)]
        (self.folder / "found").write_text("\n".join(lines))

    def _found(self) -> list[tuple[str, str]]:
        lines = (self.folder / "found").read_text().split("\n")
        return sorted((line.partition(" ")[2], line.partition(" ")[0]) for line in lines)

    def _without_varying(self, found: list[tuple[str, str]]) -> set[tuple[str, str]]:
        return {(name, "" if name in self.varying else content) for name, content in found}

    def _fork(self, do: Callable[[], object]) -> tuple[int, str]:
        """Do it in a child: how it ended (a signal is negative), and what it said."""
        said = self.folder / "said.txt"
        said.write_bytes(b"")
        child = os.fork()
        if child == 0:
            code = WRONG
            try:
                do()
                code = FINE
            except (WinnowError, OSError) as error:
                code = REFUSED
                said.open("w").write(f"{type(error).__name__}: {error}")
            except BaseException:  # noqa: BLE001 - told by the parent
                with said.open("w") as file:
                    traceback.print_exc(file=file)
            os._exit(code)
        _, status = os.waitpid(child, 0)
        return os.waitstatus_to_exitcode(status), said.read_text()

    def holds(self, kind: str, name: str) -> str:
        """What is wrong where this call goes wrong in this way; empty: nothing."""
        met = self.folder / "met"
        met.unlink(missing_ok=True)

        def work() -> None:
            self._begin()
            calls = self._counted(name, kind)
            try:
                run(self.config())
            finally:
                calls.mend()
                if calls.met:
                    met.touch()
            if "lease.json" not in name:  # one that cannot be given back is left to the next run
                self._look()

        killed = kind.startswith("killed")
        code, said = self._fork(work)
        if code == -signal.SIGKILL and killed:
            code = REFUSED
        elif code == WRONG or code < 0:
            return f"ended with {code}: {said}"
        elif killed or not met.exists():
            return ABSENT
        if code == REFUSED or "lease.json" in name:
            code, said = self._fork(self._go_on)
            if code != FINE:
                return f"the same command does not go on: {code}: {said}"
        different = self._without_varying(self._found()) ^ self.reference
        return f"other outputs: {sorted(different)[:6]}" if different else ""


def _content(store: Store, path: str) -> str:
    """The hash of a file; of a segment's record without the second in which it was written, which is at times the same
    for two runs, and at times another."""
    if not re.match(r"segments/\d+\.json$", path):
        return store.hash(path)
    return xxhash.xxh3_128_hexdigest(re.sub(rb'"committed":\s*"[^"]*"', b"", store.read(path)))


class _ThereError(WinnowError):
    """The run has come to the stages whose calls are tried."""


@contextlib.contextmanager
def _told_of_stages(tell: Callable[[str], object]) -> Iterator[None]:
    """Meanwhile, stages that begin to compute are told."""

    def told(point: str, stage: str = "", **_: object) -> None:
        if point == "stage":
            tell(stage)

    fault_point._NAME, fault_point._hook = "told", lambda: told  # type: ignore[assignment]
    yield
    fault_point._NAME = ""


def _leave_out_what_asks_no_storage() -> None:
    """Two fifths of a run's time: a vocabulary and versions read again, tables drawn, threads that tell the time."""
    run_module.load_vocabulary = cache(run_module.load_vocabulary)  # type: ignore[assignment]
    versions.version = cache(versions.version)  # type: ignore[assignment]
    progress.told_by_the_clock = contextlib.nullcontext  # type: ignore[assignment]
    Console.print = lambda *_, **__: None  # type: ignore[method-assign]


def _must(ended: tuple[int, str], what: str) -> None:
    code, said = ended
    assert code == FINE, f"{what} ended with {code}: {said}"


def main() -> None:
    """Try all, or a sample; names every case that does not hold, and ends with 1 then."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", choices=("disk", "objects", "s3"))
    parser.add_argument("--run", choices=KINDS, default="plain", dest="kind")
    parser.add_argument("--stages", default="", help="of calls while one of these is at work alone, as in bands,edges")
    parser.add_argument("--sample", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="")
    parser.add_argument("--calls", default="", help="of these alone, as in read,replace")
    parser.add_argument("--from", type=int, default=0, dest="first", help="leave out so many, tried before")
    parser.add_argument("--share", default="1/1", help="the i-th of n equal shares, to use several cores")
    options = parser.parse_args()
    if "GLIBC_TUNABLES" not in os.environ:  # large pages: a fork of half a gigabyte takes 10 ms less
        os.environ["GLIBC_TUNABLES"] = "glibc.malloc.hugetlb=1"
        os.execv(sys.executable, [sys.executable, "-m", "tests.support.every_call", *sys.argv[1:]])
    engine.STORAGE_WAIT_SECONDS = 0.0
    fast = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="winnow-calls-", dir=fast if fast.is_dir() else None) as folder:
        address = f"{folder}/disk"
        if options.store == "objects":
            FolderObjects(Path(folder) / "objects").install()
            address = "s3://calls"
        elif options.store == "s3":
            import boto3

            address = f"s3://calls-{os.getpid()}"
            boto3.client("s3").create_bucket(Bucket=address.removeprefix("s3://"))
        cases = Cases(Path(folder), address, options.kind, options.stages.split(",") if options.stages else ())
        every = [(kind, name) for name in cases.names for kind in kinds_of(name, far=cases.is_far)]
        chosen = every
        if options.calls:
            chosen = [(kind, name) for kind, name in every if name.split(" ")[0] in options.calls.split(",")]
        if options.sample:
            chosen = random.Random(options.seed).sample(chosen, min(options.sample, len(chosen)))
        if options.only:
            chosen = [(kind, name) for kind, name in every if f"{kind}: {name}" == options.only]
        share, of = map(int, options.share.split("/"))
        chosen = chosen[share - 1 :: of][options.first :]
        print(f"{len(cases.reference)} files compared, {len(cases.varying)} of them by name", sorted(cases.varying))
        print(f"{len(cases.names)} calls, {len(every)} cases, {len(chosen)} tried, seed {options.seed}", flush=True)
        wrong = absent = 0
        began = time.monotonic()
        for tried, (kind, name) in enumerate(chosen):
            if tried % 100 == 99:
                print(f"{tried + 1} tried, {time.monotonic() - began:.0f} s", flush=True)
            problem = cases.holds(kind, name)
            absent += problem == ABSENT
            if problem not in ("", ABSENT):
                wrong += 1
                print(f'--run {options.kind} --only "{kind}: {name}"\n    {problem}', flush=True)
    print(f"{wrong} of {len(chosen)} do not hold; {absent} calls did not come", flush=True)
    sys.exit(1 if wrong or absent > MOST_ABSENT * len(chosen) + 1 else 0)


if __name__ == "__main__":
    main()

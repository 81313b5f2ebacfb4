"""Every call of storage goes wrong once, in a run of its own: the run ends true, and resumes to the same bytes.

    python -m tests.support.every_call disk|objects [--sample 40 --seed 7] [--only "KIND: CALL"]

A process that has loaded everything forks one child a run, so that a run takes a fraction of a second. Source of the
idea: SQLite, "How SQLite Is Tested", sections 3.1 and 3.2 (out-of-memory and I/O error testing).
"""

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path

from tests.support.configs import sample_config
from tests.support.corpora import write_sample
from tests.support.storage_calls import Calls, in_object_store, kinds_of, on_disk
from winnow.audit.verify.verify import check_shards, recount
from winnow.config.config import Config, parse_config
from winnow.engine import engine
from winnow.errors import WinnowError
from winnow.runs.run import run
from winnow.runs.state import load_run
from winnow.storage.config import StorageConfig
from winnow.storage.open_store import open_store

FINE, REFUSED, WRONG = 0, 10, 11
DOCUMENTS = 12
REFERENCE = "reference0"
"""As long as the cases' names: some files hold the run's."""
ABSENT = "the call did not come"
MOST_ABSENT = 0.02
"""Share of cases whose call may not come: what threads read ahead differs from run to run."""


class Cases:
    """A small corpus, an index with one segment, and what a second run over both must end with."""

    def __init__(self, folder: Path, address: str) -> None:
        self.folder, self.address = folder, address
        self.data = folder / "data"
        write_sample(self.data, DOCUMENTS)
        self.is_far = address.startswith("s3:")
        warmed = self.config("warmed").model_dump(mode="json")
        run(parse_config(warmed | {"run": f"{folder}/warmed/run", "dedup": {}}))  # loads what children need
        first = self.config("first", index="base")
        _must(self._fork(lambda: run(first)), "the first run")
        self.names = [name for name in self._recorded() if " first/" not in name]
        self.reference = self._looked_at(REFERENCE)

    def config(self, case: str, index: str = "") -> Config:
        values = sample_config(
            self.data,
            f"{self.address}/{case}/run",
            dedup={"index": f"{self.address}/{index or case}/index", "keep": ["first"]},
            documents={"formats": ["jsonl.zst"]},
            compute={"attempts": 2, "max_unreadable_share": 0.2},
        )
        if index:  # of other texts, so that the second run finds some of its own and some of these
            values["sources"] = values["sources"][1:2]
        if self.is_far:
            values["storage"] = {"retries": 1}
        return parse_config(values)

    def _begin(self, case: str) -> None:
        """The index as the first run left it."""
        if not self.is_far:
            shutil.copytree(f"{self.address}/base", f"{self.address}/{case}")
            return
        store = open_store(self.address, StorageConfig())
        for path in store.files_below("base"):
            store.replace(f"{case}{path.removeprefix('base')}", store.read(path))

    def _recorded(self) -> list[str]:
        """Names of all calls of a run without faults."""
        found = self.folder / "calls.txt"

        def record() -> None:
            self._begin(REFERENCE)
            calls = self._counted(REFERENCE)
            run(self.config(REFERENCE))
            names = sorted(set(calls.names))
            found.write_bytes("\n".join(names).encode())

        _must(self._fork(record), "the run without faults")
        return found.read_text().split("\n")

    def _counted(self, case: str, target: str = "", kind: str = "") -> Calls:
        calls = Calls(f"{self.address}/{case}", target, kind)
        (in_object_store if self.is_far else on_disk)(calls)
        return calls

    def _looked_at(self, case: str) -> dict[str, str]:
        """What a run ended with: hashes of shards, texts and the index; checks what can be checked by itself."""
        found = self.folder / "found.txt"

        def look() -> None:
            config = self.config(case)
            finished = load_run(config.run)
            splits = finished.manifest["shards"]["splits"]
            lines = [f"{s['path']} {s['sha256']}" for split in splits.values() for s in split["shards"]]
            assert check_shards(finished) == []
            assert all(balance.expected == balance.found for balance in recount(finished))
            for store in (finished.store, open_store(f"{self.address}/{case}/index", config.storage)):
                paths = store.files_below("")
                assert not [path for path in paths if ".draft-" in path or path.endswith("lease.json")], paths
                lines += [path for path in paths if not path.startswith(("work/", "reports/", "quarantine/"))]
            found.write_text("\n".join(sorted(set(lines))))

        _must(self._fork(look), f"the look at {case}")
        return dict.fromkeys(found.read_text().split("\n"), "")

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

    def holds(self, number: int, kind: str, name: str) -> str:
        """What is wrong where this call goes wrong in this way; empty: nothing."""
        case = f"case-{number:05d}"
        met = self.folder / "met"
        met.unlink(missing_ok=True)

        def work() -> None:
            self._begin(case)
            calls = self._counted(case, name, kind)
            try:
                run(self.config(case))
            finally:
                if calls.met:
                    os.close(os.open(met, os.O_CREAT | os.O_WRONLY))

        code, said = self._fork(work)
        killed = kind.startswith("killed")
        try:
            if code == -signal.SIGKILL and killed:
                code = REFUSED
            elif code == WRONG or code < 0:
                return f"ended with {code}: {said}"
            elif killed or not met.exists():
                return ABSENT
            if code == REFUSED or "lease.json" in name:  # one that cannot be given back is left to the next run
                code, said = self._fork(lambda: run(self.config(case)))
                if code != FINE:
                    return f"the same command does not go on: {code}: {said}"
            found = self._looked_at(case)
            different = found.keys() ^ self.reference.keys()
            return f"other outputs: {sorted(different)[:6]}" if different else ""
        except AssertionError as error:
            return f"{error}"
        finally:
            if not self.is_far:
                shutil.rmtree(f"{self.address}/{case}", ignore_errors=True)


def _must(ended: tuple[int, str], what: str) -> None:
    code, said = ended
    assert code == FINE, f"{what} ended with {code}: {said}"


def main() -> None:
    """Try all, or a sample; names every case that does not hold, and ends with 1 then."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", choices=("disk", "objects"))
    parser.add_argument("--sample", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="")
    parser.add_argument("--share", default="1/1", help="the i-th of n equal shares, to use several cores")
    options = parser.parse_args()
    engine.STORAGE_WAIT_SECONDS = 0.0
    with tempfile.TemporaryDirectory(prefix="winnow-calls-") as folder:
        address = f"{folder}/disk"
        if options.store == "objects":
            import boto3

            address = f"s3://calls-{os.getpid()}"
            boto3.client("s3").create_bucket(Bucket=address.removeprefix("s3://"))
        cases = Cases(Path(folder), address)
        every = [(kind, name) for name in cases.names for kind in kinds_of(name, far=cases.is_far)]
        chosen = every
        if options.sample:
            chosen = random.Random(options.seed).sample(every, min(options.sample, len(every)))
        if options.only:
            chosen = [(kind, name) for kind, name in every if f"{kind}: {name}" == options.only]
        share, of = map(int, options.share.split("/"))
        chosen = chosen[share - 1 :: of]
        print(f"{len(cases.names)} calls, {len(every)} cases, {len(chosen)} tried, seed {options.seed}", flush=True)
        wrong = absent = 0
        for number, (kind, name) in enumerate(chosen):
            problem = cases.holds(number, kind, name)
            absent += problem == ABSENT
            if problem not in ("", ABSENT):
                wrong += 1
                print(f'--only "{kind}: {name}"\n    {problem}', flush=True)
    print(f"{wrong} of {len(chosen)} do not hold; {absent} calls did not come", flush=True)
    sys.exit(1 if wrong or absent > MOST_ABSENT * len(chosen) + 1 else 0)


if __name__ == "__main__":
    main()

"""Two runs of one config in a simulated world, thousands of times: the engine's own code, and what must always hold.

    python -m tests.support.simulated_runs --schedules 10000 --seed 1
    python -m tests.support.simulated_runs --only 4711 --told

Engine, lease, records, attempts and both kinds of stores are the real ones. A run is small: three units, their list,
two units over it, a manifest, each done by workers that are slow, stand still, die before or after their record, or
whose answers are lost. A second run of the same config begins somewhere meanwhile, on the
same host or another one, and a third one now and then.

What must hold, at each call and at the end:
- a record is created once, never changed or removed, and what it names is there with its hash;
- what a record names keeps its bytes;
- no unit is computed by an attempt that began after its record was there;
- a run that says that it is finished has the bytes of a run without faults;
- a lease is only taken over when its owner has died or has not renewed it for a minute (unless somebody has written
  over it who stood still between its look at it and its write: both then do the same work; the counts tell how often);
- on a disk the lease is there until its owner gives it back, all the time;
- the lease is looked at after each unit and before the manifest is published;
- whoever ends otherwise says why in a message of ours, and afterwards the same run ends well, with nothing left over.
"""

import argparse
import hashlib
import re
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import orjson

from tests.support.simulated_engine import install
from tests.support.simulation import Event, Process, Thread, Troubles, World, current, looking
from tests.support.small_objects import MemoryObjects
from winnow.engine.attempt import next_attempt
from winnow.engine.config import ComputeConfig
from winnow.engine.engine import Engine
from winnow.engine.lease import EXPIRES_AFTER_S, LEASE, hold_lease
from winnow.engine.records import Record, Unit, content_hash, total
from winnow.engine.stage import Stage, Workspace
from winnow.engine.stopping import Stop
from winnow.errors import WinnowError
from winnow.storage import object_files
from winnow.storage.config import StorageConfig
from winnow.storage.local_store import LocalStore
from winnow.storage.open_store import open_store
from winnow.storage.store import Store

RECORD = re.compile(r"work/\w+/\w+/[0-9a-f]{24}\.json$")
MANIFEST = "shards/manifest.json"
DOCUMENTS = (3, 5, 2)
TRIES = 4
"""How often a command is begun again that ended with an error."""


def measure(unit: Unit, workspace: Workspace) -> None:
    """Rows that follow from the unit alone."""
    _check_not_done(unit, workspace)
    rows = [content_hash([unit.inputs["file"], row]) for row in range(unit.inputs["documents"])]
    _write(workspace, rows)


def join(unit: Unit, workspace: Workspace) -> None:
    """Every second row of all files, checked against the hashes that the list names."""
    _check_not_done(unit, workspace)
    rows = []
    for entry in orjson.loads(workspace.store.read(unit.inputs["list"]["path"])):
        data = workspace.store.read(entry["path"])
        assert entry["hash"] == f"sha256:{hashlib.sha256(data).hexdigest()}", f"{entry['path']} is not what was listed"
        rows += data.decode().split()
    _write(workspace, rows[unit.inputs["part"] :: 2])


def _write(workspace: Workspace, rows: list[str]) -> None:
    def write(draft: Any) -> int:
        for row in rows:
            draft.write(f"{row}\n".encode())
        return len(rows)

    workspace.write("table", write, "sha256")
    workspace.count("documents", len(rows))


def _check_not_done(unit: Unit, workspace: Workspace) -> None:
    thread = current()
    stage = MEASURE if workspace.stage_name == "measure" else JOIN
    committed = thread.world.committed.get(stage.record_path(stage.key(unit)))
    if committed is not None and committed < thread.began:
        thread.world.broken(f"{workspace.stage_name} {unit.number} is computed although its record is there")


MEASURE, JOIN = Stage("measure", 1, {}, measure), Stage("join", 1, {}, join)


class Runs(World):
    """A world with one run folder, and whoever runs over it."""

    def __init__(self, seed: int, folder: Path) -> None:
        super().__init__(seed, Troubles())
        chance = self.random
        self.far = chance.random() < 0.5
        self.objects = MemoryObjects(lambda: self.now)
        self.address = "s3://simulated/run" if self.far else f"{folder}/run"
        self.troubles = Troubles(
            latency=chance.choice([0.005, 0.1, 0.6]),
            fails=chance.choice([0, 0, 0.004, 0.03]),
            lost=chance.choice([0, 0.01, 0.05]),
            freezes=chance.choice([0, 0, 0.004, 0.02]),
            kills=chance.choice([0, 0, 0.002, 0.01]),
        )
        self.committed: dict[str, float] = {}
        self.outputs: dict[str, str] = {}
        self.renewed: dict[str, list[float]] = {}
        """When the lease was written the last two times, by owner; on a disk, as the lease itself tells it."""
        self.owner = ""
        self.seen: set[str] = set()
        """Owners that have looked at their lease: on a disk, nobody owns the folder before."""
        self.ends: list[str] = []
        self.counts: Counter[str] = Counter()
        self.after = self._check_call

    def peek(self, path: str) -> bytes:
        """A file as it is now, by its path in the run folder."""
        with looking():
            return (
                self.objects.get(f"simulated/run/{path}") if self.far else Path(f"{self.address}/{path}").read_bytes()
            )

    def _check_call(self, what: str, place: str) -> None:
        path = place.removeprefix(f"{self.address}/")
        if self.owner and not self.far and what != "unlink" and not Path(f"{self.address}/{LEASE}").exists():
            self.broken(f"the lease of {self.owner} is moved away by {what} {place}")
        changes = what in ("link", "replace", "rename", "put", "copy")
        if path == LEASE and what in ("open", "get"):
            current().looked = True
            if self.owner.startswith(f"{current().process.host} {current().process.pid} "):
                self.seen.add(self.owner)
        elif path == MANIFEST and changes and not current().looked:
            self.broken("the manifest is published without a look at the lease")
        elif RECORD.search(path):
            if what in ("unlink", "delete") or (changes and path in self.committed):
                self.broken(f"{what} of the record {path}")
            elif changes:
                self._check_record(path)
        elif changes and path in self.outputs and _sha256(self.peek(path)) != self.outputs[path]:
            self.broken(f"{path} has other bytes than its record says")
        elif what in ("unlink", "delete") and path in self.outputs:
            self.broken(f"{path} is removed, and a record names it")
        elif changes and path == LEASE:
            self._check_lease(orjson.loads(self.peek(LEASE)))
        elif what in ("unlink", "delete") and path == LEASE:
            process = current().process
            if self.owner.startswith(f"{process.host} {process.pid} "):
                self.owner = ""  # given back; who takes over removes it, too
            elif any(owner.startswith(f"{process.host} {process.pid} ") for owner in self.renewed):
                self.owner = ""
                self.counts["leases written by who had lost them"] += 1  # given back in the other's name

    def _check_record(self, path: str) -> None:
        record = Record.from_json(self.peek(path))
        for output in record.outputs.values():
            try:
                found = _sha256(self.peek(output.path))
            except FileNotFoundError:
                found = "nothing"
            if found != output.hash:
                self.broken(f"{path} names {output.path}, which is {found}")
            self.outputs[output.path] = output.hash
        self.committed[path] = self.now

    def _check_lease(self, held: dict[str, Any]) -> None:
        owner = f"{held['host']} {held['pid']} {held['token']}"
        owners = self.renewed if self.far else self.seen
        if owner != self.owner and owner in owners:
            self.counts["leases written by who had lost them"] += self.owner in owners or not self.owner
        elif owner != self.owner and self.owner in owners:
            host, pid, _ = self.owner.split(" ")
            alive = [p for p in self.processes if p.alive and (p.host, p.pid) == (host, int(pid))]
            # not of the latest, which may have come after all while somebody took over; 2 s: clocks may differ so far
            age = self.now - self.renewed[self.owner][0] + 2.0
            self.counts["leases taken over"] += 1
            if alive and age < EXPIRES_AFTER_S and not self.counts["leases written by who had lost them"]:
                self.broken(f"the lease of {self.owner} is taken over after {age:.1f} s")
            if alive and alive[0].troubled < self.now - 1.5 * EXPIRES_AFTER_S:
                self.broken(f"the lease of {self.owner} is taken over although nothing had troubled it")
        self.owner = owner
        when = self.now if self.far else float(held["expires"]) - EXPIRES_AFTER_S
        self.renewed[owner] = [*self.renewed.get(owner, [])[-1:], when]

    def begin(self, name: str, host: str, after: float, tries: int) -> None:
        """Somebody runs the config, and again where it did not do."""

        def command() -> None:
            current().world.sleep(after)
            for _ in range(tries):
                process = self.process(host)
                driver = Thread(self._drive, (name,), name=name, process=process)
                driver.start()
                driver.join()
                if not process.alive:
                    self.ends.append("killed")
                process.alive = False
                if self.ends[-1] == "finished":
                    return
                current().world.sleep(self.random.expovariate(1) * 20)

        Thread(command, name=f"scheduler of {name}", process=Process("scheduler", 1)).start()

    def _drive(self, name: str) -> None:
        try:
            drive(open_store(self.address, StorageConfig(retries=1) if self.far else None))
        except (WinnowError, OSError) as error:
            self.note(f"{current().process.pid} {name} ends: {type(error).__name__}: {error}")
            self.ends.append(type(error).__name__)
            return
        self.note(f"{current().process.pid} {name} is finished")
        self.ends.append("finished")
        if self.peek(MANIFEST) != REFERENCE:
            self.broken(f"{name} is finished with another manifest")


def _sha256(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def drive(store: Store) -> None:
    """What ``winnow.runs.run`` does, over two stages."""
    with hold_lease(store) as lease:
        store.remove_drafts()
        told = next_attempt(store)
        told.save()
        stop = Stop()
        stop.asked = Event()  # type: ignore[assignment]
        config = ComputeConfig(executor="processes", attempts=3)
        engine = Engine(store, config, guard=lease.check, stop=stop, attempt=told)
        units = [Unit(n, {"file": n, "documents": d}, d) for n, d in enumerate(DOCUMENTS)]
        measured = engine.run(MEASURE, units)
        listing = engine.listing(MEASURE, measured, "table")
        joined = engine.run(JOIN, [Unit(n, {"list": listing, "part": n}, 1) for n in range(2)])
        if total(measured, "documents") != sum(DOCUMENTS) or total(joined, "documents") != sum(DOCUMENTS):
            current().world.broken("the books do not close")
        current().looked = False
        lease.check()
        store.replace(MANIFEST, orjson.dumps([output.hash for r in joined for output in r.outputs.values()]))
        told.end("finished")
        store.remove_drafts()


REFERENCE = b""


def simulate(seed: int, folder: Path) -> Runs:
    """One schedule, whose ``faults`` say what did not hold."""
    shutil.rmtree(folder / "run", ignore_errors=True)
    object_files.forget_clients()
    world = Runs(seed, folder)
    Path(f"{folder}/run").mkdir()
    length = 160 * world.troubles.latency
    world.begin("first", "one", 0.0, tries=TRIES)
    host = world.random.choice(["one", "two"])
    start = world.random.uniform(0, 1.5) * length
    world.begin("second", host, start, tries=TRIES)
    if world.random.random() < 0.5:  # where two find a lease that nobody renews
        world.begin("third", "three", start + world.random.uniform(0, 20) * world.troubles.latency, tries=TRIES)
    world.run()
    world.note("calm")
    world.troubles = Troubles()
    world.begin("last", "four", 2 * EXPIRES_AFTER_S + 200, tries=1)
    world.run()
    if world.ends[-1] != "finished":
        world.broken(f"without any more faults it ends with {world.ends[-1]}")
    else:
        _check_end(world)
    return world


def _check_end(world: Runs) -> None:
    if world.far:
        there = world.objects.keys()
        names = {key.removeprefix("simulated/run/") for key in there}
    else:
        names = set(LocalStore(world.address).files_below(""))
    for path, digest in world.outputs.items():
        if path not in names or _sha256(world.peek(path)) != digest:
            world.broken(f"{path} is not what its record says at the end")
    named = {*world.outputs, *world.committed, MANIFEST, "attempt.json"}
    left = {name for name in names - named if not name.endswith(".listing")}
    if left:
        world.broken(f"left over: {sorted(left)}")


def main() -> None:
    """Try schedules; names the seeds that break a promise, and ends with 1 then."""
    global REFERENCE
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--schedules", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1, help="of the first; the others count on")
    parser.add_argument("--only", type=int, default=None)
    parser.add_argument("--told", action="store_true", help="print what happens")
    parser.add_argument("--ends", default="", help="name the seeds of runs that end with this")
    options = parser.parse_args()
    threading.stack_size(512 * 1024)
    fast = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="winnow-world-", dir=fast if fast.is_dir() else None) as name:
        install(Path(name))
        REFERENCE = reference()
        seeds = range(options.seed, options.seed + options.schedules)
        broken, ends, counts, began = 0, Counter[str](), Counter[str](), time.perf_counter()
        for seed in [options.only] if options.only is not None else seeds:
            world = simulate(seed, Path(name))
            ends.update(world.ends)
            counts.update(world.counts)
            counts["calls"] += len(world.log)
            if options.told:
                print("\n".join(world.log))
            if options.ends in world.ends:
                print(f"--only {seed}: ends with {options.ends}", flush=True)
            if world.faults:
                broken += 1
                print(f"--only {seed}: {'object store' if world.far else 'disk'}, {world.troubles}")
                print("    " + "\n    ".join(world.faults[:12]), flush=True)
        print(f"{len(seeds)} schedules, {broken} broken; {time.perf_counter() - began:.0f} s")
        print(f"ends: {dict(ends.most_common())}; {dict(counts)}", flush=True)
    sys.exit(1 if broken else 0)


def reference() -> bytes:
    """The manifest of a run without faults, told by hand."""
    rows = [content_hash([file, row]) for file, documents in enumerate(DOCUMENTS) for row in range(documents)]
    tables = ["".join(f"{row}\n" for row in rows[part::2]).encode() for part in range(2)]
    return orjson.dumps([_sha256(table) for table in tables])


if __name__ == "__main__":
    main()

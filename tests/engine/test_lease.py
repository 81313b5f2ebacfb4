import os
import subprocess
import sys
import time
from types import SimpleNamespace

import orjson
import pytest

from winnow.engine import lease as lease_module
from winnow.engine.lease import EXPIRES_AFTER_S, LEASE, hold_lease
from winnow.errors import LeaseHeldError
from winnow.storage.local_store import LocalStore


def test_one_owner_at_a_time(tmp_path):
    store = LocalStore(str(tmp_path))
    with hold_lease(store):
        with pytest.raises(LeaseHeldError, match=f"process {os.getpid()}"), hold_lease(store):
            pass
        assert store.exists(LEASE)
    assert not store.exists(LEASE)


def test_an_owner_removes_what_others_would_rename_over_its_lease(tmp_path):
    """They had judged an older one, and stood still since."""
    store = LocalStore(str(tmp_path))
    store.replace(f".draft-{LEASE}.of-another", b"{}")
    with hold_lease(store):
        assert store.files_below("") == [LEASE]


def test_a_killed_owner_on_this_machine_is_replaced_at_once(tmp_path):
    code = (
        "import sys, time; from winnow.engine.lease import hold_lease\n"
        "from winnow.storage.local_store import LocalStore\n"
        f"with hold_lease(LocalStore({str(tmp_path)!r})): print('held', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"held\n"
    store = LocalStore(str(tmp_path))
    with pytest.raises(LeaseHeldError), hold_lease(store):
        pass
    process.kill()
    process.wait()
    with hold_lease(store):
        pass


def test_a_process_that_has_begun_again_takes_its_own_lease(tmp_path):
    """`exec` keeps its number and start time, and nothing else."""
    again = "from winnow.engine.lease import hold_lease; from winnow.storage.local_store import LocalStore\n"
    again += f"with hold_lease(LocalStore({str(tmp_path)!r})): print('held again')"
    code = (
        "import os, sys; from winnow.engine.lease import hold_lease\n"
        "from winnow.storage.local_store import LocalStore\n"
        f"with hold_lease(LocalStore({str(tmp_path)!r})): os.execv(sys.executable, [sys.executable, '-c', {again!r}])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "held again\n", done.stderr


def test_a_lease_of_another_host_counts_until_it_expires(tmp_path):
    store = LocalStore(str(tmp_path))
    lease = {"host": "elsewhere", "pid": 1, "started": "1", "expires": time.time() + 50}
    store.replace(LEASE, orjson.dumps(lease))
    with pytest.raises(LeaseHeldError, match="elsewhere"), hold_lease(store):
        pass
    store.replace(LEASE, orjson.dumps({**lease, "expires": time.time() - 1}))
    with hold_lease(store):
        pass


@pytest.mark.parametrize(("seconds", "renewed"), [(1.0, True), (EXPIRES_AFTER_S, False)])
def test_a_lease_is_not_renewed_after_a_look_that_took_long(tmp_path, monkeypatch, seconds, renewed):
    """Who stood still meanwhile may have lost it since."""
    store, clock, rounds = LocalStore(str(tmp_path)), iter([0.0, seconds]), iter([False, True])
    with hold_lease(store) as lease:
        lease._stop.set()
        lease._thread.join()
        monkeypatch.setattr(lease, "_stop", SimpleNamespace(wait=lambda _: next(rounds), set=lambda: None))
        times = SimpleNamespace(time=lambda: time.time() + 5, monotonic=lambda: next(clock))
        monkeypatch.setattr(lease_module, "time", times)
        before = store.read(LEASE)
        lease._renew()
        assert (store.read(LEASE) != before) == renewed

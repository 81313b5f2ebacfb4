import os
import subprocess
import sys
import time

import orjson
import pytest

from winnow.engine.lease import LEASE, hold_lease
from winnow.errors import LeaseHeldError
from winnow.storage.local_store import LocalStore


def test_one_owner_at_a_time(tmp_path):
    store = LocalStore(str(tmp_path))
    with hold_lease(store):
        with pytest.raises(LeaseHeldError, match=f"process {os.getpid()}"), hold_lease(store):
            pass
        assert store.exists(LEASE)
    assert not store.exists(LEASE)


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

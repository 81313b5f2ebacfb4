"""Separate hosts: a link that goes down in the middle, a host that is slow, a host whose disk is full."""

import os
import subprocess
import sys
from collections import Counter

import pytest

from tests.support.clusters import ENVIRONMENT, end_family
from tests.support.fault_hooks import environment
from tests.support.fault_runs import Runs, wait_for
from tests.support.hosts import Hosts, three_hosts


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Runs:
    return Runs(tmp_path_factory.mktemp("hosts"), documents=1500)


def submitted(hosts: Hosts, runs: Runs, folder, *faults: dict) -> subprocess.Popen:
    line = runs.line(folder, "ray", workers="auto")
    hook = environment(folder / "marks", {"point": "committed", "do": "note"}, *faults)
    variables = [f"--env={name}={hook[name]}" for name in ("WINNOW_FAULT_HOOK", "WINNOW_TEST_FAULTS")]
    return subprocess.Popen(
        [sys.executable, "-m", "jobs", "submit", line[-1], "--address", hosts.address, *variables],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | ENVIRONMENT,
    )


def units_by_host(folder) -> Counter:
    return Counter(mark.name.rpartition("-")[2] for mark in (folder / "marks").iterdir())


@pytest.mark.longest
def test_a_host_that_is_cut_off_costs_only_its_running_units(runs, tmp_path):
    slow = {"point": "commit", "is": {"stage": "tokenise"}, "do": "sleep", "seconds": 3}
    with three_hosts() as hosts:
        hosts.start_worker()
        hosts.start_worker()
        process = submitted(hosts, runs, tmp_path, slow)
        try:
            wait_for(lambda: any((tmp_path / "run").glob("work/tokenise/*/*.json")), process, 240)
            hosts.cut(1)
            output, messages = process.communicate(timeout=900)
        finally:
            end_family(process)
    assert process.returncode == 0, output + messages
    assert units_by_host(tmp_path)[hosts.name(2)] > 0
    runs.holds(tmp_path)


@pytest.mark.longest
def test_a_slow_host_gets_less_and_holds_nobody_up(runs, tmp_path):
    slow = {"point": "commit", "do": "sleep", "seconds": 0.5}
    with three_hosts() as hosts:
        hosts.start_worker()
        hosts.start_worker()
        with hosts.slowed(1, 0.2):
            process = submitted(hosts, runs, tmp_path, slow)
            try:
                output, messages = process.communicate(timeout=550)
            finally:
                end_family(process)
    assert process.returncode == 0, output + messages
    units = units_by_host(tmp_path)
    assert units[hosts.name(1)] < units[hosts.name(2)], units
    runs.holds(tmp_path)


@pytest.mark.longest
def test_a_host_with_a_full_disk_is_named_and_the_others_go_on(runs, tmp_path):
    with three_hosts(temporary_mb={1: 1}) as hosts:
        hosts.start_worker()
        hosts.start_worker()
        process = submitted(hosts, runs, tmp_path)
        try:
            output, messages = process.communicate(timeout=900)
        finally:
            end_family(process)
    assert process.returncode == 0, output + messages
    assert f"node {hosts.name(1)} ({hosts.ip_of(1)}): its disk refuses" in output
    assert "No space left on device" in output
    runs.holds(tmp_path)

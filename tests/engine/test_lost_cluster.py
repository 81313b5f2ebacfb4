"""A cluster's control service that does not answer: it is waited for, for less long than Ray waits."""

import logging
import socket
import sys
from types import SimpleNamespace

import pytest

from winnow.engine.executors import lost_ray
from winnow.errors import RESUMABLE


class EndedError(Exception):
    """In place of the process's end."""


def ask(monkeypatch, answers: list[bool], connected: int = 1_000, patience: str | None = None) -> float:
    """Ask while ``answers`` say what comes back (the last one again and again); the seconds until it ends."""
    clock = [0.0]
    left = iter(answers)
    looks = iter(range(connected))
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(is_initialized=lambda: next(looks, None) is not None))
    monkeypatch.setattr(lost_ray, "_answers", lambda _address, _seconds: next(left, answers[-1]))
    monkeypatch.setattr(lost_ray.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(lost_ray.time, "sleep", lambda seconds: clock.__setitem__(0, clock[0] + seconds))

    def end(code: int) -> None:
        assert code == RESUMABLE
        raise EndedError

    monkeypatch.setattr(lost_ray.os, "_exit", end)
    if patience:
        monkeypatch.setenv(lost_ray.RECONNECT_S, patience)
    lost_ray._ask("10.0.0.1:6379")
    return clock[0]


def test_one_that_stays_away_ends_the_command_before_ray_does(monkeypatch, capfd):
    monkeypatch.delenv(lost_ray.RECONNECT_S, raising=False)
    with pytest.raises(EndedError):
        ask(monkeypatch, [True, True, False])
    told = capfd.readouterr().err
    assert "the control service of the Ray cluster at 10.0.0.1:6379 has not answered for 45 s" in told
    assert "the same command goes on" in told


def test_it_waits_as_long_as_ray_is_told_to(monkeypatch, capfd):
    with pytest.raises(EndedError):
        ask(monkeypatch, [False], patience="400")
    assert "has not answered for 300 s" in capfd.readouterr().err


def test_one_that_comes_back_is_waited_for(monkeypatch, caplog):
    monkeypatch.delenv(lost_ray.RECONNECT_S, raising=False)
    with caplog.at_level(logging.WARNING, "winnow"):
        ask(monkeypatch, [True, *[False] * 9, True] * 3, connected=33)
    assert [line for line in caplog.messages if "is there again" in line] == [caplog.messages[1]] * 3


def test_nobody_is_asked_once_ray_is_left(monkeypatch):
    assert ask(monkeypatch, [False], connected=4) == 20


def test_a_port_that_is_listened_on_answers():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert lost_ray._answers(f"127.0.0.1:{port}", 5)
    assert not lost_ray._answers(f"127.0.0.1:{port}", 5)

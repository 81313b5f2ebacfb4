"""A network between a run and its object store: it is far away, stands still now and then, and loses connections.

A proxy of TCP connections: what is cut or held up is bytes, anywhere in a request or an answer. (``faulty_objects``
fails whole requests.)
"""

import contextlib
import random
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

PIECE_BYTES = 16_384
_RESET = struct.pack("ii", 1, 0)


@dataclass
class Weather:
    """What happens to a piece of up to PIECE_BYTES on its way."""

    latency_s: float = 0.0
    """One way; each piece takes between none and twice as long."""
    resets: float = 0.0
    """Share of pieces in place of which both ends get a reset, after a part of the piece."""
    stalls: float = 0.0
    """Share of pieces before which the connection stands still for ``stall_s``."""
    stall_s: float = 0.0


class BadNetwork:
    """Where it listens, what its weather is, and what it did."""

    def __init__(self, port: int, weather: Weather, seed: int = 1) -> None:
        self.weather = weather
        self.did: Counter[str] = Counter()
        self._port = port
        self._random = random.Random(seed)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    @contextlib.contextmanager
    def running(self) -> Iterator["BadNetwork"]:
        """Carry connections while this lasts."""
        threading.Thread(target=self._listen, daemon=True).start()
        try:
            yield self
        finally:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()

    def _listen(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._port))
                self.did["connections"] += 1
                for ends in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=ends, daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):  # the other direction has closed them
            while piece := source.recv(PIECE_BYTES):
                chance = self._random.random()
                time.sleep(self.weather.latency_s * self._random.uniform(0, 2))
                if chance < self.weather.stalls:
                    self.did["stalls"] += 1
                    time.sleep(self.weather.stall_s)
                elif chance < self.weather.stalls + self.weather.resets:
                    self.did["resets"] += 1
                    target.sendall(piece[: self._random.randrange(len(piece))])
                    for end in (source, target):
                        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                        end.shutdown(socket.SHUT_RD)
                        end.close()
                    return
                target.sendall(piece)
            target.shutdown(socket.SHUT_WR)

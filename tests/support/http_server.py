"""The server under all servers of the tests' own."""

from http.server import ThreadingHTTPServer


class Server(ThreadingHTTPServer):
    """A thread a connection, as many at once as a client opens."""

    daemon_threads = True
    request_queue_size = 256  # five callers at once wait by default; on a busy machine others were turned away


class BreakingServer(Server):
    """One whose handlers end connections on order: nothing is printed of it."""

    def handle_error(self, *_: object) -> None:
        pass

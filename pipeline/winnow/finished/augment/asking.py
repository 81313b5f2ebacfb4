"""Asks what nobody has answered yet, many requests at a time."""

from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

from winnow.augment.answers import Answer, Answers
from winnow.augment.endpoint import NO_ANSWER, OVER_BUDGET, Endpoint, NoAnswer
from winnow.engine.stopping import Stop
from winnow.finished.augment.chain import Body

LOOK_SECONDS = 0.5
"""How often answers are committed, and a request to stop is looked for."""


class Asker:
    """Answers from the folder, and those that are missing from the endpoint. ``committed`` is called after commits.

    Attributes:
        asked: requests that had to be asked, by whatever came of them.
    """

    def __init__(
        self, answers: Answers, endpoint: Endpoint, at_once: int, stop: Stop, committed: Callable[[], None]
    ) -> None:
        self._answers = answers
        self._endpoint = endpoint
        self._stop = stop
        self._committed = committed
        self._pool = ThreadPoolExecutor(at_once, thread_name_prefix="ask")
        self.no_answer: set[bytes] = set()
        """Keys of requests of which every try failed."""
        self.asked = 0

    def fetch(self, bodies: Mapping[bytes, Body]) -> dict[bytes, Answer | str]:
        """Answers by key, or why there is none; what is answered is committed when this returns.

        Raises:
            ConfigError, EndpointError: nothing can be asked.
            StoppedError: the process was asked to stop; what was answered until then is committed.
        """
        found: dict[bytes, Answer | str] = dict(self._answers.read(bodies))
        missing = [key for key in bodies if key not in found]
        self.asked += len(missing)
        futures = {self._pool.submit(self._ask, key, bodies[key]): key for key in missing}
        waiting = set(futures)
        try:
            while waiting:
                done, waiting = wait(waiting, LOOK_SECONDS, FIRST_COMPLETED)
                for future in done:
                    found[futures[future]] = future.result()
                if self._answers.flush_if_due():
                    self._committed()
                if self._stop.asked.is_set():
                    break
        finally:
            for future in waiting:
                future.cancel()
            while wait(waiting, LOOK_SECONDS).not_done:  # what is out has been paid for
                self._answers.flush_if_due()
            self._answers.flush()
        self._stop.raise_if_asked("augment", len(found), len(bodies))
        return found

    def known(self, bodies: Mapping[bytes, Body]) -> dict[bytes, Answer | str]:
        """The same of what has been asked; nothing is sent."""
        found: dict[bytes, Answer | str] = dict(self._answers.read(bodies))
        for key in bodies:
            found.setdefault(key, NO_ANSWER if key in self.no_answer else OVER_BUDGET)
        return found

    def close(self) -> None:
        """Let go of the threads."""
        self._pool.shutdown(cancel_futures=True)

    def _ask(self, key: bytes, body: Body) -> Answer | str:
        try:
            answer = self._endpoint.ask(body)
        except NoAnswer as error:
            if error.reason == NO_ANSWER:
                self.no_answer.add(key)
            return error.reason
        self._answers.add(key, answer)
        return answer

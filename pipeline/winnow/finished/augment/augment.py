"""`winnow augment`: ask an endpoint about every passage, then write what the answers give.

An endpoint does not answer the same twice. So an answer is committed once, by the hash of what was asked, and what is
written is a function of the answers alone: kill it anywhere, run it again, with other numbers of requests at once, and
the files are the same bytes as far as the answers reach.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field

import numpy as np
import orjson
from numpy.typing import NDArray

from winnow.augment.answers import Answers, key_of
from winnow.augment.config import AugmentConfig
from winnow.augment.endpoint import UNANSWERED, Endpoint
from winnow.augment.judge import SAME_ANSWER, UNUSED, text_hashes
from winnow.augment.spending import Spending, Spent
from winnow.engine.lease import hold_lease
from winnow.engine.stopping import Stop
from winnow.errors import BooksError, ConfigError, InputError
from winnow.finished.augment.asking import Asker
from winnow.finished.augment.chain import Asking, Fetch, Outcome, Task, asking_of, outcomes
from winnow.finished.augment.results import DOCUMENTS, LEFT_OUT, Written, remove_others, write_part
from winnow.finished.augment.texts import Taken, passages_by_part
from winnow.flow.records import RunRecords
from winnow.runs.folder import check_places
from winnow.runs.state import load_run
from winnow.stages.ingest.languages import languages_of
from winnow.storage.open_store import open_store
from winnow.storage.store import Store
from winnow.text.language.config import half_of

MANIFEST, SPENT, PROMPTS = "augment.json", "spent.json", "prompts"
FORMAT = "winnow-augment-1"
TASKS_A_SLOT = 64
"""Tasks that are worked on together, for each request that may be out at a time."""
LEAST_ANSWERS = 50
"""From which on `max_unused_share` is looked at."""


@dataclass
class Augmented:
    """What was made, or with a dry run what would be asked."""

    folder: str
    taken: Taken
    tasks: int = 0
    made: dict[str, int] = field(default_factory=dict)
    """Texts by operator."""
    unused: dict[str, int] = field(default_factory=dict)
    """Tasks without a text, by reason."""
    without_preamble: int = 0
    asked: int = 0
    """Requests of this attempt, or in a dry run those that it would begin with."""
    spent: Spent = field(default_factory=Spent)
    """By all attempts."""
    cost: float = 0.0
    failed_tries: dict[str, int] = field(default_factory=dict)
    uncounted: int = 0
    prompt_bytes: int = 0
    """Of the requests of a dry run."""
    bytes: int = 0


def augment(config: AugmentConfig, *, dry_run: bool = False, stop: Stop | None = None) -> Augmented:
    """Make texts of a finished run's documents.

    Args:
        config: what of what.
        dry_run: only tell what would be asked; nothing is sent or written.
        stop: whether this process is asked to stop.

    Raises:
        ConfigError: the run, the folder, a prompt, the address or the key cannot be used.
        InputError: too many answers are of no use.
        EndpointError: the endpoint is gone. LeaseHeldError: another process is at it. StoppedError: as a run.
    """
    run = load_run(config.of)
    askings = [asking_of(entry, number) for number, entry in enumerate(config.operators)]
    check_places((config.out,))
    store = open_store(config.out, run.config.storage)
    job = _Job(config, run, store, askings, stop or Stop())
    if dry_run:
        return job.reckon()
    if (foreign := store.exists("state.json")) or store.root == run.store.root:
        raise ConfigError(f"out: {config.out} is a run folder{' itself' if foreign else ''}; name a folder of its own")
    with hold_lease(store, "folder"):
        store.remove_drafts()
        return job.run()


class _Job:
    """One attempt."""

    def __init__(self, config: AugmentConfig, run: RunRecords, store: Store, askings: list[Asking], stop: Stop) -> None:
        self.config, self.source, self.store, self.askings, self.stop = config, run, store, askings, stop
        self.answers = Answers(store)
        self.spending = Spending(config.budget, _spent(store))
        self.endpoint = Endpoint(
            config.endpoint, self.spending, lambda s: stop.asked.wait(s) if s > 0 else stop.asked.is_set()
        )
        self.identify = languages_of(half_of(run.config.measure.language), run.store)
        self.told = Augmented(store.location(), Taken())

    def reckon(self) -> Augmented:
        """What would be asked: of operators that ask twice, the first request only."""
        seen: set[bytes] = set()
        for tasks in self._parts(self.told.taken):
            self.told.tasks += len(tasks)
            for task in tasks:
                body = self.endpoint.body(task.asking.templates[0].fill(task.passage.text, task.passage.language))
                key = key_of(body)
                if key not in seen and not self.answers.holds(key):
                    seen.add(key)
                    self.told.asked += 1
                    self.told.prompt_bytes += len(orjson.dumps(body["messages"]))
        self.told.spent, self.told.cost = self.spending.spent, self.spending.cost
        return self.told

    def run(self) -> Augmented:
        """Ask everything, then write everything."""
        asker = Asker(self.answers, self.endpoint, self.config.endpoint.requests_at_once, self.stop, self._note_spent)
        try:
            same = self._ask_all(asker)
        finally:
            asker.close()
            self.answers.flush()
            self._note_spent()
        self.answers.join_segments()
        written = self._write_all(asker, same)
        told = self.told
        told.asked, told.failed_tries, told.uncounted = asker.asked, self.endpoint.tries, self.endpoint.uncounted
        told.spent, told.cost = self.spending.spent, self.spending.cost
        if sum(told.made.values()) + sum(told.unused.values()) != told.tasks:
            raise BooksError(f"the books do not close: {told.tasks:,} tasks, {told.made} texts, {told.unused} left out")
        self._publish(written)
        return told

    def _parts(self, taken: Taken) -> Iterator[list[Task]]:
        """All tasks, part by part."""
        for passages in passages_by_part(self.source, self.config, taken):
            yield [Task(passage, asking) for passage in passages for asking in self.askings]

    def _outcomes(self, tasks: list[Task], fetch: Fetch) -> Iterator[tuple[list[Task], list[Outcome]]]:
        """Tasks and what became of them, some at a time."""
        step = TASKS_A_SLOT * self.config.endpoint.requests_at_once
        for begin in range(0, len(tasks), step):
            some = tasks[begin : begin + step]
            yield some, outcomes(some, self.endpoint.body, fetch, self.identify)

    def _ask_all(self, asker: Asker) -> NDArray[np.uint64]:
        """Ask; returns hashes (sorted) of the texts that several passages were answered.

        Raises:
            InputError: too many answers are of no use.
        """
        unused: Counter[str] = Counter()
        judged = 0
        pairs = [np.empty((0, 2), np.uint64)]
        for tasks in self._parts(Taken()):
            for some, found in self._outcomes(tasks, asker.fetch):
                judged += sum(outcome.reason not in UNANSWERED for outcome in found)
                unused.update(
                    outcome.reason for outcome in found if outcome.reason and outcome.reason not in UNANSWERED
                )
                self._check_use(judged, unused, some, found)
                made = [
                    (outcome.text, task.passage.text) for task, outcome in zip(some, found, strict=True) if outcome.text
                ]
                if made:
                    pairs.append(np.stack([text_hashes(column) for column in zip(*made, strict=True)], axis=1))
        texts, times = np.unique(np.unique(np.concatenate(pairs), axis=0)[:, 0], return_counts=True)
        return texts[times > 1]

    def _check_use(self, judged: int, unused: Counter[str], tasks: list[Task], found: list[Outcome]) -> None:
        if judged < LEAST_ANSWERS or unused.total() <= self.config.max_unused_share * judged:
            return
        reasons = ", ".join(f"{reason} {number:,}" for reason, number in unused.most_common())
        example = next((o.answer for o in found if o.reason in unused), "")
        raise InputError(
            f"{unused.total():,} of {judged:,} answers are of no use ({reasons}), more than max_unused_share "
            f"({self.config.max_unused_share:g}); nothing was written. One begins: {example[:200]!r}. Look at model "
            "and prompt; what was answered is kept"
        )

    def _write_all(self, asker: Asker, same: NDArray[np.uint64]) -> dict[str, list[Written]]:
        """Write the tables of every part, from the answers that there are."""
        told = self.told
        written: dict[str, list[Written]] = {DOCUMENTS: [], LEFT_OUT: []}
        unused: Counter[str] = Counter()
        made: Counter[str] = Counter()
        for number, tasks in enumerate(self._parts(told.taken)):
            found = [outcome for _, some in self._outcomes(tasks, asker.known) for outcome in some]
            found = _without_same(found, same)
            told.tasks += len(tasks)
            told.without_preamble += sum(outcome.without_preamble and not outcome.reason for outcome in found)
            unused.update(outcome.reason for outcome in found if outcome.reason)
            made.update(task.asking.label for task, outcome in zip(tasks, found, strict=True) if not outcome.reason)
            for folder, file in write_part(self.store, number, tasks, found):
                written[folder].append(file)
        told.made = {asking.label: made[asking.label] for asking in self.askings}
        told.unused = {reason: unused[reason] for reason in (*UNUSED, *UNANSWERED) if unused[reason]}
        told.bytes = sum(file.bytes for file in written[DOCUMENTS])
        remove_others(self.store, [file for files in written.values() for file in files])
        return written

    def _publish(self, written: dict[str, list[Written]]) -> None:
        """The prompts, and what was made of what."""
        told, config = self.told, self.config
        for asking in self.askings:
            text = "\n\n".join(template.text for template in asking.templates)
            self.store.replace(f"{PROMPTS}/{asking.prompt}.txt", text.encode())
        manifest = {
            "format": FORMAT,
            "of": {"run": self.source.store.location(), "shards": self.source.shards},
            "model": config.endpoint.model,
            "parameters": config.endpoint.parameters,
            "operators": [
                {
                    "name": asking.label,
                    "use": asking.config.use,
                    "prompt": asking.prompt,
                    "texts": told.made[asking.label],
                }
                for asking in self.askings
            ],
            "documents": told.taken.by_source,
            "passages": told.taken.passages,
            "passages_passed_over": told.taken.passed_over,
            "tasks": told.tasks,
            "left_out": told.unused,
            "first_lines_left_out": told.without_preamble,
            "files": {folder: [file.entry() for file in files] for folder, files in written.items()},
        }
        content = orjson.dumps(manifest, option=orjson.OPT_INDENT_2)
        if not self.store.exists(MANIFEST) or self.store.read(MANIFEST) != content:
            self.store.replace(MANIFEST, content)

    def _note_spent(self) -> None:
        """Remember what all attempts took."""
        self.store.write_unsynced(SPENT, orjson.dumps(asdict(self.spending.spent)))


def _spent(store: Store) -> Spent:
    """What attempts before took."""
    if not store.exists(SPENT):
        return Spent()
    try:
        return Spent(**orjson.loads(store.read(SPENT)))
    except (ValueError, TypeError) as error:
        raise ConfigError(
            f"{store.location(SPENT)}: damaged ({error}); remove it, and lower the budget by what was spent"
        ) from error


def _without_same(found: list[Outcome], same: NDArray[np.uint64]) -> list[Outcome]:
    """Texts that several passages were answered get their reason."""
    rows = [n for n, outcome in enumerate(found) if outcome.text]
    if not len(same) or not rows:
        return found
    is_same = np.isin(text_hashes(found[n].text for n in rows), same)
    for n in np.array(rows)[is_same].tolist():
        found[n] = found[n]._replace(reason=SAME_ANSWER, text="")
    return found

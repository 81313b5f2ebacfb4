"""What a step of the flow is: the stages that it runs, and all that others need to know of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from winnow.config.config import Config
from winnow.engine.records import Json
from winnow.flow.alarm import Alarm
from winnow.flow.context import RunContext
from winnow.flow.records import RunRecords


@dataclass(frozen=True)
class Balance:
    """One equation of the books."""

    what: str
    expected: int
    found: int

    def __str__(self) -> str:
        return f"{self.what}: {self.expected:,} expected, {self.found:,} found"


@dataclass
class ManifestPart:
    """What a step adds to the manifest."""

    top: Json = field(default_factory=dict)
    """Beside the manifest's own sections."""
    sources: dict[str, Json] = field(default_factory=dict)
    """By source, into its entry."""
    splits: dict[str, Json] = field(default_factory=dict)
    """By split, into its entry."""


@dataclass(frozen=True)
class PartWork:
    """What the stages of a step do for each part of a run, as `winnow plan --cluster` reckons with it; counted in
    ``tests/runs/test_counted_by_hand.py``."""

    files: int = 0
    """Outputs."""
    records: int = 0
    """Commit records, those of ``measure`` apart."""
    opens: int = 0
    """Tables opened to read, exchanges apart."""

    def __add__(self, other: "PartWork") -> "PartWork":
        return PartWork(self.files + other.files, self.records + other.records, self.opens + other.opens)


def _always(_config: Config) -> bool:
    return True


def _no_balances(_run: RunRecords) -> list[Balance]:
    return []


def _nothing(_run: RunRecords) -> ManifestPart:
    return ManifestPart()


def _nothing_to_say(_run: RunRecords) -> list[str]:
    return []


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step. ``plan`` and its estimates, the books, the manifest, the summary and ``why`` go over all steps."""

    name: str
    run: Callable[[RunContext], None]
    """Runs the stages; what they committed is then in the context's records."""
    stages: Callable[[RunContext], Sequence[str]]
    """Names of the stages that ``run`` will run in this context, in order."""
    enabled: Callable[[Config], bool] = _always
    check: Callable[[Config], None] = lambda _config: None
    """Raises ConfigError for settings that cannot work, before any work is done."""
    part_work: PartWork = PartWork()
    """What its stages do for each part."""
    after: str = "select"
    """Of a step of another package: the step behind which it comes."""
    ledger: str = ""
    """The stage that writes every document's outcome anew, if the step decides any."""
    outcomes: tuple[str, ...] = ()
    """Outcomes that the step can give, in the order in which they are listed."""
    reasons: Mapping[str, str] = field(default_factory=dict)
    """How ``why`` tells of a rule in the ledger that is none of the filter's: ``{0}`` its value, ``{1}`` its limit."""
    balances: Callable[[RunRecords], list[Balance]] = _no_balances
    """Equations that hold when the run is done."""
    manifest: Callable[[RunRecords], ManifestPart] = _nothing
    publishes: Callable[[RunRecords], dict[str, bytes]] = lambda _run: {}
    """Files by path that are written once the books are closed: what makes results of the step public."""
    summary: Callable[[RunRecords], list[str]] = _nothing_to_say
    """Lines that the summary prints, in the order of the flow."""
    alarms: Callable[[RunRecords], list[Alarm]] = lambda _run: []
    """What may not be as it was meant."""

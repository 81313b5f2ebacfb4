"""The section `dedup` of the config."""

from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from winnow.dedup.banding import LEAST_CHANCE, WANTED_CHANCE, chance_to_meet, choose_bands
from winnow.dedup.guard_config import GuardConfig
from winnow.dedup.minhash_config import MinHashConfig
from winnow.dedup.verification import Verification, Verify, verification
from winnow.section import Section
from winnow.storage.config import PathSetting
from winnow.text.lines.config import LinesConfig

KeepRule = Literal["source_priority", "highest_quality", "longest", "first"]


class DedupConfig(Section):
    """Exact and near-duplicates."""

    minhash: MinHashConfig = MinHashConfig()
    """Signatures and bands; in a checked config, bands and rows are numbers."""
    threshold: float = Field(0.8, gt=0, le=1)
    """Smallest verified Jaccard similarity of word n-grams at which a document counts as a duplicate."""
    verify: Verify = "exact"
    """How candidates are verified: `exact` = Jaccard similarity of the texts' own sets of word n-grams (reads the
    candidates' texts again, a few per cent of a run); `signature` = the same, but the share of equal MinHash values
    settles pairs that are three of its standard errors (0.075 at 0.8) from the threshold; 99 % and more of what it
    removes truly reach the threshold; `estimate` = that share alone, for candidates whose n-grams do not fit a worker's
    memory: pairs near the threshold fall on either side, and a tenth of what it removes is less alike."""
    keep: tuple[KeepRule, ...] = Field(("source_priority", "highest_quality", "longest", "first"), strict=False)
    """Which of several duplicates stays: source_priority = order of `sources`; highest_quality = fewest failed
    rules; longest = most characters; first = earliest file and row. Ties go to the next entry, at last to `first`."""
    guard: GuardConfig | None = GuardConfig()
    """What the kept document must have besides the similarity, so that a removal loses little: settings, or `off`.
    Exact duplicates are not asked. Not with `verify: estimate`, which reads no texts."""
    alarm_cluster_share: float = Field(0.01, gt=0, le=1)
    """Warn when a kept document and those removed for it are more than this share of a source (and at least 10)."""
    alarm_source_share: float = Field(0.5, gt=0, le=1)
    """Warn when a source loses more than this share of its documents to duplicates."""
    lines: LinesConfig | None = None
    """Remove boilerplate lines before anything is measured: `off`, `on`, or settings. Reads all text once more."""
    components: Literal["auto", "one_unit", "rounds"] = "auto"
    """How candidates are joined into components, with the same result: `one_unit` holds all documents that have a
    candidate in one worker's memory (up to 84 bytes each), `rounds` holds partitions of them and takes some rounds over
    all edges; `auto` takes rounds where the one unit might not fit `compute.worker_memory_mb`."""
    index: PathSetting | None = Field(None, min_length=1)
    """Folder that scheduled runs share: what earlier runs kept is removed here, and this run is added when it commits.
    None = this run stands alone."""

    @property
    def verification(self) -> Verification:
        """The bounds that `verify` means for this threshold and these signatures."""
        return verification(self.verify, self.threshold, self.minhash.num_perm)

    @property
    def found_at_threshold(self) -> float:
        """Share of the pairs of similarity exactly `threshold` that share a band, and so are compared at all."""
        return chance_to_meet(self.threshold, self.minhash.num_bands, self.minhash.band_rows)

    @property
    def guarded(self) -> bool:
        """Whether a guard looks at pairs, for which texts are read."""
        return self.guard is not None and self.verification.reads_texts

    @property
    def warnings(self) -> list[str]:
        """What is allowed and may not be meant."""
        unread = []
        if self.guard is not None and not self.guarded:
            unread = [
                "dedup.guard: not applied, because verify: estimate reads no texts: removals may cross scripts and "
                "languages, and what they lose is not known; set verify: exact, or guard: off"
            ]
        if self.found_at_threshold >= WANTED_CHANCE:
            return unread
        return [
            *unread,
            f"dedup.minhash: {self._bands} find {self.found_at_threshold:.1%} of the pairs of similarity "
            f"{self.threshold:g} (dedup.threshold), under {WANTED_CHANCE:.0%}: the others are never compared; leave "
            "out bands and rows, or raise num_perm",
        ]

    @property
    def _bands(self) -> str:
        return f"{self.minhash.num_bands:,} bands of {self.minhash.band_rows:,} rows"

    @model_validator(mode="after")
    def _bands_follow_the_threshold(self) -> Self:
        if self.minhash.bands == "auto":
            bands, rows = choose_bands(self.threshold, self.minhash.num_perm)
            chosen = self.minhash.model_copy(update={"bands": bands, "rows": rows})
            object.__setattr__(self, "minhash", chosen)  # frozen for all others; this one is still being made
        if self.found_at_threshold < LEAST_CHANCE:
            raise ValueError(
                f"minhash: {self._bands} find only {self.found_at_threshold:.1%} of the pairs of similarity "
                f"{self.threshold:g} (threshold), fewer than they miss; raise num_perm, and leave out bands and rows: "
                "they then follow from the threshold"
            )
        return self

    @field_validator("lines", "guard", mode="before")
    @classmethod
    def _off(cls, value: Any) -> Any:
        return None if value is False or value == "off" else {} if value is True or value == "on" else value

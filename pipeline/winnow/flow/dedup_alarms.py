"""Alarms: signs in a run's own counters that deduplication took more than it should have.

A source of copies does lose most of its documents, and rightly so. Nothing is read but commit records.
"""

from dataclasses import dataclass

import numpy as np

from winnow import schemas
from winnow.config.config import Config
from winnow.dedup.index import is_indexed
from winnow.engine.records import Json, Record, totals_under
from winnow.flow.alarm import Alarm

LEAST_CLUSTER = 10
"""Documents from which a cluster can be an alarm: in a source of 20 documents, every pair is a tenth."""


@dataclass(frozen=True)
class LostToDuplicates:
    """One sign, about one source."""

    source: str
    documents: int
    of: int
    """Documents of the source that took part in dedup."""
    limit: float
    keeper: int | None
    """The kept document of the cluster; None where the alarm is about the source as a whole."""

    @property
    def alarm(self) -> Alarm:
        """How it is told."""
        share = f"{self.documents:,} of {self.of:,} documents ({self.documents / self.of:.1%})"
        if self.keeper is None:
            what = f"source {self.source} lost {share} to duplicates, over {self.limit:.1%} (dedup.alarm_source_share)"
            return Alarm("duplicates", self.source, what, "is it a copy of another source, or of itself?")
        look = f"look at document {self.keeper}, which was kept"
        if is_indexed(np.array([self.keeper], np.uint64))[0]:
            look = "an earlier run kept its document; `winnow audit dedup` shows it"
        what = (
            f"the largest cluster of source {self.source} holds {share}, over {self.limit:.1%} "
            "(dedup.alarm_cluster_share)"
        )
        return Alarm("cluster", self.source, what, look)

    def __str__(self) -> str:
        return str(self.alarm)


def dedup_alarms(config: Config, clustered: list[Record], decided: list[Record]) -> list[LostToDuplicates]:
    """Alarms of a run, in the order of its sources: the source as a whole, then its largest cluster.

    Args:
        config: of the run.
        clustered: records of the keepers stage.
        decided: records of the decide stage.
    """
    if config.dedup is None:
        return []
    largest: dict[int, Json] = {}
    for cluster in (cluster for record in clustered for cluster in record.metadata["largest_clusters"]):
        known = largest.get(cluster["source"])
        if known is None or cluster["documents"] > known["documents"]:
            largest[cluster["source"]] = cluster
    alarms = []
    for position, source in enumerate(config.sources):
        outcomes = totals_under(decided, f"source/{source.name}")
        lost = outcomes.get(schemas.EXACT_DUPLICATE, 0) + outcomes.get(schemas.NEAR_DUPLICATE, 0)
        entered = lost + outcomes.get(schemas.KEPT, 0)
        limit = config.dedup.alarm_source_share
        if lost > limit * entered:
            alarms.append(LostToDuplicates(source.name, lost, entered, limit, None))
        limit = config.dedup.alarm_cluster_share
        cluster = largest.get(position, {"documents": 0})
        if cluster["documents"] >= LEAST_CLUSTER and cluster["documents"] > limit * entered:
            alarms.append(LostToDuplicates(source.name, cluster["documents"], entered, limit, cluster["keeper"]))
    return alarms

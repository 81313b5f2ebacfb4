"""Kinds of alarms: signs that a finished run is not what its user meant. The setting `alarms` names them."""

from typing import Literal

AlarmKind = Literal[
    "empty_source",
    "missing_field",
    "replaced_bytes",
    "charset",
    "rules",
    "duplicates",
    "cluster",
    "split",
    "repetition",
    "mixture",
    "swap",
    "disk",
]
MEANINGS: dict[AlarmKind, str] = {
    "empty_source": "files of a source hold no record",
    "missing_field": "no record of a source has a value for a field that the config names",
    "replaced_bytes": "bytes were lost in over 1 % of the documents of a source",
    "charset": "over 10 % of the documents of a source were read in an encoding that was guessed",
    "rules": "a source or language lost over `filter.alarm_share` to the rules",
    "duplicates": "a source lost over `dedup.alarm_source_share` to duplicates",
    "cluster": "one cluster holds over `dedup.alarm_cluster_share` of a source",
    "split": "a split is empty, or far from its share",
    "repetition": "the mixture repeats a source over four times",
    "mixture": "a source gave far less, or more, than its share of the mixture",
    "swap": "a worker of a stage had memory in swap",
    "disk": "a stage had less disk left than it reads",
}
"""By kind, when it is raised."""

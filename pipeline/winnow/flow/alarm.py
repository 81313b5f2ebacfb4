"""An alarm: a sign, in what a run counted, that it is not what its user meant."""

from dataclasses import dataclass

from winnow.config.alarms import AlarmKind


@dataclass(frozen=True)
class Alarm:
    """One sign."""

    kind: AlarmKind
    about: str
    """The source, language, split or stage."""
    what: str
    """With its figures and the limit."""
    do: str

    def __str__(self) -> str:
        return f"{self.what}: {self.do}"

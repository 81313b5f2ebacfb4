"""The plan of a search for a mixture."""

from typing import Self

from pydantic import Field, model_validator

from winnow.ablate.plan import ArmConfig, Experiment, Plan

NATURAL, BEST = "natural", "best"
"""Arms of the check: shares as the text has them, and those that the regression predicts to be best."""
TRIED = "mixture-{:03d}"


class SearchPlan(Experiment):
    """A search for the mixture of the base's sources whose models need fewest bits a byte of the held-out sets."""

    runs: int = Field(24, ge=8, le=1000)
    """Mixtures that are tried, a model each."""
    seed: int = Field(7, ge=0)
    """Other mixtures with another one."""
    goal: dict[str, float] = Field({})
    """Weights of held-out sets (or of all parts of one, by its name) whose bits a byte are to be few; none given: all
    sets alike."""

    @model_validator(mode="after")
    def _can_be_searched(self) -> Self:
        if self.base is None:
            raise ValueError("`base` is missing: the config whose sources are mixed")
        if self.train.epochs is not None:
            raise ValueError("train.epochs: mixtures are compared at equal tokens; give train.tokens")
        if not self.evaluate.sets:
            raise ValueError("evaluate.sets: bits a byte of held-out sets are what is searched for; name some")
        if any(weight < 0 for weight in self.goal.values()) or (self.goal and not any(self.goal.values())):
            raise ValueError("goal: weights must be at least 0, and one of them more")
        if any(entry.arm is not None and entry.arm != NATURAL for entry in self.evaluate.sets):
            raise ValueError(f"evaluate.sets: the only arm that all parts of a search have is {NATURAL}")
        return self

    def plan(self, arms: list[ArmConfig], seeds: int) -> Plan:
        """An ablation of these arms with the same settings."""
        common = {name: getattr(self, name) for name in Experiment.model_fields}
        train = self.train.model_copy(update={"seeds": seeds})
        return Plan(**common | {"arms": tuple(arms), "baseline": NATURAL, "train": train})

    def arm(self, name: str, shares: dict[str, float], tokens: int) -> ArmConfig:
        """An arm of a mixture, with so much text."""
        return ArmConfig(name=name, settings={"shards.mixture": shares, "shards.max_tokens": tokens})

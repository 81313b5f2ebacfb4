"""The settings `dedup.minhash`."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from winnow.section import Section


class MinHashConfig(Section):
    """Signatures and bands of near-duplicate removal."""

    num_perm: int = Field(default=256, ge=1, le=65536)
    """Entries a signature, 4 bytes each. More is a finer estimate: standard error 0.025 at 0.8 for 256."""

    bands: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    """Bands exchanged a document; `auto`, with `rows`, finds 99 % of the pairs at `dedup.threshold` (32 bands of 8 rows
    at 0.8). More bands find less similar pairs, and cost exchange volume."""

    rows: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    """Signature entries in a band. More rows find only more similar pairs."""

    ngram: int = Field(default=5, ge=1, le=64)
    """Words in a shingle."""

    seed: int = Field(default=1, ge=0, le=2**32 - 1)
    """Seed of the permutations; 1 is datasketch's own. Signatures of different seeds cannot be compared."""

    @model_validator(mode="after")
    def _bands_fit(self) -> Self:
        if self.bands == "auto" and self.rows == "auto":
            return self
        if self.bands == "auto" or self.rows == "auto":
            given, other = ("rows", "bands") if self.bands == "auto" else ("bands", "rows")
            raise ValueError(f"{given} is given and {other} is not, but one follows from the other; give both or none")
        if self.bands * self.rows > self.num_perm:
            raise ValueError(
                f"bands x rows ({self.bands} x {self.rows} = {self.bands * self.rows}) must not exceed "
                f"num_perm ({self.num_perm}); raise num_perm or lower bands or rows"
            )
        return self

    @property
    def num_bands(self) -> int:
        """`bands`, once it is a number."""
        return self._number(self.bands)

    @property
    def band_rows(self) -> int:
        """`rows`, once it is a number."""
        return self._number(self.rows)

    @property
    def signature_settings(self) -> dict[str, int]:
        """What a signature depends on; bands are cut from it later."""
        return {"num_perm": self.num_perm, "ngram": self.ngram, "seed": self.seed}

    def _number(self, setting: int | str) -> int:
        if isinstance(setting, str):
            raise ValueError("bands and rows are auto: DedupConfig chooses them, by its threshold; take its minhash")
        return setting

"""``use: pii``: personal data and secrets, kind by kind."""

import numpy as np
import pyarrow as pa

from winnow.numeric.jit import compile_once
from winnow.operators.marks import spans
from winnow.operators.operator import SPANS
from winnow.text.pii.find import find_personal_data
from winnow.text.pii.kinds import KINDS, NAMES, TOKENS


@spans(needs=["text"], version="2", columns=list(NAMES))
class PersonalData:
    """E-mail and public IP addresses, secrets with a known beginning; if asked for, cards, IBANs, SSNs, phones."""

    tokens = TOKENS

    def __init__(
        self,
        secret: bool | None = None,
        email: bool | None = None,
        ipv6: bool | None = None,
        ipv4: bool | None = None,
        card: bool | None = None,
        iban: bool | None = None,
        ssn: bool | None = None,
        phone: bool | None = None,
    ) -> None:
        given = (secret, email, ipv6, ipv4, card, iban, ssn, phone)
        compile_once("pii", lambda: find_personal_data(pa.array(["a@b.cc"], pa.large_string()), NAMES))
        self._kinds = self.kinds(**dict(zip(NAMES, given, strict=True)))

    @staticmethod
    def kinds(**settings: bool | None) -> tuple[str, ...]:
        """The kinds that are looked for with these settings.

        Raises:
            ValueError: a setting is neither on nor off.
        """
        for name, value in settings.items():
            if value is not None and type(value) is not bool:
                raise ValueError(f"{name} ({value!r:.60}) is neither on nor off")
        chosen = {kind.name: kind.on if settings.get(kind.name) is None else settings[kind.name] for kind in KINDS}
        return tuple(name for name, on in chosen.items() if on)

    def __call__(self, batch: pa.RecordBatch) -> pa.Array:
        """All spans of each text."""
        found = find_personal_data(batch.column("text"), self._kinds)
        offsets = np.searchsorted(found.row, np.arange(batch.num_rows + 1))
        kind = pa.DictionaryArray.from_arrays(pa.array(found.kind, pa.uint8()), pa.array(NAMES, pa.string()))
        columns = [pa.array(found.start), pa.array(found.end), kind.cast(pa.string())]
        values = pa.StructArray.from_arrays(columns, fields=list(SPANS.value_type))
        return pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), values)

"""Nearest centres on a GPU: searched in half precision at the speed of its matrix units, decided in single.

A float16 product with a float32 accumulator is off by a bounded error e: the rounding of a centre's coordinates
(2**-11 of its length), of the vectors' where they are not float16 already, and of the result (2**-12 below 1). Let T be
the ``number``-th largest product of a vector. Whoever is among the true ``number`` nearest has a product of at least
T - 2e, so only those are candidates, and their cosines are computed again in float32. Where more than a handful of
centres lie that near (crowded), the vector is compared with all centres in float32. So the search decides nothing, and
the outcome is that of float32 throughout.

Nothing of size N x K exists: a block of rows has its products in one buffer that is used again, is read once (the
largest of each group of ``GROUP`` centres), and then only a few groups are looked into. The host waits for nothing
before the last block.

Legend: N vectors, D dimensions, K centres, B rows of a block, G groups of centres.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from winnow.select.vectors import FIXED_POINT, unit_rows

GROUP = 32
"""Centres of a group in the search."""
SPARE = 3
"""Candidates beyond those asked for whose cosines are computed again."""
HALF_FROM = 512
"""Centres from which on the search in half precision is worth its overhead."""
BUFFER_BYTES = 1 << 30
"""Products of a block."""
EXACT_BYTES = 1 << 28
"""Cosines or gathered centres of a block in float32."""
SUM_BYTES = 1 << 28


class DeviceVectors:
    """Vectors on a torch device."""

    def __init__(self, rows: Any, half_from: int | None = None) -> None:
        """``rows`` float16 or float32 [N, D] on its device, of about unit length, no zero rows."""
        self.rows = rows
        self.half_from = HALF_FROM if half_from is None else half_from

    @classmethod
    def of(cls, vectors: NDArray[Any], device: str, half_from: int | None = None) -> "DeviceVectors":
        """Copies vectors float16 or float32 [N, D] there."""
        import torch  # noqa: PLC0415

        if vectors.dtype == np.float16:
            rows = torch.from_numpy(np.ascontiguousarray(vectors))
        else:
            rows = torch.from_numpy(unit_rows(vectors))
        if torch.device(device).type == "cuda":
            rows = rows.pin_memory().to(device, non_blocking=True)
        return cls(rows, half_from)

    def __len__(self) -> int:
        """N."""
        return len(self.rows)

    def take(self, places: NDArray[np.int64]) -> "DeviceVectors":
        """Some of them."""
        import torch  # noqa: PLC0415

        return DeviceVectors(self.rows[torch.from_numpy(places).to(self.rows.device)], self.half_from)

    def nearest(self, centres: NDArray[np.float32], number: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """As :class:`winnow.select.nearest.Vectors`."""
        import torch  # noqa: PLC0415

        there = torch.from_numpy(np.ascontiguousarray(centres)).to(self.rows.device)
        chosen, cosine = self.nearest_there(there, number)
        return chosen.int().cpu().numpy(), cosine.cpu().numpy()

    def nearest_there(self, centres: Any, number: int) -> tuple[Any, Any]:
        """The same for centres float32[K, D] on the device; int64[N, number] and float32[N, number] stay there."""
        import torch  # noqa: PLC0415

        if len(centres) >= self.half_from and len(centres) > GROUP * (number + 2):
            return self._searched(centres, number)
        every = torch.arange(len(self.rows), device=self.rows.device)
        return self._exact(every, centres, number)

    def _searched(self, centres: Any, number: int) -> tuple[Any, Any]:
        import torch  # noqa: PLC0415

        search = _Search(self.rows, centres, number)
        chosen = torch.empty((len(self), number), dtype=torch.int64, device=self.rows.device)
        cosine = torch.empty((len(self), number), dtype=torch.float32, device=self.rows.device)
        candidates = torch.empty((len(self), number + SPARE), dtype=torch.int32, device=self.rows.device)
        close = torch.empty(len(self), dtype=torch.bool, device=self.rows.device)
        crowded = torch.empty(len(self), dtype=torch.bool, device=self.rows.device)
        for begin in range(0, len(self), search.step):
            mine = slice(begin, min(begin + search.step, len(self)))
            candidates[mine], close[mine], crowded[mine] = search.block(self.rows[mine])
            chosen[mine], cosine[mine] = _rescored(self.rows[mine], centres, candidates[mine, :number], number)
        for places, width in ((close, number + SPARE), (crowded, 0)):
            rows = places.nonzero()[:, 0]  # the host waits here, after all blocks
            if width:
                for some in rows.split(max(1, EXACT_BYTES // (4 * width * centres.shape[1]))):
                    chosen[some], cosine[some] = _rescored(self.rows[some], centres, candidates[some], number)
            else:
                chosen[rows], cosine[rows] = self._exact(rows, centres, number)
        return chosen, cosine

    def _exact(self, places: Any, centres: Any, number: int) -> tuple[Any, Any]:
        """float32 products of some vectors with all centres."""
        import torch  # noqa: PLC0415

        chosen = torch.empty((len(places), number), dtype=torch.int64, device=self.rows.device)
        cosine = torch.empty((len(places), number), dtype=torch.float32, device=self.rows.device)
        step = max(1, EXACT_BYTES // (4 * len(centres)))
        for begin in range(0, len(places), step):
            mine = slice(begin, min(begin + step, len(places)))
            products = _unit(self.rows[places[mine]]) @ centres.T
            for place in range(number):
                cosine[mine, place], chosen[mine, place] = products.max(dim=1)  # the first of equal ones
                products.scatter_(1, chosen[mine, place, None], -torch.inf)
        return chosen, cosine

    def nearest_within(
        self, centres: NDArray[np.float32], starts: NDArray[np.int64], near: NDArray[np.int32]
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """As :class:`winnow.select.nearest.Vectors`."""
        import torch  # noqa: PLC0415

        device = self.rows.device
        there = torch.from_numpy(np.ascontiguousarray(centres)).to(device)
        chosen = torch.zeros(len(self), dtype=torch.int64, device=device)
        cosine = torch.full((len(self),), -torch.inf, device=device)
        flat = torch.from_numpy(near.reshape(-1)).to(device)
        order = torch.argsort(flat, stable=True) // near.shape[1]
        ends = np.cumsum(np.bincount(near.reshape(-1), minlength=len(starts) - 1))
        for group, end in enumerate(ends.tolist()):
            first, last = int(starts[group]), int(starts[group + 1])
            members = order[0 if group == 0 else int(ends[group - 1]) : end]
            for rows in members.split(max(1, EXACT_BYTES // (4 * max(1, last - first)))) if last > first else ():
                found, best = (_unit(self.rows[rows]) @ there[first:last].T).max(dim=1)
                better = found > cosine[rows]
                chosen[rows] = torch.where(better, best + first, chosen[rows])
                cosine[rows] = torch.where(better, found, cosine[rows])
        return chosen.int().cpu().numpy()[:, None], cosine.cpu().numpy()[:, None]

    def sums(self, group: NDArray[np.int32], number: int) -> NDArray[np.float64]:
        """As :class:`winnow.select.nearest.Vectors`. Atomic additions come in any order; these are exact in each."""
        import torch  # noqa: PLC0415

        where = torch.from_numpy(group).to(self.rows.device).long()
        sums = torch.zeros((number, self.rows.shape[1]), dtype=torch.float64, device=self.rows.device)
        step = max(1, SUM_BYTES // (8 * self.rows.shape[1]))
        for begin in range(0, len(self), step):
            fixed = torch.round(_unit(self.rows[begin : begin + step]) * FIXED_POINT).double()
            sums.index_add_(0, where[begin : begin + step], fixed)
        there: NDArray[np.float64] = (sums / FIXED_POINT).cpu().numpy()
        return there


class _Search:
    """Candidates of a block of rows, by products in half precision."""

    def __init__(self, rows: Any, centres: Any, number: int) -> None:
        import torch  # noqa: PLC0415

        self.number = number
        self.clusters = len(centres)
        self.groups = -(-len(centres) // GROUP)
        half = torch.zeros((self.groups * GROUP, centres.shape[1]), dtype=torch.float16, device=rows.device)
        half[: len(centres)] = centres
        self.turned = half.T
        self.step = max(1, min(len(rows), BUFFER_BYTES // (2 * len(half))))
        self.buffer = torch.empty((self.step, len(half)), dtype=torch.float16, device=rows.device)
        roundings = 1 if rows.dtype == torch.float16 else 2
        self.twice_error = 2 * (roundings * 2.0**-11 + 2.0**-12 + 2.0**-14)
        self.offsets = torch.arange(GROUP, device=rows.device) * self.groups
        if rows.device.type == "cuda":  # partial sums stay float32, as the bound takes for granted
            torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction = False

    def block(self, rows: Any) -> tuple[Any, Any, Any]:
        """Candidates int64[B, number + SPARE], best first; bool[B] close: more than ``number`` of them may be among the
        nearest; bool[B] crowded: others may be, too."""
        import torch  # noqa: PLC0415

        products = torch.mm(rows.half(), self.turned, out=self.buffer[: len(rows)])
        products[:, self.clusters :] = -torch.inf
        best = products.view(len(rows), GROUP, self.groups).amax(dim=1)  # group g: centres g, g + G, g + 2 G, ...
        _, places = _largest(best, self.number + 1)
        left_out = best.amax(dim=1)
        columns = (places[:, :, None] + self.offsets).view(len(rows), -1)
        found = products.gather(1, columns)
        values, places = _largest(found, self.number + SPARE)
        left_out = torch.maximum(left_out, found.amax(dim=1))
        least = values[:, self.number - 1].float() - self.twice_error
        crowded = left_out.float() >= least
        close = (values[:, self.number].float() >= least) & ~crowded
        return columns.gather(1, places), close, crowded


def _largest(values: Any, number: int) -> tuple[Any, Any]:
    """The ``number`` largest of each row, with their places; in ``values`` they become -inf. For a few of hundreds
    this is faster than sorting or ``topk``."""
    import torch  # noqa: PLC0415

    found, places = [], []
    for _ in range(number):
        largest, place = values.max(dim=1, keepdim=True)
        values.scatter_(1, place, -torch.inf)
        found.append(largest)
        places.append(place)
    return torch.cat(found, dim=1), torch.cat(places, dim=1)


def _rescored(rows: Any, centres: Any, candidates: Any, number: int) -> tuple[Any, Any]:
    """The ``number`` nearest of some candidates [B, C] by float32 cosines; equal ones by number."""
    import torch  # noqa: PLC0415

    candidates = candidates.long().sort(dim=1)[0]
    cosine = (centres[candidates] * _unit(rows)[:, None, :]).sum(dim=2)
    cosine, order = cosine.sort(dim=1, descending=True, stable=True)
    return torch.gather(candidates, 1, order)[:, :number], cosine[:, :number]


def _unit(rows: Any) -> Any:
    """float32 rows of unit length, as :func:`winnow.select.vectors.unit_rows` makes them."""
    wide = rows.float()
    return wide / wide.double().square().sum(dim=1, keepdim=True).sqrt().float()

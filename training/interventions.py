"""Which of the online rows a person drove: they are demonstrations, too."""

from __future__ import annotations

from collections.abc import Sequence

from .replay_items import ItemLayout, Rows, opening_step, rows_at

_PLACE = slice(-3, -1)
"""Columns of source and episode."""


class Interventions:
    """Finds, in rows as they arrive, those in which a person drove."""

    def __init__(self, layout: ItemLayout) -> None:
        """`layout`: of the rows."""
        self._layout = layout
        self._last: dict[float, Rows] = {}
        """The last row of each source, for an agent that sees."""

    def among(self, arrived: Sequence[Rows]) -> list[Rows]:
        """The rows in which a person drove, in their order; call it with all rows that arrive.

        For an agent that sees, each stretch of them is opened by a row with the frames that came
        before it.
        """
        return [part for rows in arrived for part in self._driven(rows)]

    def _driven(self, rows: Rows) -> list[Rows]:
        driven = self._layout.intervened(rows.packed)
        if not self._layout.cameras:
            return [Rows(rows.packed[driven])] if driven.any() else []
        parts = []
        for index in range(len(driven)):
            row = rows_at(rows, slice(index, index + 1))
            source = float(row.packed[0, -3])
            before = self._last.get(source)
            self._last[source] = row
            if not driven[index]:
                continue
            if before is not None and not self._layout.intervened(before.packed)[0]:
                parts += _opening(before, row)
            parts.append(row)
        return parts


def _opening(before: Rows, row: Rows) -> list[Rows]:
    """The row that opens a part beginning with `row`; none where it does not follow `before`."""
    step, last = int(row.packed[0, -1]), int(before.packed[0, -1])
    follows = step == max(last, -1) + 1
    if not follows or (before.packed[0, _PLACE] != row.packed[0, _PLACE]).any():
        return []
    packed = before.packed.copy()
    packed[0, -1] = opening_step(step)
    return [Rows(packed, before.frames)]

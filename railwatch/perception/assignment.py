"""Which track goes with which box: the exact assignment of greatest total similarity.

Own code because SciPy is no dependency of the runtime. Pairs that may not be matched are left out from the start, so
the matrix is sparse and falls into small groups of neighbours; most tracks have exactly one candidate and are done
without any search.
"""

from __future__ import annotations

from heapq import heappop, heappush

import numpy as np
import numpy.typing as npt

Float64Array = npt.NDArray[np.float64]
IndexArray = npt.NDArray[np.intp]


def assign(similarity: Float64Array) -> tuple[IndexArray, IndexArray]:
    """Match rows to columns so that the sum of the matched similarities is greatest.

    `similarity` is (R, C); only pairs above 0 may be matched and nothing has to be. Returns the matched rows in
    rising order and their columns, both (K,). Equal input gives equal output, ties included.

    The method is successive shortest augmenting paths with dual prices (Kuhn 1955; Jonker and Volgenant 1987), with
    "stay unmatched" as an alternative worth 0 for every row.

    >>> rows, columns = assign(np.array([[0.9, 0.8], [0.8, 0.0]]))
    >>> rows.tolist(), columns.tolist()
    ([0, 1], [1, 0])
    """
    allowed = similarity > 0.0
    row_choices = allowed.sum(axis=1)
    column_choices = allowed.sum(axis=0)
    alone = allowed & (row_choices == 1)[:, None] & (column_choices == 1)[None, :]
    rows, columns = np.nonzero(alone)
    contested = np.flatnonzero((row_choices > 0) & ~alone.any(axis=1))
    if len(contested):
        search = _Search(similarity, contested)
        more_rows, more_columns = search.solve()
        rows, columns = np.concatenate([rows, more_rows]), np.concatenate([columns, more_columns])
        order = np.argsort(rows)
        rows, columns = rows[order], columns[order]
    return rows, columns


class _Search:
    """Prices and the matching while rows are added one after another.

    Kept true after every row: price[row] + toll[column] >= similarity of the pair, with equality for matched pairs;
    prices and tolls are 0 or more, and 0 for whatever is unmatched. That is the proof of optimality.
    """

    def __init__(self, similarity: Float64Array, rows: IndexArray) -> None:
        self._rows = rows
        self._edges: list[list[tuple[int, float]]] = [[] for _ in rows]
        at, columns = np.nonzero(similarity[rows] > 0.0)
        values = similarity[rows[at], columns]
        for row, column, value in zip(at.tolist(), columns.tolist(), values.tolist(), strict=True):
            self._edges[row].append((column, value))
        self._price = [0.0] * len(rows)
        self._toll = dict.fromkeys(columns.tolist(), 0.0)
        self._column_of: dict[int, int] = {}
        self._row_of: dict[int, int] = {}

    def solve(self) -> tuple[IndexArray, IndexArray]:
        """Add every row and return the matched pairs as indices into the whole matrix."""
        for row, edges in enumerate(self._edges):
            price, best = max((value - self._toll[column], -column) for column, value in edges)
            if price <= 0.0:
                continue
            self._price[row] = price
            if -best in self._row_of:
                self._add(row)
            else:
                self._row_of[-best], self._column_of[row] = row, -best
        matched = sorted(self._column_of)
        columns = [self._column_of[row] for row in matched]
        return self._rows[np.array(matched, np.intp)], np.array(columns, np.intp)

    def _add(self, start: int) -> None:
        """Find the cheapest way to fit `start` in: onto a free column, or by leaving a reached row unmatched."""
        distance: dict[int, float] = {}
        reached_from: dict[int, int] = {}
        heap: list[tuple[float, int]] = []
        rows, columns = [(start, 0.0)], []
        cost, leave, free = self._price[start], start, -1
        row, here = start, 0.0
        while True:
            offset = here + self._price[row]
            for column, value in self._edges[row]:
                way = offset + self._toll[column] - value
                if way < cost and way < distance.get(column, np.inf):
                    distance[column] = way
                    reached_from[column] = row
                    heappush(heap, (way, column))
            while heap and heap[0][0] > distance[heap[0][1]]:
                heappop(heap)
            if not heap or heap[0][0] >= cost:
                break
            here, column = heappop(heap)
            if column not in self._row_of:
                cost, free = here, column
                break
            distance[column] = -np.inf  # done: no rounding error may reach it again
            columns.append((column, here))
            row = self._row_of[column]
            rows.append((row, here))
            if here + self._price[row] < cost:
                cost, leave = here + self._price[row], row
        for row, here in rows:
            self._price[row] = max(0.0, self._price[row] - (cost - here))
        for column, here in columns:
            self._toll[column] += cost - here
        self._shift(start, leave, free, reached_from)

    def _shift(self, start: int, leave: int, free: int, reached_from: dict[int, int]) -> None:
        """Move every row on the way one column on."""
        column = free
        if free < 0:
            if leave == start:
                return
            column = self._column_of.pop(leave)
        while True:
            row = reached_from[column]
            before = self._column_of.get(row, -1)
            self._column_of[row] = column
            self._row_of[column] = row
            if row == start:
                return
            column = before

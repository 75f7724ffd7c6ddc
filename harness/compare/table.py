"""Steps that look alike, judged as the rows of a table: a column for each implementation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.compare.alike import Row
from harness.compare.assess import Form, tells
from harness.compare.blame import equal_by_row
from harness.compare.executions import holding_of, same
from harness.compare.findings import CONSISTENCY
from harness.compare.judged import Account
from harness.compare.question import question, row
from harness.compare.stack import Columns, Stack
from harness.compare.together import Together
from harness.oracle import RUNNING, AnyQuantity, Declared
from harness.trace import STATE, Array


class Table:
    """R rows, by A implementations, of Q quantities.

    Parameters
    ----------
    rows : sequence of Row
    accounts : sequence of Account
        Of each implementation any, the baseline's first.
    form : Form
        Of what is asked in all rows.
    quantities : sequence of str
        Those that were computed.

    Attributes
    ----------
    rows : sequence of Row
    declared : list of Declared or None
        What each implementation declares of its accuracy.
    """

    def __init__(
        self,
        rows: Sequence[Row],
        accounts: Sequence[Account],
        form: Form,
        quantities: Sequence[AnyQuantity],
    ) -> None:
        self.rows, self._quantities, self._form = rows, quantities, form
        self.declared = [form.declares(account.declarations) for account in accounts]
        self._asks = [
            [asks for state in each.before if (asks := question(each.asked, state)) is not None]
            for each in rows
        ]
        self._arrays = [
            [_found(rows, a, quantity) for a in range(len(accounts))] for quantity in quantities
        ]
        self._sizes = [arrays[0][0].size for arrays in self._arrays]
        shape = len(quantities), len(rows), len(accounts)
        self._figures = Columns.zeros(*shape)
        self._consistency = Columns.zeros(*shape[1:])
        self._telling = np.zeros(shape[1:], np.bool_)
        for declared in dict.fromkeys(self.declared):
            self._judge([a for a, each in enumerate(self.declared) if each == declared], declared)

    @cached_property
    def places(self) -> NDArray[np.intp]:
        """The place of each row's case, (R,)."""
        return np.array([each.place for each in self.rows])

    @property
    def agree(self) -> NDArray[np.bool_]:
        """Whether in a row all is within its bounds, and what has none is the same, (R,)."""
        inside = np.logical_and.reduce(self._figures.ratio <= 1, axis=(0, 2))
        others = [name for name in STATE if name not in self._quantities]
        agree: NDArray[np.bool_] = inside & [_moved_alike(each, others) for each in self.rows]
        return agree

    @property
    def judged(self) -> NDArray[np.bool_]:
        """Whether an implementation's numbers in a row have a bound, at least one, (R, A)."""
        size = np.array(self._sizes)[:, None, None]
        judged: NDArray[np.bool_] = np.logical_or.reduce(self._figures.unjudged < size, axis=0)
        return judged

    @property
    def equal(self) -> NDArray[np.bool_]:
        """Whether an implementation's results in a row are the baseline's bit for bit, (R, A)."""
        size = np.array(self._sizes)[:, None, None]
        equal: NDArray[np.bool_] = np.logical_and.reduce(self._bitwise == size, axis=0)
        rest = [name for name in self.rows[0].done[0].results if name not in self._quantities]
        for each, found in zip(self.rows if rest else (), equal, strict=False):
            baseline, *_ = each.done
            found &= [same(rest, done.results, baseline.results) for done in each.done]
        return equal

    @cached_property
    def _bitwise(self) -> NDArray[np.intp]:
        """How many elements are the baseline's, (Q, R, A)."""
        counts = np.zeros(self._figures.ratio.shape, np.intp)
        for q, (baseline, *others) in enumerate(self._arrays):
            counts[q, :, 0] = self._sizes[q]
            for a, arrays in enumerate(others, 1):
                counts[q, :, a] = equal_by_row(arrays, baseline)
        return counts

    def _judge(self, who: list[int], declared: Declared | None) -> None:
        """Judge the columns of implementations that declare the same."""
        asks = [each[a] for each in self._asks for a in who]
        stack = Stack(asks, self._form.accuracy, declared)
        for q, quantity in enumerate(self._quantities):
            arrays = self._of(q, who)
            for mine, found in zip(self._figures, stack.columns(quantity, arrays), strict=True):
                mine[q][:, who] = found.reshape(-1, len(who))
        telling = [tells(each, self._quantities) for each in asks]
        if not any(telling):
            return
        place = np.flatnonzero(telling)
        told = Stack([asks[each] for each in place], self._form.accuracy, declared)
        names = "output", *RUNNING
        of = [self._of(self._quantities.index(name), who) for name in names]
        figures = told.consistency(*([arrays[each] for each in place] for arrays in of))
        where = place // len(who), np.array(who)[place % len(who)]
        self._telling[where] = True
        for mine, found in zip(self._consistency, figures, strict=True):
            mine[where] = found

    def _of(self, q: int, who: Sequence[int]) -> list[Array]:
        """Return what implementations computed of a quantity, row by row."""
        return [*chain.from_iterable(zip(*(self._arrays[q][a] for a in who), strict=True))]

    def measured(self, rows: Sequence[int], names: Sequence[str], a: int) -> Iterator[Together]:
        """Yield what was measured of an implementation in some rows, of one mode and layout.

        Parameters
        ----------
        rows : sequence of int
        names : sequence of str
            The ids of their cases.
        a : int
            Which implementation.
        """
        asked = self.rows[rows[0]].asked
        kinds = [arrays[0][0].dtype for arrays in self._arrays]
        holdings = [
            holding_of(quantity, asked.mode, kind, asked.layout)
            for quantity, kind in zip(self._quantities, kinds, strict=True)
        ]
        figures = self._figures.each(lambda each: each[:, rows, a])
        theirs = self._figures.ratio[:, rows, 0]
        yield Together(
            holdings,
            self._sizes,
            names,
            figures,
            self._bitwise[:, rows, a],
            figures.ratio < theirs,
            figures.ratio > theirs,
        )
        telling = [index for index, each in enumerate(rows) if self._telling[each, a]]
        if telling:
            of = [rows[each] for each in telling]
            q = self._quantities.index("output")
            none = np.zeros((1, len(of)), np.bool_)
            yield Together(
                [holding_of(CONSISTENCY, asked.mode, kinds[q], asked.layout)],
                [self._sizes[q]],
                [names[each] for each in telling],
                self._consistency.each(lambda each: each[None, of, a]),
                none.astype(np.intp),
                none,
                none,
            )


def _moved_alike(each: Row, names: Sequence[str]) -> bool:
    """Whether the parts of the state that no mathematics moves went the same way."""
    (before, *others), (done, *theirs) = each.before, each.done
    moved = [name for name in names if done.state.get(name) is not before.get(name)]
    return not moved or all(
        same(moved, old, before) and same(moved, new.state, done.state)
        for old, new in zip(others, theirs, strict=True)
    )


def _found(rows: Sequence[Row], a: int, quantity: AnyQuantity) -> list[Array]:
    """Return what an implementation computed of a quantity, which all of these rows have."""
    found: list[Any]
    if quantity in RUNNING:
        found = [each.done[a].state[quantity] for each in rows]
    else:
        found = [each.done[a].results[quantity] for each in rows]
    return found if found[0].ndim else [row(array) for array in found]

"""Cases in which all agree, judged as the rows of tables and told of together.

Most cases of a matrix agree, and of those a report says no more than how far their numbers are
off. A case in which anything is not plainly as it should be is left: `judge` finds what it is. Of
the others it would find the same, in a multiple of the time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from harness.compare.alike import Alike, Row
from harness.compare.assess import Form, computed_of, cut
from harness.compare.judged import Account, Hearing
from harness.compare.question import question
from harness.compare.table import Table
from harness.compare.together import Together


@dataclass
class Agreement:
    """Cases of a matrix in which an implementation agrees.

    Attributes
    ----------
    matrix, target : str
    cases : list of str
        Their ids.
    bitwise_equal : int
        How many of them equal the baseline's bit for bit.
    measured : list of Together
    declared : set of str
        Reasons of the declarations that this rests on.
    """

    matrix: str
    target: str
    cases: list[str] = field(default_factory=list)
    bitwise_equal: int = 0
    measured: list[Together] = field(default_factory=list)
    declared: set[str] = field(default_factory=set)


def agreements(hearings: Sequence[Hearing], accuracy: str | None = None) -> list[Agreement]:
    """Return in which cases of matrices all agree, for each matrix and each implementation.

    Parameters
    ----------
    hearings : sequence of Hearing
    accuracy : str, optional
        The class whose bound is the standard; by default that of the input's type.
    """
    hearings = [each for each in hearings if each.matrix is not None]
    if not hearings:
        return []
    accounts = hearings[0].accounts
    alike = Alike([each.name for each in accounts])
    agree = np.array([alike.add(each, place) for place, each in enumerate(hearings)])
    judged = np.zeros((len(hearings), len(accounts)), np.bool_)
    equal = ~judged
    tables: list[Table] = []
    for rows in alike.rows.values():
        made = _tables(rows, accounts, accuracy)
        if not made:
            agree[[row.place for row in rows]] = False
        for table in made:
            agree[table.places[~table.agree]] = False
            np.logical_or.at(judged, table.places, table.judged)
            np.logical_and.at(equal, table.places, table.equal)
        tables += made
    agree &= judged.all(axis=1)
    cases = [hearing if agrees else None for hearing, agrees in zip(hearings, agree, strict=True)]
    found = _by_matrix(cases, equal.tolist())
    for table in tables:
        _tell(found, table, cases)
    return [agreement for each in found.values() for agreement in each]


def _by_matrix(
    cases: Sequence[Hearing | None], equal: Sequence[Sequence[bool]]
) -> dict[str, list[Agreement]]:
    """Return of each matrix what is said of its cases that agree, by each implementation."""
    found: dict[str, list[Agreement]] = {}
    for hearing, same in zip(cases, equal, strict=True):
        if hearing is None:
            continue
        matrix = str(hearing.matrix)
        if matrix not in found:
            found[matrix] = [Agreement(matrix, account.name) for account in hearing.accounts]
        for agreement, one in zip(found[matrix], same, strict=True):
            agreement.cases.append(hearing.case.id)
            agreement.bitwise_equal += one
    return found


def _tell(
    found: Mapping[str, Sequence[Agreement]], table: Table, cases: Sequence[Hearing | None]
) -> None:
    """Add what was measured in the rows of a table, but those of cases that are left."""
    told: dict[tuple[str, str, str], list[tuple[int, str]]] = {}
    for index, each in enumerate(table.rows):
        hearing, asked = cases[each.place], each.asked
        if hearing is not None:
            of = str(hearing.matrix), asked.mode, asked.layout
            told.setdefault(of, []).append((index, hearing.case.id))
    for (matrix, _, _), some in told.items():
        rows, names = [index for index, _ in some], [name for _, name in some]
        for a, agreement in enumerate(found[matrix]):
            agreement.measured += table.measured(rows, names, a)
            if (declared := table.declared[a]) is not None:
                agreement.declared.add(declared.reason)


def _tables(rows: list[Row], accounts: Sequence[Account], accuracy: str | None) -> list[Table]:
    """Judge rows that look alike, as many at a time as pays; none, if it doesn't."""
    first = rows[0]
    asks = question(first.asked, first.before[0])
    form = None if asks is None else Form.of(asks, accuracy)
    computed = {} if form is None else computed_of(form, first.before[0], first.done[0])
    if form is None or not computed:
        return []
    stacks = cut(rows, computed, len(accounts))
    return [Table(some, accounts, form, [*computed]) for some in stacks]

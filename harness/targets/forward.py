"""A train or eval step of a module under test, phase by phase."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from itertools import starmap
from typing import Any, NamedTuple

from harness.case.model import Forward
from harness.dtypes import name_of
from harness.targets.given import given_arrays, given_seeds
from harness.targets.returned import Results
from harness.targets.subject import Subject
from harness.trace import Array, same_bits

Pairs = list[tuple[Array, Array]]
"""What a module was given, and what it must be left as."""


def changed(pairs: Pairs) -> bool:
    """Whether a module has written into what it was given."""
    return not all(starmap(same_bits, pairs))


class Passed(NamedTuple):
    """A forward pass whose gradients a later step takes.

    Attributes
    ----------
    pairs : list of (array, array)
        What the module was given, and what it must be left as.
    shape : tuple of int
        The output's.
    leaves : collection of str
        What it is differentiated by.
    saved : object
        What the module keeps of it.
    """

    pairs: Pairs
    shape: tuple[int, ...]
    leaves: Collection[str]
    saved: Any


class Pass:
    """A forward pass and its gradients.

    Between two phases other modules may do theirs. The module does its work in a phase with
    nothing else in it, so that many can do theirs in a row.

    Parameters
    ----------
    subject : Subject
    forward : Forward
    training : bool
    dtype : str
        Of inputs that spell none.
    results : Results
        Where results go.
    awaited : bool
        A later step takes gradients of this one.

    Attributes
    ----------
    where : str
        What an error that is raised now was raised in.
    pairs : list of (array, array)
        What the module was given so far, and what it must be left as.
    passed : Passed or None
        What a later step needs.
    """

    def __init__(  # noqa: PLR0917  # what a pass is made of
        self,
        subject: Subject,
        forward: Forward,
        training: bool,
        dtype: str,
        results: Results,
        awaited: bool,
    ) -> None:
        self._subject, self._forward, self._training = subject, forward, training
        self._dtype, self._results, self._awaited = dtype, results, awaited
        self._leaves = forward.requires_grad if awaited or forward.grad_output is not None else ()
        self.where = "train" if training else "eval"
        self.pairs: Pairs = []
        self.passed: Passed | None = None

    @property
    def phases(self) -> tuple[Callable[[], None], ...]:
        """What is to be done, in order."""
        if self._forward.grad_output is None:
            return self._give, self._normalise, self._keep
        return self._give, self._normalise, self._ask, self._differentiate, self._finish

    def _give(self) -> None:
        self._subject.mode(self._training)
        self.where = "forward"
        # Arrays that the module may do anything to, and ones that it never sees.
        self.pairs.append(given_arrays(self._forward.input, (), self._dtype))

    def _normalise(self) -> None:
        self._output = self._subject.forward(self.pairs[0][0], self._leaves)

    def _keep(self) -> None:
        output = self._output
        self._results.keep("output", output)
        if self._awaited:
            saved = self._subject.saved()
            self.passed = Passed(self.pairs, output.shape, self._leaves, saved)

    def _ask(self) -> None:
        self._keep()
        self.where = "backward"
        spec, (given, pristine) = self._forward.grad_output, self.pairs[0]
        assert spec is not None  # noqa: S101  # a pass without gradients has no such phase
        shape, of = self._output.shape, name_of(given.dtype)
        self.pairs.append(given_arrays(spec, shape, of, pristine))

    def _differentiate(self) -> None:
        twice = self._forward.double_backward is not None
        self._gradients: Mapping[str, Array | None] = self._subject.backward(
            self.pairs[1][0], twice=twice
        )

    def _finish(self) -> None:
        self._results.keep_gradients(self._gradients, self._leaves)
        twice = self._forward.double_backward
        if twice is None:
            return
        seeds = given_seeds(twice, self._gradients, self.pairs[0][1], self._dtype)
        self.pairs += seeds.values()
        if seeds:
            begun = {name: seed for name, (seed, _) in seeds.items()}
            self._results.keep_double(self._subject.double_backward(begun), self._leaves)

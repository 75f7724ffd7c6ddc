"""A module under test, whatever it is made of, in terms of NumPy arrays."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Protocol

from harness.trace import Array


class Subject(Protocol):
    """A module under test, in terms of NumPy arrays; errors are the module's own."""

    def mode(self, training: bool) -> None:
        """Call train() or eval()."""

    def forward(self, given: Array, leaves: Collection[str]) -> Array:
        """Return the output; `backward` will follow by those of `LEAVES` that are named, if any."""

    def saved(self) -> Any:  # noqa: ANN401  # the subject's own affair
        """Return what keeps the latest forward pass, for a `backward` after later ones."""

    def backward(
        self,
        grad_output: Array,
        saved: Any = None,  # noqa: ANN401  # what `saved` returns
        *,
        twice: bool = False,
    ) -> Mapping[str, Array | None]:
        """Return the gradients of the latest forward pass, or of a kept one, by their names.

        With `twice`, a `double_backward` of them will follow.
        """

    def double_backward(self, seeds: Mapping[str, Array]) -> Mapping[str, Array | None]:
        """Return the gradients of the latest `backward`'s, by the names of `DOUBLE`.

        `seeds` are those of a loss by gradients that there are, by the names of these.
        """

    def state(self) -> tuple[Mapping[str, Array | None], frozenset[str]]:
        """Return copies of the arrays of `STATE`; and which are not those of the last time.

        Those were there then, and now the module has another, elsewhere in memory, or none.
        """

    def fill(self, name: str, values: Array) -> None:
        """Write values into an array of the state, in place."""

    def assign(self, name: str, value: object, parameter: bool) -> None:
        """Assign a scalar, an array or None to an attribute."""

    def call(self, method: str) -> None:
        """Call a method without arguments."""

    def cast(self, dtype: str) -> None:
        """Change the type of parameters and running statistics."""

    def save(self) -> Mapping[str, Any]:
        """Return a deep copy of the state_dict."""

    def load(self, state: Mapping[str, Any], strict: bool) -> None:
        """Load a state_dict."""

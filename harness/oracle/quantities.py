"""What a step computes."""

from __future__ import annotations

from typing import Literal, get_args

from harness.oracle.step import Step

Quantity = Literal[
    "output", "running_mean", "running_var", "grad_input", "grad_weight", "grad_bias"
]
QUANTITIES: tuple[Quantity, ...] = get_args(Quantity)
RUNNING: tuple[Quantity, ...] = ("running_mean", "running_var")


def quantities_of(step: Step) -> tuple[Quantity, ...]:
    """Return the quantities that a step computes."""
    updated = step.batch_statistics and step.running_mean is not None and step.factor is not None
    has = {
        "output": True,
        "running_mean": updated,
        "running_var": updated,
        "grad_input": step.grad_output is not None,
        "grad_weight": step.grad_output is not None and step.weight is not None,
        "grad_bias": step.grad_output is not None and step.bias is not None,
    }
    return tuple(quantity for quantity in QUANTITIES if has[quantity])

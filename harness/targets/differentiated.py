"""Gradients differentiated by autograd, where a module's backward pass allows it."""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch

from harness.targets.support import Unsupported

_LACKS = re.compile("not currently support double backward|derivative for '.*' is not implemented")
"""What torch says of compiled modules, and of operators that cannot be differentiated twice."""


def differentiated(
    gradients: Sequence[torch.Tensor],
    leaves: Sequence[torch.Tensor],
    seeds: Sequence[torch.Tensor],
) -> list[torch.Tensor]:
    """Return the gradients of a loss by leaves; zeros by what it does not depend on.

    Parameters
    ----------
    gradients : sequence of Tensor
        What the loss depends on.
    leaves : sequence of Tensor
    seeds : sequence of Tensor
        The loss's own gradient by each of `gradients`.

    Raises
    ------
    Unsupported
        Autograd does not know what the gradients depend on, or refuses to differentiate them.
    """
    if not all(map(_is_function, gradients)):
        raise Unsupported("the backward pass is not made of what autograd differentiates")
    try:
        found = torch.autograd.grad(gradients, leaves, seeds, allow_unused=True)
    except RuntimeError as error:
        if _LACKS.search(str(error)) is None:
            raise
        raise Unsupported(str(error)) from None
    return [
        torch.zeros_like(leaf) if gradient is None else gradient
        for leaf, gradient in zip(leaves, found, strict=True)
    ]


def _is_function(gradient: torch.Tensor) -> bool:
    """Whether autograd knows what a gradient depends on, and nothing on the way refuses.

    What is ``once_differentiable`` leaves a node that raises, but none that is come by on the way
    to a leaf.
    """
    if not gradient.requires_grad:
        return False
    waiting, seen = [gradient.grad_fn], set()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        if node.name() == "torch::autograd::Error":
            return False
        seen.add(node)
        waiting += [following for following, _ in node.next_functions]
    return True

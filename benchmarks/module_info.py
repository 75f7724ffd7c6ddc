"""PyTorch's own tests of BatchNorm2d by ModuleInfo, as a test case that its decorators multiply.

torch ships the inputs (`torch.testing._internal.common_modules`), not the tests. These do what
``test/test_modules.py`` does to a module of one tensor without keywords, on the CPU: the same
modules, passes, comparisons and tolerances, in each type and mode. Needs the package expecttest.
"""

from __future__ import annotations

import io
import unittest
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any, cast

import torch
from torch.testing._internal import common_device_type, common_modules, common_utils
from torch.testing._internal.common_modules import ModuleInfo

# ruff: noqa: PT009 - the time that PyTorch's own assertEqual takes is a part of its tests'

Test = Callable[..., None]
# torch's tests have no types.
instantiate: Any = common_device_type.instantiate_device_type_tests
modules = cast("Callable[..., Callable[[Test], Test]]", common_modules.modules)
freeze_rng_state: Any = common_utils.freeze_rng_state

INFO = [info for info in common_modules.module_db if info.module_cls is torch.nn.BatchNorm2d]
FORMATS = (torch.contiguous_format, torch.channels_last)
TESTS = ("test_forward", "test_non_contiguous_tensors", "test_memory_format")


class ModuleInfoTests(common_utils.TestCase):
    """The tests that run a module forwards or backwards, but for those by finite differences."""

    precision = 1e-5
    rel_tol = 1e-5

    @modules(INFO)
    def test_forward(
        self, device: str, dtype: torch.dtype, module_info: ModuleInfo, training: bool
    ) -> None:
        """Run twice, look at types and devices; no ModuleInput of BatchNorm2d has a reference."""
        for module, given in _drawn(device, dtype, module_info, training, grad=False):
            with freeze_rng_state():
                module(given)
                module.to(dtype)
                module(given)
                for tensor in (*module.parameters(), *module.buffers()):
                    self.assertEqual(tensor.device, torch.device(device))
                    if tensor.dtype.is_floating_point:
                        self.assertEqual(tensor.dtype, dtype)

    @modules(INFO)
    def test_non_contiguous_tensors(
        self, device: str, dtype: torch.dtype, module_info: ModuleInfo, training: bool
    ) -> None:
        """Compare output and gradients of strided tensors with those of contiguous ones."""
        for module, given in _drawn(device, dtype, module_info, training, grad=True):
            parameters = list(module.parameters())
            with freeze_rng_state():
                expected = module(given)
                grad = expected.clone().detach_().normal_()
                expected.backward(grad, retain_graph=True)
            expected_grads = [tensor.grad.clone() for tensor in (given, *parameters)]
            for x, g in product((given, _strided(given)), (grad, _strided(grad))):
                for tensor in (x, *parameters):
                    tensor.grad = None
                with freeze_rng_state():
                    output = module(x)
                    output.backward(g.clone(), retain_graph=True)
                self.assertEqual(output, expected)
                self.assertEqual(x.grad, expected_grads[0], atol=1e-4, rtol=0)
                self.assertEqual([tensor.grad for tensor in parameters], expected_grads[1:])

    @modules(INFO)
    def test_memory_format(
        self, device: str, dtype: torch.dtype, module_info: ModuleInfo, training: bool
    ) -> None:
        """Compare output and gradients in each format of input and module with the contiguous."""
        for module, given in _drawn(device, dtype, module_info, training, grad=True):
            parameters = list(module.parameters())
            with freeze_rng_state():
                expected = module(given)
                if training:
                    grad = torch.rand_like(expected)
                    expected_grads = torch.autograd.grad(expected, [given, *parameters], grad)
                for of_input, of_module in product(FORMATS, (torch.preserve_format, *FORMATS)):
                    x = given.clone().to(memory_format=of_input).detach().requires_grad_()
                    module.to(memory_format=of_module)
                    output = module(x)
                    moved = {of_input, of_module} != {torch.contiguous_format}
                    if moved:
                        self.assertEqual(output, expected)
                    self._is_of_format(output, of_input)
                    if training:
                        g = torch.empty_like(output).copy_(grad)
                        grads = torch.autograd.grad(output, [x, *parameters], g)
                        if moved:
                            self.assertEqual(grads, expected_grads)
                        self._is_of_format(grads[0], of_input)

    def _is_of_format(self, tensor: torch.Tensor, expected: torch.memory_format) -> None:
        self.assertTrue(not tensor.numel() or tensor.is_contiguous(memory_format=expected))


def _drawn(
    device: str, dtype: torch.dtype, info: ModuleInfo, training: bool, *, grad: bool
) -> Iterator[tuple[Any, Any]]:
    """Yield the module and the input of each ModuleInput."""
    for each in info.module_inputs_func(
        info, device=device, dtype=dtype, requires_grad=grad, training=training
    ):
        made = each.constructor_input
        module = info.module_cls(*made.args, **made.kwargs).to(device).to(dtype)
        yield module.train(training), each.forward_input.args[0]


def _strided(tensor: torch.Tensor) -> torch.Tensor:
    """Return the same values, every second of a row."""
    strided = torch.repeat_interleave(tensor, 2, dim=-1)[..., ::2].detach()
    return strided.requires_grad_(tensor.requires_grad)


_made: dict[str, Any] = {"ModuleInfoTests": ModuleInfoTests, "__name__": __name__}
instantiate(ModuleInfoTests, _made, only_for="cpu")
del ModuleInfoTests


def suite(test: str) -> unittest.TestSuite:
    """Return a test in each type and mode."""
    cls = _made["ModuleInfoTestsCPU"]
    names = unittest.TestLoader().getTestCaseNames(cls)
    return unittest.TestSuite(cls(name) for name in names if name.startswith(test))


def run(test: str, times: int) -> int:
    """Run a test in each type and mode, repeatedly; return how many inputs it has drawn.

    Raises
    ------
    RuntimeError
        One fails.
    """
    tests = unittest.TestSuite(suite(test) for _ in range(times))
    drawn = tests.countTestCases() * len(
        INFO[0].module_inputs_func(
            INFO[0], device="cpu", dtype=torch.float32, requires_grad=False, training=True
        )
    )
    result = unittest.TextTestRunner(stream=io.StringIO()).run(tests)
    if not result.wasSuccessful():
        raise RuntimeError(f"{test} fails: {(result.errors + result.failures)[0][1]}")
    return drawn

"""The ways through torch to one result: its other kernels, its exporters and its compilers.

Each takes ``nn.BatchNorm2d`` as it is, with its state and its checks, and has its forward pass
done in another way.
"""

from __future__ import annotations

import builtins
import logging
import re
import shutil
from collections.abc import Callable
from typing import Any
from unittest import mock

import torch
from torch._decomp import decompositions
from torch.jit import _recursive

from harness.targets.support import Unsupported
from harness.targets.torch_module import Run

VIA = ("module", "functional", "native", "decomposed", "script", "export")
COMPILERS = ("none", "aot_eager", "inductor")


def route(via: str, compiler: str) -> Callable[[], Run]:
    """Return what makes the route of one case, from a name of `VIA` and one of `COMPILERS`."""
    if compiler != "none":
        return lambda: Compiled(compiler)
    found = {
        "module": _module,
        "functional": _functional,
        "native": _with_kernel(_native),
        "decomposed": _with_kernel(_decomposed),
        "script": _script,
        "export": _export,
    }[via]
    return lambda: found


def missing(compiler: str) -> str | None:
    """Return what a compiler needs and this machine lacks, None if there is nothing."""
    if compiler == "inductor" and not any(map(shutil.which, ("g++", "clang++", "c++"))):
        return "no C++ compiler"
    return None


def _module(module: torch.nn.Module, given: torch.Tensor) -> object:
    return module(given)


def _functional(module: torch.nn.Module, given: torch.Tensor) -> object:
    state = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    return torch.func.functional_call(module, state, (given,))


def _with_kernel(kernel: Callable[..., torch.Tensor]) -> Run:
    """Return the route with another function in the place of ``torch.batch_norm``."""

    def run(module: torch.nn.Module, given: torch.Tensor) -> object:
        with mock.patch.object(torch, "batch_norm", kernel):
            return module(given)

    return run


def _native(*arguments: Any) -> torch.Tensor:  # noqa: ANN401  # torch.batch_norm's
    *common, _ = arguments  # the last is cudnn's switch
    output: torch.Tensor = torch.native_batch_norm(*common)[0]
    return output


def _decomposed(*arguments: Any) -> torch.Tensor:  # noqa: ANN401  # torch.batch_norm's
    *common, _ = arguments
    output: torch.Tensor = _Decomposed.apply(*common)  # type: ignore[no-untyped-call]
    return output


class _Decomposed(torch.autograd.Function):
    """The decompositions that compilers lower, ``torch/_decomp/decompositions.py``."""

    @staticmethod
    def forward(ctx: Any, *given: Any) -> Any:  # noqa: ANN401  # as torch declares it
        """Normalise; `given` are the arguments of ``torch.native_batch_norm``."""
        output, mean, inverse = decompositions.native_batch_norm(*given)
        x, weight, _, running_mean, running_var, training, _, eps = given
        # In training they are not needed, and have moved by the next step.
        running = (None, None) if training else (running_mean, running_var)
        ctx.save_for_backward(x, weight, *running, mean, inverse)
        ctx.rest = training, eps
        return output

    @staticmethod
    def backward(ctx: Any, grad_output: torch.Tensor) -> Any:  # noqa: ANN401  # as torch declares it
        """Return the gradients of input, weight and bias."""
        wanted = list(ctx.needs_input_grad[:3])
        gradients: Any = decompositions.native_batch_norm_backward
        found = gradients(grad_output, *ctx.saved_tensors, *ctx.rest, wanted)
        return (*found, None, None, None, None, None)


def _script(module: torch.nn.Module, given: torch.Tensor) -> object:
    # A class that was refused once is refused ever after, with another reason.
    _recursive.concrete_type_store = _recursive.ConcreteTypeStore()
    try:
        scripted = torch.jit.script(module)
    except Exception as error:
        raise Unsupported(f"torch.jit.script refuses the module: {_brief(error)}") from None
    try:
        return scripted(given)
    except Exception as error:
        # The interpreter puts its own traceback before the module's error.
        last = str(error).rstrip().rpartition("\n")[2]
        if isinstance(error, torch.jit.Error):
            raise _named(last, error) from None
        raise type(error)(last.partition(": ")[2] or last) from None


def _export(module: torch.nn.Module, given: torch.Tensor) -> object:
    _quiet()
    try:
        program = torch.export.export(module, (given,))
    except Exception as error:
        if type(error).__module__ == "builtins":  # the module's own
            raise
        raise Unsupported(f"torch.export refuses the module: {_brief(error)}") from None
    # The program holds the module's own parameters and buffers.
    return program.module()(given)


class Compiled:
    """``torch.compile`` for one case; each module, and each deep copy, is compiled anew.

    Raises
    ------
    Unsupported
        It does not compile as a whole, or the compiled code did not run.
    """

    def __init__(self, compiler: str) -> None:
        _quiet()
        self.compiler = compiler
        self.calls = 0
        self.of: torch.nn.Module | None = None
        self.compiled: Callable[..., Any] = lambda _: None

    def __call__(self, module: torch.nn.Module, given: torch.Tensor) -> object:
        """Run the compiled module; its error is the one below those of the compiler."""
        if module is not self.of:
            # Past a number of recompilations dynamo runs eagerly, and nothing would be tested.
            torch._dynamo.reset()
            self.compiled = torch.compile(
                module, backend=self._backend, fullgraph=True, dynamic=False
            )
            self.of = module
        before = self.calls
        try:
            output = self.compiled(given)
        except Exception as error:
            raise _beneath(error) from None
        if self.calls == before:
            raise Unsupported(f"the code that {self.compiler} compiled did not run")
        return output

    def _backend(self, graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> Any:  # noqa: ANN401
        inner = torch._dynamo.lookup_backend(self.compiler)(graph, inputs)

        def run(*given: Any) -> Any:  # noqa: ANN401  # whatever the graph takes
            self.calls += 1
            return inner(*given)

        return run


def _beneath(error: BaseException) -> BaseException:
    """Return the module's own error out of those that a compiler wraps it in."""
    chain = [error]
    while (inner := chain[-1].__cause__ or chain[-1].__context__) is not None:
        chain.append(inner)
    for each in reversed(chain):
        if type(each).__name__.startswith("Observed"):
            found = re.match(r"raised exception (\w+)\((['\"])(.*)\2\)$", str(each), re.DOTALL)
            if found:
                return _named(f"{found[1]}: {found[3]}", each)
        elif type(each).__module__ == "builtins" and not isinstance(each, KeyError | StopIteration):
            return each
    return Unsupported(f"it does not compile: {_brief(error)}")


def _named(text: str, error: BaseException) -> BaseException:
    """Return the built-in exception that a text names as "Type: message", else `error`."""
    name, _, message = text.partition(": ")
    kind = getattr(builtins, name.removeprefix("builtins."), None)
    return kind(message) if isinstance(kind, type) and issubclass(kind, Exception) else error


def _brief(error: BaseException) -> str:
    return " ".join(str(error).split())[:400]


def _quiet() -> None:
    """Keep errors that are results out of the log."""
    logging.getLogger("torch._subclasses.fake_tensor").setLevel(logging.CRITICAL)

"""How --target names a target, and what is said where it does not."""

from __future__ import annotations

import importlib
from importlib.metadata import EntryPoint

import pytest
import torch

import harness
from harness.case.model import Case
from harness.errors import InvalidInput
from harness.targets import resolve
from harness.targets.spec import GROUP

torch.set_num_threads(1)

CASE = Case.model_validate(
    {
        "id": "tried",
        "why": "to see that it runs.",
        "module": {"num_features": 2},
        "steps": [{"train": {"input": {"shape": [2, 2, 2, 2], "fill": "normal"}}}],
    }
)
MINE = """
from harness.reference import BatchNorm2d

class Mine(BatchNorm2d):
    class Inner(BatchNorm2d):
        pass

class Silent:
    pass

number = 3
"""


@pytest.fixture
def mine(tmp_path):
    """Return a file with classes."""
    path = tmp_path / "mine.py"
    path.write_text(MINE)
    return path


def runs(target):
    """Whether the target executes a case."""
    return target.execute(CASE).steps[0].results["output"].shape == (2, 2, 2, 2)


@pytest.mark.parametrize(
    "spec",
    [
        "torch",
        "torch:threads=2",
        "torch:device=cpu",
        "reference",
        "torch.nn:BatchNorm2d",
        "harness.reference:BatchNorm2d",
        torch.nn.BatchNorm2d,
    ],
)
def test_specs_name_targets(spec):
    """Names, options, classes of packages and classes themselves can be executed."""
    assert runs(resolve(spec))


@pytest.mark.parametrize("name", ["Mine", "Mine.Inner"])
def test_files_name_targets(mine, name):
    """A class of a file outside of the project can be executed, nested ones too."""
    target = resolve(f"{mine}:{name}")

    assert target.info.name == f"{mine}:{name}"
    assert runs(target)


def test_a_file_may_import_its_neighbours(tmp_path):
    """A target's file finds modules that lie beside it."""
    (tmp_path / "neighbour_of_target.py").write_text(MINE)
    (tmp_path / "uses.py").write_text("from neighbour_of_target import Mine\n")

    assert runs(resolve(f"{tmp_path / 'uses.py'}:Mine"))


SPY = """
from harness.targets import TargetInfo, resolve

class Spy:
    info = TargetInfo("spy")
    seen = []

    def execute(self, case):
        self.seen.append(case)
        return resolve("reference").execute(case)

spy = Spy()
"""


def test_a_target_object_is_given_cases_without_expectations(tmp_path, monkeypatch):
    """An object that executes cases is a target, and sees no number that is published."""
    (tmp_path / "spying_target.py").write_text(SPY)
    monkeypatch.syspath_prepend(tmp_path)
    told = {"expect": [{"after": 1, "num_batches_tracked": 1}]}
    case = Case.model_validate({**CASE.model_dump(exclude_unset=True), **told})
    report = harness.run(case, ["spying_target:spy"])
    (seen,) = importlib.import_module("spying_target").spy.seen

    assert report["tried"].results["spy"].verdict == "agree"
    assert seen.steps == case.steps
    assert seen.expect == ()


def test_a_changed_file_is_read_again(mine):
    """What a file says now is what is judged, in the same process too."""
    resolve(f"{mine}:Mine")
    mine.write_text(MINE.replace("Mine", "Changed"))

    assert runs(resolve(f"{mine}:Changed"))


def test_torch_without_cuda_is_absent(monkeypatch):
    """device=cuda without a device is a target that says why it cannot run."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)

    assert resolve("torch:device=cuda").info.absent == "no CUDA device"


def test_threads_are_put_back():
    """A target that runs with two threads leaves torch with as many as before."""
    before = torch.get_num_threads()
    resolve("torch:threads=2").execute(CASE)

    assert torch.get_num_threads() == before


def test_entry_points_name_targets(monkeypatch):
    """A name that another package registers is a target."""
    registered = [EntryPoint("theirs", "harness.reference:BatchNorm2d", GROUP)]
    monkeypatch.setattr("harness.targets.spec.entry_points", lambda **_: registered)

    assert runs(resolve("theirs"))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("nobody", "no such target; name one of torch, reference"),
        ("refrence", "no such target; did you mean 'reference'?"),
        ("mine.py", "no such target; did you mean 'mine.py:Class'?"),
        ("torch.nn.BatchNorm2d", "no such target; did you mean 'torch.nn:BatchNorm2d'?"),
        ("mine.py", "path/to/file.py:Class"),
        ("nowhere/mine.py:Mine", "there is no file nowhere/mine.py"),
        ("no_such_package:Mine", "No module named 'no_such_package'"),
        (":Mine", "cannot be imported"),
        ("torch.nn:BatchNorm9d", "there is no class BatchNorm9d"),
        ("torch:device=tpu", "device must be one of cpu, cuda"),
        ("torch:threads=0", "threads must be a number from 1"),
        ("torch:threads=many", "threads must be a number from 1"),
        ("torch:speed=2", "no option speed; there are device, via, compile"),
        ("torch:cuda", "'cuda' should be"),
        ("torch:threads=1,threads=2", "'threads=2' should be"),
    ],
)
def test_what_names_no_target_is_refused(spec, message):
    """A SPEC that names nothing is refused with what is wrong, and the SPEC itself."""
    with pytest.raises(InvalidInput) as refusal:
        resolve(spec)

    assert message in str(refusal.value)
    assert str(refusal.value).startswith(f"{spec}: ")


def test_an_instance_is_no_target():
    """A module that is made already is refused by its kind."""
    with pytest.raises(InvalidInput, match="a SPEC or a class, not an instance of BatchNorm2d"):
        resolve(torch.nn.BatchNorm2d(3))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Nobody", "there is no class Nobody; the module has BatchNorm2d, Mine, Silent"),
        ("Silent", "the class has no __call__(input)"),
        (
            "number",
            "(an nn.Module or an array class) or a Target, found an instance of int; name",
        ),
    ],
)
def test_what_a_file_does_not_have_is_refused(mine, name, message):
    """A name in a file that is no class of either kind is refused, with what there is."""
    with pytest.raises(InvalidInput) as refusal:
        resolve(f"{mine}:{name}")

    assert message in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import nothing_of_the_kind", "ModuleNotFoundError"),
        ("class (", "SyntaxError"),
        ("raise RuntimeError('not today')", "RuntimeError: not today"),
        ("raise SystemExit(0)", "SystemExit: 0"),
    ],
)
def test_a_file_that_fails_to_load_is_refused_each_time(tmp_path, text, message):
    """An error while a file loads is told, the second time as the first."""
    path = tmp_path / "fails.py"
    path.write_text(text)
    messages = []
    for _ in range(2):
        with pytest.raises(InvalidInput) as refusal:
            resolve(f"{path}:Mine")
        messages.append(str(refusal.value))

    assert messages[0] == messages[1]
    assert message in messages[0]

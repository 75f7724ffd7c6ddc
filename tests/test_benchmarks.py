import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import page_tables
from benchmarks.__main__ import SCRIPTS
from harness.case.model import Case
from harness.case.suite import load

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/performance.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^```sh\n(.*?)\n```", PAGE, re.MULTILINE | re.DOTALL)
QUICKLY = ["--tiny", "--worker", "--loops", "1", "--warmups", "0", "--values", "1"]
"""In the process itself and once, where pyperf would start processes of its own."""


def python(*words):
    """Run Python from the repository's root and return what came of it."""
    return subprocess.run(
        [sys.executable, *words], cwd=ROOT, capture_output=True, text=True, check=False
    )


def tables(page):
    """Return the tables of a page by their names."""
    return dict(re.findall(r"<!-- table: (\w+) -->\n(.*?)<!-- end -->", page, re.DOTALL))


def test_the_commands_of_the_page_rewrite_its_tables(tmp_path):
    """The page's command for each table runs, and writes that table and no other."""
    modules = [f"benchmarks.{name}" for name in SCRIPTS]
    assert {f"python -m {module}" for module in modules} <= set(COMMANDS)
    emptied = re.sub(r"(<!-- table: .*? -->\n).*?(<!-- end)", r"\1\2", PAGE, flags=re.DOTALL)
    for name in SCRIPTS:
        (tmp_path / name).write_text(emptied, encoding="utf-8")
    # One process for all: importing torch takes longer than what is tested.
    words = [[module, *QUICKLY, "--page", str(tmp_path / module[11:])] for module in modules]
    done = python(
        "-c",
        "import runpy, sys\n"
        f"for sys.argv in {words}:\n"
        "    runpy.run_module(sys.argv[0], run_name='__main__')\n",
    )
    assert done.returncode == 0, done.stderr
    pages = {name: tables((tmp_path / name).read_text("utf-8")) for name in SCRIPTS}
    written = {name: [each for each in found if found[each]] for name, found in pages.items()}

    assert written == {name: [name] for name in SCRIPTS}
    assert all(re.search(r"^\| .*\d.* \|$", pages[name][name], re.MULTILINE) for name in SCRIPTS)


def test_the_page_has_the_tables_of_all_scripts():
    """`python -m benchmarks` knows each table of the page, and the page each of its scripts."""
    assert sorted(tables(PAGE)) == sorted(SCRIPTS)


def test_all_scripts_are_run_by_one_command(tmp_path):
    """A script that there is not is refused with those that there are."""
    assert "python -m benchmarks" in COMMANDS
    done = python("-m", "benchmarks", "speed", "--page", str(tmp_path / "page.md"))

    assert (done.returncode, f"there are {', '.join(SCRIPTS)}" in done.stderr) == (2, True)


def test_a_page_without_a_place_for_the_table_is_refused(tmp_path):
    """A table that has no place in a page is an error that names the place."""
    page = tmp_path / "page.md"
    page.write_text("# Performance\n", encoding="utf-8")

    with pytest.raises(ValueError, match="<!-- table: growth -->"):
        page_tables.replace(page, "growth", "| a |")


def test_the_bare_loops_run_what_the_case_says():
    """A bare loop is given each train and eval step of a case, with the case's own input."""
    from benchmarks.bare import inputs

    for _, case in load([ROOT / "cases/core/special-values.yaml"]).cases():
        steps = [(step.kind == "train", step.forward) for _, _, step in case.executions()]
        bare = inputs(case)
        expected = [given.input.array((), case.module.dtype).tobytes() for _, given in steps]

        assert [training for training, _, _ in bare.steps] == [training for training, _ in steps]
        assert [given.tobytes() for _, given, _ in bare.steps] == expected


def test_the_bare_loops_have_no_other_steps():
    """A case with a step that is no forward pass cannot be run by a bare loop, which says so."""
    from benchmarks.bare import inputs

    case = Case.model_validate(
        {"id": "a", "why": "b", "module": {"num_features": 1}, "steps": [{"cast": "float64"}]}
    )

    with pytest.raises(ValueError, match="a: a bare loop has no step 'cast'"):
        inputs(case)


def test_pytorch_s_tests_as_they_are_driven_find_a_wrong_module():
    """The tests that stand for PyTorch's fail where strides or formats change the output."""
    wrong = (
        "import torch, benchmarks.module_info as tests\n"
        "right = torch.nn.BatchNorm2d.forward\n"
        "torch.nn.BatchNorm2d.forward = lambda self, x: right(self, x) + x.stride(-1) - x.stride(1)"
        "\n"
        "for name in tests.TESTS:\n"
        "    try:\n"
        "        tests.run(name, 1)\n"
        "    except RuntimeError:\n"
        "        print(name)\n"
    )
    done = python("-W", "ignore", "-c", wrong)

    assert done.stdout.split() == ["test_non_contiguous_tensors", "test_memory_format"]

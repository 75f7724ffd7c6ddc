"""The pytest plugin, by what sessions of its own print, exit with and write."""

from __future__ import annotations

import json
import os
from pathlib import Path
from textwrap import dedent
from xml.etree import ElementTree

import pytest
import torch  # noqa: F401  # sessions in this process drop what they import; torch loads once only

import harness.cli.run
import harness.pytest_plugin.items
import harness.report.selection  # noqa: F401  # likewise
from harness.cli import main

PLUGIN = ("-p", "harness.pytest_plugin")

EDGE = """\
- id: running-variance-is-unbiased
  why: The running variance takes n - 1.
  tags: [running-stats]
  module: {num_features: 2}
  steps:
    - train: {input: {shape: [2, 2, 1, 3], fill: normal, seed: 1}}
- id: eval-uses-the-statistics
  why: An eval step normalises by the running statistics.
  module: {num_features: 2}
  steps:
    - eval: {input: {shape: [2, 2, 1, 3], fill: normal, seed: 1}}
"""

FLAGS = """\
- id: flags
  why: Each flag by itself.
  matrix:
    shape: [[2, 3, 4, 5], [4, 2, 1, 3]]
    momentum: [0.1, null]
    affine: [true, false]
    sequence: [T, TE]
    fill: normal
"""

TARGETS = """\
import os
import numpy as np
from harness.reference import BatchNorm2d

class Biased(BatchNorm2d):
    "Takes the biased variance."
    def __call__(self, input):
        before = None if self.running_var is None else self.running_var.copy()
        output = super().__call__(input)
        if self.training and before is not None:
            weight = self.momentum
            if weight is None:
                weight = 1 / float(self.num_batches_tracked)
            count = input.size / input.shape[1]
            kept = (1 - weight) * before
            self.running_var[...] = kept + (self.running_var - kept) * (count - 1) / count
        return output

class WithoutEval(BatchNorm2d):
    def eval(self):
        raise NotImplementedError("no eval mode")

class Crashing(BatchNorm2d):
    def eval(self):
        os._exit(3)
"""


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """Return a project of someone else: two case files, and classes to judge."""
    monkeypatch.setenv("COLUMNS", "200")
    folder = pytester.mkdir("cases")
    (folder / "edge.yaml").write_text(EDGE)
    (folder / "flags.yaml").write_text(FLAGS)
    (pytester.path / "targets.py").write_text(TARGETS)
    return pytester


def run(project: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """Run pytest with the plugin in this process."""
    return project.runpytest_inprocess(*PLUGIN, "-p", "no:cacheprovider", *arguments)


def by_cli(*arguments: str) -> bytes:
    """Return the report that the command line writes."""
    with pytest.raises(SystemExit):
        main(["run", *arguments, "--report", "cli.json"])
    return Path("cli.json").read_bytes()


def case(project: pytest.Pytester, text: str, name: str = "cases/own.yaml") -> str:
    """Write a case file and return its path."""
    (project.path / name).parent.mkdir(exist_ok=True)
    (project.path / name).write_text(dedent(text))
    return name


def known(project: pytest.Pytester, quantity: str) -> None:
    """List what is known in the folder of the project's cases."""
    (project.path / "cases/known.yaml").write_text(
        "- target: targets:Biased\n  case: running-variance-is-unbiased\n"
        f"  quantity: {quantity}\n  reason: it is biased\n  link: https://example.org/1\n"
    )


UNFORESEEN = """
    - id: one-channel-too-many
      why: nobody knows.
      module: {num_features: 3}
      steps:
        - train: {input: {shape: [2, 2, 1, 3], fill: normal, seed: 1}}
    """


class TestUnforeseen:
    def test_warned(self, project: pytest.Pytester) -> None:
        """A hand-written case that torch refuses unforeseen passes with a warning."""
        result = run(project, case(project, UNFORESEEN), "-W", "default")

        result.assert_outcomes(passed=1, warnings=1)
        result.stdout.fnmatch_lines(["*cases/own.yaml:2: *refuses step 1: RuntimeError*say so*"])

    def test_an_error_where_warnings_are(self, project: pytest.Pytester) -> None:
        """With -W error it fails, by that message alone."""
        result = run(project, case(project, UNFORESEEN), "-W", "error")

        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(["cases/own.yaml:2: *refuses step 1: RuntimeError*say so*"])
        result.stdout.no_fnmatch_line("*warn_explicit*")


class TestCollection:
    def test_items(self, project: pytest.Pytester) -> None:
        """A hand-written case is an item for each target, a matrix at most eight."""
        result = run(project, "cases", "--collect-only", "-q", "--target=torch", "--target=a:B")

        edge = [
            f"cases/edge.yaml::{name}[{target}]"
            for name in ("running-variance-is-unbiased", "eval-uses-the-statistics")
            for target in ("torch", "a:B")
        ]
        flags = [
            f"cases/flags.yaml::flags[{target}-{part}/8]"
            for target in ("torch", "a:B")
            for part in range(1, 9)
        ]
        assert [line for line in result.outlines if "::" in line] == edge + flags

    def test_without_torch(self, project: pytest.Pytester) -> None:
        """Collecting cases does not import torch."""
        project.makeconftest("""
            import sys
            def pytest_unconfigure():
                print("torch" in sys.modules, "harness.case.suite" in sys.modules)
        """)
        result = project.runpytest_subprocess(*PLUGIN, "cases", "--collect-only", "-q")

        result.stdout.fnmatch_lines(["*10 tests collected*", "False True"])

    @pytest.mark.parametrize(
        ("file", "arguments", "collected"),
        [
            ("cases/deep/own.yaml", ["."], True),
            ("other/own.yaml", ["."], False),
            ("other/own.yaml", ["other/own.yaml"], True),
            ("other/own.yaml", ["-o", "conformance_cases=other", "."], True),
            ("cases/own.yaml", ["-o", "conformance_cases=other", "."], False),
            ("cases/known.yaml", ["."], False),
            ("cases/own.yml", ["."], False),
        ],
    )
    def test_which_files(
        self, pytester: pytest.Pytester, file: str, arguments: list[str], collected: bool
    ) -> None:
        """A YAML file is collected below `cases`, where the ini option says, and by its name."""
        path = pytester.path / file
        path.parent.mkdir(parents=True)
        path.write_text(EDGE)
        result = run(pytester, "--collect-only", "-q", *arguments)

        assert (f"{file}::eval-uses-the-statistics[reference]" in result.outlines) is collected

    def test_invalid_file(self, project: pytest.Pytester) -> None:
        """An invalid file is one error with every mistake in its place, and no traceback."""
        file = case(project, "- id: a\n  why: b\n  modul: {}\n- id: c\n  why: 3\n")
        result = run(project, file)

        result.stdout.fnmatch_lines([
            "*ERROR collecting cases/own.yaml*",
            "cases/own.yaml:1:*missing*",
            "cases/own.yaml:3:3: unknown key 'modul'; did you mean 'module'?",
            "cases/own.yaml:5:8: *",
        ])  # fmt: skip
        assert result.ret == pytest.ExitCode.INTERRUPTED
        result.stdout.no_fnmatch_line("*Traceback*")
        result.stdout.no_fnmatch_line("*pytest_plugin*")

    def test_repeated_id(self, project: pytest.Pytester) -> None:
        """An id that another file has is an error, as for the command line."""
        case(project, EDGE)
        result = run(project, "cases", "--collect-only")

        result.stdout.fnmatch_lines(
            ["cases/own.yaml:1:1: the id 'running-variance-is-unbiased' is taken by*edge.yaml:1"]
        )


class TestOutcomes:
    def test_agreement(self, project: pytest.Pytester) -> None:
        """What agrees passes, and the summary counts cases, not items."""
        result = run(project, "cases")

        result.assert_outcomes(passed=10)
        result.stdout.fnmatch_lines(["conformance: reference against torch; torch *"])
        result.stdout.fnmatch_lines(["reference: 18 cases: 18 agree"])

    def test_divergence(self, project: pytest.Pytester) -> None:
        """A failure names the worst element, the reason for the case and the command."""
        result = run(project, "cases/edge.yaml", "--target", "targets:Biased")

        result.assert_outcomes(passed=1, failed=1)
        result.stdout.fnmatch_lines([
            "step 1 (train): running_var[[]?] is *, exactly *, * times the bound, *",
            "  why: The running variance takes n - 1.",
            "  reproduce: bn-harness run cases/edge.yaml::running-variance-is-unbiased "
            "--target targets:Biased",
        ])  # fmt: skip
        result.stdout.fnmatch_lines(["FAILED cases/edge.yaml::running-variance*: step 1 (train*"])
        result.stdout.no_fnmatch_line("*Traceback*")
        result.stdout.no_fnmatch_line("*.py:[0-9]*")

    def test_failing_cases_of_a_matrix(self, project: pytest.Pytester) -> None:
        """Each failing case of a matrix is a subtest, and its item says how many."""
        file = "cases/flags.yaml::flags[targets.py:Biased-1/8]"
        result = run(project, file, "--target", "targets.py:Biased", "-rf")

        result.assert_outcomes(failed=3)
        result.stdout.fnmatch_lines([
            "SUBFAILED[[]shape=2x3x4x5,momentum=0.1,affine=true,sequence=T[]] *",
            "SUBFAILED[[]shape=4x2x1x3,momentum=0.1,affine=true,sequence=T[]] *",
        ])  # fmt: skip
        result.stdout.fnmatch_lines(["2 of 2 cases diverge"])
        result.stdout.fnmatch_lines(["*bn-harness run 'cases/flags.yaml::flags/[*]' --target*"])

    def test_many_failing_cases(self, project: pytest.Pytester) -> None:
        """Of more than ten failing cases of an item ten are shown; all are counted, by kind too."""
        seeds = f"{FLAGS}    seed: {list(range(8))}\n"
        file = case(project, seeds)
        result = run(project, f"{file}::flags", "--target", "targets:Biased", "-k", "1/8")

        result.stdout.fnmatch_lines(["16 of 16 cases diverge; the first 10 are shown"])
        result.stdout.fnmatch_lines(["targets:Biased fails by running_var (16 cases)"])
        result.assert_outcomes(failed=11, deselected=7)

    def test_published_number(self, project: pytest.Pytester) -> None:
        """A number that the case publishes is held against the target, though torch agrees."""
        file = case(project, f"{EDGE}  expect:\n    - {{after: 1, running_mean: [0, 3]}}\n")
        result = run(project, file)

        result.assert_outcomes(passed=1, failed=1)
        result.stdout.fnmatch_lines(["step 1 (eval): running_mean[[]1] is 0.0, published as 3*"])

    def test_inaccurate_baseline(self, project: pytest.Pytester) -> None:
        """Where the baseline is wrong and the target is not, the case passes and says so."""
        result = run(project, "cases/edge.yaml", "--conformance-against=targets:Biased", "-rP")

        result.assert_outcomes(passed=2)
        result.stdout.fnmatch_lines(["step 1 (train): running_var*(targets:Biased's own)"])
        result.stdout.fnmatch_lines(["reference: 2 cases: 1 agree, 1 baseline inaccurate"])

    def test_unsupported(self, project: pytest.Pytester) -> None:
        """What a target does not support is skipped with the reason, at the case's line."""
        result = run(project, "cases/edge.yaml", "--target", "targets:WithoutEval", "-rs")

        result.assert_outcomes(passed=1, skipped=1)
        result.stdout.fnmatch_lines(["SKIPPED [[]1] cases/edge.yaml:7: unsupported: no eval mode"])

    def test_unjudged(self, project: pytest.Pytester) -> None:
        """A case of which no number can be judged is no pass."""
        file = case(
            project,
            """\
            - id: nothing-to-judge
              why: Squares that no type holds.
              module: {num_features: 1, affine: false, track_running_stats: false}
              steps:
                - train: {input: {values: [[[[1e38, -3e38]]]]}}
            """,
        )
        result = run(project, file, "-rs")

        result.assert_outcomes(skipped=1)
        result.stdout.fnmatch_lines(["SKIPPED*own.yaml:1: unjudged: none of its numbers*"])

    def test_other_version(self, project: pytest.Pytester) -> None:
        """A case of another version of torch is skipped."""
        file = case(project, f"{EDGE}  before: '1.0'\n")
        result = run(project, file, "-rs")

        result.assert_outcomes(passed=1, skipped=1)
        result.stdout.fnmatch_lines(["SKIPPED*own.yaml:7: does not hold for torch *"])

    def test_known(self, project: pytest.Pytester) -> None:
        """A known divergence is an expected failure with its reason and link."""
        known(project, "running_var")
        result = run(project, "cases/edge.yaml", "--target", "targets:Biased", "-rx")

        result.assert_outcomes(passed=1, xfailed=1)
        result.stdout.fnmatch_lines(["XFAIL*known: it is biased (https://example.org/1)"])

    def test_known_under_runxfail(self, project: pytest.Pytester) -> None:
        """With --runxfail a known divergence fails as any other."""
        known(project, "running_var")
        result = run(project, "cases/edge.yaml", "--target", "targets:Biased", "--runxfail")

        result.assert_outcomes(passed=1, failed=1)

    def test_stale_known(self, project: pytest.Pytester) -> None:
        """A known divergence that no longer diverges fails the session."""
        known(project, "running_mean")
        (project.path / "targets.py").write_text(
            "from harness.reference import BatchNorm2d as Biased"
        )
        result = run(project, "cases/edge.yaml", "--target", "targets:Biased")

        result.assert_outcomes(passed=2)
        result.stdout.fnmatch_lines(["cases/known.yaml:1:*running-variance-is-unbiased no longer*"])
        assert result.ret == pytest.ExitCode.TESTS_FAILED

    def test_absent_target(self, project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
        """A target that cannot run here is one skipped item, whatever the number of cases."""
        monkeypatch.setattr("torch.cuda.is_available", lambda: False)
        result = run(project, "cases", "--target=torch:device=cuda", "--target=torch", "-rs")

        result.assert_outcomes(passed=10, skipped=1, deselected=9)
        result.stdout.fnmatch_lines(["SKIPPED*absent: no CUDA device"])

    def test_wrong_target(self, project: pytest.Pytester) -> None:
        """A target that cannot be loaded is said once and ends the session."""
        result = run(project, "cases", "--target", "targets:Missing")

        result.assert_outcomes(errors=1)
        result.stdout.fnmatch_lines(["targets:Missing: there is no class Missing; *"])
        result.stdout.no_fnmatch_line("*Traceback*")
        assert result.ret == pytest.ExitCode.INTERRUPTED


class TestSelection:
    def test_by_keyword(self, project: pytest.Pytester) -> None:
        """Names and tags select items by -k."""
        result = run(project, "cases", "--collect-only", "-q", "-k", "running-stats or 3/8")

        assert [line for line in result.outlines if "::" in line] == [
            "cases/edge.yaml::running-variance-is-unbiased[reference]",
            "cases/flags.yaml::flags[reference-3/8]",
        ]

    def test_last_failed(self, project: pytest.Pytester) -> None:
        """What failed runs again with --lf, and the report has just what ran."""
        arguments = ("cases/edge.yaml", "--target", "targets:Biased")
        project.runpytest_inprocess(*PLUGIN, *arguments)
        again = project.runpytest_inprocess(
            *PLUGIN, *arguments, "--lf", "--conformance-report=r.json"
        )

        again.assert_outcomes(failed=1, deselected=1)
        report = json.loads(Path("r.json").read_text())
        chosen = "cases/edge.yaml::running-variance-is-unbiased"
        assert report["selection"] == {"cases": [chosen]}
        assert report["summary"]["targets:Biased"]["cases"] == 1


class TestReport:
    @pytest.fixture
    def targets(self) -> list[str]:
        """Return what the two sides of each comparison judge."""
        return ["--target=targets.py:Biased", "--target=targets:WithoutEval"]

    def test_equals_the_command_line(self, project: pytest.Pytester, targets: list[str]) -> None:
        """The report is that of the command line byte for byte, in one process or several."""
        alone = run(project, "cases", *targets, "--conformance-report=alone.json")
        both = run(
            project, "cases", *targets, "-n2", "--conformance-report=two.json", "--junit-xml=j.xml"
        )

        assert alone.ret == both.ret == pytest.ExitCode.TESTS_FAILED
        expected = by_cli("cases", *targets)
        assert Path("alone.json").read_bytes() == expected
        assert Path("two.json").read_bytes() == expected
        self.assert_readable(ElementTree.parse("j.xml").getroot())  # noqa: S314

    @staticmethod
    def assert_readable(junit: ElementTree.Element) -> None:
        """Names of JUnit are those of files, cases and targets; messages say what differs."""
        cases = {each.get("name"): each for each in junit.iter("testcase")}
        failed = cases["running-variance-is-unbiased[targets.py:Biased]"]
        assert failed.get("classname") == "cases.edge.yaml"
        assert "running_var" in failed.find("failure").get("message")
        assert "flags[targets.py:Biased-8/8]" in cases
        assert "Traceback" not in ElementTree.tostring(junit, "unicode")

    def test_options(self, project: pytest.Pytester) -> None:
        """Baseline and accuracy class mean what they mean to the command line."""
        run(
            project,
            "cases/edge.yaml",
            "--target=torch",
            "--conformance-against=reference",
            "--conformance-accuracy=wide",
            "--conformance-report=r.json",
        )

        report = json.loads(Path("r.json").read_text())
        assert report["baseline"] == "reference"
        assert report["selection"] == {"cases": ["cases/edge.yaml"], "accuracy": "wide"}

    def test_part_of_a_matrix(self, project: pytest.Pytester) -> None:
        """A report of some items says of which part it is."""
        run(project, "cases", "-k", "flags and 3/8", "--conformance-report=r.json")

        report = json.loads(Path("r.json").read_text())
        assert report["selection"] == {"cases": ["cases/flags.yaml::flags/* (part 3 of 8)"]}
        assert report["summary"]["reference"]["cases"] == 2

    def test_crash(self, project: pytest.Pytester) -> None:
        """What a crashed process had not sent is missing from a report that is partial."""
        result = run(
            project,
            "cases/edge.yaml",
            "--target=targets:Crashing",
            "-n1",
            "--max-worker-restart=0",
            "--conformance-report=r.json",
        )

        result.assert_outcomes(passed=1, failed=1)
        result.stdout.fnmatch_lines(["1 item has not finished, *", "partial: *"])
        report = json.loads(Path("r.json").read_text())
        assert report["partial"] is True
        assert report["summary"]["targets:Crashing"]["cases"] == 1

    def test_stopped(self, project: pytest.Pytester) -> None:
        """A session that -x stops writes a partial report."""
        run(project, "cases", "--target=targets:Biased", "-x", "--conformance-report=r.json")

        assert json.loads(Path("r.json").read_text())["partial"] is True

    def test_nothing_ran(self, project: pytest.Pytester) -> None:
        """Where no case ran there is no report, and the session fails."""
        project.makepyfile("def test_other(): pass")
        result = run(project, "test_nothing_ran.py", "--conformance-report=r.json")

        result.stdout.fnmatch_lines(["no case ran, so that r.json is not written"])
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        assert not Path("r.json").exists()

    def test_unwritable(self, project: pytest.Pytester) -> None:
        """A report that cannot be written fails the session with the reason."""
        (project.path / "file").touch()
        result = run(project, "cases/edge.yaml", "--conformance-report=file/r.json")

        result.stdout.fnmatch_lines(["--conformance-report: *file/r.json: cannot be written: *"])
        assert result.ret == pytest.ExitCode.USAGE_ERROR


def test_third_party_project(project: pytest.Pytester) -> None:
    """Elsewhere, without configuration, the plugin judges a module that only the folder has."""
    project.makefile(".py", mine="import torch\nclass Norm(torch.nn.BatchNorm2d):\n    pass\n")
    result = project.runpytest_subprocess(*PLUGIN, "cases", "--target", "mine:Norm", "-W", "error")

    result.assert_outcomes(passed=10)
    result.stdout.fnmatch_lines(["mine:Norm: 18 cases: 18 agree"])
    assert os.fspath(project.path) not in result.stderr.str()


def test_the_shipped_suite_is_judged_by_the_settings_of_the_project(project):
    """--pyargs harness names the suite, and the project's own target is what it judges."""
    (project.path / "pyproject.toml").write_text(
        '[tool.pytest.ini_options]\naddopts = ["--target", "targets:Biased"]\n'
    )
    result = run(project, "--pyargs", "harness", "-k", "notebook-16")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["targets:Biased: 1 cases: 1 diverge"])

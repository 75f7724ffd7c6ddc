"""Cases as pytest items: ``pytest -p harness.pytest_plugin cases --target mypkg:MyBatchNorm2d``.

The hooks of every session are here; what they need beside pytest is imported with the first case.
"""

from __future__ import annotations

from collections.abc import Generator
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness import __version__
from harness.case.files import KNOWN, shipped
from harness.pytest_plugin.gather import Gatherer, folders
from harness.verdicts import CLASSES

if TYPE_CHECKING:
    from harness.pytest_plugin.items import CaseFile


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the conformance cases."""
    group = parser.getgroup("conformance", "conformance to torch.nn.BatchNorm2d")
    group.addoption(
        "--target",
        action="append",
        dest="conformance_targets",
        metavar="SPEC",
        help="What to judge, as for 'bn-harness run'; repeatable (default: reference).",
    )
    group.addoption(
        "--conformance-against",
        default="torch",
        metavar="SPEC",
        help="The target that defines the expected behaviour (default: torch).",
    )
    group.addoption(
        "--conformance-accuracy",
        choices=CLASSES,
        help="The accuracy class to hold the targets to.",
    )
    group.addoption(
        "--conformance-report",
        type=Path,
        metavar="FILE",
        help="Write the report that 'bn-harness run --report FILE' writes.",
    )
    parser.addini(
        "conformance_cases",
        "Folders and files of conformance cases (default: cases).",
        type="paths",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Gather what items find, in the one process that all reports reach."""
    if config.getoption("pyargs"):
        # Beside the package in an editable installation, where a walk through it finds no case.
        suite = str(shipped())
        config.args = [suite if each == "harness" else each for each in config.args]
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Gatherer(config), "conformance")


def pytest_report_header(config: pytest.Config) -> str:
    """Return what is judged against what."""
    targets = ", ".join(config.getoption("conformance_targets") or ["reference"])
    against = config.getoption("conformance_against")
    versions = f"torch {version('torch')}, bn-harness {__version__}"
    return f"conformance: {targets} against {against}; {versions}"


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> CaseFile | None:
    """Return the collector of a case file, None for other files."""
    if file_path.suffix != ".yaml" or file_path.name == KNOWN:
        return None
    if not parent.session.isinitpath(file_path) and not _is_below(file_path, parent.config):
        return None
    from harness.pytest_plugin.items import CaseFile

    return CaseFile.from_parent(parent, path=file_path)


def _is_below(path: Path, config: pytest.Config) -> bool:
    return any(path.is_relative_to(folder) for folder in [*folders(config), shipped()])


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Load the targets of the cases that are left; say once of each target that is absent."""
    if config.getoption("collectonly") or not any(hasattr(item, "annotate") for item in items):
        return
    from harness.pytest_plugin.items import replace_absent

    replace_absent(config, items)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let items of cases send what they found with their reports."""
    report = yield
    annotate = getattr(item, "annotate", None)
    if annotate is not None:
        annotate(report)
    return report

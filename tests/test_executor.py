"""Runs by executors that others own: the report is that of a run by the harness's own processes."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from itertools import chain, repeat

import pytest
from made_files import SOMETIMES

from harness.case.suite import Selection, load
from harness.cli import main
from harness.engines import inside
from harness.errors import InvalidInput
from harness.plan import Plan
from harness.report.document import to_json
from harness.runner import run
from harness.worker import Worker

CASES = """
- id: alone
  why: a case that no matrix has.
  module: {num_features: 2}
  steps: [{train: {input: {shape: [4, 2, 3, 3], fill: normal, seed: 1}}}]
- id: several
  why: agreeing cases that are counted alone.
  matrix:
    shape: [[2, 2, 1, 1], [3, 2, 2, 1], [1, 2, 3, 3], [2, 3, 2, 2]]
    momentum: [0.1, 0.5, null]
    affine: [true, false]
    sequence: [T, E]
    fill: normal
"""
TARGETS = """
import os, time

class Slow(Sometimes):
    def __call__(self, given):
        time.sleep(0.02)
        return super().__call__(given)

class Exits(BatchNorm2d):
    def __call__(self, given):
        os._exit(7)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with cases and targets."""
    made = tmp_path_factory.mktemp("executor")
    (made / "cases.yaml").write_text(CASES)
    (made / "targets.py").write_text(SOMETIMES + TARGETS)
    return made


def report(folder, name="Sometimes", **more):
    """Return the text of the report of a class."""
    plan = Plan((f"{folder}/targets.py:{name}",))
    return to_json(run(load([folder / "cases.yaml"]), plan, **more).report)


@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_an_executor_changes_no_byte_of_the_report(folder, kind):
    """Cases go in chunks to threads or processes of the caller's, and the report is the same."""
    context = multiprocessing.get_context("forkserver")
    executors = {
        "threads": lambda: ThreadPoolExecutor(2),
        "processes": lambda: ProcessPoolExecutor(2, mp_context=context),
    }
    with executors[kind]() as executor:
        found = report(folder, executor=executor, jobs=2, chunk=7)
        again = executor.submit(int, "1").result()

    assert found == report(folder, jobs=0)
    assert again == 1


class Counting(ThreadPoolExecutor):
    """Keeps how many cases there are in each task."""

    def __init__(self, threads):
        super().__init__(threads)
        self.cases = []

    def submit(self, function, /, *args, **more):
        """Submit, and count."""
        given = getattr(function, "args", ())
        self.cases += [len(each) for each in given if isinstance(each, list)]
        return super().submit(function, *args, **more)


@pytest.mark.parametrize("jobs", [1, 3])
def test_the_last_tasks_are_small(jobs):
    """Whoever is through has not long to wait for the others; every case is in one task."""
    suite = load(["cases/core"]).select(Selection(sample=1500))
    with Counting(jobs) as executor:
        found = run(suite, Plan(("reference",)), executor=executor, jobs=jobs, chunk=300)

    assert sum(executor.cases) == found.report.summary["reference"].cases == 1500
    assert 200 < max(executor.cases) <= 300
    assert all(each <= 64 for each in executor.cases[-2:])


def test_a_target_that_cannot_be_loaded_is_one_message(folder):
    """What the executor's processes cannot load is refused as elsewhere."""
    with ThreadPoolExecutor(1) as executor, pytest.raises(InvalidInput, match="no class Nobody"):
        report(folder, "Nobody", executor=executor)


def test_an_executor_that_breaks_is_one_message(folder):
    """A target that ends a process which cannot be replaced ends the run, and says how."""
    context = multiprocessing.get_context("forkserver")
    with (
        ProcessPoolExecutor(1, mp_context=context) as executor,
        pytest.raises(InvalidInput, match="the executor gave up a part of the run") as refusal,
    ):
        report(folder, "Exits", executor=executor)

    assert "\n" not in str(refusal.value)


def test_processes_that_differ_are_refused(folder, monkeypatch):
    """A report is of one environment: an executor whose machines differ is told so."""
    found = chain([{"torch": "1"}] * 2, repeat({"torch": "2"}))
    monkeypatch.setattr("harness.engines.inside._load", unkept(found))
    with ThreadPoolExecutor(1) as executor, pytest.raises(InvalidInput) as refusal:
        report(folder, executor=executor, chunk=7)

    assert 'processes differ: environment: torch: "1" there, "2" here' in str(refusal.value)


def unkept(environments):
    """Return a loader whose workers are of one environment after another."""

    class Elsewhere(Worker):
        def about(self):
            return replace(super().about(), environment=next(environments))

    def load(run, plan, _):
        inside._here[:] = [(run, Elsewhere(plan))]

    return load


@pytest.fixture(scope="module")
def cluster():
    """Return a cluster of three processes that speak TCP."""
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=3,
            threads_per_worker=1,
            protocol="tcp://",
            dashboard_address=":0",
            silence_logs=logging.CRITICAL,
        ) as made,
        distributed.Client(made, set_as_default=False) as client,
    ):
        yield client


def test_a_cluster_that_loses_a_process_changes_no_byte_of_the_report(folder, cluster):
    """Dask runs again what a killed worker had; the report is that of a run on one machine."""
    victims = [*cluster.run(os.getpid).values()][:1]

    def listener(progress):
        if victims and progress.done:
            os.kill(victims.pop(), signal.SIGKILL)

    executor = cluster.get_executor(pure=False)
    found = report(folder, "Slow", executor=executor, jobs=3, chunk=3, listener=listener)

    assert not victims
    assert found == report(folder, "Slow", jobs=0)


def test_a_run_on_a_cluster_is_asked_for_by_its_address(folder, cluster, tmp_path):
    """--dask ADDRESS gives the report of the same command without it."""
    command = ["run", f"{folder}/cases.yaml", "--target", f"{folder}/targets.py:Sometimes"]
    address = cluster.scheduler_info()["address"]
    codes = []
    for name, more in (("one", ["--dask", address]), ("other", [])):
        with pytest.raises(SystemExit) as ended:
            main([*command, "--report", str(tmp_path / name), *more])
        codes.append(ended.value.code)

    assert codes == [1, 1]
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


def test_a_target_that_ends_workers_of_a_cluster_is_blamed(folder, cluster):
    """Where a case ends every process that tries it, its verdict is a crash, as elsewhere."""
    plan = Plan((f"{folder}/targets.py:Exits",))
    cluster.cluster.scheduler.allowed_failures = 0  # by default Dask tries four times
    executor = cluster.get_executor(pure=False)
    found = run(load([f"{folder}/cases.yaml::alone"]), plan, executor=executor, jobs=3)

    assert [each.verdict for each in found.failures] == ["crash"]


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nonsense://x", "nonsense"])
def test_a_cluster_that_does_not_answer_is_one_message(capsys, monkeypatch, address):
    """What is no address, or where nothing listens, is told in one message, exit 2."""
    pytest.importorskip("distributed")
    monkeypatch.setattr("harness.engines.hired.PATIENCE", "1s")
    with pytest.raises(SystemExit) as ended:
        main(["run", "--dask", address])

    assert ended.value.code == 2
    assert f"--dask {address}: no cluster answers there" in capsys.readouterr().err


def test_without_dask_its_option_says_what_to_install(capsys, monkeypatch):
    """Where Dask is not installed, --dask says how to, and does no more."""
    monkeypatch.setitem(__import__("sys").modules, "distributed", None)
    with pytest.raises(SystemExit) as ended:
        main(["run", "--dask", "tcp://127.0.0.1:1"])

    assert ended.value.code == 2
    assert "pip install 'bn-harness[dask]'" in capsys.readouterr().err

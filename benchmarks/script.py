"""A benchmark script: pyperf's processes and options, CPU time, and a table for the page."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path

import pyperf  # type: ignore[import-untyped]  # it has no types

from benchmarks import page_tables

cpu = time.process_time
"""User and system time of this process in seconds: what others do on the machine counts less."""


@dataclass(frozen=True)
class Figure:
    """What a benchmark gave.

    Attributes
    ----------
    fastest : float
        Seconds, the least of all values: what disturbs a measurement only adds to it.
    memory : int
        Peak resident bytes of the largest process that measured it.
    """

    fastest: float
    memory: int


class Script:
    """Benchmarks that are run together and shown in one table.

    Each process of pyperf imports and prepares anew and measures one benchmark `values` times.
    Processes of the benchmarks take turns, so that a machine that slows down meanwhile slows all of
    them, and a ratio stays what it is. Pyperf's own options (``-o FILE`` for its JSON,
    ``--processes``, ``--values``) hold; there each turn has its number.

    Parameters
    ----------
    name : str
        Of the module in this package, and of the table.
    processes, values, warmups : int
        Processes of each benchmark, values of each process, values before them that do not count.
    tiny : dict
        Values of the script's own options with which it only shows that it runs.
    **options : str or int
        The script's own options with their defaults.
    """

    def __init__(
        self,
        name: str,
        tiny: Mapping[str, str | int],
        *,
        processes: int,
        values: int = 1,
        warmups: int = 0,
        **options: str | int,
    ) -> None:
        self.name = name
        self._names = list(options)
        # pyperf allows a process one runner, which it knows by its class's id: one of a script.
        self._runner = type(name, (pyperf.Runner,), {"_created": set()})(
            values=values,
            processes=processes,
            warmups=warmups,
            loops=1,
            program_args=("-m", f"benchmarks.{name}"),
            add_cmdline_args=self._forward,
        )
        parser = self._runner.argparser
        parser.add_argument("--page", type=Path, help="rewrite the table in this page")
        parser.add_argument("--tiny", action="store_true", help="see that it runs, in seconds")
        for option, default in options.items():
            parser.add_argument(f"--{option}", type=type(default), default=default)
        self.options = self._runner.parse_args()
        if self.options.tiny:
            vars(self.options).update(tiny)
        self._load = os.getloadavg()[0]
        self._seconds: dict[str, Callable[[], float]] = {}

    def measure(self, name: str, seconds: Callable[[], float]) -> None:
        """Add a benchmark.

        Parameters
        ----------
        name : str
        seconds : callable
            Prepares, measures once, and returns the time.
        """
        self._seconds[name] = seconds

    def finish(self, table: Callable[[Mapping[str, Figure]], str]) -> None:
        """Measure, print the table, and write it into the page; a process of pyperf has none.

        Parameters
        ----------
        table : callable
            From the figures, by the names of the benchmarks, to Markdown.
        """
        found = self._turns()
        if self.options.pipe is not None:
            return
        text = table({name: _figure(turns) for name, turns in found.items()})
        text = f"{text}\n\n{page_tables.machine(self._load)}"
        print(f"\n{text}")  # noqa: T201  # a script's result
        if self.options.page is not None:
            page_tables.replace(self.options.page, self.name, text)

    def _turns(self) -> dict[str, list[pyperf.Benchmark]]:
        turns, self.options.processes = self.options.processes, 1
        if self.options.worker:  # it has one task, counted over all turns
            turns = (self.options.worker_task or 0) // len(self._seconds) + 1
        found: dict[str, list[pyperf.Benchmark]] = {name: [] for name in self._seconds}
        for turn, (name, seconds) in product(range(turns), self._seconds.items()):
            values = partial(_sum, seconds)
            found[name].append(self._runner.bench_time_func(f"{name}, {turn + 1}", values))
        return found

    def _forward(self, command: list[str], options: argparse.Namespace) -> None:
        for name in self._names:
            command += [f"--{name}", str(getattr(options, name))]


def _sum(seconds: Callable[[], float], loops: int) -> float:
    return sum(seconds() for _ in range(loops))


def _figure(turns: Sequence[pyperf.Benchmark]) -> Figure:
    memory = max(
        run.get_metadata().get("mem_max_rss", 0) for turn in turns for run in turn.get_runs()
    )
    return Figure(min(value for turn in turns for value in turn.get_values()), memory)

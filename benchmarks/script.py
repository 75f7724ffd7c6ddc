"""A benchmark script: pyperf's processes and options, CPU time, and a table for the page."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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

    Each process of pyperf imports and prepares anew and measures one benchmark `values` times;
    pyperf's own options (``-o FILE`` for its JSON, ``--processes``, ``--values``) hold.

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
        # pyperf has one runner of a class in a process; this makes it one of a script.
        self._runner = type(name, (pyperf.Runner,), {})(
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
        self._found: dict[str, Any] = {}

    def measure(self, name: str, seconds: Callable[[], float]) -> None:
        """Add a benchmark.

        Parameters
        ----------
        name : str
        seconds : callable
            Prepares, measures once, and returns the time.
        """

        def values(loops: int) -> float:
            return sum(seconds() for _ in range(loops))

        found = self._runner.bench_time_func(name, values)
        if found is not None:
            self._found[name] = found

    def finish(self, table: Callable[[Mapping[str, Figure]], str]) -> None:
        """Print the table, and write it into the page; a process of pyperf has none.

        Parameters
        ----------
        table : callable
            From the figures, by the names of the benchmarks, to Markdown.
        """
        if self.options.pipe is not None:
            return
        text = table({name: _figure(found) for name, found in self._found.items()})
        text = f"{text}\n\n{page_tables.machine(self._load)}"
        print(f"\n{text}")  # noqa: T201  # a script's result
        if self.options.page is not None:
            page_tables.replace(self.options.page, self.name, text)

    def _forward(self, command: list[str], options: argparse.Namespace) -> None:
        for name in self._names:
            command += [f"--{name}", str(getattr(options, name))]


def _figure(found: pyperf.Benchmark) -> Figure:
    memory = max(run.get_metadata().get("mem_max_rss", 0) for run in found.get_runs())
    return Figure(min(found.get_values()), memory)

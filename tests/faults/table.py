"""The faults that a run survives: what is done to it, and what comes of that."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """A row of the table in docs/faults.md.

    Attributes
    ----------
    done : str
        What is done; spelled as a name, the function of acts.py, or the test, that does it.
    outcome : str
        The verdict of the case in which it is done, or the exit status of the command.
    reason : str
        A part of what the report, or the command, says of it.
    """

    done: str
    outcome: str
    reason: str = ""

    @property
    def name(self) -> str:
        """The sentence as a name."""
        return self.done.replace(" ", "_").replace("-", "_").lower()


def _faults(outcome: str, *done: str) -> tuple[Fault, ...]:
    return tuple(Fault(each, outcome) for each in done)


GLOBAL = _faults(
    "agree",
    "change the default dtype",
    "change the default device",
    "change the threads",
    "turn autograd off",
    "enter inference mode",
    "enter autocast",
    "ask for deterministic algorithms",
    "flush subnormals",
    "patch torch",
    "draw random numbers",
    "make numpy raise",
    "make warnings errors",
    "change the folder",
    "clear the environment",
    "clear the path",
    "change the locale",
    "take the signals",
    "set an alarm",
    "replace the streams",
    "close the streams",
    "lower the recursion limit",
    "trace every line",
    "stop the garbage collector",
)
"""Changes of global state, which are put back after the case."""

LEFT = (
    *_faults(
        "agree", "print without end", "leave a thread", "leave a child", "keep the output", "fork"
    ),
    Fault("return a changed input", "diverge", "grad_input"),
)
"""What is left behind, or written to."""

RAISED = (
    Fault("raise keyboard interrupt", "diverge", "KeyboardInterrupt"),
    Fault("raise system exit", "diverge", "SystemExit"),
    Fault("raise generator exit", "diverge", "GeneratorExit"),
    Fault("recurse", "diverge", "RecursionError"),
    Fault("want all memory", "diverge", "MemoryError"),
    Fault("raise what cannot be shown", "diverge", "Unprintable"),
    Fault("raise a long message", "diverge", "ValueError"),
    Fault("refuse with a long message", "unsupported", "word"),
    Fault("fail in the state", "diverge", "SystemExit"),
    Fault("return nothing", "diverge", "TypeError"),
    Fault("return words", "diverge", "TypeError"),
    Fault("return objects", "diverge", "TypeError"),
    Fault("return a petabyte", "diverge", "Error"),
)
"""Errors, and what is no output."""

ENDED = (
    Fault("read nowhere", "crash", "the process ended with SIGSEGV"),
    Fault("overflow the stack", "crash", "the process ended with SIGSEGV"),
    Fault("abort", "crash", "the process ended with SIGABRT"),
    Fault("exit at once", "crash", "the process ended with exit code 7"),
    Fault("exit with success", "crash", "the process ended with exit code 0"),
    Fault("kill itself", "crash", "the process ended with SIGKILL"),
    Fault("end by a real-time signal", "crash", "the process ended with signal 40"),
    Fault("kill the parent and itself", "crash", "the process ended with"),
    Fault("terminate itself", "crash", "the process ended with exit code 15"),
    Fault("close all descriptors", "crash", "the process ended with exit code 9"),
    Fault("end the process later", "agree"),
)
"""What ends the process of a target."""

HELD = (Fault("spin without heed", "timeout", "there is no result after 8 s"),)
"""What holds it up."""

COMMANDS = (
    Fault("write the report to a full disk", "exit 2", "No space left on device"),
    Fault("write the report over the limit of a file", "exit 2", "File too large"),
    Fault("write the report below a file", "exit 2", "below.json: cannot be written"),
    Fault("print to a full disk", "exit 2", "the output cannot be written: No space left"),
    Fault("print to a reader that has left", "exit 2", "the output cannot be written: Broken pipe"),
    Fault("ask the command to end", "exit 130"),
    Fault("hang up on the command", "exit 130"),
    Fault("kill a worker from outside", "exit 1", "the process ended with SIGKILL"),
    Fault("kill a worker that waits", "exit 0"),
    Fault("end the process that loads again", "exit 2", "a process ended while it loaded"),
)
"""What is done to the command, its disk and its processes."""

WORKERS = (
    Fault("flood standard error", "agree"),
    Fault("stay deaf to the end", "agree"),
    Fault("stop in a line without heed", "timeout", "there is no answer after 4 s"),
    Fault("leave a child that holds the output", "timeout", "there is no answer after 4 s"),
    Fault("answer before it is asked", "crash", ""),
)
"""What a worker process of its own (exec:) does; the others are in test_process_faults.py."""

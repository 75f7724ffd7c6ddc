"""Worker processes as targets: ``exec:COMMAND``, which speaks ``docs/protocol.md``."""

from __future__ import annotations

import os
import selectors
import shlex
import signal
import subprocess
import time
import weakref
from contextlib import suppress

from pydantic import ValidationError

from harness.case.line import line
from harness.case.model import Case
from harness.errors import InvalidInput
from harness.exits import ending
from harness.targets import wire
from harness.targets.base import Crashed, TimedOut
from harness.targets.lacking import lacking, without
from harness.trace import Trace

PATIENCE = 1.0
"""Seconds that a worker has to end once its standard input is closed."""

SHOWN = 60
"""Characters of what a worker said that a message repeats."""

_ELSEWHERE = "what is no answer must go to standard error"


class Conversation:
    """A worker process that is running: a line out, a line in.

    Parameters
    ----------
    command : list of str

    Raises
    ------
    OSError
        It cannot be started.
    """

    def __init__(self, command: list[str]) -> None:
        self.process = subprocess.Popen(  # noqa: S603  # the command is what the user asks for
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
        assert self.process.stdin is not None  # noqa: S101  # it is a pipe
        assert self.process.stdout is not None  # noqa: S101  # it is a pipe
        self.stdin, self.stdout = self.process.stdin, self.process.stdout
        # Whatever becomes of this process, the worker and its children do not outlive it.
        try:
            self.guard = subprocess.Popen(  # noqa: S603  # a fixed program
                ["/bin/sh", "-c", 'read _; kill -s KILL -- "-$0"', str(self.process.pid)],
                stdin=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError:
            self.process.kill()
            self.process.communicate()
            raise
        for pipe in (self.stdin, self.stdout):
            os.set_blocking(pipe.fileno(), False)

    def ask(self, message: bytes, limit: int, seconds: float) -> bytes:
        """Send a line and return the line that answers it.

        Parameters
        ----------
        message : bytes
        limit : int
            Most bytes of the answer.
        seconds : float
            Time for both.

        Raises
        ------
        Crashed
            The worker ended, said too much, or spoke before it was asked.
        TimedOut
            There is no whole line in time.
        """
        early = self._read()
        if early:
            raise Crashed(f"the worker spoke before it was asked: {_shown(early)}")
        end = time.monotonic() + seconds
        unsent, received = memoryview(message), bytearray()
        with selectors.DefaultSelector() as selector:
            selector.register(self.stdout, selectors.EVENT_READ)
            selector.register(self.stdin, selectors.EVENT_WRITE)
            while True:
                ready = {key.fileobj for key, _ in selector.select(max(end - time.monotonic(), 0))}
                if self.stdin in ready:
                    unsent = self._write(unsent)
                    if not unsent:
                        selector.unregister(self.stdin)
                if self.stdout in ready:
                    more = self._read()
                    if more == b"":
                        raise Crashed(self._ending(received))
                    received += more or b""
                    if b"\n" in (more or b""):
                        break
                if len(received) > limit:
                    raise Crashed(f"the answer is longer than the {limit} bytes that it can need")
                if time.monotonic() >= end:
                    part = f", only {_shown(received)} without an end" if received else ""
                    raise TimedOut(f"there is no answer after {seconds:g} s{part}")
        answer, _, rest = bytes(received).partition(b"\n")
        if unsent:
            raise Crashed(f"the worker answered before it had read the question: {_shown(answer)}")
        if rest:
            raise Crashed(
                f"the worker said more than one line: {_shown(answer)}, and then {_shown(rest)}; "
                f"{_ELSEWHERE}"
            )
        return answer

    def end(self) -> None:
        """End the process: orderly, if it does so once its standard input is closed."""
        with suppress(OSError):
            self.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(PATIENCE)
        self.kill()

    def kill(self) -> None:
        """End the process and its children at once."""
        with suppress(OSError):
            self.stdin.close()
        self.guard.kill()
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        for process in (self.process, self.guard):
            process.wait()
        self.stdout.close()
        if self.guard.stdin is not None:
            self.guard.stdin.close()

    def _read(self) -> bytes | None:
        """Return what there is to read: None if nothing, empty at the end."""
        try:
            return os.read(self.stdout.fileno(), 2**20)
        except BlockingIOError:
            return None

    def _write(self, unsent: memoryview) -> memoryview:
        try:
            return unsent[os.write(self.stdin.fileno(), unsent[: 2**20]) :]
        except BlockingIOError:
            return unsent
        except BrokenPipeError:
            return unsent[:0]  # it has ended; what it left to read says more

    def _ending(self, received: bytes | bytearray) -> str:
        try:
            code = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            how = "closed its standard output"
        else:
            how = f"ended with {ending(code)}"
        return f"the worker {how}" + (f" in the line {_shown(received)}" if received else "")


class ProcessTarget:
    """A worker process as a target; where it fails it is started again for the next case.

    Parameters
    ----------
    spec : str
        As the report shows it.
    command : str
        With its arguments, quoted as for a shell; no shell sees it.
    timeout : float
        Seconds that an answer may take.

    Raises
    ------
    InvalidInput
        The command cannot be started, or gives no hello.
    """

    def __init__(self, spec: str, command: str, timeout: float) -> None:
        self.timeout = timeout
        self._conversation: Conversation | None = None
        self._number = 0
        if not command.strip():
            raise InvalidInput(f"{spec}: name the command of the worker, as exec:COMMAND")
        try:
            self._command = shlex.split(command)
            self.hello = self._start()
        except (OSError, ValueError, Crashed) as error:
            self._stop()
            raise InvalidInput(
                f"{spec}: the worker cannot be started: {error}; "
                "docs/protocol.md says what it must answer"
            ) from None
        self.info = self.hello.info(spec)

    def execute(self, case: Case) -> Trace:
        """Have a case executed.

        Raises
        ------
        Crashed, TimedOut
            The worker gave no answer that could be judged.
        """
        reason = self.hello.lacks(case)
        if reason is not None:
            return Trace(unsupported=reason)
        try:
            return self._execute(case)
        except BaseException:
            self._stop()
            raise

    def _execute(self, case: Case) -> Trace:
        if self._conversation is None:
            try:
                self._start()
            except OSError as error:
                raise Crashed(f"the worker cannot be started again: {error}") from None
        self._number += 1
        asked = case
        for missing in self.hello.missing:
            asked = without(missing, asked)
        message = wire.case_message(asked, self._number)
        found = self._ask("trace", wire.line(case=message), wire.most_bytes(case)).trace
        if found is None or found.number != self._number:
            said = "no trace" if found is None else f"the trace of case {found.number}"
            raise Crashed(f"the worker answered out of turn: {said} to case {self._number}")
        try:
            trace = found.trace(case)
        except ValueError as error:
            raise Crashed(f"the worker's answer is no trace of the case: {error}") from None
        for missing in self.hello.missing:
            trace = lacking(missing, case, trace, f"the worker has no {missing}")
        return trace

    def _start(self) -> wire.Hello:
        self._conversation = Conversation(self._command)
        # At the end of this process, too, each worker is ended.
        self._finalizer = weakref.finalize(self, Conversation.end, self._conversation)
        hello = self._ask("hello", wire.line(hello={"protocol": wire.PROTOCOL}), 2**20).hello
        if hello is None:
            raise Crashed("the worker gave no hello")
        if hello.protocol != wire.PROTOCOL:
            raise Crashed(
                f"the worker speaks version {hello.protocol} of the protocol, "
                f"the harness {wire.PROTOCOL}"
            )
        return hello

    def _ask(self, wanted: str, message: bytes, limit: int) -> wire.Answer:
        assert self._conversation is not None  # noqa: S101  # it was started
        answer = self._conversation.ask(message, limit, self.timeout)
        try:
            return wire.Answer.model_validate_json(answer)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(map(str, first["loc"]))
            where = f" at {place}" if place else ""
            said = f"the worker's answer is not of the protocol{where}: {first['msg']}"
            said += f": {_shown(answer)}"
            if first["type"] == "json_invalid":
                said += f', where {{"{wanted}": …}} was expected; {_ELSEWHERE}'
            raise Crashed(said) from None

    def close(self) -> None:
        """End the worker, orderly; for another case it is started again."""
        if self._conversation is not None:
            self._finalizer()
            self._conversation = None

    def _stop(self) -> None:
        if self._conversation is not None:
            self._finalizer.detach()
            self._conversation.kill()
            self._conversation = None


def _shown(said: bytes | bytearray) -> str:
    text = line(bytes(said[:SHOWN]).decode("utf-8", "replace").rstrip("\r\n"))
    return f"'{text}'" + (f"… ({len(said)} bytes)" if len(said) > SHOWN else "")

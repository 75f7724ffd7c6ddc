"""What faulty targets do; each act has the name of a row of the table of faults."""

# ruff: noqa: D103  # the name of a row says what is done
from __future__ import annotations

import ctypes
import gc
import locale
import os
import random
import signal
import subprocess
import sys
import threading
import time
import warnings
import weakref

import numpy as np
import torch

from harness.reference import BatchNorm2d


def change_the_default_dtype(*_):
    torch.set_default_dtype(torch.float64)


def change_the_default_device(*_):
    torch.set_default_device("meta")


def change_the_threads(*_):
    torch.set_num_threads(torch.get_num_threads() + 1)


def turn_autograd_off(*_):
    torch._C._set_grad_enabled(False)


KEPT = []


def enter_inference_mode(*_):
    KEPT.append(torch.inference_mode())
    KEPT[-1].__enter__()


def enter_autocast(*_):
    torch.set_autocast_enabled("cpu", True)


def ask_for_deterministic_algorithms(*_):
    torch.use_deterministic_algorithms(True)


def flush_subnormals(*_):
    torch.set_flush_denormal(True)


def patch_torch(*_):
    def nothing(given, *_, **__):
        return given

    torch.batch_norm = torch.native_batch_norm = torch.nn.functional.batch_norm = nothing
    layer = torch.nn.BatchNorm2d
    layer.forward = layer.__call__ = layer._check_input_dim = lambda _, given: given
    torch.nn.BatchNorm2d = torch.nn.BatchNorm3d


def draw_random_numbers(*_):
    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)


def make_numpy_raise(*_):
    np.seterr(all="raise")


def make_warnings_errors(*_):
    warnings.simplefilter("error")


def change_the_folder(*_):
    os.chdir("/")


def clear_the_environment(*_):
    os.environ.clear()
    os.environ["OMP_NUM_THREADS"] = "nonsense"


def clear_the_path(*_):
    sys.path.clear()


def change_the_locale(*_):
    now = locale.setlocale(locale.LC_ALL)
    locale.setlocale(locale.LC_ALL, "C" if now != "C" else "C.UTF-8")


def take_the_signals(*_):
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, signal.SIGALRM):
        signal.signal(number, lambda *_: os._exit(1))


def set_an_alarm(*_):
    signal.setitimer(signal.ITIMER_REAL, 0.2)


def replace_the_streams(*_):
    sys.stdin = sys.stdout = sys.stderr = None


def close_the_streams(*_):
    os.closerange(0, 3)


def lower_the_recursion_limit(*_):
    sys.setrecursionlimit(sys.getrecursionlimit() - 1)


def trace_every_line(*_):
    sys.settrace(lambda *_: None)


def stop_the_garbage_collector(*_):
    gc.disable()
    gc.set_threshold(1, 1, 1)


def print_without_end(*_):
    for stream in (sys.stdout, sys.stderr):
        stream.write("\N{ESCAPE}[31m word" * 1000 + "\0\n")
    os.write(1, b"\xff\xfe and bytes\n")


def leave_a_thread(*_):
    threading.Thread(target=time.sleep, args=[600], daemon=True).start()


def leave_a_child(*_):
    subprocess.Popen(["/bin/sh", "-c", "sleep 2"])


def return_a_changed_input(target, given):
    output = BatchNorm2d.__call__(target, given)
    given += 1
    return output


def keep_the_output(target, given):
    """Return an array that is changed when the next case runs."""
    output = BatchNorm2d.__call__(target, given)
    weakref.finalize(target, output.fill, 0)
    return output


def raise_keyboard_interrupt(*_):
    raise KeyboardInterrupt


def raise_system_exit(*_):
    sys.exit(0)


def raise_generator_exit(*_):
    raise GeneratorExit


def recurse(*_):
    recurse()


def want_all_memory(*_):
    np.ones(1 << 50)


class Unprintable(BaseException):
    def __str__(self):
        raise SystemExit


def raise_what_cannot_be_shown(*_):
    raise Unprintable


def refuse_with_a_long_message(*_):
    raise NotImplementedError("\ud800 word " * 1_000_000)


def raise_a_long_message(*_):
    raise ValueError("\ud800 word " * 1_000_000)


def fail_in_the_state(target, _):
    target.__dict__["cursed"] = True


def return_nothing(*_):
    return None


def return_words(*_):
    return np.array([["a word"]])


def return_objects(*_):
    return np.array([None, object()])


def return_a_petabyte(*_):
    return np.broadcast_to(np.float32(0), (1 << 20, 1 << 20, 1 << 10, 1))


def read_nowhere(*_):
    ctypes.string_at(0)


def overflow_the_stack(*_):
    sys.setrecursionlimit(10**9)
    repr(_Endless())


class _Endless:
    def __repr__(self):
        return repr([self])


def abort(*_):
    os.abort()


def exit_at_once(*_):
    os._exit(7)


def exit_with_success(*_):
    os._exit(0)


def kill_itself(*_):
    os.kill(os.getpid(), signal.SIGKILL)


def end_by_a_real_time_signal(*_):
    os.kill(os.getpid(), 40)


def terminate_itself(*_):
    os.kill(os.getpid(), signal.SIGTERM)


def close_all_descriptors(*_):
    os.closerange(3, 4096)


def end_the_process_later(*_):
    threading.Timer(0.5, os._exit, [7]).start()


def spin_without_heed(*_):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        pass


def fork(*_):
    os.fork()


def kill_the_parent_and_itself(*_):
    os.kill(os.getppid(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)

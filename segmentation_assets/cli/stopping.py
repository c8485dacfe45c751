"""Ctrl-C and SIGTERM of a command that makes snapshots: its runs are canceled in Dagster, and the processes it started end with it."""

import atexit
import ctypes
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import TypeVar

import dagster as dg

from segmentation_assets.cli.terminal import STOPPED
from segmentation_assets.defs import heartbeats
from segmentation_assets.engines import exchange

T = TypeVar("T")
SECONDS_TO_STOP = 5
WHY = "It was stopped by the user who started it."


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Raise KeyboardInterrupt at SIGTERM and Ctrl-C, even in a shell's background jobs, where Ctrl-C is ignored."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def interruptible(work: Callable[[], T], instance: dg.DagsterInstance) -> T:
    """Do a run's work in another thread: in the main thread, Dagster would handle the signals and record a stopped run as failed.

    Raises:
        KeyboardInterrupt: the user stopped it; the run is canceled and has ended, or ends with this process.
    """
    outcome: Future[T] = Future()

    def run() -> None:
        try:
            outcome.set_result(work())
        except BaseException as error:
            outcome.set_exception(error)

    working = threading.Thread(target=run, name="run", daemon=True)
    working.start()
    try:
        return outcome.result()
    except KeyboardInterrupt:
        for run_of_mine in heartbeats.runs_of(instance, os.getpid()):
            instance.report_run_canceling(run_of_mine, WHY)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(working.ident or 0), ctypes.py_object(KeyboardInterrupt))
        working.join(SECONDS_TO_STOP)
        exchange.close_all()
        atexit.register(_leave, STOPPED)
        raise


def _leave(code: int) -> None:
    """End without waiting for a thread that is deep in a computation, or for Python to release its objects: on a busy machine,
    that took longer than everything else. Nor does DuckDB's binding then print what threads still hold as leaks."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def end_others(instance: dg.DagsterInstance) -> None:
    """End the processes that this one started, and cancel their runs."""
    for process in multiprocessing.active_children():
        theirs = heartbeats.runs_of(instance, process.pid or 0)
        process.kill()
        process.join()
        for run in theirs:
            instance.report_run_canceled(run, WHY)


def begin_as_other() -> None:
    """Prepare a child process: the terminal's Ctrl-C reaches only its parent, and when the parent is killed, so is the child."""
    os.setpgid(0, 0)
    atexit.register(_leave, 0)
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, name="parent", daemon=True).start()

"""The command's end of the control socket: what it makes of events, of silence and of signals."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Iterator

import pytest

from kubectl_localize.cli.client import Control
from kubectl_localize.errors import LocalizeError
from kubectl_localize.protocol import Accepted, Ended, Taken

STUCK_SECONDS = 5.0


@pytest.fixture
def ends() -> Iterator[tuple[Control, socket.socket]]:
    """The command's end, and the supervisor's."""
    ours, theirs = socket.socketpair()
    with theirs:
        control = Control(ours)
        yield control, theirs
        control.close()


def test_events_come_one_by_one_however_they_are_cut(ends: tuple[Control, socket.socket]) -> None:
    control, supervisor = ends
    supervisor.sendall(b'{"event": "accepted"}\n{"event": "taken"}\n{"ev')
    assert (control.next(), control.waiting) == (Accepted(), True)
    assert (control.next(), control.waiting) == (Taken(), False)
    supervisor.sendall(b'ent": "ended"}\n')
    assert control.next() == Ended()
    supervisor.shutdown(socket.SHUT_WR)
    assert control.next() is None


def test_what_this_version_does_not_know_is_an_error_with_a_hint(ends: tuple[Control, socket.socket]) -> None:
    control, supervisor = ends
    supervisor.sendall(b'{"event": "sung"}\n{"event": "ended"}\n')
    with pytest.raises(LocalizeError, match="does not understand") as caught:
        control.next()
    assert "kubectl localize stop" in caught.value.hint
    assert control.next() == Ended()


def test_patience_has_an_end(ends: tuple[Control, socket.socket]) -> None:
    control, _ = ends
    control.patient(0.01)
    assert control.next() is None


@contextlib.contextmanager
def _signal_elsewhere(number: signal.Signals, then: socket.socket) -> Iterator[None]:
    """A signal that another thread takes while this one waits, so that the wait is not interrupted.

    That is what a signal is like which comes just before the wait. A wait that sleeps through it is ended later, and
    the test fails.
    """
    over, late = threading.Event(), threading.Event()

    def take() -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
        if not over.wait(0.2):  # nothing can tell that the wait has begun; too early, the signal would prove nothing
            os.kill(os.getpid(), number)
        if not over.wait(STUCK_SECONDS):
            late.set()
            then.sendall(b'{"event": "taken"}\n')

    before = signal.pthread_sigmask(signal.SIG_BLOCK, {number})
    thread = threading.Thread(target=take)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    assert not late.is_set(), "the wait slept through the signal"


def test_ctrl_c_just_before_the_wait_is_not_lost(ends: tuple[Control, socket.socket]) -> None:
    control, supervisor = ends
    with pytest.raises(KeyboardInterrupt), _signal_elsewhere(signal.SIGINT, supervisor):
        control.next()


def test_a_signal_that_nobody_minds_does_not_end_the_wait(ends: tuple[Control, socket.socket]) -> None:
    control, supervisor = ends
    seen: list[int] = []

    def note(number: int, _: object) -> None:
        seen.append(number)
        supervisor.sendall(b'{"event": "accepted"}\n')

    before = signal.signal(signal.SIGUSR1, note)
    try:
        with _signal_elsewhere(signal.SIGUSR1, supervisor):
            assert control.next() == Accepted()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert seen == [signal.SIGUSR1]

"""Signals that are noted, and obeyed at a good moment."""

import os
import signal
import threading

import pytest

from vqvae_tf.training import interruption


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_noted(number):
    before = signal.getsignal(number)
    with interruption.requests() as request:
        assert request.signal is None
        os.kill(os.getpid(), number)
        assert request.signal == number
    assert signal.getsignal(number) is before


def test_a_second_one_interrupts_at_once():
    with pytest.raises(KeyboardInterrupt):
        with interruption.requests() as request:
            os.kill(os.getpid(), signal.SIGINT)
            assert request.signal == signal.SIGINT
            os.kill(os.getpid(), signal.SIGINT)


def test_in_another_thread_none_is_noted():
    seen = []

    def work():
        with interruption.requests() as request:
            seen.append((request.signal, signal.getsignal(signal.SIGINT)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(None, signal.getsignal(signal.SIGINT))]

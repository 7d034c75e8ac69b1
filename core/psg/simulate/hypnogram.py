"""Sleep stages of a night, epoch by epoch and, within the epochs, every two seconds.

Cycles of about 90 minutes: deep sleep falls with the sleep pressure, REM periods grow towards the morning. Inside an
epoch the state is mixed as the scoring rule allows (AASM manual: the stage that fills most of the epoch; N3 from 20 %
slow waves), so that real ambiguity is in the signals.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.psg.simulate.noise import BIN_SECONDS
from core.psg.simulate.subject import Subject
from core.psg.simulate.truth import EPOCH_SECONDS

W, N1, N2, N3, R = range(5)
BINS_PER_EPOCH = round(EPOCH_SECONDS / BIN_SECONDS)
EPOCHS_PER_MINUTE = 2

# Log odds of a change (row: from, column: to) before the cycle has its say; from Sleep-EDF transition counts.
_CHANGES = np.array(
    [
        [3.5, 0.4, -2.6, -9.0, -4.5],
        [-0.2, 1.8, 0.0, -9.0, -2.0],
        [-0.4, 0.0, 2.6, 2.3, -2.4],
        [-1.6, -2.0, 0.6, 2.8, -9.0],
        [-0.3, 0.1, -1.4, -9.0, 2.8],
    ]
)


def _drive(rng: np.random.Generator, subject: Subject, n_epochs: int) -> NDArray[np.float64]:
    """Propensity of each stage from the sleep cycle, shape (n_epochs, 5)."""
    wish = np.zeros((n_epochs, 5))
    first = min(int(subject.sleep_latency * EPOCHS_PER_MINUTE), n_epochs)
    morning = n_epochs - int(rng.uniform(2, 25) * EPOCHS_PER_MINUTE)
    wish[:first] = (3.5, -1.0, -6.0, -9.0, -9.0)
    at, cycle = first, 0
    # N3 is scored by slow waves of 75 µV: who has a large EEG has more of it (10^0.5 is the shift's worth at 1 Hz).
    size = np.log(subject.eeg_gain * subject.slow_wave_gain) + 0.5 * np.log(10.0) * subject.slope_shift
    deep = 1.3 + 2.5 * size - 0.6 * (subject.age - 20) / 60 + rng.normal(0, 0.4)
    while at < n_epochs:
        nrem = int(rng.normal(74 - 3 * cycle, 10) * EPOCHS_PER_MINUTE)
        rem = int(np.clip(rng.normal(9 + 7 * cycle, 4), 3, 45) * EPOCHS_PER_MINUTE)
        phase = np.linspace(0, 1, max(nrem, 10))
        rows = np.zeros((len(phase), 5))
        hill = np.clip(np.sin(np.pi * np.clip((phase - 0.08) / 0.85, 0, 1)), 0, 1)
        rows[:, N3] = -6.5 + (deep + 8.4 - 1.5 * cycle) * hill
        rows[:, R] = -7.0
        rows[:, N2] = 0.6
        rows[:, W] = -0.7
        tail = np.tile([-0.9, -0.2, -1.6, -9.0, 2.4], (rem, 1))
        block = np.concatenate([rows, tail])
        end = min(at + len(block), n_epochs)
        wish[at:end] = block[: end - at]
        at, cycle = end, cycle + 1
    wish[max(morning, 0) :] = (4.5, -0.5, -6.0, -9.0, -6.0)
    return wish


def draw_stages(rng: np.random.Generator, subject: Subject, n_epochs: int) -> NDArray[np.int8]:
    """Draw the stages of a night.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of chance.
    subject : Subject
        Who sleeps.
    n_epochs : int
        Number of 30-s epochs.

    Returns
    -------
    numpy.ndarray
        Index into ``truth.STAGES``, shape (n_epochs,). Wake first and last.
    """
    wish = _drive(rng, subject, n_epochs)
    broken = subject.fragmentation
    push = np.array([1.6 * broken - 0.9, 1.3 * broken - 0.8, 0.0, -0.8 * broken, -0.3 * broken])
    stages = np.zeros(n_epochs, dtype=np.int8)
    now = W
    for epoch in range(1, n_epochs):
        odds = _CHANGES[now] + wish[epoch] + push
        if now == W:
            odds[N1] += 0.8
        odds = np.exp(odds - odds.max())
        now = int(np.searchsorted(np.cumsum(odds) / odds.sum(), rng.random()))
        stages[epoch] = now
    return stages


def _mix(target: NDArray[np.int8], epoch: int, other: int, count: int, rng: np.random.Generator) -> None:
    """Put `count` bins of another state into an epoch, in one or two runs."""
    first = epoch * BINS_PER_EPOCH
    for part in (count - count // 3, count // 3):
        if part > 0:
            at = first + int(rng.integers(0, BINS_PER_EPOCH - part + 1))
            target[at : at + part] = other


def mix_states(stages: NDArray[np.int8], rng: np.random.Generator) -> NDArray[np.int8]:
    """Draw the state of each two-second bin so that the scoring rule gives back the stages.

    Parameters
    ----------
    stages : numpy.ndarray
        Shape (epochs,).
    rng : numpy.random.Generator
        Source of chance.

    Returns
    -------
    numpy.ndarray
        State of each bin, index into ``truth.STAGES``, shape (epochs * 15,).
    """
    states = np.repeat(stages, BINS_PER_EPOCH)
    n = len(stages)
    for epoch, stage in enumerate(stages):
        before = stages[epoch - 1] if epoch else stage
        after = stages[epoch + 1] if epoch + 1 < n else stage
        if stage == W and N1 in (before, after):
            _mix(states, epoch, N1, int(rng.integers(0, 7)), rng)
        elif stage == N1:
            _mix(states, epoch, W, int(rng.integers(0, 5 if W in (before, after) else 3)), rng)
            if N2 in (before, after):
                _mix(states, epoch, N2, int(rng.integers(0, 4)), rng)
        elif stage == N2:
            if N3 in (before, after):
                _mix(states, epoch, N3, int(rng.integers(0, 4)), rng)
            if before in (W, N1):
                _mix(states, epoch, N1, int(rng.integers(0, 5)), rng)
        elif stage == N3:
            share = rng.uniform(0.3, 0.75) if N2 in (before, after) else rng.uniform(0.55, 1.0)
            _mix(states, epoch, N2, round((1 - share) * BINS_PER_EPOCH), rng)
        elif stage == R and before != R:
            _mix(states, epoch, N1, int(rng.integers(0, 5)), rng)
        if stage != before:  # a stage begins anywhere around the epoch's edge
            shift = int(rng.integers(-3, 4))
            edge = epoch * BINS_PER_EPOCH
            if shift > 0 and epoch:
                states[edge : edge + shift] = before
            elif shift < 0:
                states[edge + shift : edge] = stage
    return states

"""Sleep staging: by the night model, or zero-shot by cosines to stage prompts and a hidden Markov model."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.errors import StudyError
from core.inference.bundle import StagingFacts
from core.inference.course_graphs import STAGES_GRAPH, stage_log_probabilities
from core.inference.embedding import embed_study, embedding_channels
from core.inference.engine import Engine
from core.inference.events import EEG, seen
from core.inference.probes import LinearHead
from core.language.band_course import CHIN, EEGS, EOGS
from core.language.prompts import stage_prompts
from core.psg.channels import CHANNELS
from core.psg.preprocess import Trace
from core.psg.scoring import STAGES, UNSCORED
from core.psg.store import PreparedStudy

DIGITS = 4  # decimals of a probability wherever it is written
_SMALLEST = 1e-12  # stands for the logarithm of zero
HEAD_FILE = "stage_head.npz"
NIGHT_WEIGHT = 0.15
"""Of the night model's log-probabilities beside an embedding of unit length, in a head's inputs."""


@dataclass(frozen=True)
class StagingOptions:
    """Wishes of a caller."""

    use_scoring: bool = True
    """Take the stages of the study's scoring where it has one."""
    smooth: bool = True
    """Weigh neighbouring epochs; False for each epoch by itself."""


@dataclass(frozen=True)
class Staging:
    """Stages of a night."""

    stages: tuple[str, ...]
    """One an epoch; `?` where it cannot be scored."""
    probabilities: NDArray[np.float64] | None
    """[N, 5] rounded to four digits, NaN rows where `?`; None where the stages come from a scoring."""
    source: str
    """`scoring`, `model`, or `none`."""


def unstaged(n_epochs: int) -> Staging:
    """A night that nobody staged: `?` throughout."""
    return Staging((UNSCORED,) * n_epochs, None, "none")


def stage_study(study: PreparedStudy, engine: Engine, options: StagingOptions | None = None) -> Staging:
    """Stage one study.

    Raises
    ------
    StudyError
        There is neither an EEG nor a scoring.
    """
    options = options or StagingOptions()
    if scored := staging_of_scoring(study, options):
        return scored
    require_eeg(study)
    if engine.bundle.stage_head is None and (staged := stage_course(study, engine)):
        return staged
    return stage_embeddings(embed_study(study, engine), study, engine, options)


def stage_course(study: PreparedStudy, engine: Engine, traces: Mapping[str, Trace] | None = None) -> Staging | None:
    """Stage a study by the bundle's night model; None where it has none, or no EEG is fast enough for it.

    `traces` are those of `core.psg.preprocess.traces_of`, where they are made already.
    """
    scores = stage_log_probabilities(study, engine, traces)
    return None if scores is None else _settled(np.exp(scores), np.asarray(scores.any(axis=1)))


def staging_channels(engine: Engine) -> tuple[str, ...] | None:
    """Channels that staging reads: those of the night model where it stages alone, else what embedding reads."""
    alone = STAGES_GRAPH in engine.bundle.graphs and engine.bundle.stage_head is None
    return (*EEGS, *EOGS, CHIN) if alone else embedding_channels(engine)


def head_inputs(embeddings: NDArray[np.float32], study: PreparedStudy, engine: Engine) -> NDArray[np.float64]:
    """What a head made by adaptation reads: the embedding, and what the night model says where there is one.

    Returns
    -------
    ndarray
        [N, D] or [N, D + 5]; log-probabilities of the night model come on the scale of embeddings.
    """
    scores = stage_log_probabilities(study, engine)
    if scores is None:
        return embeddings.astype(np.float64)
    return np.concatenate([embeddings.astype(np.float64), NIGHT_WEIGHT * np.maximum(scores, -6.0)], axis=1)


def _head(engine: Engine) -> LinearHead:
    """The head of an adapted bundle."""
    head = engine.bundle.stage_head
    assert head is not None
    with np.load(head.path, allow_pickle=False) as stored:
        return LinearHead(stored["mean"], stored["weights"], stored["bias"])


def staging_of_scoring(study: PreparedStudy, options: StagingOptions) -> Staging | None:
    """Give the stages of the study's scoring, or None where there are none or they are not wanted."""
    if not options.use_scoring or study.scoring is None:
        return None
    if not any(stage in STAGES for stage in study.scoring.stages):
        return None
    return Staging(tuple(study.scoring.stages), None, "scoring")


def require_eeg(study: PreparedStudy) -> None:
    """Refuse a study without any usable EEG; StudyError lists what it has."""
    if seen(study, EEG).any():
        return
    found = [channel.name for channel in CHANNELS if seen(study, (channel.name,)).any()]
    raise StudyError(
        f"{study.study} has no usable EEG, so its sleep cannot be staged; "
        f"it has {', '.join(found) or 'nothing usable'}.",
        "Name the EEG with --montage, or give a scoring with --scoring.",
    )


def stage_embeddings(
    embeddings: NDArray[np.float32], study: PreparedStudy, engine: Engine, options: StagingOptions | None = None
) -> Staging:
    """Stage epochs that are embedded already; an epoch without usable EEG is `?`."""
    options = options or StagingOptions()
    if engine.bundle.stage_head is not None:
        evidence = _head(engine).scores(head_inputs(embeddings, study, engine))
    else:
        evidence = stage_evidence(embeddings, stage_anchors(engine), engine.bundle.staging)
    scorable = seen(study, EEG)
    evidence[~scorable] = 0.0  # nothing is known: the neighbours decide, and nothing is printed
    heeds_the_night = engine.bundle.stage_head is not None and STAGES_GRAPH in engine.bundle.graphs
    if options.smooth and not heeds_the_night:
        posterior = posterior_marginals(evidence, np.array(engine.bundle.staging.transitions))
    else:
        posterior = np.exp(evidence - evidence.max(axis=1, keepdims=True))
        posterior /= posterior.sum(axis=1, keepdims=True)
    return _settled(posterior, scorable)


def _settled(posterior: NDArray[np.float64], scorable: NDArray[np.bool_]) -> Staging:
    """Name each epoch's most probable stage; `?` where it cannot be scored."""
    probabilities = np.round(posterior, DIGITS)
    best = probabilities.argmax(axis=1)  # of the printed figures, so that stage and figures agree
    stages = tuple(STAGES[k] if ok else UNSCORED for k, ok in zip(best, scorable, strict=True))
    probabilities[~scorable] = np.nan
    return Staging(stages, probabilities, "model")


def stage_anchors(engine: Engine) -> NDArray[np.float32]:
    """Mean embedding of each stage's prompts, [5, D], L2-normalised, in the order of `STAGES`."""
    prompts = stage_prompts()
    anchors = np.stack([engine.embed_texts(prompts[stage]).mean(axis=0) for stage in STAGES])
    return np.asarray(anchors / np.linalg.norm(anchors, axis=1, keepdims=True), np.float32)


def stage_evidence(
    embeddings: NDArray[np.float32], anchors: NDArray[np.float32], facts: StagingFacts
) -> NDArray[np.float64]:
    """Log-evidence of each stage, [N, 5]: temperature × cosine + log prior."""
    # einsum sums each row by itself: a matrix product's kernel may depend on the number of rows
    cosines = np.einsum("nd,kd->nk", embeddings.astype(np.float64), anchors.astype(np.float64), optimize=False)
    return np.asarray(facts.temperature * cosines + np.log(facts.prior), np.float64)


def posterior_marginals(evidence: NDArray[np.float64], transitions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probability of each stage given the whole night, by the forward-backward recursion.

    Parameters
    ----------
    evidence
        [N, 5] log-evidence of each epoch.
    transitions
        [5, 5] probability of the next stage (column) given this one (row); rows are normalised here.

    Returns
    -------
    ndarray
        [N, 5], each row sums to one. The chain starts anywhere with equal chance.
    """
    count, stages = evidence.shape
    step = np.maximum(transitions, _SMALLEST)
    step = step / step.sum(axis=1, keepdims=True)
    likelihood = np.exp(evidence - evidence.max(axis=1, keepdims=True, initial=-np.inf))
    forward = np.empty((count, stages))
    backward = np.ones((count, stages))
    belief = np.full(stages, 1.0 / stages)
    for row in range(count):
        belief = (belief @ step if row else belief) * likelihood[row]
        belief /= belief.sum()
        forward[row] = belief
    for row in range(count - 2, -1, -1):
        message = step @ (likelihood[row + 1] * backward[row + 1])
        backward[row] = message / message.sum()
    posterior = forward * backward
    return np.asarray(posterior / posterior.sum(axis=1, keepdims=True), np.float64)

#!/usr/bin/env bash
# The commands that made core/models/nano. Run from the project's root:
#
#   training/recipes/nano.sh WORK_FOLDER [FOLDER_OF_TRACKS [FOLDER_OF_PARTIAL_NIGHTS]]
#
# FOLDER_OF_TRACKS holds band-power tracks of real nights (Sleep-EDF Expanded, .npz); without it every
# night is generated. FOLDER_OF_PARTIAL_NIGHTS holds nights of which the EEG of some epochs was kept (UCDDB,
# .npz). MINUTES, NIGHTS, TRACKED and JOBS scale the recipe down or up.
set -euo pipefail
work=$1
tracks=${2:-}
partial=${3:-}
minutes=${MINUTES:-45} nights=${NIGHTS:-36} tracked=${TRACKED:-44} jobs=${JOBS:-2} seed=${SEED:-1}
from_tracks=()

sleepcli simulate --out "$work/nights" --count "$nights" --seed 10000 --jobs "$jobs"
sleepcli prepare "$work/nights" --out "$work/prepared" --jobs "$jobs"
if [ -n "$tracks" ]; then
    sleepcli simulate --out "$work/tracked" --count "$tracked" --seed 20000 --tracks "$tracks" --jobs "$jobs"
    sleepcli prepare "$work/tracked" --out "$work/prepared" --jobs "$jobs"
    from_tracks=(--tracks "$tracks")
fi
if [ -n "$partial" ]; then
    from_tracks+=(--partial "$partial")
fi

# the signal tower: the network of the paper on the signals, with what is shown beside them
sleepcli train "$work/prepared" --preset nano --learning-rate 1e-3 --subject-separator __ --seed "$seed" \
    --max-minutes "$minutes" --out "$work/first"
# texts: captions, embeddings, questions, with that tower
sleepcli train "$work/prepared" --tower "$work/first" --recipe training/recipes/texts.toml --batch-size 64 \
    --learning-rate 1.5e-3 --subject-separator __ --held-out 0.06 --seed "$seed" --threads 1 \
    --max-minutes "$((minutes * 2))" --out "$work/run"

# stages and events: the night model
sleepcli train "$work/prepared" --night "${from_tracks[@]}" --subject-separator __ \
    --recipe training/recipes/night.toml --out "$work/night"

sleepcli export "$work/run" --night "$work/night" --name nano --out "$work/nano"

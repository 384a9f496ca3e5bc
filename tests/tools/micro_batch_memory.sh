#!/usr/bin/env bash
# Peak memory of training the tiny model in pieces of 64 pairs: a batch of 64 beside one of 16,384, accuracy and targets
# included. The large batch takes one step and the small one as many as it has pieces, since what the allocator holds grows
# with the number of pieces for a while, whatever they belong to.
#   bash tests/tools/micro_batch_memory.sh [BUILD]        run by hand; takes half an hour; LARGE=2048 is quicker
set -euo pipefail
build=${1:-build}
small=${SMALL:-64}
large=${LARGE:-16384}
piece=${PIECE:-64}

run() { "$build/bin/vlalign_micro_batch_memory" "$@"; }
field() { sed -E "s/.* $1 ([0-9.]+).*/\1/" <<<"$2"; }

for targets in none equal shared; do
  of_small=$(run "$small" "$piece" "$targets" $((large / piece)))
  of_large=$(run "$large" "$piece" "$targets" 1)
  printf '%s\n%s\n' "$of_small" "$of_large"
  awk -v targets="$targets" -v small="$(field peak_mb "$of_small")" -v large="$(field peak_mb "$of_large")" \
    'BEGIN { printf "targets %s: %.2f times the memory\n", targets, large / small }'
done

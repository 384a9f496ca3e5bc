#!/usr/bin/env bash
# Peak memory of training the tiny model in pieces of 64 pairs: a batch of 64 beside one of 16,384, accuracy and targets
# included. What a larger batch needs by itself is printed beside it: the loader's pixels (uint8, 3 x S x S a pair, of
# the batch in use and the one in the making) and soft targets (float32, a number for each image and text).
# The small batch takes 16 steps, so that the allocator has settled; the large one takes one.
#   bash tests/tools/micro_batch_memory.sh [BUILD]        run by hand; takes half an hour and 2 GB; LARGE=2048 is quicker
set -euo pipefail
build=${1:-build}
small=${SMALL:-64}
large=${LARGE:-16384}
piece=${PIECE:-64}

run() { "$build/bin/vlalign_micro_batch_memory" "$@"; }
field() { sed -E "s/.* $1 ([0-9.]+).*/\1/" <<<"$2"; }

for targets in none equal shared; do
  of_small=$(run "$small" "$piece" "$targets" 16)
  of_large=$(run "$large" "$piece" "$targets" 1)
  printf '%s\n%s\n' "$of_small" "$of_large"
  awk -v targets="$targets" -v n="$large" -v small="$(field peak_mb "$of_small")" -v large="$(field peak_mb "$of_large")" \
      -v pixels="$(field pixels_mb "$of_large")" -v few="$(field pixels_mb "$of_small")" 'BEGIN {
    soft = targets == "shared" ? 4 * n * n / 1e6 : 0
    printf "targets %s: %.2f times the memory; %.2f without the %.0f MB of pixels", targets, large / small,
           (large - pixels) / (small - few), pixels
    if (soft > 0) printf "; %.2f without the %.0f MB of soft targets too", (large - pixels - soft) / (small - few), soft
    print ""
  }'
done

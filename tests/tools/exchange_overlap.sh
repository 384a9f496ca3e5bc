#!/usr/bin/env bash
# How much of the time that ranks of this host need to average their gradients is hidden under the backward pass of a ViT-B-32:
# a pass with the exchange beside it, a pass with the exchange behind it, in turns; medians. "hidden" is the share of its time that
# lies within the pass, which is longer for it where no core is idle.
#
#   bash tests/tools/exchange_overlap.sh [RANKS] [ROWS] [ROUNDS]    2, 32 rows a rank, 5 rounds
#
# Needs build/ as cmake/setup.sh all leaves it, or VLALIGN_BUILD.
set -euo pipefail
cd "$(dirname "$0")/../.."
readonly ranks=${1:-2} rows=${2:-32} rounds=${3:-5} build=${VLALIGN_BUILD:-build}

export WORLD_SIZE=$ranks MASTER_ADDR=127.0.0.1 MASTER_PORT=${MASTER_PORT:-29610} OMP_NUM_THREADS=1
for ((rank = ranks - 1; rank >= 0; --rank)); do
  RANK=$rank "$build/bin/vlalign_exchange_overlap" "$build/share/vlalign/bpe_simple_vocab_16e6.txt.gz" "$rows" "$rounds" &
done
status=0
for job in $(jobs -p); do wait "$job" || status=$?; done
exit $status

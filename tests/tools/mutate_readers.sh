#!/usr/bin/env bash
# Damaged files against every reader that takes one: pictures, tables, shards, demonstrations, tokenizers, models and
# their weights, adapters, policies, training runs. Beside tests/tools/fuzz.sh, which has coverage to go by but needs clang
# and takes the text formats alone, this one needs nothing and takes whole folders.
#
#   bash tests/tools/mutate_readers.sh [MUTATIONS [READER...]]      10,000 in all if not said
#
#   VLALIGN_BUILD=DIR   the build folder, by default build
#   SEED=N              other mutations
# Ends nonzero when there is a finding (see tests/support/mutate_readers.cpp); its input is left in DIR/mutations.
set -euo pipefail
cd "$(dirname "$0")/../.."

readonly build=${VLALIGN_BUILD:-build} mutations=${1:-10000}
readonly program=$build/bin/vlalign_mutate_readers findings=$build/mutations
[[ -n ${VLALIGN_NO_BUILD:-} ]] || cmake --build "$build" --target vlalign_mutate_readers
readers=("${@:2}")
if ((${#readers[@]} == 0)); then mapfile -t readers < <("$program"); fi

export OMP_NUM_THREADS=1
mkdir -p "$findings"
failed=0
for reader in "${readers[@]}"; do
  "$program" "$reader" $(((mutations + ${#readers[@]} - 1) / ${#readers[@]})) "${SEED:-1}" "$findings" \
    2>"$findings/$reader.log" || failed=1
done
exit "$failed"

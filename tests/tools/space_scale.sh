#!/usr/bin/env bash
# Every measure of the space on 1,000,000 embeddings of 512 numbers, each in its own process: seconds and peak memory,
# which must stay below 4 GB. One tower is float32 (2.05 GB); two towers are bfloat16 (1.02 GB each), since two in float32
# take 4.1 GB by themselves. Measures whose time grows with the square of the rows take fewer on one side, which their
# memory does not depend on: QUERIES of them (default 2048).
#   bash tests/tools/space_scale.sh [BUILD]        run by hand; takes some minutes and 4 GB
set -euo pipefail
build=${1:-build}
rows=${ROWS:-1000000}
width=${WIDTH:-512}
queries=${QUERIES:-2048}

run() { "$build/bin/vlalign_space_scale" "$1" "$rows" "$width" "$queries" "$2"; }

echo "$rows embeddings of $width numbers; uniformity, hubness and retrieval_ranks with $queries on one side"
status=0
report=$(mktemp)
trap 'rm -f "$report"' EXIT
for measure in nothing effective_rank uniformity hubness retrieval_ranks zero_shot bootstrap_interval; do
  run "$measure" fp32 | tee -a "$report"
done
for measure in alignment modality_gap linear_cka hubness retrieval_ranks; do
  run "$measure" bf16 | tee -a "$report"
done
awk '{ for (i = 1; i < NF; ++i) if ($i == "peak" && $(i + 1) >= 4.0) { print $1, "takes 4 GB or more"; bad = 1 } } END { exit bad }' "$report" || status=1
exit $status

#!/usr/bin/env bash
# Saves and loads models of random configs, and lists what was kept and what was refused for which reason.
#   bash tests/tools/random_configs.sh [SEED] [COUNT]      in a tree that is built (VLALIGN_BUILD, by default build/)
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${VLALIGN_BUILD:-build}
program=$(find "$build" -name vlalign_model_tests -type f -perm -u+x | head -n 1)
[ -n "$program" ] || { echo "no vlalign_model_tests below $build: build it first" >&2; exit 1; }
VLALIGN_RANDOM_SEED=${1:-1} VLALIGN_RANDOM_CONFIGS=${2:-600} "$program" --gtest_filter='RandomConfigs.*'

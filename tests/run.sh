#!/usr/bin/env bash
# Sets up what is missing, builds everything and runs every test. Arguments go to ctest: bash tests/run.sh -L data
set -euo pipefail
cd "$(dirname "$0")/.."
VLALIGN_WERROR=ON VLALIGN_LINT=1 bash cmake/setup.sh all
exec ctest --test-dir "${VLALIGN_BUILD:-build}" --output-on-failure --parallel "$(nproc)" "$@"

#!/usr/bin/env bash
# Whether the sources are formatted, and what clang-tidy says of them:
#
#   bash tests/tools/lint.sh                 clang-format, all sources, some seconds; ctest runs it as Style.SourcesAreFormatted
#   bash tests/tools/lint.sh tidy [FILE...]  clang-format, then clang-tidy on these files of src, or all: an hour
#
# Ends with 1 when there is something to mend, and with 77 where clang-format 14, which the format is of, is not there.
set -euo pipefail
cd "$(dirname "$0")/../.."

formatter=$(command -v clang-format-14 || command -v clang-format || true)
[[ -n $formatter && $("$formatter" --version) == *"version 14."* ]] || { echo 'lint: no clang-format 14 here' && exit 77; }
mapfile -t sources < <(find include src tests examples -name '*.[hc]pp' -not -path '*/fixtures/*' | sort)
"$formatter" --dry-run --Werror "${sources[@]}"
[[ ${1:-} == tidy ]] || exit 0

# clang cannot read g++'s precompiled header, nor files compiled as one.
shift
if (($# == 0)); then mapfile -t files < <(find src -name '*.cpp' | sort); else files=("$@"); fi
cmake --log-level=NOTICE -S . -B build-tidy -G Ninja -DCMAKE_CXX_COMPILER=clang++ -DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON \
  ${VLALIGN_TORCH:+"-DVLALIGN_TORCH=$VLALIGN_TORCH"} ${VLALIGN_ARROW:+"-DVLALIGN_ARROW=$VLALIGN_ARROW"}
clang-tidy -p build-tidy --quiet --warnings-as-errors='*' "${files[@]}"

#!/usr/bin/env bash
# What can be said of the sources without running them:
#
#   bash tests/tools/lint.sh                 format of all sources, clang-tidy of the public headers, Doxygen of their comments:
#                                            half a minute; ctest runs it as Style.LintFindsNothing
#   bash tests/tools/lint.sh tidy [FILE...]  then clang-tidy on these files of src, or all: an hour
#
# Ends with 1 when there is something to mend, and with 77 where there isn't but a tool is missing.
set -euo pipefail
cd "$(dirname "$0")/../.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
missing=0

# tool NAME: where it is; the format is clang-format 14's.
tool() { command -v "$1-14" || command -v "$1" || true; }

# without NAME: says that it is missing.
without() {
  echo "lint: no $1 here"
  missing=77
}

format() {
  local formatter
  formatter=$(tool clang-format)
  [[ -n $formatter && $("$formatter" --version) == *"version 14."* ]] || { without 'clang-format 14' && return; }
  find include src tests examples -name '*.[hc]pp' -not -path '*/fixtures/*' -print0 |
    xargs -0 "$formatter" --dry-run --Werror || return 1  # xargs ends with a number of its own
}

tidy_headers() {
  local tidy torch=${VLALIGN_TORCH:-}
  tidy=$(tool clang-tidy)
  [[ -n $torch ]] || torch=$(find .deps -maxdepth 2 -path '*libtorch-*/torch' | sort -V | tail -n 1)
  [[ -n $tidy && -n $torch ]] || { without 'clang-tidy with LibTorch' && return; }
  echo '#include <vlalign/vlalign.hpp>' >"$work/all.cpp"
  "$tidy" --quiet --config-file=.clang-tidy --warnings-as-errors='*' "$work/all.cpp" -- -std=c++20 -Iinclude \
    -isystem "$torch/include" -isystem "$torch/include/torch/csrc/api/include" 2>"$work/counts"
}

comments() {
  command -v doxygen >/dev/null || { without doxygen && return; }
  (cat docs/Doxyfile && echo "OUTPUT_DIRECTORY = $work") | doxygen - >"$work/doxygen"
}

format
tidy_headers
comments
[[ ${1:-} == tidy ]] || exit "$missing"

# clang cannot read g++'s precompiled header, nor files compiled as one.
shift
if (($# == 0)); then mapfile -t files < <(find src -name '*.cpp' | sort); else files=("$@"); fi
cmake --log-level=NOTICE -S . -B build-tidy -G Ninja -DCMAKE_CXX_COMPILER=clang++ -DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON \
  ${VLALIGN_TORCH:+"-DVLALIGN_TORCH=$VLALIGN_TORCH"} ${VLALIGN_ARROW:+"-DVLALIGN_ARROW=$VLALIGN_ARROW"}
"$(tool clang-tidy)" -p build-tidy --quiet --warnings-as-errors='*' "${files[@]}"

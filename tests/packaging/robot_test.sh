#!/usr/bin/env bash
# The control loop of examples/downstream: takes up a newer checkpoint while it runs, keeps the old one when the newest can't be
# loaded, stops when it is asked to, and acts without a run too.
#
#   robot_test.sh ROBOT
set -euo pipefail
robot=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export OMP_NUM_THREADS=1

# said REGEX: waits until the robot has said so.
said() {
  for _ in {1..300}; do
    grep -qE -- "$1" "$work/err" && return
    sleep 0.1
  done
  echo "the robot never said \"$1\", but:"
  cat "$work/err"
  kill "$pid"
  exit 1
}

"$robot" | tee "$work/alone"
grep -Eq '^frame to action .* [1-9][0-9]* times$' "$work/alone"

"$robot" --untrained "$work" step-00000001
"$robot" "$work" 'push the red block' >"$work/out" 2>"$work/err" &
pid=$!
sleep 1
"$robot" --untrained "$work" step-00000002
said 'step-00000002: loaded'
mkdir "$work/checkpoints/step-00000003"
echo step-00000003 >"$work/checkpoints/latest"
said 'step-00000003.*the policy stays as it is'
kill -INT "$pid"
wait "$pid"
cat "$work/err" "$work/out"
grep -Eq '^frame to action .* [1-9][0-9]* times$' "$work/out"

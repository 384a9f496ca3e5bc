#!/usr/bin/env bash
# Trains once without a break and once killed with SIGKILL at random moments and resumed each time; the weights must be equal bit
# for bit and metrics.jsonl must hold each step once. Needs a built program and the quick start's emoji pairs.
#
#   bash tests/tools/kill_resume.sh [KILLS] [STEPS]     (10 kills, 60 steps)
set -euo pipefail
cd "$(dirname "$0")/../.."
kills=${1:-10} steps=${2:-60} build=${VLALIGN_BUILD:-build}
data=$build/data/emoji-en
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
[[ -e $data/train.jsonl ]] || "$build/bin/emoji_pairs" --out "$data"

# In the background a function runs in a shell of its own: exec lets the kill meet the program itself.
train() {
  exec "$build/bin/vlalign" train --model tiny --data "$data/train.jsonl" --out "$1" --steps "$steps" --batch-size 64 \
    --lr 1e-3 --precision bf16 --aug mild --checkpoint-every 7 "${@:2}" >/dev/null 2>>"$work/log"
}

start=$SECONDS
(train "$work/whole")
whole=$((SECONDS - start))
echo "a run without a break: $whole s"

done_kills=0
while ((done_kills < kills)); do
  train "$work/killed" --resume &
  sleep "$(awk -v top="$((whole > 2 ? whole / 2 : 1))" -v seed="$RANDOM" 'BEGIN { srand(seed); printf "%.2f", 0.3 + rand() * top }')"
  if kill -KILL $! 2>/dev/null; then
    done_kills=$((done_kills + 1))
    echo "kill $done_kills, metrics.jsonl had $(wc -l <"$work/killed/metrics.jsonl" 2>/dev/null || echo 0) steps"
  fi
  wait $! 2>/dev/null || true
  if [[ -e $work/killed/report.html ]]; then # it came through before the kill: start over, with the kills counted
    rm -rf "$work/killed"
  fi
done
(train "$work/killed" --resume)

cmp "$work/whole/model/open_clip_model.safetensors" "$work/killed/model/open_clip_model.safetensors"
python3 - "$work/killed/metrics.jsonl" "$steps" <<'PY'
import json, sys
steps = [json.loads(line)["step"] for line in open(sys.argv[1])]
assert steps == list(range(1, int(sys.argv[2]) + 1)), steps
PY
[[ -z $(find "$work/killed" -name '*.partial-*') ]] || { echo "half-written files are left" && exit 1; }
echo "equal bits after $kills kills, every step once"

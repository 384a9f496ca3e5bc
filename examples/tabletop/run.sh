#!/usr/bin/env bash
# From words to actions on a table in MuJoCo: collects frames and demonstrations, aligns two towers on (frame,
# description), trains policies on them and one from noise, and measures how often each does what it is told.
#
#   bash examples/tabletop/run.sh [--seed N] [--out RUN] [--arms "noise frozen slow beside"] [--episodes N]
#
#   --seed N       of training; scenes and tests are always the same (default: 1)
#   --out RUN      run folder (default: runs/tabletop); what is there already is kept and gone on with
#   --arms LIST    noise: the image and text towers start from noise; frozen: aligned, then frozen; slow: aligned, then a
#                  tenth of the learning rate; beside: aligned, and the alignment goes on beside (default: noise slow)
#   --episodes N   a cell, to test on (default: 300)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
seed=1 out=runs/tabletop arms='noise slow' episodes=300
while (($# > 0)); do
  case $1 in
    --seed) seed=${2:?--seed needs a number} ;;
    --out) out=${2:?--out needs a folder} ;;
    --arms) arms=${2:?--arms needs a list} ;;
    --episodes) episodes=${2:?--episodes needs a number} ;;
    --help | -h) sed -n '2,13s/^# \{0,1\}//p' "$0" && exit ;;
    *) echo "run.sh: unknown argument $1; see bash examples/tabletop/run.sh --help" >&2 && exit 2 ;;
  esac
  shift 2
done
bin=${VLALIGN_BUILD:-build}/bin data=$out/data aligned=$out/aligned-$seed

[[ -n ${VLALIGN_BUILT:-} ]] || bash cmake/setup.sh vlalign_tool tabletop

printf '\n== Frames and demonstrations ==\n'
"$bin/tabletop" collect --out "$data" --episodes 4000 --frames 24000
"$bin/tabletop" collect --out "$data-test" --episodes 0 --frames 500 --seed 1000

printf '\n== Alignment on frames and descriptions ==\n'
"$bin/vlalign" train --model examples/tabletop/tower.json --tokenizer train:1024 --data "$data/frames-{000..002}.tar" \
  --out "$aligned" --resume --checkpoint-every 500 --seed "$seed" --steps 2000 --batch-size 128 --lr 2e-3 --warmup 100 \
  --grad-clip 1 --precision bf16 --loss filip+0.5*infonce
"$bin/vlalign" eval --model "$aligned/model" --data "$data-test/frames-000.tar"
"$bin/tabletop" point --model "$aligned/model"

for arm in $arms; do
  printf '\n== Policy: %s ==\n' "$arm"
  run=$out/policies/$arm-$seed flags=()
  case $arm in
    noise) flags=(--from-noise) ;;
    frozen) ;;
    slow) flags=(--image-rate 0.1 --text-rate 0.1) ;;
    beside) flags=(--image-rate 0.1 --text-rate 0.1 --beside "$data/frames-{000..002}.tar" --loss filip+0.5*infonce) ;;
    *) echo "run.sh: unknown arm $arm: expected noise, frozen, slow or beside" >&2 && exit 2 ;;
  esac
  "$bin/tabletop" train --demos "$data/demos-{000..003}.tar" --encoder "$aligned/model" --out "$run" --seed "$seed" "${flags[@]}"
  "$bin/tabletop" evaluate --policy "$run/model" --episodes "$episodes" --out "$run/eval-none.json"
  "$bin/vlalign" eval --model "$run/model/encoder" --data "$data-test/frames-000.tar" --json > "$run/recall.json"
done

printf '\n== Controls ==\n'
run=$out/policies/${arms##* }-$seed
for control in other_object blank_image; do
  "$bin/tabletop" evaluate --policy "$run/model" --episodes "$episodes" --cells seen --control "$control" --out "$run/eval-$control.json"
done

printf '\n== Report ==\n'
"$bin/tabletop" report --run "$out" --film "$(basename "$run")"

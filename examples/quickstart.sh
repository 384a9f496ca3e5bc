#!/usr/bin/env bash
# Trains a small CLIP on emoji and their names, on this machine, and shows what came of it.
#
#   bash examples/quickstart.sh [--language LANG] [--seed N] [--out RUN]
#
#   --language LANG   captions in any language of the CLDR, e.g. zh, de, sw (default: en)
#   --seed N          of the weights, the order and the augmentation (default: 1)
#   --out RUN         run folder (default: runs/quickstart, runs/quickstart-LANG)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
language=en seed=1 out=
while (($# > 0)); do
  case $1 in
    --language) language=${2:?--language needs a language, e.g. zh} ;;
    --seed) seed=${2:?--seed needs a number} ;;
    --out) out=${2:?--out needs a folder} ;;
    --help | -h) sed -n '2,8s/^# \{0,1\}//p' "$0" && exit ;;
    *) echo "quickstart: unknown argument $1; see bash examples/quickstart.sh --help" >&2 && exit 2 ;;
  esac
  shift 2
done
if [[ -z $out ]]; then out=runs/quickstart; [[ $language == en ]] || out+=-$language; fi
bin=${VLALIGN_BUILD:-build}/bin data=${VLALIGN_BUILD:-build}/data/emoji-$language

bash cmake/setup.sh vlalign_tool emoji_pairs

"$bin/emoji_pairs" --language "$language" --out "$data"

if [[ -e $out/config.json && ! -e $out/report.html ]]; then
  resume=--resume
elif [[ -e $out/config.json ]]; then
  echo "$out holds a finished run; it is kept. Name another with --out to train again." && exec_training=no
fi
if [[ ${exec_training:-yes} == yes ]]; then
  "$bin/vlalign" train --model tiny --data "$data/train.jsonl" --out "$out" --seed "$seed" ${resume:-} \
    --val "unseen_combinations=$data/combinations.jsonl" \
    --val-note 'Pictures set aside at random. Many differ from a training picture only in skin tone or gender, so this asks how well known concepts recombine.' \
    --val "unseen_concepts=$data/concepts.jsonl" \
    --val-note 'Whole families set aside: no picture of the concept in any form was trained on, and flags are left out. Much harder.' \
    --steps 400 --batch-size 256 --lr 2e-3 --warmup 40 --grad-clip 1 --precision bf16 --aug mild --checkpoint-every 100 \
    --title "A CLIP trained on emoji"
fi

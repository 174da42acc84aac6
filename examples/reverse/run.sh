#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Train a model that reverses decimal numbers, and see how well it does on fresh ones:
#
#     examples/reverse/run.sh WORK [RWKV]
#
# WORK is a folder to make or to go on in: what is there already is not made again, and training
# that was stopped goes on. RWKV is the program; the default is the one that `make` built. README.md
# explains the sizes; LONGEST, ROWS, BATCH, STEPS, MORE and EACH in the environment replace
# them.
set -eu

work=${1:?usage: run.sh WORK [RWKV]}
here=$(realpath "$(dirname "$0")")
rwkv=$(realpath "${2:-$here/../../build/programs/rwkv/rwkv}")
longest=${LONGEST:-60}
mkdir -p "$work"
cd "$work"

if [ ! -e numbers.idx ]; then
    awk -v seed=1 -v longest="$longest" -v rows="${ROWS:-200000}" -f "$here/numbers.awk" \
        > numbers.jsonl
    "$rwkv" data build --vocab "$here/vocab.txt" --prompt-field prompt numbers numbers.jsonl
fi

# train RUN STEPS RATE OPTION...: train in this folder, or go on there.
train()
{
    run=$1 steps=$2 rate=$3
    shift 3
    if [ -e "$run/checkpoints" ]; then
        "$rwkv" train --resume "$run"
    else
        "$rwkv" train --out "$run" --data numbers --vocab "$here/vocab.txt" "$@" \
            --ctx $((2 * longest + 8)) --batch "${BATCH:-128}" --steps "$steps" --lr "$rate" \
            --lr-final 1e-6 --warmup 100 --beta2 0.999 --eps 1e-8 --l2wrap 0 --answers-only \
            --print-every 500 --export reverse.pth
    fi
}

train first "${STEPS:-20000}" 4e-3 --vocab-size 12 --layers 2 --embd 32 --head-size 16
train second "${MORE:-12000}" 2e-3 --model first/reverse.pth

# grade LENGTH [single=1]: ask for answers of so many tokens, and count what is right in them.
grade()
{
    awk -v seed=2 -v longest="$longest" -v each="${EACH:-100}" -v "${2:-single=}" \
        -f "$here/numbers.awk" > fresh.jsonl
    "$rwkv" batch -q -m second/reverse.pth --vocab "$here/vocab.txt" --greedy -n "$1" --force \
        -o answers.jsonl fresh.jsonl
    awk -v "${2:-single=}" -f "$here/grade.awk" answers.jsonl
}

grade 1 single=1
grade $((longest + 1))

A run: new weights, a few steps, validation, a model at the end.

  $ for i in 1 2 3 4 5 6 7 8 9; do for j in a b c d e f g h; do printf 'one two three %s %s ' $i $j; done; done > text.txt
  > rwkv data build -q --vocab bytes text text.txt
  > cat > set.toml << 'END'
  > # what all runs here share
  > data = "text"
  > vocab = "bytes"
  > layers = 2
  > embd = 32
  > head-size = 16
  > ctx = 16
  > batch = 2
  > warmup = 2
  > steps = 12
  > lr = 3e-3
  > order = 'shuffled'   # every window
  > held-out = 0.1
  > checkpoint-every = 2
  > keep = 2
  > export = "m.safetensors"
  > END
  $ rwkv train --out run set.toml --print-every 6 --validate-windows 4 --threads 1
  ! model       56.6 k parameters: 2 layers of width 32, heads of 16, channel mix of 128, vocabulary of 256
  ! data        1.30 k tokens, 128 of them held out
  ! run         12 steps of 1 × 2 × 16 = 32 tokens, 384 in all, 0.333 epochs
  ! arithmetic  310 k operations a token, 119 M in all, on 1 thread with * (glob)
  ! memory      * (glob)
  !   weights               221 KiB
  !   gradients             221 KiB
  !   moments               442 KiB
  !   activations           220 KiB
  !   work                  * (glob)
  ! step 6/12  loss 3.5* (5.1* bits a byte)  lr 0.00239  norm * tokens/s  * % of peak  * left (glob)
  ! step 12/12  loss 3.3* (4.8* bits a byte)  lr 0.000132  norm * tokens/s  * % of peak  * left (glob)
  ! step 12  validation loss 3.2* (4.6* bits a byte) (glob)
  ! step 12  written: run/m.safetensors
  $ ls run run/checkpoints | grep -v events
  run:
  checkpoints
  config.toml
  log.jsonl
  m.safetensors
  report.html
  
  run/checkpoints:
  step-0000000010.safetensors
  step-0000000012.safetensors
  $ rwkv info run/m.safetensors | grep -E 'parameters|ranks'
  parameters    56.6 k (56608)
  ranks         w 32, a 32, v 32, g 32

The same run on two threads, and with accumulation and checkpointing, gives the same bits.

  $ rwkv train -q --out two set.toml --threads 2 && cmp run/m.safetensors two/m.safetensors
  $ rwkv train -q --out three set.toml --batch 1 --accumulate 2 --grad-checkpoint && cmp run/m.safetensors three/m.safetensors

So does a longer one that is killed twenty times, wherever it is after some 90 steps more, and resumed each time, now on
one thread and now on two. Most of the kills come between its first step and its last.

  $ rwkv train -q --out long set.toml --steps 2000 --checkpoint-every 35
  > rwkv train -q --out killed set.toml --steps 2000 --checkpoint-every 35 & p=$!
  > while [ ! -s killed/log.jsonl ]; do sleep 0.01; done
  > for i in 01 02 03 04 05 06 07 08 09 10 11 12 13 14 15 16 17 18 19 20; do
  > while kill -0 $p 2> /dev/null && [ $(wc -l < killed/log.jsonl) -lt $(( 1$i * 90 - 8995 )) ]; do sleep 0.01; done
  > kill -9 $p; wait $p; echo $? >> ends
  > rwkv train -q --resume killed --threads $(( 1 + 1$i % 2 )) & p=$!; done 2> /dev/null; wait $p
  > cmp long/m.safetensors killed/m.safetensors && ls killed/checkpoints | grep step; grep -c '"loss"' killed/log.jsonl
  > [ $(grep -c 137 ends) -ge 8 ] || echo "killed $(grep -c 137 ends) times"
  step-0000001995.safetensors
  step-0000002000.safetensors
  2004

A folder is one process' own; sizes stay; without its checkpoints a run does not begin anew over its log. Copies of
checkpoints are nobody's business.

  $ cp -r run other; cp run/checkpoints/step-0000000012.safetensors other/checkpoints/step-12.safetensors
  $ rwkv train -q --resume other --steps 13 --layers 3
  ! rwkv: other/checkpoints/step-0000000012.safetensors: the run cannot go on with another number of layers: wanted 2, found 3
  [1]
  $ flock other rwkv train -q --resume other --steps 13
  ! rwkv: other: another process is training in this folder
  [1]
  $ rwkv train -q --resume other --steps 13 && ls other/checkpoints
  step-0000000012.safetensors
  step-0000000013.safetensors
  step-12.safetensors
  $ rm -r other/checkpoints; rwkv train -q --resume other --steps 14
  ! rwkv: other: holds the log of a run but none of its checkpoints: wanted those in other/checkpoints, or a new folder
  [1]
  $ wc -l < other/log.jsonl
  15

SIGTERM saves and ends by the signal; the run goes on.

  $ rwkv train -q --out stopped set.toml --steps 100000 & p=$!
  > while [ ! -s stopped/log.jsonl ]; do sleep 0.01; done
  > kill -TERM $p; wait $p 2> /dev/null; echo $?
  > rwkv train -q --resume stopped --steps 3 && ls stopped | grep -v events
  143
  checkpoints
  config.toml
  log.jsonl
  m.safetensors
  report.html

Settings on the command line count for more than those of the file, and are kept.

  $ rwkv train -q --resume run --steps 13 && grep -E '^(steps|tokens|data|lr) ' run/config.toml | sed "s|$PWD|HERE|" && ls run/checkpoints
  data = "HERE/text"
  steps = 13
  tokens = 0
  lr = 0.003
  step-0000000012.safetensors
  step-0000000013.safetensors

Texts come back from config.toml as they were, control characters too.

  $ rwkv train -q --out odd set.toml --steps 3 --prompt "$(printf 'a "b"\\ \001\033[1m\b\f\177é\tz')" && grep prompt odd/config.toml && cp odd/config.toml was.toml
  > rwkv train -q --resume odd && cmp odd/config.toml was.toml
  prompt = "a \"b\"\\ \u0001\u001B[1m\b\f\u007Fé\tz"
  $ printf 'prompt = "\\u00e9\\U0001F600"\n' > u.toml && cat set.toml >> u.toml && rwkv train -q --out unicode u.toml --steps 3 && grep prompt unicode/config.toml
  prompt = "é😀"
  $ for code in 'u12' 'ud800' 'u0000' 'U00110000'; do printf 'prompt = "\\%s"\n' $code > u.toml; rwkv train --out new u.toml; done
  ! rwkv: u.toml:1: wanted the code of a character after \u or \U, found '12"'
  ! rwkv: u.toml:1: wanted the code of a character after \u or \U, found 'd800"'
  ! rwkv: u.toml:1: wanted the code of a character after \u or \U, found '0000"'
  ! rwkv: u.toml:1: wanted the code of a character after \u or \U, found '00110000"'
  [1]

A run that was moved with its data goes on when it is told where they are.

  $ mkdir place && cp text.bin text.idx place && sed "s|^data = .*|data = \"$PWD/gone\"|" run/config.toml > x
  > cp -r run place/run && mv x place/run/config.toml && cd place && rwkv train -q --resume run --steps 14
  ! rwkv: $TMP/gone.idx: No such file or directory; where it is now can be said by --data (run/config.toml has its place when the run was last started)
  [1]
  $ (cd place && rwkv train -q --resume run --steps 14 --data text && grep '^data' run/config.toml)
  data = "$TMP/place/text"

A checkpoint that was cut short, or changed, is passed over for the one before.

  $ cp -r run cut && truncate -s -1 cut/checkpoints/step-0000000013.safetensors && rwkv train -q --resume cut
  > cmp run/m.safetensors cut/m.safetensors
  ! rwkv: note: cut/checkpoints/step-0000000013.safetensors: tensor "head.weight": data_offsets: wanted a range in the 680??? bytes of data, found 6????? to 680???: passed over (glob)
  $ cp -r run bad && printf X | dd of=bad/checkpoints/step-0000000013.safetensors bs=1 seek=20000 conv=notrunc 2> /dev/null
  > rwkv train -q --resume bad
  > cmp run/m.safetensors bad/m.safetensors
  ! rwkv: note: bad/checkpoints/step-0000000013.safetensors: tensor training.m: the checksum is wrong: passed over
  $ rm -r cut && cp -r run cut && for f in cut/checkpoints/*; do truncate -s 100 $f; done; rwkv train -q --resume cut
  ! rwkv: cut/checkpoints: no checkpoint is whole; the oldest: cut/checkpoints/step-0000000012.safetensors: header: wanted a length of at most 92 bytes, found 5984
  [1]
  $ rm -r cut && cp -r run cut && rm cut/checkpoints/* && cp run/m.safetensors cut/checkpoints/step-0000000014.safetensors && rwkv train -q --resume cut
  ! rwkv: cut/checkpoints: no checkpoint is whole; the oldest: cut/checkpoints/step-0000000014.safetensors: wanted a checkpoint, found a file without a tensor training.state
  [1]

Data, vocabulary and batch may not change.

  $ printf 'some other text, and a little more of it than there was' > other.txt
  > rwkv data build -q --vocab bytes other text.txt other.txt
  > rwkv train -q --resume run --data other
  ! rwkv: other: the data have changed since the run began: wanted fingerprint b5de4b93a006a87b…, found 58dc8548b1a4a5f3…
  [1]
  $ awk 'BEGIN { for (i = 1; i < 128; i++) printf "%d \"\\x%02x\" 1\n", i, i }' > v.txt
  > rwkv train -q --resume run --vocab v.txt
  ! rwkv: v.txt: the vocabulary has changed since the run began: wanted fingerprint 0864c10eb9f122e7…, found 02eb89cc4b1ef7d9…
  [1]
  $ rwkv train -q --resume run --batch 4
  ! rwkv: run/checkpoints/step-0000000013.safetensors: the run cannot go on with another number of sequences a step: wanted 2, found 4
  [1]
  $ rwkv train -q --resume run --ctx 8
  ! rwkv: run/checkpoints/step-0000000013.safetensors: the run cannot go on with another context: wanted 16, found 8
  [1]
  $ rwkv train -q --resume run --seed 1
  ! rwkv: run/checkpoints/step-0000000013.safetensors: the run cannot go on with another seed: wanted 42, found 1
  [1]

A run that was killed before its first checkpoint begins.

  $ mkdir early && cp two/config.toml early && rwkv train -q --resume early && cmp two/m.safetensors early/m.safetensors
  ! rwkv: note: early/checkpoints: no checkpoint; the run begins

A full disk: what is there stays, and training goes on where it is not the last word.

  $ cp -r run full && (trap '' XFSZ; ulimit -f 100; rwkv train -q --resume full --steps 16)
  > ls full/checkpoints; rwkv train -q --resume full --steps 16 && rwkv train -q --resume run --steps 16 && cmp run/m.safetensors full/m.safetensors
  step-0000000012.safetensors
  step-0000000013.safetensors
  ! rwkv: note: full/checkpoints/step-0000000014.safetensors: cannot write at byte 0: File too large; training goes on
  ! rwkv: full/checkpoints/step-0000000016.safetensors: cannot write at byte 0: File too large

Numbers that are not finite: stopped before the weights change, or left out.

  $ rwkv train -q --out nan set.toml --lr 1e30 --lr-final 1e30 --warmup 0 --clip 0
  ! rwkv: step 2: loss nan, norm of the gradient nan; the first tensor that is not finite: the gradient of emb.weight
  [1]
  $ rwkv train -q --out skip set.toml --lr 1e30 --lr-final 1e30 --warmup 0 --clip 0 --on-nan skip --steps 3
  ! rwkv: note: step 2 left out: loss nan, norm of the gradient nan; the first tensor that is not finite: the gradient of emb.weight
  ! rwkv: note: step 3 left out: loss nan, norm of the gradient nan; the first tensor that is not finite: the gradient of emb.weight

Validation on other data.

  $ rwkv train -q --out valid set.toml --held-out 0 --validation text --validate-every 6 && grep -c validation valid/log.jsonl; grep '^validation' valid/config.toml
  2
  validation = "$TMP/text"
  $ rwkv train -q --out both set.toml --validation text
  ! rwkv: wanted other data for validation or a share held out, found both
  [1]

All weights of a model are trained.

  $ rwkv train -q --out tuned --data text --model run/m.safetensors --ctx 16 --batch 1 --steps 2 --warmup 1 --order shuffled --export t.pth,t2.pth --export-type bf16 --export-every 1
  > ls tuned | grep pth; rwkv info tuned/t.pth | grep types
  t-1.pth
  t.pth
  t2-1.pth
  t2.pth
  types         69 tensors BF16, 111 KiB

What does not fit together is said.

  $ rwkv train
  ! rwkv: train: wanted --out or --resume (see 'rwkv train --help')
  [2]
  $ rwkv train --out run set.toml
  ! rwkv: run: holds a run already, at step 16: wanted a new folder, or to resume it
  [1]
  $ rwkv train --out new --data text
  ! rwkv: wanted the length of the run as one of steps, tokens and epochs, found none
  [1]
  $ rwkv train --out new --resume run
  ! rwkv: train: --resume goes on in the folder it names: wanted no --out with it (see 'rwkv train --help')
  [2]
  $ rwkv train --out new set.toml --tokens 5 --epochs 1
  ! rwkv: wanted the length of the run as one of steps, tokens and epochs, found several
  [1]
  $ rwkv train --resume nowhere
  ! rwkv: nowhere/config.toml: cannot open: No such file or directory
  [1]
  $ rwkv train --out new set.toml --export m.bin
  ! rwkv: export: wanted names of files in the run's folder that end in .pth, .safetensors or .gguf, found 'm.bin'
  [1]
  $ rwkv train --out new set.toml --warmup 12
  ! rwkv: learning rate: wanted fewer steps of warm-up than the run has, found 12 of 12
  [1]
  $ rwkv train --out new set.toml --memory-limit 1M
  ! rwkv: not enough memory: weights 0.22 MiB + gradients 0.22 MiB + moments 0.43 MiB + activations 0.21 MiB + work * MiB = * MiB, the limit is 1.00 MiB (a smaller batch or gradient checkpointing needs less) (glob)
  [1]
  $ rwkv train --out new set.toml --steps 1000000000000000000
  ! rwkv: wanted a run of fewer than 2^64 tokens, found 1000000000000000000 steps of 32
  [1]
  $ rwkv train --out new set.toml --data nothing
  ! rwkv: nothing.idx: cannot open: No such file or directory
  [1]
  $ rwkv train --out new set.toml --model run/m.safetensors
  ! rwkv: run/m.safetensors has its sizes: others cannot be given with it
  [1]
  $ printf 'steps = 1\nstpes = 2\n' > bad.toml; rwkv train --out new bad.toml
  ! rwkv: bad.toml:2: unknown option 'stpes': did you mean 'steps'?
  [1]
  $ printf '[model]\n' > bad.toml; rwkv train --out new bad.toml
  ! rwkv: bad.toml:1: tables ([...]) are not used here: wanted only lines 'name = value'
  [1]
  $ printf 'steps = many\n' > bad.toml; rwkv train --out new bad.toml
  ! rwkv: bad.toml:1: wanted a string in quotes, a number, true or false, found 'many'
  [1]
  $ printf 'data = "text\n' > bad.toml; rwkv train --out new bad.toml
  ! rwkv: bad.toml:1: the string does not end on its line
  [1]
  $ printf 'steps = 1\nsteps = 2\n' > bad.toml; rwkv train --out new bad.toml
  ! rwkv: bad.toml:2: 'steps' stands here twice
  [1]
  $ printf 'out = "here"\n' > bad.toml; rwkv train --out new bad.toml
  ! rwkv: bad.toml:1: 'out' is for the command line only
  [1]
  $ ls new
  ! ls: cannot access 'new': No such file or directory
  [2]

Answers only: steps and validations without one say so; validation may be on texts without prompts.

  $ for i in 1 2 3 4 5 6; do printf '{"q": "%0100d", "a": "b"}\n' $i; done > rare.jsonl
  > rwkv data build -q --vocab bytes --prompt-field q --field a rare rare.jsonl
  > printf 'vocab = "bytes"\nlayers = 2\nembd = 32\nhead-size = 16\nctx = 16\nbatch = 2\nwarmup = 1\n' > few.toml
  > printf 'order = "shuffled"\nthreads = 1\nanswers-only = true\n' >> few.toml
  > rwkv train few.toml --out rare-run --data rare --steps 9 --held-out 0.01 --print-every 1 2>&1 |
  > sed -n '/^data/p; /^step/s/  *lr.*//p' | sed 's/loss [0-9].*/loss N/'
  data        612 tokens, 16 of them held out; answers only
  step 1/9  no answers
  step 2/9  loss N
  step 3/9  loss N
  step 4/9  no answers
  step 5/9  no answers
  step 6/9  no answers
  step 7/9  no answers
  step 8/9  no answers
  step 9/9  no answers
  $ grep -c '"loss": null' rare-run/log.jsonl; grep answers-only rare-run/config.toml
  7
  answers-only = true
  $ rwkv train few.toml --out rare-plain --data rare --steps 2 --validation text --json 2> log | sed -n 's/"tokens.*"targets"/"targets"/p' | cut -c 1-55
  {"event": "step", "step": 1, "targets": 0, "loss": null
  {"event": "step", "step": 2, "targets": 3, "loss": 5.62
  {"event": "validation", "step": 2, "targets": 1296, "lo
  $ rwkv train few.toml --out no-answers --data text --steps 2
  ! rwkv: text: wanted prompts and answers, to learn the answers only, found no prompts: data are built with them from JSON lines
  [1]

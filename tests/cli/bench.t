A model with random weights, made, measured and removed again.

  $ export TMPDIR=$PWD/tmp; mkdir tmp
  > rwkv bench --make 2,64,256 --prompt 5,3 --decode 4 --batch 2 --threads 1 --cpu ref --energy no > out; ls tmp
  > sed 's/[0-9][0-9.]*/N/g; s/  */ /g; s/ [kMG] / /g; s/ ms/ s/; s/ [KM]*i*B/ B/g; s/ [*]N/ N/' out
  random weights: RWKV-N, N layers of N channels, N parameters, mostly FN
  N thread, ref, N tokens a chunk
  
  work tokens/s +- bytes/token ops/token of read of fN
  prefill N N N % N B N N % N %
  prefill N N N % N B N N % N %
  decode N N N % N B N N % N %
  batch N N N % N B N N % N %
  
  limits read N GB/s, fN N GOP/s, between the passes; * applies
  open N s
  first token N s, opening and a prompt of N tokens included
  memory N B resident at most; file N B, own N B, state N B
  zeros N % of the channel mix; skipped in N layers, copied to N B
  energy not readable: no: No such file or directory

Prompts come in order of length; they are up against arithmetic, decoding against reading.

  $ sed -n 's/^\([pd][a-z]* [0-9]\) .* \([*]*\)[0-9.]* %  *\([*]*\)[0-9.]* %$/\1 read\2 f32\3/p' out
  prefill 3 read f32*
  prefill 5 read f32*
  decode 4 read* f32

For programs: JSON and CSV, of several types and numbers of threads, with a long text.

  $ rwkv bench --make 1,256,256 --sweep types=q8_0,q4_k --sweep threads=1,2 --prompt 8 --decode 0 --batch 4 --json |
  > python3 "$CASE/bench_check.py" json
  Q8_0 threads 1 prefill 8 batch 4
  Q8_0 threads 2 prefill 8 batch 4
  Q4_K threads 1 prefill 8 batch 4
  Q4_K threads 2 prefill 8 batch 4
  $ rwkv bench --make 1,64,256,f32 --prompt 3 --decode 2 --length 200 --csv -q --cpu ref |
  > python3 "$CASE/bench_check.py" csv
  random weights F32 prefill 3
  random weights F32 decode 2
  random weights F32 prefill-after 66
  random weights F32 decode-after 66
  random weights F32 prefill-after 133
  random weights F32 decode-after 133
  random weights F32 prefill-after 200
  random weights F32 decode-after 200
  $ rwkv bench --prompt 0 --decode 0 --length 64 --json --threads 1 | python3 "$CASE/bench_check.py" json | cut -d' ' -f2-
  threads 1 64

Training: in both precisions, with checkpoints, several sequences.

  $ rwkv bench --train --make 2,64,256 --ctx 16 --batch 2 --grad-checkpoint --threads 1 --cpu ref > out
  > sed 's/[0-9][0-9.]*/N/g; s/  */ /g; s/ [kMG] / /g; s/ [KM]*i*B/ B/g' out
  random weights: RWKV-N, N layers of N channels, N parameters, mostly FN
  N thread, ref, training on sequences of N tokens
  
  training tokens/s +- ops/token of fN of bfN products recurr. rest
  fN, batch N N N % N N % - N % N % N %
  fN, batch N, checkpoints N N % N N % - N % N % N %
  bfN, batch N N N % N N % - N % N % N %
  bfN, batch N, checkpoints N N % N N % - N % N % N %
  
  share of the time row N row N row N row N
   products, forward N % N % N % N %
   products by inputs N % N % N % N %
   products by weights N % N % N % N %
   recurrence, forward N % N % N % N %
   recurrence, back N % N % N % N %
   norms and shifts N % N % N % N %
   cross entropy N % N % N % N %
   optimizer N % N % N % N %
   copies and sums N % N % N % N %
  
  row N limits fN N GOP/s; memory planned N B, used N B
  row N limits fN N GOP/s; memory planned N B, used N B
  row N limits fN N GOP/s; memory planned N B, used N B
  row N limits fN N GOP/s; memory planned N B, used N B
  $ rwkv bench --train --make 2,64,256 --ctx 16 --batch 1,3 --threads 2 --cpu ref --json | python3 "$CASE/bench_check.py" train
  f32 1 x 16 1081344 all kept
  bf16 1 x 16 1081344 all kept
  f32 3 x 16 1081344 all kept
  bf16 3 x 16 1081344 all kept
  $ rwkv bench --train --make 1,64,256 --ctx 5 --precision bf16 --sweep threads=1,2 --json | python3 "$CASE/bench_check.py" train
  bf16 4 x 5 577536 all kept
  bf16 4 x 5 577536 all kept
  $ rwkv bench --train --batch 1 --ctx 4 -q --precision f32 | head -n 1 | cut -d: -f1
  built-in model
  $ rwkv bench --train --make 2,64,256 --ctx 100000 --batch 64 --memory-limit 10M 2>&1 | sed 's/needs [0-9]*/needs N/'
  rwkv: training needs N MiB, more than the 10 MiB there are

Charts, and the rates of a sweep side by side.

  $ rwkv bench --make 1,64,256 --sweep cpu=ref,auto --prompt 0 --decode 0 --batch 1,2 --length 128 --plot a.svg |
  > tail -n 3 | sed 's/[0-9][0-9.]* *[0-9][0-9.]*$/N N/; s/  */ /g'
  tokens/s batch 1 batch 2
  ref N N
  auto N N
  $ python3 "$CASE/bench_check.py" svg a.svg
  line of 2
  line of 2
  line of 2
  line of 2
  line of 2
  line of 2
  random weights; ref; auto; Generating after a long text; Reading on after a long text; Sessions generating together
  $ rwkv bench --prompt 1 --decode 0 --length 64 --plot 'no/<where>.svg'
  ! rwkv: no/<where>.svg: cannot create: No such file or directory
  [1]
  $ cp "$SOURCE/data/builtin.gguf" '<&>.gguf'
  > rwkv bench '<&>.gguf' --prompt 0 --decode 0 --length 64 --plot b.svg > out && python3 "$CASE/bench_check.py" svg b.svg
  line of 1
  line of 1
  <&>.gguf; Generating after a long text; Reading on after a long text

Energy, of the packages together.

  $ for zone in 0 1 2; do mkdir -p power/intel-rapl:$zone; echo 1000000 > power/intel-rapl:$zone/energy_uj; done
  > echo package-0 > power/intel-rapl:0/name; echo package-1 > power/intel-rapl:1/name; echo psys > power/intel-rapl:2/name
  > rwkv bench --prompt 1 --decode 0 --energy power --cpu ref | sed -n 's/  */ /g; /J\/token/p; s/^\(prefill 1\) .* /\1 /p'
  work tokens/s +- bytes/token ops/token of read of f32 J/token
  prefill 1 0.0000
  $ rm power/intel-rapl:1/energy_uj; mkdir power/intel-rapl:1/energy_uj
  > rwkv bench --prompt 1 --decode 0 --energy power | grep energy
  energy        not readable: power/intel-rapl:1/energy_uj: Is a directory

It can be kept, and measured like any other.

  $ rwkv bench --make 1,128,300,q8_0 --prompt 0 --decode 0 --keep m.gguf && rwkv info m.gguf | grep tensors
  types         26 tensors F32, 140 KiB
                8 tensors Q8_0, 284 KiB
  $ rwkv bench m.gguf --prompt 2 --decode 0 | head -n 1
  m.gguf: RWKV-7, 1 layer of 128 channels, 301 k parameters, mostly Q8_0
  $ rwkv bench --prompt 2 --decode 0 | head -n 1 | cut -d: -f1
  built-in model

Errors.

  $ rwkv bench --make 2,100
  ! rwkv: wanted a width that is a multiple of the head size 64, found 100
  [1]
  $ rwkv bench --make 2,64,256,q4_k
  ! rwkv: type Q4_K: wanted widths that are multiples of 256, found 64 and 256
  [1]
  $ rwkv bench --make 2,64,10
  ! rwkv: wanted 1 to 1024 layers, a width of 1 to 65536 and a vocabulary of 256 to 1048576, found 2, 64 and 10
  [1]
  $ rwkv bench --make 99999,64
  ! rwkv: wanted 1 to 1024 layers, a width of 1 to 65536 and a vocabulary of 256 to 1048576, found 99999, 64 and 65536
  [1]
  $ rwkv bench nothing.gguf
  ! rwkv: nothing.gguf: cannot open: No such file or directory
  [1]
  $ TMPDIR=/nowhere rwkv bench --make 2,64,256 2>&1 | sed 's/-[0-9]*[.]/-N./'
  rwkv: /nowhere/rwkv-bench-N.gguf: cannot create: No such file or directory
  $ rwkv bench --make 2,64,256 --keep no/where.gguf
  ! rwkv: no/where.gguf: cannot create: No such file or directory
  [1]
  $ rwkv bench --make 2,64,256 --keep m.gguf
  ! rwkv: m.gguf: exists already
  [1]
  $ rwkv bench --prompt 0 --decode 0
  ! rwkv: bench: wanted something to measure, found only zeros (see 'rwkv bench --help')
  [2]
  $ rwkv bench --train --prompt 3
  ! rwkv: bench: --train does not go with --prompt, --decode, --length, --plot and --csv (see 'rwkv bench --help')
  [2]
  $ rwkv bench --ctx 3
  ! rwkv: bench: --ctx, --precision and --grad-checkpoint want --train with them (see 'rwkv bench --help')
  [2]
  $ rwkv bench --sweep types=q8_0
  ! rwkv: bench: --sweep types= wants --make with it (see 'rwkv bench --help')
  [2]
  $ rwkv bench --make 1,64 --sweep types=q8_0,q9
  ! rwkv: bench: option '--sweep': wanted types=, threads= or cpu= and up to 16 values separated by commas, such as types=q8_0,q4_k, found 'types=q9' (see 'rwkv bench --help')
  [2]
  $ rwkv bench --make 1,64 --sweep types=q8_0,q4_0 --keep k.gguf
  ! rwkv: bench: --keep keeps one model, found 2 types (see 'rwkv bench --help')
  [2]
  $ rwkv bench --sweep threads
  ! rwkv: bench: option '--sweep': wanted types=, threads= or cpu= and up to 16 values separated by commas, such as types=q8_0,q4_k, found 'threads=' (see 'rwkv bench --help')
  [2]
  $ rwkv bench --make 1,64 m.gguf
  ! rwkv: bench: wanted models or --make, found both (see 'rwkv bench --help')
  [2]

Options may be written in several ways and stand anywhere.

  $ rwkv tokenize --vocab bytes a
  97
  $ rwkv tokenize --vocab=bytes a
  97
  $ rwkv tokenize a --vocab bytes
  97
  $ rwkv tokenize --vocab bytes -- --count
  45 45 99 111 117 110 116
  $ printf a | rwkv tokenize --vocab bytes -
  97
  $ rwkv run -n0 x && rwkv run -n 0 x && rwkv run -vn0 x 2>&1 | grep -c '^prompt'
  1

Mistakes are named, with what was probably meant.

  $ rwkv run --tmp 1 x
  ! rwkv: run: unknown option '--tmp': did you mean '--temp'? (see 'rwkv run --help')
  [2]
  $ rwkv run --max_tokens 1 x
  ! rwkv: run: unknown option '--max_tokens': did you mean '--max-tokens'? (see 'rwkv run --help')
  [2]
  $ rwkv run --seeed=1 x
  ! rwkv: run: unknown option '--seeed': did you mean '--seed'? (see 'rwkv run --help')
  [2]
  $ rwkv run --unlike-anything x
  ! rwkv: run: unknown option '--unlike-anything' (see 'rwkv run --help')
  [2]
  $ rwkv run -z x
  ! rwkv: run: unknown option '-z' (see 'rwkv run --help')
  [2]
  $ rwkv run --greedy=yes x
  ! rwkv: run: option '--greedy' takes no value (see 'rwkv run --help')
  [2]
  $ rwkv run --temp
  ! rwkv: run: option '--temp' needs a value (see 'rwkv run --help')
  [2]
  $ rwkv run -n
  ! rwkv: run: option '-n' needs a value (see 'rwkv run --help')
  [2]
  $ rwkv run one two
  ! rwkv: run: wanted only one PROMPT (in quotes), - or --file, found one more: 'two' (see 'rwkv run --help')
  [2]
  $ rwkv run
  ! rwkv: run: wanted one PROMPT (in quotes), - or --file, found nothing (see 'rwkv run --help')
  [2]
  $ rwkv run -f prompt.txt "and a prompt"
  ! rwkv: run: wanted one PROMPT (in quotes), - or --file, found both (see 'rwkv run --help')
  [2]
  $ rwkv convert only-one
  ! rwkv: convert: wanted IN OUT, found only 'only-one' (see 'rwkv convert --help')
  [2]
  $ rwkv forward -m one.pth two.pth --tokens 1 --out o.pth
  ! rwkv: forward: wanted one MODEL, found two: 'one.pth' and 'two.pth' (see 'rwkv forward --help')
  [2]
  $ rwkv forward model.pth --tokens 1
  ! rwkv: forward: wanted --out FILE (see 'rwkv forward --help')
  [2]
  $ rwkv info one.pth two.pth
  ! rwkv: info: wanted only one MODEL, found one more: 'two.pth' (see 'rwkv info --help')
  [2]
  $ rwkv info -m one.pth two.pth
  ! rwkv: info: wanted one MODEL, found two: 'one.pth' and 'two.pth' (see 'rwkv info --help')
  [2]
  $ rwkv info --tensors
  ! rwkv: info: wanted a FILE for --tensors, found nothing (see 'rwkv info --help')
  [2]
  $ rwkv chat hello
  ! rwkv: chat: wanted only options, found 'hello' (see 'rwkv chat --help')
  [2]
  $ rwkv bench model.pth --make 2,64
  ! rwkv: bench: wanted models or --make, found both (see 'rwkv bench --help')
  [2]
  $ rwkv bench --keep model.gguf
  ! rwkv: bench: --keep wants --make with it (see 'rwkv bench --help')
  [2]

Values are checked before anything is opened.

  $ rwkv run --temp warm x
  ! rwkv: run: option '--temp': wanted a number from 0 to 100, found 'warm' (see 'rwkv run --help')
  [2]
  $ rwkv run --temp -1 x
  ! rwkv: run: option '--temp': wanted a number from 0 to 100, found '-1' (see 'rwkv run --help')
  [2]
  $ rwkv run --temp nan x
  ! rwkv: run: option '--temp': wanted a number from 0 to 100, found 'nan' (see 'rwkv run --help')
  [2]
  $ rwkv run --temp 1e999 x
  ! rwkv: run: option '--temp': wanted a number from 0 to 100, found '1e999' (see 'rwkv run --help')
  [2]
  $ rwkv run --temp '' x
  ! rwkv: run: option '--temp': wanted a number from 0 to 100, found '' (see 'rwkv run --help')
  [2]
  $ rwkv run --top-p 1.5 x
  ! rwkv: run: option '--top-p': wanted a number from 0 to 1, found '1.5' (see 'rwkv run --help')
  [2]
  $ rwkv run --top-k -3 x
  ! rwkv: run: option '--top-k': wanted a whole number from 0 up to 2147483647, found '-3' (see 'rwkv run --help')
  [2]
  $ rwkv run --seed 99999999999999999999 x
  ! rwkv: run: option '--seed': wanted a whole number from 0 up to 18446744073709551615, found '99999999999999999999' (see 'rwkv run --help')
  [2]
  $ rwkv run -n 3.5 x
  ! rwkv: run: option '-n': wanted a number of tokens or inf, found '3.5' (see 'rwkv run --help')
  [2]
  $ rwkv run -n 99999999999999999999 x
  ! rwkv: run: option '-n': wanted a number of tokens or inf, found '99999999999999999999' (see 'rwkv run --help')
  [2]
  $ rwkv run --threads 0 x
  ! rwkv: run: option '--threads': wanted a whole number from 1 to 256, found '0' (see 'rwkv run --help')
  [2]
  $ rwkv run --threads 257 x
  ! rwkv: run: option '--threads': wanted a whole number from 1 to 256, found '257' (see 'rwkv run --help')
  [2]
  $ rwkv run --chunk 5000 x
  ! rwkv: run: option '--chunk': wanted a whole number from 1 to 4096, found '5000' (see 'rwkv run --help')
  [2]
  $ rwkv run --memory-limit 10Q x
  ! rwkv: run: option '--memory-limit': wanted a number of bytes such as 500M or 4G, found '10Q' (see 'rwkv run --help')
  [2]
  $ rwkv run --memory-limit 99999999999999T x
  ! rwkv: run: option '--memory-limit': wanted a number of bytes such as 500M or 4G, found '99999999999999T' (see 'rwkv run --help')
  [2]
  $ rwkv run --order random x
  ! rwkv: run: option '--order': wanted rwkv or temperature-first, found 'random' (see 'rwkv run --help')
  [2]
  $ rwkv run --logit-bias 5 x
  ! rwkv: run: option '--logit-bias': wanted TOKEN=NUMBER such as 261=-1.5 or 0=-inf, found '5' (see 'rwkv run --help')
  [2]
  $ rwkv run --logit-bias 5=nan x
  ! rwkv: run: option '--logit-bias': wanted TOKEN=NUMBER such as 261=-1.5 or 0=-inf, found '5=nan' (see 'rwkv run --help')
  [2]
  $ rwkv run --logit-bias x=1 x
  ! rwkv: run: option '--logit-bias': wanted TOKEN=NUMBER such as 261=-1.5 or 0=-inf, found 'x=1' (see 'rwkv run --help')
  [2]
  $ rwkv run --stop '' x
  ! rwkv: run: option '--stop': wanted a text, found nothing (see 'rwkv run --help')
  [2]
  $ rwkv run --stop-token -1 x
  ! rwkv: run: option '--stop-token': wanted a token id from 0 to 2147483647, found '-1' (see 'rwkv run --help')
  [2]
  $ rwkv run --cpu sse x 2>&1 | sed 's/(best: [a-z0-9]*)/(best)/'
  rwkv: run: option '--cpu': wanted auto, ref, avx2, avxvnni, avx512, avx512vnni or avx512bf16, as far as this machine has it (best), found 'sse' (see 'rwkv run --help')
  $ rwkv chat --think hard
  ! rwkv: chat: option '--think': wanted off, on, fast, short or long, found 'hard' (see 'rwkv chat --help')
  [2]
  $ rwkv convert a b --type q9
  ! rwkv: convert: option '--type': wanted f32, f16 or bf16, found 'q9' (see 'rwkv convert --help')
  [2]
  $ rwkv convert a b --naming mine
  ! rwkv: convert: option '--naming': wanted auto, blinkdl or hf, found 'mine' (see 'rwkv convert --help')
  [2]
  $ rwkv bench --make 2
  ! rwkv: bench: option '--make': wanted LAYERS,CHANNELS[,VOCABULARY][,TYPE] such as 12,768,65536,q8_0, found '2' (see 'rwkv bench --help')
  [2]
  $ rwkv bench --make 2,64,256,f99
  ! rwkv: bench: option '--make': wanted LAYERS,CHANNELS[,VOCABULARY][,TYPE] such as 12,768,65536,q8_0, found '2,64,256,f99' (see 'rwkv bench --help')
  [2]
  $ rwkv bench --prompt 1,two
  ! rwkv: bench: option '--prompt': wanted numbers up to 1000000, separated by commas, found '1,two' (see 'rwkv bench --help')
  [2]
  $ rwkv bench --batch 65
  ! rwkv: bench: option '--batch': wanted numbers up to 64, separated by commas, found '65' (see 'rwkv bench --help')
  [2]

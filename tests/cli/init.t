A new model in every container, the same weights in each; seeds.

  $ rwkv init --layers 2 --embd 32 --head-size 16 --vocab bytes a.gguf
  ! a.gguf: 237 KiB written
  $ rwkv init -q --layers 2 --embd 32 --head-size 16 --vocab-size 256 a.pth
  $ rwkv init -q --layers 2 --embd 32 --head-size 16 --vocab-size 256 a.safetensors
  $ for f in a.gguf a.pth a.safetensors; do rwkv info $f | grep fingerprint; done | sort -u | wc -l
  1
  $ rwkv init -q --layers 2 --embd 32 --head-size 16 --vocab-size 256 --seed 1 b.safetensors; cmp -s a.safetensors b.safetensors
  [1]
  $ rwkv init -q --layers 2 --embd 32 --head-size 16 --vocab-size 256 --threads 1 c.safetensors; cmp a.safetensors c.safetensors
  $ rwkv info a.pth | grep -E '^(ranks|channel|layers)'
  layers        2
  channels      32: 2 heads of 16
  channel mix   128
  ranks         w 32, a 32, v 32, g 32
  $ ls
  a.gguf
  a.pth
  a.safetensors
  b.safetensors
  c.safetensors

A GGUF is written in one go, without another file beside it: nothing is left of one that is killed in the middle. Its
vocabulary makes it larger than the weights alone are in any other file.

  $ awk 'BEGIN { s = sprintf("%1000s", ""); gsub(/ /, "x", s); for (i = 1; i <= 400; i++) printf "%d \"%s%d\" %d\n", i,
  > s, 1000 + i, 1004 }' > words.txt; mkdir out
  $ cat > killed.sh <<'END'
  > ulimit -c 0; ulimit -f 600; rwkv init -q --layers 2 --embd 8 --head-size 4 --vocab words.txt $1; echo "status $?"
  > END
  $ sh killed.sh out/m.safetensors && sh killed.sh out/m.gguf 2>/dev/null; ls out
  status 0
  status 153
  m.safetensors

What cannot be made is said.

  $ rwkv init --layers 2 --embd 32 x.pth
  ! rwkv: init: wanted --layers, --embd, and --vocab-size or --vocab (see 'rwkv init --help')
  [2]
  $ rwkv init --layers 2 --embd 33 --vocab-size 256 x.pth
  ! rwkv: initial weights: wanted a head size of 2 to 512 and a width that is a multiple of it, found 64 and 33
  [1]
  $ rwkv init --layers 2 --embd 64 --vocab-size 256 a.pth
  ! rwkv: a.pth: exists already
  [1]
  $ rwkv init --layers 2 --embd 64 --vocab-size 256 --memory-limit 600K x.pth
  ! rwkv: x.pth: not enough memory: weights 0.62 MiB + work 0.06 MiB = 0.68 MiB, the limit is 0.59 MiB
  [1]
  $ rwkv init --layers 2 --embd 64 --vocab-size 256 x.gguf
  ! rwkv: x.gguf: a GGUF needs a vocabulary
  [1]
  $ rwkv init --layers 2 --embd 64 --vocab-size 100 --vocab bytes x.gguf
  ! rwkv: bytes: wanted a vocabulary of at most 100 ids, the model's, found 256
  [1]
  $ rwkv init --layers 2 --embd 64 --vocab-size 256 x.bin
  ! rwkv: x.bin: wanted a name that ends in .pth, .safetensors or .gguf
  [1]

A model with random weights, made, measured and removed again.

  $ export TMPDIR=$PWD/tmp; mkdir tmp
  > rwkv bench --make 2,64,256 --prompt 5,3 --decode 4 --batch 2 --threads 1 --cpu ref > out; ls tmp
  > sed 's/[0-9][0-9.]*/N/g; s/  */ /g; s/ [kMG] / /g; s/ ms/ s/; s/ [KM]*i*B/ B/g' out
  random weights: RWKV-N, N layers of N channels, N parameters, mostly FN
  N thread, ref, N tokens a chunk
  
  work tokens/s bytes/token flops/token of read of fN
  prefill N N N B N N % N %
  prefill N N N B N N % N %
  decode N N N B N N % N %
  batch N N N B N N % N %
  
  limits read N GB/s, fN N GFLOP/s (measured before and after, mean)
  open N s
  first token N s, opening and a prompt of N tokens included
  memory N B resident at most; file N B, own N B, state N B
  $ rwkv bench --make 2,64,256,f32 --prompt 3 --decode 0 --csv -q --cpu ref | sed '2s/[0-9][0-9.e+-]*/N/g'
  work,size,tokens_per_second,bytes_per_token,flops_per_token,read_share,flops_share,threads,cpu,type,parameters,read_bytes_per_second,f32_flops_per_second,load_seconds,first_token_seconds,peak_resident_bytes
  prefill,N,N,N,N,N,N,N,ref,FN,N,N,N,N,N,N
  $ rwkv bench --make 2,64,256 --prompt 0 --decode 2 --json | sed 's/: [0-9][0-9.e+-]*/: N/g' |
  > grep -v -e '": N,$' -e '"memory"' -e '"cpu"' -e '"fingerprint"' -e '"vocabulary"'
  {
    "model": {
      "path": "random weights",
      "format": "gguf",
      "ranks": {"w": N, "a": N, "v": N, "g": N},
      "type": "F16",
    },
    "limits": {"read_bytes_per_second": N, "f32_flops_per_second": N},
    "rows": [
      {"work": "decode", "size": N, "tokens_per_second": N, "bytes_per_token": N, "flops_per_token": N, "read_share": N, "flops_share": N}
    ]
  }

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

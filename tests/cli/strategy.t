Where layers are computed: a plugin whose two devices are the CPU with memory that nobody else may touch.

Needs: $FAR_PLUGIN

  $ ln -s "$FAR_PLUGIN" plugin.so
  > cp "$DATA/rwkv7/long-f16.pth" m.pth
  > rwkv info m.pth --strategy 'cuda fp32 *1 -> cuda:1 fp32' | sed -n '/^where/,/^  GPU/p'
  > rwkv info m.pth --strategy 'cuda:1 fp32 *1 -> cpu fp32' --json | grep -A3 placement
  where it would run
    layers      cuda fp32: 1 block; cuda:1 fp32: 1 block and the head
    processor   * (glob)
    cuda:0      far memory 0 (0.0), 1.00 GiB free of 1.00 GiB
    cuda:1      far memory 1 (0.0), 1.00 GiB free of 1.00 GiB
    "placement": "cuda:1 fp32: 1 block; cpu fp32: 1 block and the head",
    "gpus": [
      {"name": "far memory 0", "capability": "0.0", "memory_bytes": 1073741824, "free_bytes": 1073741824},
      {"name": "far memory 1", "capability": "0.0", "memory_bytes": 1073741824, "free_bytes": 1073741824}

The result is the same to the byte, whichever program runs it.

  $ rwkv run --greedy -n 20 "Once upon a time" > a; test -s a
  > for s in 'cpu fp32' 'cuda fp32' 'cuda fp32 *2 -> cpu fp32' 'cuda:1 fp32 *5 -> cuda fp32 *1 -> cpu fp32'
  > do rwkv run --greedy -n 20 --strategy "$s" "Once upon a time" | cmp - a; done
  $ rwkv forward m.pth --tokens 1,2,3,4 --out a.safetensors --state-out a.state
  > rwkv forward m.pth --tokens 1,2,3,4 --out b.safetensors --state-out b.state --strategy 'cuda fp32 *1 -> cpu fp32'
  > cmp a.safetensors b.safetensors; cmp a.state b.state
  $ printf 'Once upon a time there was a fox.' > t.txt; rwkv perplexity t.txt --json > a.json
  > rwkv perplexity t.txt --json --strategy 'cuda fp32 *3 -> cuda:1 fp32' > b.json; diff a.json b.json | grep -v -e second -e '^[0-9-]'
  [1]

What cannot be.

  $ rwkv run --strategy 'cuda fp17' -n 1 a
  ! rwkv: strategy: step 1: wanted fp32, fp16 or bf16, or one of these with i8, found 'fp17'
  [1]
  $ rwkv run --strategy 'cuda:2 fp32' -n 1 a
  ! rwkv: cuda:2: wanted one of the 2 devices here
  [1]
  $ rwkv run --strategy 'cpu fp32i8' -n 1 a
  ! rwkv: strategy: step 1: the CPU reads matrices as the file has them: for 8 bits convert the file to Q8_0
  [1]
  $ rwkv run --strategy 'cuda fp32 -> ' -n 1 a
  ! rwkv: strategy: step 2: wanted cpu, cuda or cuda:N, found ''
  [1]
  $ rwkv info --strategy 'tpu fp32'
  ! rwkv: strategy: step 1: wanted cpu, cuda or cuda:N, found 'tpu'
  [1]
  $ RWKV_CUDA_PLUGIN=./none.so rwkv run --strategy 'cuda fp16' -n 1 a
  ! rwkv: cuda: cannot open the plugin: ./none.so: cannot open shared object file: No such file or directory
  [1]
  $ RWKV_CUDA_PLUGIN=libm.so.6 rwkv run --strategy 'cuda fp16' -n 1 a
  ! rwkv: cuda: libm.so.6 is no plugin: it has no rw_cuda_plugin
  [1]
  $ rwkv serve --strategy 'cuda fp32' --check
  ! rwkv: --strategy 'cuda fp32': the sandbox lets nobody use a GPU: wanted --no-sandbox with it
  [1]

A device without the room for its layers is refused before anything is loaded.

  $ RWKV_FAR_BYTES=3000000 rwkv run --strategy 'cuda fp32 *4 -> cuda:1 fp32' -n 1 a
  ! rwkv: built-in model: not enough memory on cuda:0: 4 of 9 layers 2.73 MiB + scratch 3.20 MiB + one state 0.26 MiB = 6.19 MiB, free are 2.86 MiB (cuda fp32: 4 blocks; cuda:1 fp32: 4 blocks and the head)
  [1]
  $ RWKV_FAR_BYTES=30000000 rwkv run --strategy 'cuda fp32 *4 -> cpu fp32' --chunk 1 -n 1 --greedy a > b; test -s b

What a model is and needs.

  $ rwkv bench --make 2,128,300,bf16 --prompt 0 --decode 0 --keep m.gguf
  $ rwkv info m.gguf --threads 1 --cpu ref
  file          m.gguf
  model         RWKV-7, gguf
  parameters    533 k (532608)
  layers        2
  channels      128: 2 heads of 64
  channel mix   512
  ranks         w 32, a 32, v 32, g 32
  vocabulary    300 tokens, from m.gguf
  types         48 tensors F32, 277 KiB
                14 tensors BF16, 918 KiB
  fingerprint   * (glob)
  
  memory when loaded
    weights     1.18 MiB, mapped from the file
    vectors     * KiB, widened to F32 (glob)
    state       66.0 KiB a session, whatever the length of the text
    scratch     * for 128 tokens at once (glob)
    in all      *, of which * are this process's own (glob)
    available   * on this machine now (glob)
  
  work for one token
    read        * of weights (glob)
    operations  * (glob)
  
  where it would run
    layers      cpu fp32: 2 blocks and the head
    processor   1 thread, ref instructions (this machine's best: *) (glob)
    GPU         none: cuda: cannot open the plugin: ./plugin.so: cannot open shared object file: No such file or directory
  
  metadata
    general.architecture = rwkv7
    general.type = model
    general.name = * (glob)
    general.file_type = 32
    rwkv7.context_length = 1048576
    rwkv7.embedding_length = 128
    rwkv7.block_count = 2
    rwkv7.attention.layer_norm_epsilon = 1e-05
    rwkv7.wkv.head_size = 64
    rwkv7.attention.decay_lora_rank = 32
    rwkv7.attention.iclr_lora_rank = 32
    rwkv7.attention.value_residual_mix_lora_rank = 32
    rwkv7.attention.gate_lora_rank = 32
    rwkv7.feed_forward_length = 512
    rwkv7.attention.head_count = 0
    tokenizer.ggml.model = rwkv
    tokenizer.ggml.tokens = [\x00, \x01, \x02, \x03, \x04, \x05, \x06, \x07, ... (300 items)]
    tokenizer.ggml.token_type = [1, 1, 1, 1, 1, 1, 1, 1, ... (300 items)]
  $ rwkv info -m m.gguf --threads 1 --cpu ref | cmp - - && rwkv info --json m.gguf | head -n 12
  {
    "path": "m.gguf",
    "version": 7,
    "format": "gguf",
    "layers": 2,
    "channels": 128,
    "vocabulary_size": 300,
    "heads": 2,
    "head_size": 64,
    "ffn_size": 512,
    "ranks": {"w": 32, "a": 32, "v": 32, "g": 32},
    "parameters": 532608,
  $ rwkv info "$DATA/rwkv7/long-f16.pth" | grep -e vocabulary -e fingerprint
  vocabulary    128 tokens, but no text for them was found (--vocab)
  fingerprint   875baa976e21415434649dbfe90d3526bfb6d3e3a088a1f77dfeb09924d35bab
  $ rwkv info --vocab bytes "$DATA/rwkv7/long-f16.safetensors" | grep -e vocabulary
  vocabulary    128 tokens, from bytes
  $ rwkv info | head -n 2
  file          built-in model
  model         RWKV-7, gguf

The tensors of any readable file.

  $ rwkv forward "$DATA/rwkv7/long-f16.pth" --tokens 1 --out f.safetensors
  $ rwkv info --tensors f.safetensors
  logits             F32       [1, 128]
  hidden             F32       [1, 64]
  state.0.att_shift  F32       [64]
  state.0.ffn_shift  F32       [64]
  state.0.wkv        F32       [1, 64, 64]
  state.1.att_shift  F32       [64]
  state.1.ffn_shift  F32       [64]
  state.1.wkv        F32       [1, 64, 64]
  f.safetensors: safetensors, 8 tensors, 33.8 KiB
  $ rwkv info --tensors --json f.safetensors
  {
    "path": "f.safetensors",
    "format": "safetensors",
    "metadata": [],
    "tensors": [
      {"name": "logits", "dtype": "F32", "shape": [1, 128], "bytes": 512},
      {"name": "hidden", "dtype": "F32", "shape": [1, 64], "bytes": 256},
      {"name": "state.0.att_shift", "dtype": "F32", "shape": [64], "bytes": 256},
      {"name": "state.0.ffn_shift", "dtype": "F32", "shape": [64], "bytes": 256},
      {"name": "state.0.wkv", "dtype": "F32", "shape": [1, 64, 64], "bytes": 16384},
      {"name": "state.1.att_shift", "dtype": "F32", "shape": [64], "bytes": 256},
      {"name": "state.1.ffn_shift", "dtype": "F32", "shape": [64], "bytes": 256},
      {"name": "state.1.wkv", "dtype": "F32", "shape": [1, 64, 64], "bytes": 16384}
    ]
  }
  $ rwkv info --checksums "$DATA/rwkv7/long-f16.pth" | sed -n '1,3p;$p' | sed "s|$DATA|DATA|"
  emb.weight                      F16       [128, 64]             4f5e87107b428a2b924b83d59165ea11e33a35d30fe7ce5301d31123b1ac8335
  blocks.0.ln0.weight             F16       [64]                  4a7efec0ff5f9201530507aca492c289e6472ac9eb03ac5026f7acc0625fe3be
  blocks.0.ln0.bias               F16       [64]                  a9295849e04abf1651d1f35c58528d34d299b71ecd1b1c571bfb342f77b59b9d
  DATA/rwkv7/long-f16.pth: pth, 69 tensors, 301 KiB
  $ rwkv info --checksums "$DATA/rwkv7/long-f16.safetensors" | sed -n 1p
  emb.weight                      F16       [128, 64]             4f5e87107b428a2b924b83d59165ea11e33a35d30fe7ce5301d31123b1ac8335
  $ rwkv info --checksums --json "$DATA/rwkv7/long-f16.pth" | grep -c sha256
  69

Two files of one model have equal tensors and one fingerprint.

  $ for f in pth safetensors; do
  > rwkv info --checksums "$DATA/rwkv7/long-f16.$f" | sed '$d' | sort > $f.txt
  > rwkv info "$DATA/rwkv7/long-f16.$f" | grep fingerprint > $f.print; done
  > cmp pth.txt safetensors.txt && cmp pth.print safetensors.print && wc -l < pth.txt
  69

A file need not be a model for --tensors, and must be one without.

  $ rwkv info f.safetensors
  ! rwkv: f.safetensors: wanted an RWKV-7 model, found no model known here (its first tensor is 'logits')
  [1]
  $ rwkv info --tensors nothing.pth
  ! rwkv: nothing.pth: cannot open: No such file or directory
  [1]
  $ rwkv info nothing.pth
  ! rwkv: nothing.pth: cannot open: No such file or directory
  [1]
  $ rwkv info --tensors .
  ! rwkv: .: wanted a file or a folder with model.safetensors.index.json or model.safetensors, found a folder without them
  [1]
  $ : > empty.gguf; rwkv info --tensors empty.gguf
  ! rwkv: empty.gguf: wanted a .pth, .safetensors or .gguf file, found an empty file
  [1]
  $ head -c 100000 "$DATA/rwkv7/long-f16.pth" > cut.pth; rwkv info --tensors cut.pth
  ! rwkv: cut.pth: zip end record: none at the end of the file; the file is cut off or damaged
  [1]
  $ head -c 5000 m.gguf > cut.gguf; rwkv info --tensors cut.gguf
  ! rwkv: cut.gguf: metadata "tokenizer.ggml.token_type": wanted at most 180 items, all that fit, found 300
  [1]
  $ rwkv info m.gguf > /dev/full
  ! rwkv: standard output: No space left on device
  [1]

The gradient of a text's loss by every parameter, in BlinkDL's names and shapes.

  $ cp "$DATA/rwkv7/long-f16.pth" m.pth
  > rwkv grad m.pth --tokens 1,2,3,4,5,6,7 --out g.safetensors | grep .
  m.pth: RWKV-7, 2 layers of 64 channels, 154 k parameters, mostly F16
  --tokens: 7 tokens, 6 of them predicted
  loss                 * nats a token (glob)
  norm of the gradient *, of 69 tensors (glob)
  memory               *: parameters *, gradients *, activations *, work * (glob)
  $ rwkv info --tensors g.safetensors | sed 's/  */ /g' | head -n 5
  loss F64 [1]
  emb.weight F32 [128, 64]
  blocks.0.ln0.weight F32 [64]
  blocks.0.ln0.bias F32 [64]
  blocks.0.ln1.weight F32 [64]
  $ rwkv info --tensors g.safetensors | grep blocks.1 | sed 's/  */ /g' | grep -E 'x_r|w0|w1|w2|r_k|ffn.key'
  blocks.1.att.x_r F32 [1, 1, 64]
  blocks.1.att.w0 F32 [1, 1, 64]
  blocks.1.att.w1 F32 [64, 32]
  blocks.1.att.w2 F32 [32, 64]
  blocks.1.att.r_k F32 [1, 64]
  blocks.1.ffn.key.weight F32 [256, 64]

The same bits with threads and checkpoints, from other containers and other spellings of the tokens.

  $ echo "1 2 3, 4" > ids.txt; printf '5\n6\t7\n' >> ids.txt
  > for o in "--threads 1" "--threads 2" "--threads 3" --checkpoint "--checkpoint -t 3"
  > do rwkv grad m.pth --tokens ids.txt -o o.safetensors $o > /dev/null
  > cmp o.safetensors g.safetensors; done
  $ rwkv convert -q m.pth m.safetensors && rwkv grad -m m.safetensors --tokens ids.txt -o o.safetensors > /dev/null
  > cmp o.safetensors g.safetensors
  $ rwkv convert -q --vocab bytes "$DATA/rwkv7/small-f32.safetensors" s.gguf
  > rwkv grad s.gguf --tokens 1,2,3 -o o.safetensors > /dev/null
  > rwkv grad "$DATA/rwkv7/small-f32.safetensors" --tokens 1,2,3 -o p.safetensors > /dev/null
  > cmp o.safetensors p.safetensors
  $ printf '\1\2\3\4\5\6\7' > text; for o in "-f text" "-f -"
  > do rwkv grad m.pth --vocab bytes $o -o o.safetensors < text > /dev/null
  > cmp o.safetensors g.safetensors; done
  $ rwkv grad m.pth --vocab bytes --text "$(cat text)" | sed -n 2p
  --text: 7 tokens, 6 of them predicted

The summary as JSON: the norm of the whole is that of the tensors' together.

  $ rwkv grad m.pth --tokens ids.txt --json > g.json
  > python3 - <<'END'
  > import json, math
  > g = json.load(open("g.json"))
  > print(g["model"], g["text"], g["tokens"], g["targets"], len(g["tensor_norms"]))
  > print(abs(math.hypot(*g["tensor_norms"].values()) / g["norm"] - 1) < 1e-6)
  > m = g["memory_bytes"]
  > print(sum(m.values()) == 2 * m["total"], m["parameters"] == m["gradients"])
  > END
  m.pth --tokens 7 6 69
  True
  True True

L2Wrap changes the gradient and not the loss; so does rounding the products' operands a little.

  $ rwkv grad m.pth --tokens ids.txt --l2wrap 0.5 -o o.safetensors > /dev/null
  > rwkv info --checksums g.safetensors | grep loss > a; rwkv info --checksums o.safetensors | grep loss | cmp - a
  > rwkv info --checksums g.safetensors | grep head > a; rwkv info --checksums o.safetensors | grep head | cmp -s - a
  [1]
  $ rwkv grad m.pth --tokens ids.txt --precision bf16 --json > b.json
  > python3 - <<'END'
  > import json
  > f, b = json.load(open("g.json")), json.load(open("b.json"))
  > print(f["loss"] != b["loss"], abs(f["loss"] / b["loss"] - 1) < 0.02, abs(f["norm"] / b["norm"] - 1) < 0.1)
  > END
  True True True

Half a text after the other half's state: the loss is that of the tokens that are left.

  $ rwkv forward m.pth --tokens 1,2,3 --last --out h.safetensors --state-out half.state
  > rwkv grad m.pth --tokens 4,5,6,7 --state-in half.state -o o.safetensors > /dev/null
  > python3 - <<'END'
  > import json, struct, subprocess
  > def loss(tokens, *more):
  >     out = subprocess.run(["rwkv", "grad", "m.pth", "--tokens", tokens, "--json", *more],
  >                          check=True, capture_output=True).stdout
  >     return json.loads(out)["loss"]
  > whole = 6 * loss("1,2,3,4,5,6,7") - 3 * loss("1,2,3,4")
  > print(abs(whole / 3 / loss("4,5,6,7", "--state-in", "half.state") - 1) < 1e-5)
  > END
  True

Memory is planned before it is taken.

  $ rwkv grad m.pth --tokens ids.txt --memory-limit 1M
  ! rwkv: not enough memory: parameters * MiB + gradients * MiB + activations * MiB + work * MiB = * MiB, the limit is 1.00 MiB (checkpointing needs less) (glob)
  [1]
  $ rwkv grad m.pth --tokens ids.txt --memory-limit 1M --checkpoint
  ! rwkv: not enough memory: *, the limit is 1.00 MiB (glob)
  [1]

Errors.

  $ rwkv grad m.pth
  ! rwkv: grad: wanted one of --tokens, --text and -f, found none (see 'rwkv grad --help')
  [2]
  $ rwkv grad m.pth --tokens 1,2 --text x
  ! rwkv: grad: wanted one of --tokens, --text and -f, found several (see 'rwkv grad --help')
  [2]
  $ rwkv grad m.pth --tokens 1
  ! rwkv: --tokens: wanted at least 2 tokens, found 1
  [1]
  $ rwkv grad m.pth --tokens 1,128
  ! rwkv: token 1: wanted an id of 0 to 127, found 128
  [1]
  $ rwkv grad m.pth --tokens 1,2 --out g.txt
  ! rwkv: g.txt: wanted a name that ends in .safetensors or .pth
  [1]
  $ rwkv grad m.pth --tokens 1,2 --out no/where.safetensors
  ! rwkv: no/where.safetensors: cannot create: No such file or directory
  [1]
  $ rwkv grad m.pth --tokens 1,2 --precision f16
  ! rwkv: grad: option '--precision': wanted f32 or bf16, found 'f16' (see 'rwkv grad --help')
  [2]

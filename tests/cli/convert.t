Between all formats, and back to the same tensors.

  $ cp "$DATA/rwkv7/long-f16.pth" m.pth
  > awk 'BEGIN { for (i = 1; i < 128; i++) printf "%d \"\\x%02x\" 1\n", i, i }' > ascii.txt
  $ rwkv convert m.pth m.safetensors 2>&1 | sed 's/[0-9][0-9.]* /N /'
  m.safetensors: N KiB written
  $ rwkv convert -q m.pth hf.safetensors --naming hf && rwkv convert -q m.pth m.gguf --vocab ascii.txt
  $ rwkv info --checksums m.pth | sed '$d' | sort > want
  > for f in m.safetensors hf.safetensors; do rwkv convert -q $f back.pth --force
  > rwkv info --checksums back.pth | sed '$d' | sort | cmp - want; done

A GGUF holds vectors as F32; nothing is lost.

  $ rwkv convert -q m.gguf back.pth --force --type f16 && rwkv info back.pth | grep tensors
  types         69 tensors F16, 301 KiB
  $ for f in m.gguf back.pth; do rwkv info $f | grep fingerprint; done | uniq | wc -l
  1
  $ rwkv info --tensors hf.safetensors | head -n 3
  model.embeddings.weight                   F16       [128, 64]
  model.layers.0.pre_norm.weight            F16       [64]
  model.layers.0.pre_norm.bias              F16       [64]

They all give the same numbers.

  $ for f in m.pth m.safetensors hf.safetensors m.gguf
  > do rwkv forward $f --tokens 1,2,3 --out $f.out.safetensors; cmp $f.out.safetensors m.pth.out.safetensors; done
  $ rwkv run -m m.gguf --greedy -n 20 abc > one; rwkv run -m m.pth --vocab ascii.txt --greedy -n 20 abc | cmp - one

Another type.

  $ for t in f32 bf16 F16; do rwkv convert -q m.pth $t.pth --type $t && rwkv info $t.pth | grep types; done
  types         69 tensors F32, 602 KiB
  types         69 tensors BF16, 301 KiB
  types         69 tensors F16, 301 KiB

What is there is not replaced unless asked for.

  $ rwkv convert m.pth m.safetensors
  ! rwkv: m.safetensors: exists already
  [1]
  $ rwkv convert -q --force m.pth m.safetensors
  $ rwkv convert --force m.pth m.pth; rwkv info m.pth | head -n 2
  file          m.pth
  model         RWKV-7, pth
  ! m.pth: 320 KiB written

Errors leave nothing behind.

  $ mkdir out
  $ rwkv convert nothing.pth out/m.gguf
  ! rwkv: nothing.pth: cannot open: No such file or directory
  [1]
  $ rwkv convert . out/m.gguf
  ! rwkv: .: wanted a file or a folder with model.safetensors.index.json or model.safetensors, found a folder without them
  [1]
  $ : > empty.pth; rwkv convert empty.pth out/m.gguf
  ! rwkv: empty.pth: wanted a .pth, .safetensors or .gguf file, found an empty file
  [1]
  $ rwkv convert m.pth out/m.gguf 2>&1 | sed 's/:[^:]*put.*looked at:.*/: .../'
  rwkv: no vocabulary found: ...
  $ rwkv convert m.pth out/m.onnx
  ! rwkv: out/m.onnx: wanted a name that ends in .pth, .safetensors or .gguf
  [1]
  $ rwkv convert m.pth out
  ! rwkv: out: wanted a name that ends in .pth, .safetensors or .gguf
  [1]
  $ rwkv convert m.pth nowhere/m.safetensors
  ! rwkv: nowhere/m.safetensors: cannot create: No such file or directory
  [1]
  $ rwkv convert m.pth out/m.gguf --vocab bytes
  ! rwkv: m.pth: vocabulary: wanted ids below 128, the rows of the model, found 255
  [1]
  $ rwkv convert m.pth out/m.gguf --vocab ascii.txt --naming hf
  ! rwkv: out/m.gguf: GGUF has names of its own, a naming cannot be chosen
  [1]
  $ rwkv convert m.pth.out.safetensors out/m.pth
  ! rwkv: m.pth.out.safetensors: wanted an RWKV-7 model, found no model known here (its first tensor is 'logits')
  [1]
  $ ls out

What config.json says of the norms is not lost silently, and nonsense in it is refused.

  $ mkdir hf && rwkv convert -q m.pth hf/model.safetensors --naming hf && cp hf/config.json good.json
  $ sed 's/"norm_first": true/"norm_first": false/' good.json > hf/config.json
  > for f in out/m.safetensors out/m.pth; do rwkv convert hf $f; done; rwkv convert hf out/m.pth --naming hf
  ! rwkv: hf/model.safetensors: the model has no norm after the embedding (norm_first = false), which only safetensors in the Hugging Face naming can say
  ! rwkv: hf/model.safetensors: the model has no norm after the embedding (norm_first = false), which only safetensors in the Hugging Face naming can say
  ! rwkv: hf/model.safetensors: the model has no norm after the embedding (norm_first = false), which only safetensors in the Hugging Face naming can say
  [1]
  $ sed 's/"norm_eps": [^,]*/"norm_eps": 0.001/' good.json > hf/config.json
  > for f in m.safetensors m.pth; do rwkv convert hf out/$f; done; rwkv convert hf out/m.pth --naming hf
  ! rwkv: hf/model.safetensors: the epsilon of the model's norms is 0.001, not 1e-05, which only GGUF and safetensors in the Hugging Face naming can say
  ! rwkv: hf/model.safetensors: the epsilon of the model's norms is 0.001, not 1e-05, which only GGUF and safetensors in the Hugging Face naming can say
  ! rwkv: hf/model.safetensors: the epsilon of the model's norms is 0.001, not 1e-05, which only GGUF and safetensors in the Hugging Face naming can say
  [1]
  $ rwkv convert -q hf eps.gguf --vocab ascii.txt && rwkv forward hf --tokens 1,2 --out 1.safetensors
  > rwkv forward eps.gguf --tokens 1,2 --out 2.safetensors; cmp 1.safetensors 2.safetensors
  $ for eps in -1 1e300 '"x"'; do sed "s/\"norm_eps\": [^,]*/\"norm_eps\": $eps/" good.json > hf/config.json
  > rwkv convert hf out/m.pth; done
  ! rwkv: hf/model.safetensors: config.norm_eps: wanted a number from 0 to 1, found -1
  ! rwkv: hf/model.safetensors: config.norm_eps: wanted a number from 0 to 1, found 1e+300
  ! rwkv: hf/model.safetensors: config.norm_eps: wanted a number, found something else
  [1]
  $ sed 's/"norm_first": true/"norm_first": "no"/' good.json > hf/config.json; rwkv convert hf out/m.pth
  ! rwkv: hf/model.safetensors: config.norm_first: wanted true or false, found something else
  [1]
  $ ls out

No model without its config.json.

  $ mkdir -p hf2/config.json && rwkv convert --force m.pth hf2/model.safetensors --naming hf
  ! rwkv: hf2/config.json: wanted a file to write, found a directory
  [1]
  $ ls hf2
  config.json

What is quantized becomes F32 where the format has no such type.

  $ rwkv bench --make 1,128,256,q8_0 --prompt 0 --decode 0 --keep q.gguf && rwkv convert -q q.gguf q.pth
  > rwkv info q.gguf | grep tensors; rwkv info q.pth | grep tensors
  types         26 tensors F32, 140 KiB
                8 tensors Q8_0, 272 KiB
  types         36 tensors F32, 1.10 MiB

A disk that fills up, as a limit on the size of files and as a small disk.

  $ (trap '' XFSZ; ulimit -f 100; rwkv convert m.pth out/m.safetensors); status=$?; ls out; exit $status
  ! rwkv: out/m.safetensors: cannot write at byte 0: File too large
  [1]
  $ cat > small.sh <<'END'
  > mount -t tmpfs -o size=100k none out || exit 9
  > rwkv convert m.pth out/m.safetensors; status=$?; ls out; exit $status
  > END
  > if unshare -rm sh -c 'mount -t tmpfs none out' 2>/dev/null
  > then unshare -rm sh small.sh 2>&1 | sed 's/ at byte [0-9]*//'
  > else echo "rwkv: out/m.safetensors: cannot write: No space left on device"; fi
  rwkv: out/m.safetensors: cannot write: No space left on device

Killed in the middle of writing: the old file stays, or none.

  $ cat > killed.sh <<'END'
  > ulimit -c 0; ulimit -f 100; rwkv convert -q --force m.pth $1; echo "status $?"
  > END
  > sh killed.sh out/m.safetensors 2>/dev/null; ls out
  status 153
  $ cp f32.pth out/m.pth; sh killed.sh out/m.pth 2>/dev/null; cmp f32.pth out/m.pth && ls out
  status 153
  m.pth

Whatever goes wrong: one line, status 1.

  $ rwkv run -m nothing.pth x
  ! rwkv: nothing.pth: cannot open: No such file or directory
  [1]
  $ rwkv run -m . x
  ! rwkv: .: wanted a file or a folder with model.safetensors.index.json or model.safetensors, found a folder without them
  [1]
  $ : > empty.pth; rwkv run -m empty.pth x
  ! rwkv: empty.pth: wanted a .pth, .safetensors or .gguf file, found an empty file
  [1]
  $ rwkv run -m /dev/null x
  ! rwkv: /dev/null: wanted a file, found a device, pipe or socket
  [1]
  $ head -c 1000 "$DATA/rwkv7/long-f16.safetensors" > cut.safetensors; rwkv run -m cut.safetensors x
  ! rwkv: cut.safetensors: header: wanted a length of at most 992 bytes, found 6360
  [1]
  $ printf 'no model at all' > text.gguf; rwkv run -m text.gguf x
  ! rwkv: text.gguf: wanted "GGUF" as the first bytes
  [1]
  $ cp "$DATA/rwkv7/long-f16.pth" locked.pth; chmod 0 locked.pth
  > if [ -r locked.pth ]; then echo "rwkv: locked.pth: cannot open: Permission denied" >&2; exit 1
  > else rwkv run -m locked.pth x; fi
  ! rwkv: locked.pth: cannot open: Permission denied
  [1]

The vocabulary may be missing; the message says where it was looked for.

  $ rwkv run -m "$DATA/rwkv7/long-f16.pth" x 2>&1 | sed "s|$DATA|DATA|g"
  rwkv: no vocabulary found: put rwkv_vocab_v20230424.txt (in the folder tokenizer of github.com/BlinkDL/ChatRWKV) beside the model or in the data folder, or give --vocab FILE, or --vocab bytes for a byte-level model; looked at: DATA/rwkv7/long-f16.pth (holds none), DATA/rwkv7/rwkv_vocab_v20230424.txt (No such file or directory), $TMP/.local/share/rwkv/rwkv_vocab_v20230424.txt (No such file or directory)
  $ rwkv run -m "$DATA/rwkv7/long-f16.pth" --vocab nothing.txt x
  ! rwkv: nothing.txt: cannot open: No such file or directory
  [1]
  $ printf 'no vocabulary\n' > bad.txt; rwkv run -m "$DATA/rwkv7/long-f16.pth" --vocab bad.txt x
  ! rwkv: bad.txt: line 1: wanted a token's id (a decimal number) at byte 1, found "no vocabulary"
  [1]

A prompt may be missing too.

  $ rwkv run -f nothing.txt
  ! rwkv: nothing.txt: cannot open: No such file or directory
  [1]
  $ rwkv run -f .
  ! rwkv: .: cannot read: Is a directory
  [1]

Not enough memory for the plan.

  $ rwkv run --memory-limit 1K x
  ! rwkv: built-in model: not enough memory: * (glob)
  [1]

Token ids outside the vocabulary.

  $ rwkv bench --make 2,64,256,f32 --prompt 0 --decode 0 --keep m.gguf
  $ rwkv run -m m.gguf --stop-token 256 x
  ! rwkv: --stop-token: wanted an id below 256, found 256
  [1]
  $ rwkv run -m m.gguf --logit-bias 256=1 x
  ! rwkv: sampler: bias 0: wanted a token from 0 to 255, found 256
  [1]

States: of another model, damaged, missing, no state at all, and one that cannot be written.

  $ rwkv run -m m.gguf -n 0 --state-out m.state x
  $ rwkv bench --make 3,64,256,f32 --prompt 0 --decode 0 --keep other.gguf
  $ rwkv run -m other.gguf -n 1 --state-in m.state x
  ! rwkv: m.state: a state of another model: wanted layers 3, found 2
  [1]
  $ head -c 500 m.state > cut.state; rwkv run -m m.gguf -n 1 --state-in cut.state x
  ! rwkv: cut.state: wanted 35164 bytes, found 500
  [1]
  $ { head -c 2000 m.state; printf XX; tail -c +2003 m.state; } > bad.state
  > rwkv run -m m.gguf -n 1 --state-in bad.state x
  ! rwkv: bad.state: damaged: the checksum is wrong
  [1]
  $ rwkv run -m m.gguf -n 1 --state-in nothing.state x
  ! rwkv: nothing.state: cannot open: No such file or directory
  [1]
  $ rwkv run -m m.gguf -n 1 --state-in m.gguf x
  ! rwkv: m.gguf: wanted the tuned states of 2 layers, found 62 tensors
  [1]
  $ rwkv run -m m.gguf -n 0 --state-out no/where.state x
  ! rwkv: no/where.state: cannot create: No such file or directory
  [1]
  $ rwkv run -m m.gguf -n 9 --state-out no/where.state x # said before anything is generated
  ! rwkv: no/where.state: cannot create: No such file or directory
  [1]
  $ rwkv run -m m.gguf -n 0 --state-out . x
  ! rwkv: .: wanted a file to write, found a directory
  [1]

A full disk.

  $ rwkv run -m m.gguf -n 4 x > /dev/full
  ! rwkv: standard output: No space left on device
  [1]

A reader that goes away ends it; the state is still written.

  $ rwkv run -m m.gguf -n inf --state-out after.state x | head -c 10 | wc -c; ls after.state
  10
  after.state

So does Ctrl-C, after what was printed.

  $ rwkv run -m m.gguf -n inf --state-out int.state x > int.txt & run=$!
  > while [ ! -s int.txt ]; do sleep 0.05; done; kill -INT $run; wait $run; echo "status $?"
  > [ -s int.txt ] && ls int.state
  status 130
  int.state

`rwkv serve`, as far as it starts nothing: tests/server has the rest. `--check` shows the settings in the end, as lines
of a file of settings. Those of the command line count most, then the file's, then the environment's.

  $ printf 'max-queue = 7\nstate-cache = "2M" # a comment\nlazy = true\ntop-p = 0.25\n' > serve.toml
  $ export RWKV_SERVE_MAX_QUEUE=5 RWKV_SERVE_PARALLEL=3 RWKV_SERVE_LAZY=false RWKV_SERVE_INSECURE=true
  > rwkv serve --check --config serve.toml --port 0 | grep -E '^(max-queue|state-cache|lazy|parallel|insecure|port|top-p|host) '
  lazy = true
  host = "127.0.0.1"
  port = 0
  insecure = true
  parallel = 3
  max-queue = 7
  state-cache = 2097152
  top-p = 0.25

What it prints can be read back.

  $ cp $SOURCE/data/builtin.gguf b.gguf
  > rwkv serve --check -m b.gguf --seed 5 --state-dir a\"b > one.toml
  > grep -E '^(model|seed|state-dir) ' one.toml
  > rwkv serve --check --config one.toml | cmp - one.toml
  model = "b=b.gguf"
  state-dir = "a\"b"
  seed = 5

The file may be named in the environment; models named on the command line replace those of the file.

  $ printf 'model = "a=b.gguf"\nmax-queue = 9\n' > serve.toml
  > RWKV_SERVE_CONFIG=serve.toml rwkv serve --check -m c=b.gguf | grep -E '^(model|max-queue) '
  model = "c=b.gguf"
  max-queue = 9

What is wrong is said with its place.

  $ printf 'max-queue = 7\n\nlazy = yes\n' > bad.toml; rwkv serve --check --config bad.toml
  ! rwkv: serve: bad.toml:3: wanted a string in quotes, a number, true or false, found 'yes' (see 'rwkv serve --help')
  [2]
  $ printf 'max-queue = -7\n' > bad.toml; rwkv serve --check --config bad.toml
  ! rwkv: serve: bad.toml:1: 'max-queue': wanted a whole number from 0 to 1048576, found '-7' (see 'rwkv serve --help')
  [2]
  $ printf 'max-quee = 7\n' > bad.toml; rwkv serve --check --config bad.toml
  ! rwkv: serve: bad.toml:1: unknown option 'max-quee': did you mean 'max-queue'? (see 'rwkv serve --help')
  [2]
  $ printf 'config = "other.toml"\n' > bad.toml; rwkv serve --check --config bad.toml
  ! rwkv: serve: bad.toml:1: 'config' has no place in a file of settings (see 'rwkv serve --help')
  [2]
  $ printf '[server]\n' > bad.toml; rwkv serve --check --config bad.toml
  ! rwkv: serve: bad.toml:1: tables ([...]) are not used here: wanted only lines 'name = value' (see 'rwkv serve --help')
  [2]
  $ rwkv serve --check --config absent.toml
  ! rwkv: serve: absent.toml: cannot open: No such file or directory (see 'rwkv serve --help')
  [2]
  $ RWKV_SERVE_PORT=http rwkv serve --check
  ! rwkv: serve: RWKV_SERVE_PORT: 'port': wanted a whole number from 0 to 65535, found 'http' (see 'rwkv serve --help')
  [2]
  $ RWKV_SERVE_LAZY=perhaps rwkv serve --check
  ! rwkv: serve: RWKV_SERVE_LAZY: 'lazy': wanted on or off, found 'perhaps' (see 'rwkv serve --help')
  [2]

What a server would not start with.

  $ rwkv serve --check --host 0.0.0.0
  ! rwkv: 0.0.0.0 can be reached from other machines: give --api-key-file, or --insecure to let everyone in
  [1]
  $ rwkv serve --check --tls-cert b.gguf
  ! rwkv: TLS needs both --tls-cert and --tls-key
  [1]
  $ rwkv serve --check --tls-cert absent.pem --tls-key absent.pem
  ! rwkv: absent.pem: No such file or directory
  [1]
  $ rwkv serve --check -m absent.gguf
  ! rwkv: absent.gguf: no such file
  [1]
  $ printf 'no model' > bad.gguf; rwkv serve --check -m bad.gguf
  ! rwkv: bad.gguf: wanted "GGUF" as the first bytes
  [1]
  $ rwkv serve --check -m 'a name=b.gguf'
  ! rwkv: 'a name': wanted a name of at most 128 letters, digits and . _ : - /
  [1]
  $ rwkv serve --check -m b.gguf -m b.gguf
  ! rwkv: there is a model of the name b already
  [1]
  $ mkdir empty; rwkv serve --check --models empty
  ! rwkv: empty: there is no model in it
  [1]
  $ rwkv serve --check --state-dir absent/folder
  ! rwkv: absent/folder: cannot be written: No such file or directory
  [1]
  $ rwkv serve --check --log-file absent/log
  ! rwkv: absent/log: cannot be written: No such file or directory
  [1]
  $ rwkv serve --check --api-key-file absent
  ! rwkv: absent: cannot open: No such file or directory
  [1]
  $ printf '# nobody\n' > keys; rwkv serve --check --api-key-file keys
  ! rwkv: keys: there is no key in it
  [1]
  $ printf 'alice good-enough\nbob short\n' > keys; rwkv serve --check --api-key-file keys
  ! rwkv: keys, line 2: a key of 5 characters: wanted 8 at least
  [1]
  $ rwkv serve more
  ! rwkv: serve: wanted only options, found 'more' (see 'rwkv serve --help')
  [2]

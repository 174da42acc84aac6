The program says what it can do; every command has a page.

  $ rwkv --version | sed 's/[0-9][0-9.]*/N/'
  rwkv N
  $ rwkv version | cmp - - && [ "$(rwkv version)" = "$(rwkv --version)" ]
  $ rwkv --help | sed -n '1,5p'
  rwkv: run RWKV language models
  
  Usage:
    rwkv COMMAND [OPTION]...
    rwkv COMMAND --help
  $ rwkv help | cmp - "$SOURCE/nothing" 2>/dev/null; rwkv help > a; rwkv -h > b; cmp a b
  $ for c in bench chat convert detokenize forward info run tokenize
  > do rwkv $c --help > a && rwkv help $c > b && cmp a b && head -n 1 a; done
  rwkv bench: measure how fast models run, and how fast they could
  rwkv chat: talk with a model on the terminal
  rwkv convert: convert a model between file formats
  rwkv detokenize: turn token ids into text
  rwkv forward: write a model's numbers to a file, for checking
  rwkv info: show what a model is and needs, or list the tensors of a file
  rwkv run: generate text from a prompt
  rwkv tokenize: turn text into token ids

Help is given whatever else the line says, and on request only.

  $ rwkv run -n 5 --help | head -n 1
  rwkv run: generate text from a prompt
  $ rwkv | sed -n 1p
  rwkv: run RWKV language models
  $ rwkv > /dev/null
  [2]

What is not understood ends with status 2 and one line.

  $ rwkv nothing-like-it
  ! rwkv: unknown command 'nothing-like-it' (see 'rwkv --help')
  [2]
  $ rwkv tokenise
  ! rwkv: unknown command 'tokenise': did you mean 'tokenize'? (see 'rwkv --help')
  [2]
  $ rwkv --versoin
  ! rwkv: unknown option '--versoin': did you mean '--version'? (see 'rwkv --help')
  [2]
  $ rwkv help nothing
  ! rwkv: there is no page for 'nothing' (see 'rwkv --help')
  [2]
  $ rwkv version please
  ! rwkv: wanted only options, found 'please' (see 'rwkv --help')
  [2]

A reader that goes away ends the program as any other.

  $ rwkv run --help | true

A full disk is noticed, and so is a closed standard output.

  $ rwkv --help > /dev/full
  ! rwkv: standard output: No space left on device
  [1]
  $ rwkv --help >&-
  ! rwkv: standard output: Bad file descriptor
  [1]

Files made to do harm, or damaged: each ends with status 1 and one line that names it; good ones are read exactly.

  $ cat > check.py <<'END'
  > import json, pathlib, subprocess, sys
  > folder = pathlib.Path(sys.argv[1])
  > for case in json.loads((folder / "manifest.json").read_text()):
  >     path = folder / case["file"]
  >     done = subprocess.run(["rwkv", "info", "--checksums", "--json", path], capture_output=True, timeout=50)
  >     said = done.stderr.decode().splitlines()
  >     refused = done.returncode == 1 and len(said) == 1 and said[0].startswith(f"rwkv: {path}") and not done.stdout
  >     if case["expect"] == "reject" or (case["expect"] == "either" and done.returncode):
  >         if not refused:
  >             print(case["file"], done.returncode, said)
  >         continue
  >     if done.returncode or said:
  >         print(case["file"], done.returncode, said)
  >         continue
  >     found = {t["name"]: t for t in json.loads(done.stdout)["tensors"]}
  >     for name, want in (case.get("tensors") or {}).items():
  >         got = found.get(name)
  >         if not got or any(got[k] != want[k] for k in ("dtype", "shape", "sha256")):
  >             print(case["file"], name, want, got)
  > END
  > python3 check.py "$DATA/pth"; ls
  check.py

None of them runs either, or converts, and nothing is left behind.

  $ for f in "$DATA"/pth/*.pth "$DATA"/pth/*.gguf "$DATA"/pth/*.safetensors
  > do rwkv convert "$f" out.gguf; rwkv run -m "$f" x; done 2>&1 | sed 's/^rwkv: .*/one line/' | sort | uniq
  one line
  $ ls
  check.py

# SPDX-License-Identifier: Apache-2.0
"""test_binidx.py PROGRAM: token data as numpy reads it, by the layout of Megatron-LM's indexed
dataset in memory-mapped form, which the official trainer expects."""
import json
import tempfile

import outside

numpy = outside.need("numpy")

TYPES = {4: numpy.int32, 8: numpy.uint16}
DOCUMENTS = ["One fox.", "Zwei Füchse, 三只狐狸\n", "x" * 300, "end"]


def read(name):
    """The documents of a pair of files, each field from the place the layout gives it."""
    idx = open(f"{name}.idx", "rb").read()
    outside.check(idx[:9] == b"MMIDIDX\0\0", "magic")
    outside.check(int.from_bytes(idx[9:17], "little") == 1, "version")
    n = int.from_bytes(idx[18:26], "little")
    boundaries = int.from_bytes(idx[26:34], "little")
    sizes = numpy.frombuffer(idx, "<i4", n, 34)
    pointers = numpy.frombuffer(idx, "<i8", n, 34 + 4 * n)
    first = numpy.frombuffer(idx, "<i8", boundaries, 34 + 12 * n)
    outside.check(len(idx) == 34 + 12 * n + 8 * boundaries, "length of the index")
    outside.check(first.tolist() == list(range(n + 1)), "each document is one item")
    tokens = numpy.memmap(f"{name}.bin", mode="r", dtype=TYPES[idx[17]])
    outside.check(tokens.size == sizes.sum(), "length of the tokens")
    return [tokens[p // tokens.itemsize:][:s].tolist() for p, s in zip(pointers, sizes)]


def main():
    with tempfile.TemporaryDirectory() as folder:
        rwkv = outside.Rwkv(folder)
        lines = "".join(json.dumps({"text": text}) + "\n" for text in DOCUMENTS)
        (rwkv.folder / "texts.jsonl").write_text(lines, encoding="utf-8")
        for name, separator, dtype in ("narrow", 0, 8), ("wide", 70000, 4):
            rwkv("data", "build", "-q", "--vocab", "bytes", "--separator", separator, name,
                 "texts.jsonl")
            wanted = [[*text.encode(), separator] for text in DOCUMENTS]
            outside.check(read(rwkv.folder / name) == wanted, f"documents of {name}")
            outside.check((rwkv.folder / f"{name}.idx").read_bytes()[17] == dtype, "type")
    print(f"2 pairs of files of {len(DOCUMENTS)} documents: as numpy reads them")


main()

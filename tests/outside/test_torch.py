# SPDX-License-Identifier: Apache-2.0
"""test_torch.py PROGRAM: .pth files of `rwkv init`, `rwkv train` and `rwkv convert` in torch,
loaded without trusting them. Every tensor must be what `rwkv info` says, and the logits of formulas
written down here once more, in float64, those of `rwkv forward`."""
import hashlib
import json
import math
import tempfile

import outside

torch = outside.need("torch")

TOLERANCE = 5e-6  # of the largest logit: sums of F32 there, of doubles here
TYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


def norm(x, weight, bias, groups=1, eps=1e-5):
    y = x.view(groups, -1)
    y = (y - y.mean(1, True)) / (y.var(1, unbiased=False, keepdim=True) + eps).sqrt()
    return y.flatten() * weight + bias


def shift(xx, before, mix):
    return xx + (before - xx) * mix


class Block:
    """One block of RWKV-7 and its state, token by token."""

    def __init__(self, tensors, number):
        prefix = f"blocks.{number}."
        self.first = number == 0
        self.t = {k[len(prefix):]: v.double().squeeze() for k, v in tensors.items()
                  if k.startswith(prefix)}
        self.heads, self.size = tensors[prefix + "att.r_k"].shape
        self.before = torch.zeros(2, self.heads * self.size, dtype=torch.float64)
        self.state = torch.zeros(self.heads, self.size, self.size, dtype=torch.float64)

    def low_rank(self, x, name, middle=lambda y: y):
        return middle(x @ self.t[f"att.{name}1"]) @ self.t[f"att.{name}2"]

    def attention(self, xx, v_first):
        t, heads = self.t, (self.heads, self.size)
        x_r, x_w, x_k, x_v, x_a, x_g = (shift(xx, self.before[0], t["att.x_" + c])
                                        for c in "rwkvag")
        r, k, v = (t[f"att.{name}.weight"] @ x for name, x in
                   (("receptance", x_r), ("key", x_k), ("value", x_v)))
        decay = t["att.w0"] + self.low_rank(x_w, "w", torch.tanh)
        w = torch.exp(-math.exp(-0.5) * torch.sigmoid(decay))
        if self.first:
            v_first = v
        else:
            v = v + (v_first - v) * torch.sigmoid(t["att.v0"] + self.low_rank(x_v, "v"))
        rate = torch.sigmoid(t["att.a0"] + self.low_rank(x_a, "a"))
        gate = self.low_rank(x_g, "g", torch.sigmoid)
        kk = (k * t["att.k_k"]).view(heads)
        kk = kk / kk.norm(dim=1, keepdim=True).clamp(min=1e-12)
        k = k * (1 + (rate - 1) * t["att.k_a"])
        r, w, k, v, rate = (x.view(heads) for x in (r, w, k, v, rate))
        forgotten = -(self.state @ kk[:, :, None])
        self.state = (self.state * w[:, None, :] + forgotten @ (kk * rate)[:, None, :] +
                      v[:, :, None] @ k[:, None, :])
        y = norm(self.state @ r[:, :, None], t["att.ln_x.weight"], t["att.ln_x.bias"], self.heads,
                 64e-5)
        y = y + ((r * k * t["att.r_k"]).sum(1, True) * v).flatten()
        return t["att.output.weight"] @ (y * gate), v_first

    def step(self, x, v_first):
        t = self.t
        if self.first:
            x = norm(x, t["ln0.weight"], t["ln0.bias"])
        xx = norm(x, t["ln1.weight"], t["ln1.bias"])
        y, v_first = self.attention(xx, v_first)
        x = x + y
        self.before[0] = xx
        xx = norm(x, t["ln2.weight"], t["ln2.bias"])
        k = t["ffn.key.weight"] @ shift(xx, self.before[1], t["ffn.x_k"])
        self.before[1] = xx
        return x + t["ffn.value.weight"] @ k.clamp(min=0) ** 2, v_first


def forward(tensors, tokens):
    layers = 1 + max(int(k.split(".")[1]) for k in tensors if k.startswith("blocks."))
    blocks = [Block(tensors, i) for i in range(layers)]
    rows = []
    for token in tokens:
        x, v_first = tensors["emb.weight"][token].double(), None
        for block in blocks:
            x, v_first = block.step(x, v_first)
        x = norm(x, tensors["ln_out.weight"].double(), tensors["ln_out.bias"].double())
        rows.append(tensors["head.weight"].double() @ x)
    return torch.stack(rows)


def check_tensors(rwkv, name, tensors):
    said = json.loads(rwkv("info", "--tensors", "--checksums", "--json", name))["tensors"]
    outside.check(list(tensors) == [t["name"] for t in said], f"{name}: names")
    for t in said:
        tensor = tensors[t["name"]]
        where = f"{name}: {t['name']}"
        outside.check(list(tensor.shape) == t["shape"], where + ": shape")
        outside.check(tensor.dtype == TYPES[t["dtype"]], where + ": type")
        words = tensor.contiguous().view({2: torch.int16, 4: torch.int32}[tensor.element_size()])
        found = hashlib.sha256(words.numpy().tobytes()).hexdigest()
        outside.check(found == t["sha256"], where + ": values")
    return said[0]["dtype"]


def check_file(rwkv, name):
    tensors = torch.load(rwkv.folder / name, map_location="cpu", weights_only=True)
    dtype = check_tensors(rwkv, name, tensors)
    tokens = [7 * i * i % tensors["emb.weight"].shape[0] for i in range(24)]
    rwkv("forward", name, "--tokens", ",".join(map(str, tokens)), "--cpu", "ref", "--out",
         "out.pth")
    ours = torch.load(rwkv.folder / "out.pth", weights_only=True)["logits"].double()
    wanted = forward(tensors, tokens)
    outside.check(ours.shape == wanted.shape and wanted.abs().max() > 0, f"{name}: logits")
    error = float((ours - wanted).abs().max() / wanted.abs().max())
    print(f"{name}: {len(tensors)} tensors, mostly {dtype}; logits differ by {error:.1e} at most")
    outside.check(error <= TOLERANCE, f"{name}: logits differ by {error}, not {TOLERANCE} at most")


def main():
    with tempfile.TemporaryDirectory() as folder:
        rwkv = outside.Rwkv(folder)
        rwkv("init", "-q", "--layers", 2, "--embd", 32, "--head-size", 16, "--vocab-size", 48,
             "init.pth")
        rwkv.train("--steps", 20, "--warmup", 2, "--lr", 1e-2, "--export", "f32.pth")
        rwkv("train", "-q", "--resume", "run", "--steps", 21, "--export", "bf16.pth",
             "--export-type", "bf16")
        models = outside.SOURCE / "tests/data/rwkv7"
        rwkv("convert", "-q", models / "small-f32.safetensors", "small.pth")
        rwkv("convert", "-q", models / "long-f16.safetensors", "long.pth")
        rwkv("convert", "-q", "--type", "bf16", models / "small-f32.safetensors", "narrow.pth")
        for name in ("init.pth", "run/f32.pth", "run/bf16.pth", "small.pth", "long.pth",
                     "narrow.pth"):
            check_file(rwkv, name)


main()

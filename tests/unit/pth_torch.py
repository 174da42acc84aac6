#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""pth_torch.py FILE FOLDER: load FILE as torch does without trusting it, and save the same tensors
in FOLDER in every form of file that torch writes, as torch-*.pth."""
import collections
import sys
import torch

path, folder = sys.argv[1:]
tensors = torch.load(path, weights_only=True)


def save(name, obj, **options):
    torch.save(obj, f'{folder}/torch-{name}.pth', **options)


def parameter(t):
    return torch.nn.Parameter(t, requires_grad=t.is_floating_point())


def view(t):
    """The same values, somewhere inside a larger storage, with the dimensions in another order."""
    n = t.dim()
    out = torch.zeros([s + 2 for s in reversed(t.shape)], dtype=t.dtype)
    out = out.permute(list(range(n - 1, -1, -1)))
    for d in range(n):
        out = out.narrow(d, 1, t.shape[d])
    out.copy_(t)
    return out


ordered = collections.OrderedDict(tensors)
ordered._metadata = {'': {'version': 1}}
extras = {'epoch': 3, 'big': 1 << 70, 'negative': -(1 << 40), 'rate': 1e-3, 'name': 'x',
          'raw': b'\x00\xff', 'none': None, 'list': [1, [2.5, 'x']],
          'nested': {1: (2, 3), (4, 5): [True, False]}}
for form in False, True:
    kind = 'zip' if form else 'legacy'
    for protocol in 2, 3, 4:
        save(f'{kind}-{protocol}', tensors, _use_new_zipfile_serialization=form,
             pickle_protocol=protocol)
    save(f'{kind}-ordered', ordered, _use_new_zipfile_serialization=form)
    save(f'{kind}-nested', {'state_dict': tensors, **extras}, _use_new_zipfile_serialization=form)
    save(f'{kind}-extras', {**tensors, **extras}, _use_new_zipfile_serialization=form)
save('views', {k: view(t) for k, t in tensors.items()})
save('parameters', {k: parameter(t) for k, t in tensors.items()})

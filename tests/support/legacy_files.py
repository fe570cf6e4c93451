"""Small checkpoints as torch wrote them before 1.6, of any number of bytes."""

import io

import torch


def legacy_file(size, seed=0):
    """The bytes of a legacy file of `size` bytes in all, at least 1000."""
    count = size - 500
    while len(data := _saved(count, seed)) != size:  # a pickle writes small numbers in fewer bytes
        count += size - len(data)
    return data


def _saved(count, seed):
    values = torch.randint(0, 256, (count,), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)
    file = io.BytesIO()
    torch.save({"w": values}, file, _use_new_zipfile_serialization=False)
    return file.getvalue()

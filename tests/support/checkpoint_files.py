"""Small checkpoints as torch writes them, of any number of bytes."""

import io

import torch


def checkpoint_file(size, seed=0):
    """The bytes of a checkpoint of `size` bytes in all, at least 3000; the archive's comment makes up the rest."""
    data = saved({"w": _values(size - 2000, seed)})
    comment = size - len(data)
    return data[:-2] + comment.to_bytes(2, "little") + b" " * comment


def saved(content, **options):
    """What `torch.save` writes."""
    file = io.BytesIO()
    torch.save(content, file, **options)
    return file.getvalue()


def _values(count, seed):
    return torch.randint(0, 256, (count,), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)

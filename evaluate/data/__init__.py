"""Data sets: what one is (`datasets`), one's own folder, pinned subsets, label files; `check/` tells what is wrong with one."""

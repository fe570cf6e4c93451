"""Which names in a folder are data: not what is hidden, and not what tools leave beside the files of others."""

from __future__ import annotations

_MADE_BY_TOOLS = frozenset(
    {
        "__macosx",  # of a Mac's zip
        "icon\r",
        "network trash folder",
        "temporary items",
        "thumbs.db",  # Windows
        "ehthumbs.db",
        "desktop.ini",
        "$recycle.bin",
        "system volume information",
        "@eadir",  # Synology
        "#recycle",
        "#snapshot",
        "@tmp",
        "@recycle",  # QNAP
        "@recently-snapshot",
        "lost+found",
        "~snapshot",  # NetApp
        "found.000",  # what Windows' chkdsk saved
        "_gsdata_",  # GoodSync
        "thumbnails",  # of galleries
        "thumbnail",
        "thumbs",
        "_thumbs",
        "__pycache__",
    }
)


def is_data(name: str) -> bool:
    """Whether a file's or folder's own name is one that a person gave to data.

    Everything that begins with a dot is hidden: `.DS_Store`, `.ipynb_checkpoints`, `.git`, the `._NAME` that macOS
    writes beside every file it copies. So are the drafts of editors and offices: `NAME~`, `~$NAME`, `#NAME#`.
    """
    draft = name.endswith("~") or name.startswith("~$") or (name.startswith("#") and name.endswith("#"))
    return not (name.startswith(".") or draft or name.lower() in _MADE_BY_TOOLS)

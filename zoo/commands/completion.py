"""`zoo completion`: a script for the shell's Tab key: commands, flags, ids, methods and data sets."""

from __future__ import annotations

import argparse
from itertools import pairwise
from string import Template
from typing import TYPE_CHECKING

from ..commands import command, command_names
from ..console.exit_codes import ExitCode
from ..manifest import ManifestError, load_manifest
from ..manifest.selection import field_names
from .shared.answer import Data, write

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..manifest import Manifest

_SCRIPTS = {
    # Without a candidate of ours bash and zsh go on with names of files, and fish has them beside ours.
    "bash": """\
_zoo() {
    local IFS=$$'\\n'
    COMPREPLY=($$(zoo completion words -- "$${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _zoo zoo
""",
    "zsh": """\
#compdef zoo
_zoo() {
    local -a found
    found=("$${(@f)$$(zoo completion words -- "$${(@)words[2,CURRENT]}" 2>/dev/null)}")
    if [[ -n "$${found[1]}" ]]; then
        compadd -a found
    else
        _files
    fi
}
compdef _zoo zoo
""",
    "fish": """\
function __zoo_words
    set -l typed (commandline -opc) (commandline -ct)
    zoo completion words -- $$typed[2..-1] 2>/dev/null
end
complete -c zoo -a '(__zoo_words)'
""",
}
_HOW = """\
bash: echo 'source <(zoo completion bash)' >> ~/.bashrc
zsh:  echo 'source <(zoo completion zsh)' >> ~/.zshrc   (after compinit)
fish: zoo completion fish > ~/.config/fish/completions/zoo.fish"""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Which shell; the script asks back with `words`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _HOW
    parser.add_argument(
        "shell",
        choices=[*_SCRIPTS, "words"],
        help="print its script; words: what the word after -- may become",
    )
    parser.add_argument("typed", nargs="*", default=[], metavar="WORD", help=argparse.SUPPRESS)


def run(arguments: argparse.Namespace) -> int:
    """The script, or what the last word that was typed may become."""
    if arguments.shell == "words":
        before, done, begun = _parts(arguments.typed or [""])
        found = (done + word for word in candidates(before) if word.startswith(begun) and not _is_loud(word))
        if words := list(dict.fromkeys(found)):
            write(Data("\n".join(words)))
    else:
        write(Data(Template(_SCRIPTS[arguments.shell]).substitute()))
    return ExitCode.OK


_LISTS = ("--sort", "--columns")
"""Flags of fields with commas between them."""


def _parts(typed: Sequence[str]) -> tuple[Sequence[str], str, str]:
    """The words before, and of the last one what stays and what is begun: of a list its last field, of `--flag=value` the value.

    bash cuts `--sort=miou` into three words, zsh and fish leave it whole.
    """
    *before, begun = typed
    done = ""
    if begun == "=":
        begun = ""
    elif before and before[-1] == "=":
        before = before[:-1]
    elif begun.startswith("--") and "=" in begun:
        flag, _, begun = begun.partition("=")
        before, done = [*before, flag], f"{flag}="
    if before and before[-1] in _LISTS:
        fields, comma, last = begun.rpartition(",")
        minus = "-" * last.startswith("-")
        done, begun = f"{done}{fields}{comma}{minus}", last.removeprefix("-")
    return before, done, begun


def _is_loud(word: str) -> bool:
    """Whether a shell would have to quote it."""
    return not word.isprintable() or any(sign in word for sign in " '\"\\$`;&|<>()*?[]")


def candidates(before: Sequence[str]) -> Iterable[str]:
    """What may come after these words of a command line, `zoo` itself left out; nothing where only a file may."""
    if not before:
        return [*command_names(), "--help"]
    name = before[0]
    if name not in command_names():
        return []
    parser = argparse.ArgumentParser(add_help=True)
    command(name).add_flags(parser)
    manifest = _Names(before)
    asked = parser._option_string_actions.get(before[-1])  # noqa: SLF001  (argparse has no other way to ask)
    if asked is not None and asked.nargs != 0:
        return _values(asked, manifest)
    flags = [flag for flag in parser._option_string_actions if flag.startswith("--")]  # noqa: SLF001
    places = [action for action in parser._actions if not action.option_strings]  # noqa: SLF001
    return [*flags, *(word for place in places for word in _values(place, manifest))]


def _values(action: argparse.Action, names: _Names) -> Iterable[str]:
    """What an argument may be, as far as anybody knows."""
    if action.choices is not None:
        return [str(choice) for choice in action.choices]
    kind = {"ids": "ids", "id": "ids", "names": "datasets", "protocol": "protocols"}.get(action.dest, "")
    if kind:
        return names.of(kind)
    if action.dest == "where":
        return [f"{name}=" for name in field_names()]
    return field_names() if action.dest in ("sort", "columns") else []


class _Names:
    """The names of a manifest: the packaged one, or the one that the command line names."""

    def __init__(self, words: Sequence[str]) -> None:
        named = [after for flag, after in pairwise(words) if flag == "--manifest"]
        self._path = named[-1] if named else None

    def of(self, kind: str) -> list[str]:
        """Ids, aliases and methods of its rows, its data sets, or its protocols; none where it cannot be read."""
        try:
            manifest = load_manifest(self._path)
        except (ManifestError, OSError):
            return []
        if kind == "ids":
            return _row_names(manifest)
        return list(manifest.datasets if kind == "datasets" else manifest.protocols)


def _row_names(manifest: Manifest) -> list[str]:
    return [*(name for row in manifest for name in (row.id, *row.aliases)), *manifest.methods()]

"""URLs as they may be shown and stored: what grants access is used, and never written."""

from __future__ import annotations

import re

HIDDEN = "***"
"""Stands where something was left out."""
_OPEN_NAMES = frozenset({"dl", "download", "export", "format", "id", "raw", "ref", "version"})
"""Names in a query whose values say which file is meant; of all others nobody knows that they grant nothing."""
_PLAIN = re.compile(r"[\w.-]{0,64}", re.ASCII)
_PARAMETER = re.compile(r";([^=;/]*)=[^;/]*")
_PARAMETER_HIDDEN = rf";\1={HIDDEN}"
_PART = re.compile(r"[^&;]+")


def shown_url(url: str) -> str:
    """A URL without its user, its password and the values of its query; the same URL where it has none.

    What the path says is shown: a secret there looks like any other folder. Text that is no URL loses whatever stands
    where a URL would have a secret. The result goes into messages and files, also to compare where a file came from.
    """
    place, _, fragment = url.partition("#")
    place, mark, query = place.partition("?")
    scheme, slashes, rest = place.partition("://") if "://" in place else ("", "", place)
    authority, slash, path = rest.partition("/")
    _, at, host = authority.rpartition("@")
    if slashes and not _is_host(host):  # a password with a slash in it: nobody knows where it ends
        return f"{scheme}://{HIDDEN}"
    user = f"{HIDDEN}@" if at else ""
    shown = f"{scheme}{slashes}{user}{host}{slash}{_PARAMETER.sub(_PARAMETER_HIDDEN, path)}{mark}"
    shown += _PART.sub(lambda part: _shown_part(part[0]), query)
    return f"{shown}#{fragment if _PLAIN.fullmatch(fragment) else HIDDEN}" if "#" in url else shown


def shown_text(text: str) -> str:
    """A message of somebody else's that may quote a URL, whole or from its path on; every such word is `shown_url`."""
    return " ".join(shown_url(word) if _is_like_url(word) else word for word in text.split(" "))


def without_parameters(path: str) -> str:
    """A URL's path without `;name=value`, which may be a session's key."""
    return _PARAMETER.sub("", path)


def _is_like_url(word: str) -> bool:
    has_user = "@" in word and ":" in word
    has_query = "?" in word and ("=" in word or "/" in word)
    return "://" in word or has_user or has_query


def _is_host(host: str) -> bool:
    """True where what follows a host's colon is a port, or it is an IPv6 address in brackets."""
    _, colon, port = host.rpartition("]")[2].rpartition(":")
    return not colon or port.isdigit() or not port


def _shown_part(part: str) -> str:
    name, equals, value = part.partition("=")
    if name in _OPEN_NAMES and _PLAIN.fullmatch(value):
        return part
    return f"{name if value and _PLAIN.fullmatch(name) else HIDDEN}{equals}{HIDDEN if value else ''}"

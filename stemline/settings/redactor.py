"""What is secret in a configuration, kept out of what is told: log lines, sentences, pages and tracebacks."""

from __future__ import annotations

import os
import re
import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from stemline.errors import StemlineError
from stemline.settings.section import Settings

HIDDEN = "***"
SHORTEST = 4
"""A password that is shorter is hidden only where a URL shows it: each of its letters is elsewhere as well."""
_SHORT = 8
"""Below this length a secret may be part of a word, and is hidden only where it stands alone."""
_NAMES = re.compile(
    r"key|secret|token|passw|credential|connection_string|auth(?!ors?\b)|cookie|signature", re.IGNORECASE
)
_VARIABLES = re.compile(r"(KEY|SECRET|TOKEN|PASSWORD|PASSWD|AUTH_STRING)$")
_IN_ANY_TEXT = (
    (re.compile(r"(://[^/\s:@\"']*:)(?!password@)[^/\s@\"']+@"), rf"\1{HIDDEN}@"),
    (
        re.compile(
            r"([?&;][\w.%-]*(?:key|secret|token|passw|credential|signature|sig)[\w.%-]*=)[^&;\s\"'<>]+",
            re.IGNORECASE,
        ),
        rf"\1{HIDDEN}",
    ),
    (re.compile(r"(\bBearer\s+)[\w.~+/=-]{8,}"), rf"\1{HIDDEN}"),
)
"""What is a secret by its form, whoever gave it: passwords and signatures of URLs, and what follows `Bearer`.

`user:password@` is how our own sentences write it.
"""
Tree = TypeVar("Tree")


class RedactedError(Exception):
    """Stands for an error whose own text holds what is secret: what it said without that, its traceback as a note."""


def is_secret_name(name: str) -> bool:
    """Tell whether what goes by this name is nobody's business."""
    return _NAMES.search(name) is not None


@dataclass(frozen=True, slots=True)
class Redactor:
    """Replaces what is secret by `***`."""

    secrets: tuple[str, ...] = field(default=(), repr=False)
    """Longest first, so that none is left of one that holds another."""

    def __call__(self, text: str) -> str:
        """Give a text without what is secret."""
        for pattern, replacement in _IN_ANY_TEXT:
            text = pattern.sub(replacement, text)
        for secret in self.secrets:
            if secret in text:
                text = self._without(text, secret)
        return text

    def tree(self, value: Tree) -> Tree:
        """Give a JSON tree whose texts hold nothing secret."""
        result: Any = value
        if isinstance(value, str):
            result = self(value)
        elif isinstance(value, dict):
            result = {name: self.tree(item) for name, item in value.items()}
        elif isinstance(value, list):
            result = [self.tree(item) for item in value]
        given: Tree = result
        return given

    def error(self, error: Exception) -> Exception:
        """Give the error itself where neither its text nor its causes hold a secret, else one that tells the same."""
        told = "".join(traceback.format_exception(error))
        redacted = self(told)
        if redacted == told:
            return error
        if not isinstance(error, StemlineError):
            standing = RedactedError(self("".join(traceback.format_exception_only(error))).strip())
            standing.add_note(redacted)
            return standing
        error.message, error.fix = self(error.message), self(error.fix)
        error.args = (error.message,)
        error.__cause__, error.__suppress_context__ = None, True
        return error

    @staticmethod
    def _without(text: str, secret: str) -> str:
        if len(secret) >= _SHORT:
            return text.replace(secret, HIDDEN)
        return re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", HIDDEN, text)


def redactor_of(
    settings: Settings | None, keys: Iterable[str] = (), environ: Mapping[str, str] = os.environ
) -> Redactor:
    """Give what redacts a configuration's secrets, these API keys, and what the environment calls secret.

    None: a configuration that cannot be read.
    """
    found = {value for name, value in environ.items() if _VARIABLES.search(name) and len(value) >= _SHORT}
    found.update(keys)
    if settings is not None:
        found.update(_secrets_of(settings))
    written = {form for secret in found for form in (secret, quote(secret, safe=""))}
    return Redactor(tuple(sorted((each for each in written if len(each) >= SHORTEST), key=len, reverse=True)))


def _secrets_of(settings: Settings) -> Iterator[str]:
    yield from (key.get_secret_value() for key in settings.provider.api_keys)
    if settings.webhooks is not None and settings.webhooks.secret is not None:
        yield settings.webhooks.secret.get_secret_value()
    for options in (settings.catalogue.storage_options, settings.dataset.storage_options):
        yield from _secrets_in(options, is_secret=False)
    places = (
        settings.ledger.url,
        settings.dataset.url,
        settings.catalogue.manifest,
        *settings.provider.base_urls,
    )
    for url in places:
        yield from _secrets_in_url(url or "")


def _secrets_in(options: object, *, is_secret: bool) -> Iterator[str]:
    """Give the texts that go by a secret's name, and all that lie below one."""
    if isinstance(options, Mapping):
        for name, value in options.items():
            yield from _secrets_in(value, is_secret=is_secret or is_secret_name(str(name)))
    elif isinstance(options, (list, tuple)):
        for value in options:
            yield from _secrets_in(value, is_secret=is_secret)
    elif isinstance(options, str):
        yield from (options,) if is_secret else _secrets_in_url(options)


def _secrets_in_url(url: str) -> Iterator[str]:
    try:
        parts = urlsplit(url)
    except ValueError:
        return
    # What follows the last @ is the host: a password may hold one that nobody encoded.
    password = parts.netloc.rpartition("@")[0].partition(":")[2]
    yield from (password, unquote(password))
    yield from (value for name, value in parse_qsl(parts.query) if is_secret_name(name))


_present: ContextVar[Redactor | None] = ContextVar("redactor", default=None)


@contextmanager
def redacting(redactor: Redactor) -> Iterator[None]:
    """Have this redactor be the present one inside the `with` block."""
    token = _present.set(redactor)
    try:
        yield
    finally:
        _present.reset(token)


def present_redactor() -> Redactor:
    """Give the redactor of what is under way; one that knows forms and the environment where there is none."""
    return _present.get() or redactor_of(None)

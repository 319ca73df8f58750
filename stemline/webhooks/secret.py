"""Where webhook secrets are kept that a provider tells once: a file for its owner alone, beside the ledger."""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from stemline.errors import StorageError
from stemline.settings import Settings


class SecretFile:
    """Secrets by hook id, in a JSON file with mode 0600. Raises StorageError when it cannot be used."""

    def __init__(self, path: Path) -> None:
        """Name the file; it is made when there is something to keep."""
        self.path = path

    @classmethod
    def beside_ledger(cls, settings: Settings) -> Self:
        """Give the file of a configuration: beside its SQLite ledger, or under .stemline for another database."""
        ledger, here = settings.ledger_file, Path(".stemline")
        # A dataset is handed on: what lies with it is no place for secrets.
        is_old = ledger is not None and settings.ledger_place is not None and ledger.parent == here
        if ledger is not None and (is_old or settings.ledger.url is not None):
            return cls(ledger.with_name(f"{ledger.name}.hooks"))
        return cls(here / f"{settings.name}.hooks")

    def read(self) -> dict[str, str]:
        """Give all secrets by hook id; empty while there is no file."""
        try:
            tree = json.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise self._error("read", error.strerror or str(error)) from error
        except ValueError as error:
            raise self._error("read", "it is not JSON") from error
        if not isinstance(tree, dict):
            raise self._error("read", "it is not ours")
        return {str(hook_id): str(secret) for hook_id, secret in tree.items()}

    def keep(self, hook_id: str, secret: str) -> None:
        """Add a secret, whole on the disk before this returns."""
        with self._held():
            self._write({**self.read(), hook_id: secret})

    def forget(self, *hook_ids: str) -> None:
        """Drop the secrets of hooks that no longer exist."""
        with self._held():
            known = self.read()
            if known.keys() & set(hook_ids):
                self._write({hook_id: known[hook_id] for hook_id in known if hook_id not in hook_ids})

    @contextmanager
    def _held(self) -> Iterator[None]:
        """Keep other processes from writing meanwhile, by the lock of the folder."""
        folder = self.path.parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(folder, os.O_RDONLY)
        except OSError as error:
            raise self._error("written", error.strerror or str(error)) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _write(self, secrets: Mapping[str, str]) -> None:
        """Put a new file in the place of the old one."""
        try:
            # A temporary file is its owner's alone from the first byte.
            handle, name = tempfile.mkstemp(prefix=f"{self.path.name}.", dir=self.path.parent)
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    json.dump(dict(secrets), file)
                    file.flush()
                    os.fsync(file.fileno())
                Path(name).replace(self.path)
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise
        except OSError as error:
            raise self._error("written", error.strerror or str(error)) from error

    def _error(self, verb: str, reason: str) -> StorageError:
        return StorageError(
            f"The webhook secrets in {self.path} cannot be {verb}: {reason}.",
            fix="Make it readable and writable for you, or remove it: the webhook is then registered anew.",
        )

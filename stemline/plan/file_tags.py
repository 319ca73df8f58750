"""The columns of a row that is a file alone: what its tags say, and else what its name and its folders' do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Self

from stemline.manifest.guessed_names import guess_names, numbered_folders
from stemline.probe import GUESSED


@dataclass(frozen=True, slots=True)
class FileTags:
    """Which columns the files of a listing fill, and what tells of those without tags."""

    columns: tuple[str, ...] = ()
    below: str = ""
    """The folder or prefix of all the music, with a slash at its end."""
    numbered: frozenset[str] = frozenset()
    """Folders below it in which names begin with the numbers of tracks."""

    @classmethod
    def of(cls, columns: tuple[str, ...], below: str, locations: Sequence[str]) -> Self:
        """Give the columns of these files, which lie below a folder."""
        return cls(columns, below, numbered_folders(_path_below(below, each) for each in locations))

    def fill(self, location: str, tags: Mapping[str, str]) -> dict[str, str | None]:
        """Give the columns of a file by its tags, or as they were found earlier; what is guessed is named."""
        found = {name: tags.get(name) for name in self.columns}
        if GUESSED not in self.columns or found[GUESSED] is not None:
            return found
        guesses = asdict(guess_names(_path_below(self.below, location), self.numbered))
        taken = {
            name: text for name, text in guesses.items() if text and name in found and found[name] is None
        }
        return found | taken | {GUESSED: ",".join(taken) or None}


def _path_below(folder: str, location: str) -> str:
    """Give a file's path in a folder; of one that is not in it, whose folders say nothing, the name alone."""
    return location.removeprefix(folder) if location.startswith(folder) else location.rpartition("/")[2]

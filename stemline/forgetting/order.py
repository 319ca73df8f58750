"""What is to be forgotten, written down until it is: whatever is cut off, the next command goes on with it."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any

from stemline.dataset.paths import path_safe
from stemline.errors import StorageError
from stemline.storage import Store
from stemline.tombstone import Tombstone, tombstone_from_tree

ORDERS_PREFIX = "_stemline/forgetting"
SHORTEST_TEXT = 6
"""A shorter id or location is not looked for in running text: it would be found everywhere."""
MOST_TEXTS = 2_000
"""With more names to look for, a page is written anew without a look."""
FEW_TEXTS = 50
_MARKS = ".:;!?()'"
_BETWEEN = re.compile(r'[<>"\n,]')


@dataclass(frozen=True, slots=True)
class OrderedTrack:
    """A track that is to be forgotten, with all by which it may be found."""

    track_id: str
    tokens: tuple[str, ...] = ()
    """Of its attempts."""
    jobs: tuple[str, ...] = ()
    """Of providers, which may keep what they made for a while."""
    locations: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    """Title, artist and ISRC: reports that show one are written anew."""


@dataclass(frozen=True)
class ForgetOrder:
    """One act of forgetting under way: the one place that still names what goes, and the last that does."""

    tombstone: Tombstone
    tracks: tuple[OrderedTrack, ...]
    found: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """What there was of it, by place, before anything was emptied."""

    @property
    def key(self) -> str:
        """Where it is written down."""
        return f"{ORDERS_PREFIX}/{self.tombstone.tombstone_id}.json"

    @cached_property
    def track_ids(self) -> frozenset[str]:
        """Give the ids of all its tracks."""
        return frozenset(each.track_id for each in self.tracks)

    @cached_property
    def tokens(self) -> frozenset[str]:
        """Give the tokens of all their attempts."""
        return frozenset(token for each in self.tracks for token in each.tokens)

    @cached_property
    def locations(self) -> frozenset[str]:
        """Give where their audio lies, or lay."""
        return frozenset(place for each in self.tracks for place in each.locations if place)

    @cached_property
    def jobs(self) -> tuple[str, ...]:
        """Give the providers' jobs."""
        return tuple(sorted(job for each in self.tracks for job in each.jobs))

    @cached_property
    def proofs(self) -> frozenset[str]:
        """Texts that tell for certain that a page or file names one of the tracks, where each stands by itself."""
        long = [text for text in (*self.track_ids, *self.locations) if len(text) >= SHORTEST_TEXT]
        paths = [f"/{path_safe(track_id)}/" for track_id in self.track_ids]
        return frozenset({*paths, *(form for text in long for form in _forms(text))})

    @cached_property
    def hints(self) -> tuple[str, ...]:
        """Texts for which a page is written anew: they may be of other tracks as well."""
        texts = {*self.track_ids, *(name for each in self.tracks for name in each.names)}
        return tuple(sorted({form for text in texts if text for form in _forms(text)}))

    def is_named_in(self, text: str) -> bool:
        """Tell whether a page, line or sentence names one of the tracks, and no other whose name is longer."""
        pieces = {
            text,
            *_BETWEEN.split(text),
            *(f"/{step}/" for step in text.split("/")),
            *(word.strip(_MARKS) for word in text.split()),
        }
        if not pieces.isdisjoint(self.proofs) or text in self.track_ids:
            return True
        # A name of several words in running text; of many tracks that would take too long.
        return 0 < len(self.proofs) <= FEW_TEXTS and self._pattern.search(text) is not None

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        names = "|".join(re.escape(each) for each in sorted(self.proofs))
        return re.compile(rf"(?<![\w./-])(?:{names})(?![\w/-]|[.]\w)")

    def may_be_shown_in(self, text: str) -> bool:
        """Tell whether a page may show one of the tracks, by a name that others may have as well."""
        return len(self.hints) > MOST_TEXTS or holds_any(text, self.hints) or self.is_named_in(text)

    def without(self, track_ids: Collection[str]) -> ForgetOrder:
        """Give the order without some tracks: nothing of them is touched, nor are they refused."""
        stay = {self.tombstone.digest_of(track_id) for track_id in track_ids}
        digests = tuple(each for each in self.tombstone.tracks if each not in stay)
        tracks = tuple(each for each in self.tracks if each.track_id not in track_ids)
        return ForgetOrder(replace(self.tombstone, tracks=digests), tracks, self.found)


def write_order(store: Store, order: ForgetOrder) -> None:
    """Write it down."""
    found = {place: dict(counts) for place, counts in order.found.items()}
    tracks = [asdict(each) for each in order.tracks]
    tree = {"tombstone": order.tombstone.as_tree(), "found": found, "tracks": tracks}
    store.put_bytes(order.key, json.dumps(tree).encode() + b"\n")


def read_orders(store: Store) -> Iterator[ForgetOrder]:
    """Give what was begun and not finished, the oldest first; raises StorageError for what cannot be read."""
    for key in sorted(store.list(ORDERS_PREFIX)):
        try:
            yield _order(json.loads(store.read_bytes(key)))
        except FileNotFoundError:  # somebody else has finished it
            continue
        except (KeyError, TypeError, ValueError) as error:
            raise StorageError(
                f"{store.url(key)} cannot be read: it is not what stemline wrote.",
                fix="Remove it, and forget again.",
            ) from error


def holds_any(text: str, wanted: Sequence[str]) -> bool:
    """Tell whether one of many texts is in another."""
    return any(each in text for each in wanted)


def _order(tree: Mapping[str, Any]) -> ForgetOrder:
    tracks = tuple(
        OrderedTrack(each.pop("track_id"), **{name: tuple(texts) for name, texts in each.items()})
        for each in tree["tracks"]
    )
    return ForgetOrder(tombstone_from_tree(tree["tombstone"]), tracks, tree["found"])


def _forms(text: str) -> set[str]:
    """Give a text as it stands in a page, and in JSON."""
    return {text, html.escape(text), json.dumps(text)[1:-1]}

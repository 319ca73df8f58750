"""Numbers in an order that looks random and takes no memory: the n-th of any order is there at once.

A balanced Feistel network over the next even power of two is a bijection whatever its rounds do; what falls behind the
end is sent through it again until it does not ("cycle walking", Black and Rogaway, Ciphers with Arbitrary Finite
Domains, 2002). The rounds mix as SplitMix64 does (Steele, Lea and Flood, OOPSLA 2014).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

_MASK = (1 << 64) - 1
_ROUNDS = 6


def mixed(value: int) -> int:
    """Give 64 bits that depend on every bit of a number."""
    value = (value + 0x9E3779B97F4A7C15) & _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)


def random_key(*parts: object) -> int:
    """Give 64 bits that follow from the parts alone, on any machine."""
    return int.from_bytes(hashlib.blake2b(repr(parts).encode(), digest_size=8).digest(), "little")


@dataclass(frozen=True)
class Permutation:
    """An order of the numbers below `size`, known by its key."""

    size: int
    key: int
    _half: int = field(init=False, repr=False)
    _rounds: tuple[int, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Take half the bits of the network, and a key for each round."""
        object.__setattr__(self, "_half", max(1, (max(self.size - 1, 1).bit_length() + 1) // 2))
        object.__setattr__(self, "_rounds", tuple(mixed(self.key + each) for each in range(_ROUNDS)))

    def __getitem__(self, position: int) -> int:
        """Give the number at a position; raises IndexError."""
        if not 0 <= position < self.size:
            raise IndexError(position)
        number = self._network(position)
        while number >= self.size:
            number = self._network(number)
        return number

    def _network(self, number: int) -> int:
        half, mask = self._half, (1 << self._half) - 1
        left, right = number >> half, number & mask
        for key in self._rounds:
            left, right = right, left ^ (mixed(right ^ key) & mask)
        return left << half | right

"""Whether what answers first at `provider.base_url` is the provider's API at all."""

from __future__ import annotations

from http import HTTPStatus

from stemline.errors import ProviderDown, ProviderGone, StemlineError
from stemline.protocol import HttpAnswer

_NO_SUCH_PLACE = {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.GONE}


def require_the_api(base_url: str, answer: HttpAnswer, error: StemlineError | None) -> None:
    """Raise ProviderGone where somebody is there, and answers as the API never would.

    It is asked of answers before the first good one alone: later on it is a proxy that has lost its vendor, and that
    is waited for.
    """
    is_elsewhere = answer.status in _NO_SUCH_PLACE or answer.status // 100 == 3
    if isinstance(error, ProviderDown) and is_elsewhere:
        raise ProviderGone(
            f"Something answers at {base_url}, and not as the provider's API does: {error.message}",
            fix="Check provider.base_url, its path too.",
        )

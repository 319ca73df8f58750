"""How tracks get to the provider: by a URL it fetches, or by upload."""

from __future__ import annotations

from stemline.link import presigned_link
from stemline.manifest import LocationKind, location_kind
from stemline.settings import Settings


class SourceDelivery:
    """Tells which tracks a run would upload; a link is tried once for each store."""

    def __init__(self, settings: Settings) -> None:
        """Follow `catalogue.send`."""
        self._send = settings.catalogue.send
        self._options = settings.catalogue.storage_options
        self._has_links: dict[str, bool] = {}

    def is_upload(self, location: str) -> bool:
        """Tell whether a track has to be uploaded: a file, or an object for which no link can be made."""
        kind = location_kind(location)
        if kind is not LocationKind.STORE:
            return kind is LocationKind.FILE
        store = location.rsplit("/", 1)[0] if "://" not in location else "/".join(location.split("/", 3)[:3])
        if store not in self._has_links:
            self._has_links[store] = self._send != "upload" and self._has_link(location)
        return not self._has_links[store]

    def _has_link(self, location: str) -> bool:
        try:
            return presigned_link(location, self._options, is_forced=self._send == "url") is not None
        except OSError:
            return False  # the run would say so of each track, and would not upload it either

"""Whether there is room for callers' writes, or only for what makes room again."""

from typing import Final

from tallystick.store.port import Backend, Capacity

_LOOK_EVERY: Final = 16


class RoomGate:
    """Refuses callers' writes below the reserve, and lets them come back when there is room."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._reason: str | None = None
        self._unlooked = 0

    def reason(self) -> str | None:
        """Why callers' writes are refused, as a sentence, or None.

        Meant to be asked at each commit. It looks at the disk now and then, and each time when room is short.
        """
        if self._unlooked <= 0:
            capacity = self._backend.capacity()
            self._reason = _shortage(capacity)
            scarce = min(capacity.map_room_bytes, capacity.disk_room_bytes) < 2 * capacity.reserve_bytes
            self._unlooked = 0 if scarce else _LOOK_EVERY
        else:
            self._unlooked -= 1
        return self._reason


def _shortage(capacity: Capacity) -> str | None:
    for name, room in (("map", capacity.map_room_bytes), ("disk", capacity.disk_room_bytes)):
        if room < capacity.reserve_bytes:
            return f"the {name} has room for {room} bytes, less than the reserve of {capacity.reserve_bytes}"
    return None

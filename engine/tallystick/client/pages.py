"""Lists that are longer than one answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")

FetchPage = Callable[[str], Awaitable[tuple[Sequence[T], str]]]
"""From a page token, "" at first, to a page and the token of the next, "" at the end."""


class Pages(Generic[T]):
    """Everything in a list, one by one: `async for order in client.list_orders(): …`

    A page is fetched when the one before it is used up; each fetch has the whole timeout. Not a generator, so
    there is nothing to close when one leaves the loop early.
    """

    def __init__(self, fetch: FetchPage[T]) -> None:
        self._fetch = fetch
        self._page: Sequence[T] = ()
        self._at = 0
        self._token = ""
        self._last = False

    def __aiter__(self) -> Pages[T]:
        return self

    async def __anext__(self) -> T:
        while self._at == len(self._page):
            if self._last:
                raise StopAsyncIteration
            self._page, self._token = await self._fetch(self._token)
            self._at = 0
            self._last = not self._token
        self._at += 1
        return self._page[self._at - 1]

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
        self._token: str | None = ""  # None after the last page
        self._page: Sequence[T] = ()
        self._used = 0

    def __aiter__(self) -> Pages[T]:
        return self

    async def __anext__(self) -> T:
        if self._used == len(self._page):
            self._page = await self.next_page()
            self._used = 0
            if not self._page:
                raise StopAsyncIteration
        self._used += 1
        return self._page[self._used - 1]

    async def next_page(self) -> Sequence[T]:
        """The next page as a whole; empty at the end."""
        page: Sequence[T] = ()
        while not page and self._token is not None:  # a page in the middle may be empty
            page, token = await self._fetch(self._token)
            self._token = token or None
        return page

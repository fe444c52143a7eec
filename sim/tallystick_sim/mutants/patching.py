"""How an engine is made wrong: one function or constant of it is replaced for as long as a run lasts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from inspect import getattr_static
from typing import Any, NamedTuple

from tallystick_sim.run import Patch


class Mutant(NamedTuple):
    """A wrong engine. `seed` is the quickest small seed that shows it."""

    name: str
    story: str
    """What it does wrong, in a line."""
    seed: int
    patch: Patch


def swap(owner: Any, name: str, wrong: Callable[[Any], Any]) -> Patch:
    """Put in place of `owner`'s attribute what `wrong` makes of the right one. `owner` is a class, or the
    module that uses the name: what is imported by name has to be replaced where it is used."""

    @contextmanager
    def patched() -> Iterator[None]:
        right = getattr_static(owner, name)
        setattr(owner, name, wrong(right))
        try:
            yield
        finally:
            setattr(owner, name, right)

    return patched


def both(*patches: Patch) -> Patch:
    """One idea that takes several places."""

    @contextmanager
    def patched() -> Iterator[None]:
        with ExitStack() as stack:
            for patch in patches:
                stack.enter_context(patch())
            yield

    return patched


def always(answer: Any) -> Callable[[Any], Any]:
    """For `swap`: a function that answers this, whatever it is asked."""
    return lambda _: lambda *_args, **_kwargs: answer

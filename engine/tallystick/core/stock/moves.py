"""What a replica does to its own row: each function takes a row and answers the row after.

None of them checks rights: whoever proposes has looked before (`rights.rights`), so that a refusal leaves
nothing half done. What comes in or is freed first pays what is missing: `settle`.
"""

from __future__ import annotations

from msgspec.structs import replace

from tallystick.core.errors import LimitReached
from tallystick.core.limits import CELL_MAX
from tallystick.core.stock.rights import Row


def receive(row: Row, units: int) -> Row:
    """Goods came in."""
    return replace(row, received=_cell("received", row.received + units))


def shrink(row: Row, units: int, free: int) -> Row:
    """Goods are missing: burn what is free here, owe the rest."""
    burned = min(units, free)
    return replace(
        row,
        burned=_cell("burned", row.burned + burned),
        owed=_cell("owed", row.owed + units - burned),
    )


def hold(row: Row, units: int) -> Row:
    """Set units aside for an order."""
    return replace(row, taken=_cell("taken", row.taken + units))


def hold_and_sell(row: Row, units: int) -> Row:
    """Set aside and sell in one go: an order that is confirmed on placing."""
    return replace(row, taken=_cell("taken", row.taken + units), sold=row.sold + units)


def sell(row: Row, units: int) -> Row:
    """A hold became a sale."""
    return replace(row, sold=_cell("sold", row.sold + units))


def free(row: Row, units: int) -> Row:
    """A hold was let go."""
    return replace(row, freed=_cell("freed", row.freed + units))


def free_sold(row: Row, units: int) -> Row:
    """A sale was undone before anything was shipped."""
    return replace(row, freed=_cell("freed", row.freed + units), unsold=row.unsold + units)


def move(row: Row, to: int, units: int) -> Row:
    """Rights went to another replica. Never to oneself: they would be nobody's."""
    cells = dict(row.moved)
    cells[to] = _cell("moved", cells.get(to, 0) + units)
    return replace(row, moved=tuple(sorted(cells.items())))


def set_overbooking(row: Row, limit: int) -> Row:
    """Make `limit` this replica's overbooking; what has to go down waits in `lowered` for `settle`.

    Going up first calls off what waits to go down. Minting for that part too would let the new rights pay
    for missing goods: a limit that is lowered and raised again would hide what is owed, and overbooking in
    force would pass every limit that was ever told (models/overbooking in the simulator finds it).
    """
    change = limit - overbooking_limit(row)
    if change >= 0:
        called_off = min(change, row.lowered - row.unminted)
        return replace(row, minted=_cell("minted", row.minted + change), unminted=row.unminted + called_off)
    return replace(row, lowered=_cell("lowered", row.lowered - change))


def overbooking_limit(row: Row) -> int:
    """The overbooking that this replica was last told."""
    return row.minted - row.lowered


def settle(row: Row, free_units: int) -> Row:
    """Let units that are free pay what is missing: first goods that are owed, then lowered overbooking."""
    owed = min(row.owed - row.settled, free_units)
    lowered = min(row.lowered - row.unminted, free_units - owed)
    if owed <= 0 and lowered <= 0:
        return row
    return replace(row, burned=row.burned + owed, settled=row.settled + owed, unminted=row.unminted + lowered)


def _cell(name: str, value: int) -> int:
    if value > CELL_MAX:
        raise LimitReached(
            "COUNTER_FULL", f"{name} of this item would pass {CELL_MAX}; use another sku", {"cell": name}
        )
    return value

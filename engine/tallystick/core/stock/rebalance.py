"""Who should send whom how many tokens: pure functions of what one replica sees.

Every replica looks at the same sums, a little late, and sends only its own. A *policy* says by which weights
the units of an item should be shared; everything else is common to all of them:

* who owes goods is paid first, out of whatever is free;
* else, when only a few units are left, they gather where demand is: split up they would serve nobody;
* else who has more than his share sends to who has less: half of what is too much in one round (capped), and
  nothing where it is hardly off (damped).

Why it comes to rest, with views that are late and differ: nobody sends below its own share, so the need of a
replica below its share only shrinks, in every view, until all have heard. Each sender therefore sends to each
at most the need that it saw first, in steps of at least the dead zone. The last units move only towards
at least twice the own demand, so two replicas never both want to send to each other. Rates fall silent when
demand stops (`demand.SILENCE`). Replicas may know each other's rates late or not at all, but never take one
for busier than it takes itself (`demand.Told`): the shares that they keep for themselves add up to all there
is, or more. Two that took each other for too busy both sent, and for ever. `tests/core/test_rebalance.py`
plays it.

The name and the three policies are DESIGN's; sharing by largest remainders is Hamilton's method.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from tallystick.core.stock.demand import Told
from tallystick.core.stock.rights import Stock, standing

DEAD_ZONE_PERCENT = 3
DEAD_ZONE_UNITS = 2
FEW_EACH = 2
"""Up to so many units a member are few: they gather."""
FEW_LEFT = 8
"""A grant that leaves no more than this gives what was asked for and nothing ahead."""
AHEAD = 16
"""A grant gives at most so many times what was asked for: half a warehouse for one unit would come back."""
DEMAND_ELSEWHERE = 20
"""The demand policy leaves each member at least 1/20 of an equal share: first customers need not ask."""
_SCALE = 1_000_000


@dataclass(frozen=True, slots=True)
class Situation:
    """One stock item as `me` sees it. `units` has every member that may have tokens (see `holdings`).

    `rates` in units a second, by member; `weights` as the operator set them. Who is missing there has 0.
    """

    me: int
    units: Mapping[int, int]
    rates: Mapping[int, float] = field(default_factory=dict)
    weights: Mapping[int, int] = field(default_factory=dict)


Plan = Iterator[tuple[int, int, int]]
"""(from, to, units)."""
Weights = Mapping[int, int]
Policy = Callable[[Situation], Weights]
"""By which weights the units of an item should be shared; all 0: leave them where they are."""


def even(situation: Situation) -> Weights:
    """Everybody the same."""
    return dict.fromkeys(situation.units, 1)


def weighted(situation: Situation) -> Weights:
    """As the operator says."""
    return {member: situation.weights.get(member, 0) for member in situation.units}


def demand(situation: Situation) -> Weights:
    """All run dry at the same time: units in proportion to rates. Nobody asks: leave everything."""
    rates = {member: situation.rates.get(member, 0.0) for member in situation.units}
    total = sum(rates.values())
    if total <= 0:
        return {}
    floor = _SCALE // (DEMAND_ELSEWHERE * len(rates))
    return {member: round(rate / total * _SCALE) + floor for member, rate in rates.items()}


POLICIES: Mapping[str, Policy] = {"even": even, "weighted": weighted, "demand": demand}


def holdings(stock: Stock, members: Iterable[int]) -> dict[int, int]:
    """The rights of each member, less the goods that it owes: below 0 it needs tokens to pay with."""
    held = {}
    for member in members:
        units, row = standing(stock, member)
        held[member] = units - (row.owed - row.settled)
    return held


def rates_now(me: int, mine: float, told: Mapping[int, Told], now_ms: int) -> dict[int, float]:
    """The rates of all members at one time. Without bringing them to one time each would take the other for
    the busier one."""
    rates = {member: each.at(now_ms) for member, each in told.items()}
    rates[me] = mine
    return rates


def transfers(policy: Policy, situation: Situation) -> tuple[tuple[int, int], ...]:
    """(to whom, units) that `situation.me` should send now."""
    units = situation.units
    debts = {member: -held for member, held in units.items() if held < 0}
    if debts:
        plan = _matched({member: held for member, held in units.items() if held > 0}, debts, 1)
    elif sum(units.values()) <= FEW_EACH * len(units):
        plan = _gathered(situation)
    else:
        plan = _balanced(policy, situation)
    return tuple((to, count) for sender, to, count in plan if sender == situation.me)


def grant(asked: int, spare: int) -> int:
    """Units to give to who asks for `asked`, of `spare`: all that is asked for if it is there, and ahead of
    the next orders up to half of what is left, while that is not little."""
    given = min(max(0, asked), max(0, spare))
    left = spare - given
    return given + min(left // 2, given * (AHEAD - 1)) if left > FEW_LEFT else given


def share(units: int, weights: Weights) -> dict[int, int]:
    """`units` in proportion to `weights`, to the unit: largest remainders first, of equal ones the lower id.

    The shares add up to `units`, unless no weight is above 0: then they are empty.
    """
    total = sum(weights.values())
    if not total:
        return {}
    shares = {member: units * weight // total for member, weight in weights.items()}
    left = units - sum(shares.values())
    remainders = sorted(weights, key=lambda member: (-(units * weights[member] % total), member))
    for member in remainders[:left]:
        shares[member] += 1
    return shares


def _gathered(situation: Situation) -> Plan:
    """The last few units: half of mine to where at least twice as many are asked for as here."""
    me, rates = situation.me, situation.rates
    most = max(situation.units, key=lambda member: (rates.get(member, 0.0), -member))
    held = situation.units.get(me, 0)
    if held > 0 and most != me and rates.get(most, 0.0) > 2 * rates.get(me, 0.0):
        yield me, most, _half(held)


def _balanced(policy: Policy, situation: Situation) -> Plan:
    total = sum(situation.units.values())
    shares = share(total, policy(situation))
    zone = max(DEAD_ZONE_UNITS, total * DEAD_ZONE_PERCENT // 100)
    off = {member: held - shares[member] for member, held in situation.units.items() if member in shares}

    def step(units: int) -> int:
        return min(units, max(zone, _half(units)))

    return _matched(
        {member: step(by) for member, by in off.items() if by >= zone},
        {member: step(-by) for member, by in off.items() if -by >= zone},
        zone,
    )


def _matched(spare: Mapping[int, int], wanted: Mapping[int, int], least: int) -> Plan:
    """Serve the largest needs out of the largest surpluses: the fewest transfers, and the same plan at
    everyone who sees the same. Transfers below `least` are left out; the first never is."""
    givers, takers = _largest_first(spare), _largest_first(wanted)
    while givers and takers:
        (giver, spared), (taker, missing) = givers[0], takers[0]
        units = min(spared, missing)
        if units >= least:
            yield giver, taker, units
        givers[:1] = [(giver, spared - units)] if spared > units else []
        takers[:1] = [(taker, missing - units)] if missing > units else []


def _largest_first(units: Mapping[int, int]) -> list[tuple[int, int]]:
    return sorted(units.items(), key=lambda pair: (-pair[1], pair[0]))


def _half(units: int) -> int:
    return (units + 1) // 2

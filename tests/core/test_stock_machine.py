"""The bounded counter under random life: 2 to 4 replicas, one item, partial views joined in any order.

Whoever frees units pays what others owe, as far as its own view tells. After every step each replica's view
must add up to the independent ledger's sums, nobody's rights are below 0 in any view, and what is held,
sold, burned and unminted never exceeds what was received and minted.
"""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tallystick.core.stock import moves
from tallystick.core.stock.owing import needed, pay_others, settled
from tallystick.core.stock.rebalance import grant
from tallystick.core.stock.rights import EMPTY_STOCK, Row, Stock, join_rows, join_stock, rights, totals
from tests.kit.ledger import Claim, Known, Ledger

units = st.integers(1, 4)
View = tuple[Stock, Known]


class Counter(RuleBasedStateMachine):
    """Rows are driven through `moves`, as a replica does it: settle after all but placing."""

    @initialize(count=st.integers(2, 4))
    def found(self, count):
        self.replicas = range(1, count + 1)
        self.ledger = Ledger(self.replicas)
        self.views: dict[int, View] = {replica: (EMPTY_STOCK, {}) for replica in self.replicas}
        self.past: list[View] = [(EMPTY_STOCK, {})]

    def write(self, me: int, row: Row, *, settles: bool = True, **changes: int) -> None:
        """Replica `me` writes its next row, and the ledger its next page."""
        stock, known = self.views[me]
        before = stock.row(me)
        stock = stock.with_row(me, row)
        if settles:
            stock = settled(stock, me)
        assert join_rows(before, stock.row(me)) == stock.row(me), "a cell went down"
        self.ledger.turn(me, known, settles=settles, **changes)
        self.views[me] = stock, {**known, me: self.ledger.version(me)}
        self.past.append(self.views[me])

    def someone(self, data: st.DataObject) -> tuple[int, Row, int]:
        """(replica, its row, its rights)."""
        me = data.draw(st.sampled_from(self.replicas))
        stock, known = self.views[me]
        assert rights(stock, me) == self.ledger.rights(me, known)
        return me, stock.row(me), rights(stock, me)

    def decidable(self, *, sold: bool | None = None) -> list[Claim]:
        """Open claims whose owner knows that he is it."""
        return [
            claim
            for claim in self.ledger.claims
            if claim.since[1] <= self.views[claim.owner][1].get(claim.since[0], 0)
            and sold in (None, claim.sold)
        ]

    @rule(data=st.data(), count=units)
    def receive(self, data, count):
        me, row, _ = self.someone(data)
        self.write(me, moves.receive(row, count), goods_in=count)

    @rule(data=st.data(), count=units)
    def shrink(self, data, count):
        me, row, free = self.someone(data)
        burned = min(count, free)
        self.write(me, moves.shrink(row, count, free), lost=burned, owing=count - burned)

    @rule(data=st.data(), limit=st.integers(0, 4))
    def set_overbooking(self, data, limit):
        me, row, _ = self.someone(data)
        page = self.ledger.page(me)
        self.write(
            me, moves.set_overbooking(row, limit), limit=limit - page.limit, over=max(0, limit - page.over)
        )
        assert moves.overbooking_limit(self.views[me][0].row(me)) == limit

    @rule(data=st.data(), count=units, at_once=st.booleans())
    def place(self, data, count, at_once):
        me, row, free = self.someone(data)
        count = min(count, free)
        if count:
            move = moves.hold_and_sell if at_once else moves.hold
            name = "sold" if at_once else "reserved"
            self.write(me, move(row, count), settles=False, **{name: count})
            self.ledger.claims.append(Claim(count, me, (me, self.ledger.version(me)), at_once))

    @rule(data=st.data(), limit=st.integers(0, 2), count=units)
    def sell_out_and_find_goods_missing(self, data, limit, count):
        """What is owed and what is to be taken back wait together for the same freed units."""
        me, row, free = self.someone(data)
        if free:
            self.write(me, moves.hold(row, free), settles=False, reserved=free)
            self.ledger.claims.append(Claim(free, me, (me, self.ledger.version(me))))
        self.write(me, moves.shrink(self.views[me][0].row(me), count, 0), owing=count)
        row, page = self.views[me][0].row(me), self.ledger.page(me)
        over = max(0, limit - page.over)
        self.write(me, moves.set_overbooking(row, limit), limit=limit - page.limit, over=over)

    @precondition(lambda self: self.decidable(sold=False))
    @rule(data=st.data())
    def confirm(self, data):
        claim = data.draw(st.sampled_from(self.decidable(sold=False)))
        row = self.views[claim.owner][0].row(claim.owner)
        self.write(claim.owner, moves.sell(row, claim.units), reserved=-claim.units, sold=claim.units)
        claim.sold = True

    @precondition(lambda self: self.decidable())
    @rule(data=st.data(), count=units)
    def let_go(self, data, count):
        """Cancel all or part of a claim, or expire it."""
        claim = data.draw(st.sampled_from(self.decidable()))
        self.free(claim, min(count, claim.units))

    def free(self, claim: Claim, count: int) -> None:
        row = self.views[claim.owner][0].row(claim.owner)
        move, name = (moves.free_sold, "sold") if claim.sold else (moves.free, "reserved")
        self.write(claim.owner, move(row, count), settles=True, **{name: -count})
        self.pay_others(claim.owner, count)
        claim.units -= count
        self.ledger.claims = [claim for claim in self.ledger.claims if claim.units]

    @rule(data=st.data(), missing=st.integers(1, 3), one_by_one=st.booleans())
    def free_where_another_owes(self, data, missing, one_by_one):
        """What is freed next is called for, and by more than one, who do not know of each other."""
        debtor, row, free = self.someone(data)
        if free:
            self.write(debtor, moves.hold(row, free), settles=False, reserved=free)
            self.ledger.claims.append(Claim(free, debtor, (debtor, self.ledger.version(debtor))))
        self.write(debtor, moves.shrink(self.views[debtor][0].row(debtor), missing, 0), owing=missing)
        told = self.views[debtor]
        for me in data.draw(st.permutations([other for other in self.replicas if other != debtor])):
            self.views[me] = joined(self.views[me], told)
            for claim in [claim for claim in self.decidable() if claim.owner == me]:
                for count in [1] * claim.units if one_by_one else [claim.units]:
                    self.free(claim, count)

    def pay_others(self, me: int, freed: int) -> None:
        """What was freed goes to who owes: the ledger says how much, the engine must do the same."""
        stock, known = self.views[me]
        left = min(freed, rights(stock, me))
        expected = self.ledger.owed_gifts(me, known, left)
        after = pay_others(stock, me, left, lambda _: True)
        sent = {to: after.row(me).moved_to(to) - stock.row(me).moved_to(to) for to in self.replicas}
        assert {to: count for to, count in sent.items() if count} == expected
        for to, count in expected.items():
            self.send(me, to, count, settles=False)
        assert self.views[me][0] == after
        assert left == sum(expected.values()) or not any(
            needed(after, other) for other in self.replicas if other != me
        )

    def send(self, me: int, to: int, count: int, *, settles: bool = True) -> None:
        self.ledger.gifts.append((me, self.ledger.version(me) + 1, to, count))
        row = moves.move(self.views[me][0].row(me), to, count)
        self.write(me, row, settles=settles, given=count)

    @rule(data=st.data(), count=units, asked=st.booleans())
    def give(self, data, count, asked):
        """Move tokens to another replica: never to oneself, never more than there are to spare."""
        me, row, _ = self.someone(data)
        self.write(me, row)
        free = rights(self.views[me][0], me)
        to = data.draw(st.sampled_from([replica for replica in self.replicas if replica != me]))
        count = grant(count, free) if asked else min(count, free)
        if count:
            self.send(me, to, count)

    @rule(data=st.data())
    def settle(self, data):
        """What came in from a peer pays what is missing."""
        me, row, free = self.someone(data)
        page = self.ledger.page(me)
        self.write(me, row)
        assert self.ledger.page(me).owing == max(0, page.owing - free)

    @precondition(lambda self: self.decidable())
    @rule(data=st.data())
    def hand_over(self, data):
        """The next owner of a claim may be anyone; what he frees goes to his own row."""
        claim = data.draw(st.sampled_from(self.decidable()))
        me = claim.owner
        self.write(me, self.views[me][0].row(me))
        claim.since = me, self.ledger.version(me)
        claim.owner = data.draw(st.sampled_from(self.replicas))

    @rule(data=st.data())
    def hear(self, data):
        """Join what somebody knew at some time: often old, often known already."""
        me = data.draw(st.sampled_from(self.replicas))
        self.views[me] = joined(self.views[me], data.draw(st.sampled_from(self.past)))

    @rule(data=st.data())
    def hear_the_newest(self, data):
        me, other = (data.draw(st.sampled_from(self.replicas)) for _ in "ab")
        self.views[me] = joined(self.views[me], self.views[other])

    @invariant()
    def every_view_adds_up(self):
        everything: View = (EMPTY_STOCK, {})
        for view in self.views.values():
            self.check(view)
            everything = joined(everything, view)
        self.check(everything)
        sums = self.ledger.sums(everything[1])
        assert sums.reserved == sum(claim.units for claim in self.ledger.claims if not claim.sold)
        assert sums.sold == sum(claim.units for claim in self.ledger.claims if claim.sold)

    def check(self, view: View) -> None:
        stock, known = view
        for replica in self.replicas:
            assert rights(stock, replica) == self.ledger.rights(replica, known) >= 0
        sums, told = self.ledger.sums(known), totals(stock)
        assert (told.received, told.burned, told.overbooked) == (sums.goods_in, sums.lost, sums.over)
        assert (told.reserved, told.sold, told.owed) == (sums.reserved, sums.sold, sums.owing)
        assert told.on_hand == sums.goods_in - sums.lost
        assert told.available == sum(rights(stock, replica) for replica in self.replicas) >= 0
        assert told.received + told.overbooked - told.burned == told.available + told.reserved + told.sold
        assert told.reserved + told.sold + told.burned <= told.received + told.overbooked

    def teardown(self):
        """The rows joined one by one, in any order, oldest copies last, are what all views make together."""
        newest = EMPTY_STOCK
        for stock, _ in self.views.values():
            newest = join_stock(newest, stock)
        copies = EMPTY_STOCK
        for stock, _ in reversed(self.past):
            for replica, row in reversed(stock.rows):
                copies = join_stock(copies, Stock(((replica, row),)))
        assert copies == newest


def joined(left: View, right: View) -> View:
    known = {
        replica: max(left[1].get(replica, 0), right[1].get(replica, 0)) for replica in {*left[1], *right[1]}
    }
    return join_stock(left[0], right[0]), known


TestCounter = pytest.mark.timeout(600)(Counter.TestCase)

"""Wrong engines: each makes one mistake that somebody could make, and some checker must notice.

The simulator is only worth what it finds. `tally sim mutants` runs small seeds on each of these until a
checker complains; one that survives is a hole in the faults, the calls or the oracle. Source of the idea:
DeMillo, Lipton and Sayward, *Hints on Test Data Selection* (1978), mutation testing.
"""

from tallystick_sim.mutants.chains import CHAINS
from tallystick_sim.mutants.disks import DISKS
from tallystick_sim.mutants.orders import ORDERS
from tallystick_sim.mutants.patching import Mutant
from tallystick_sim.mutants.stock import STOCK

MUTANTS: tuple[Mutant, ...] = (*DISKS, *STOCK, *ORDERS, *CHAINS)
"""All of them. `seed` is the quickest one's: the tests run it."""

__all__ = ["MUTANTS", "Mutant"]

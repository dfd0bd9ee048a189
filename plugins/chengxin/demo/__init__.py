"""An invented Hunan: departments that deliver, over all three connector shapes, the dirt that real deliveries have.

Everything is computed from a seed and from the contracts, so a new contract gets demo deliveries by itself. No value
belongs to anybody: names are put together from syllables, organisation codes lie in a range that is not issued, and
resident ids carry the sequence 000, which is never given out, so that all their checks hold.
"""

from chengxin.demo.server import DemoServer
from chengxin.demo.sources import SEED, DemoSources, made_sources, make_demo, write_sources
from chengxin.demo.world import Sizes

__all__ = ["SEED", "DemoServer", "DemoSources", "Sizes", "made_sources", "make_demo", "write_sources"]

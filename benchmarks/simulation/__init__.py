"""A dispatcher's hours in seconds: a loop whose clock jumps, vendors in this process, and a scene that joins them."""

from benchmarks.simulation.conduct import Conduct
from benchmarks.simulation.loop import VirtualLoop
from benchmarks.simulation.scene import Scene, play
from benchmarks.simulation.tally import Tally
from benchmarks.simulation.window import RateWindow

__all__ = ["Conduct", "RateWindow", "Scene", "Tally", "VirtualLoop", "play"]

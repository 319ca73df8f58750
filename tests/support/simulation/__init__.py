"""A dispatcher's hours in seconds: a loop whose clock jumps, vendors in this process, and a scenario of both."""

from support.simulation.result import SimulationResult
from support.simulation.scenario import Scenario, simulate
from support.simulation.vendor import RateWindow, VendorBehaviour
from support.simulation.virtual_loop import VirtualLoop

__all__ = ["RateWindow", "Scenario", "SimulationResult", "VendorBehaviour", "VirtualLoop", "simulate"]

"""Wheels from afar: checked before anything is unpacked, and each version loaded as itself."""

from oneiric.remote.wheels.archive import WheelLimits
from oneiric.remote.wheels.factory import Wheel, WheelFactory, unpack_wheel
from oneiric.remote.wheels.modules import forget_wheel, loaded_wheels

__all__ = [
    "Wheel",
    "WheelFactory",
    "WheelLimits",
    "forget_wheel",
    "loaded_wheels",
    "unpack_wheel",
]

"""What every integration test stands on: bundles, the runtime under test, and the leak check."""

from .arena import Arena
from .bundle import Bundle, busybox_rootfs, minimal_config
from .leaks import Leaks
from .runtime import Result, Runtime
from .terminal import DescriptorSocket, OnTerminal

#: The user of a sandbox whose blueprint names none.
AGENT = 65532

__all__ = ["AGENT", "Bundle", "DescriptorSocket", "Leaks", "OnTerminal", "Result", "Runtime", "busybox_rootfs",
           "minimal_config"]

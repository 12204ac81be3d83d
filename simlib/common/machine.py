"""What this machine has."""

import os
import resource
from contextlib import suppress
from pathlib import Path

_GROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
"""Where Linux says how much memory a container may take (control groups, version 2 and 1)."""


def memory() -> int:
    """Bytes of memory that this process can have at most: the machine's, the container's, or what `ulimit` allows."""
    limits = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for path in _GROUP_LIMITS:
        with suppress(OSError, ValueError):  # no such file, or the word `max`
            limits.append(int(Path(path).read_text(encoding="ascii")))
    for kind in (resource.RLIMIT_AS, resource.RLIMIT_DATA):
        soft, _ = resource.getrlimit(kind)
        limits += [soft] if soft != resource.RLIM_INFINITY else []
    return min(limits)

"""`python -m simlib`, and the command `simlib`: the command line, ended cleanly whenever it is ended."""

import os
import signal
import sys
from types import FrameType

INTERRUPTED, TERMINATED = 128 + signal.SIGINT, 128 + signal.SIGTERM
"""Exit statuses, as shells have them."""


def _terminate(number: int, frame: FrameType | None) -> None:
    """End as an error would, so that everything that cleans up does."""
    raise SystemExit(TERMINATED)


def main() -> None:
    """Run the command line and exit with its status."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        from simlib.cli import run_command  # imported here, so that an interrupt meanwhile is one as well

        status = run_command()
    except KeyboardInterrupt:
        status = INTERRUPTED
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else 1
    # From here on there is nothing to clean up but what Python does by itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if status in (INTERRUPTED, TERMINATED):
        print(f"simlib: {'interrupted' if status == INTERRUPTED else 'terminated'}", file=sys.stderr, flush=True)
        os._exit(status)  # Python would kill itself with SIGINT, if the interrupt came while code in a string was executed
    sys.exit(status)


if __name__ == "__main__":
    main()

"""`python -m simlib`, and the command `simlib`: the command line, ended cleanly whenever it is ended."""

import os
import sys

from simlib.common import import_path

if __name__ == "__main__" and not sys.flags.safe_path:  # `python -m` has put the current folder first
    import_path.drop_first()
os.environ["PYTHONSAFEPATH"] = "1"  # the same for every process that is started from here

from simlib.common import interrupts  # not before, as it imports more

WORDS = {130: "interrupted", 143: "terminated"}


def main() -> None:
    """Run the command line and exit with its status."""
    interrupts.answer()
    status = 1
    try:
        from simlib.cli import run_command  # imported here, so that an interrupt meanwhile is one as well

        status = run_command()
    except BaseException:
        if interrupts.status() is None:
            raise
    # From here on there is nothing to clean up but what Python does by itself.
    interrupts.ignore()
    if (interrupted := interrupts.status()) is not None:
        print(f"simlib: {WORDS[interrupted]}", file=sys.stderr, flush=True)
        os._exit(interrupted)  # Python would kill itself with SIGINT, if the interrupt came while code in a string was executed
    sys.exit(status)


if __name__ == "__main__":
    main()

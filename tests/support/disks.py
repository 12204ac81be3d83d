"""Disks of our own: a small one, a full one, one that cannot be written to. They end with the commands that use them."""

import shutil
import subprocess
from pathlib import Path

import pytest


def on_a_disk(folder: Path, size: str, *lines: str) -> list[str]:
    """Run shell commands with a disk of so many bytes at the folder, in a name space of their own, as anybody may.

    Args:
        folder: where the disk is; empty.
        size: as `mount -o size=` takes it.
        lines: what to run; `mount -o remount,size=8m $DISK` makes room.

    Returns:
        the lines that came out, of both streams.
    """
    mounted = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    script = f"DISK={folder}; exec 2>&1; mount -t tmpfs -o size={size} none $DISK || exit 99\n" + "\n".join(lines)
    if not shutil.which("unshare"):
        pytest.skip("this machine has no name spaces to mount a disk in")
    done = subprocess.run([*mounted, script], capture_output=True, text=True, check=False)
    if done.returncode == 99 or done.stderr:
        pytest.skip(f"no disk can be mounted here: {done.stdout}{done.stderr}")
    return done.stdout.splitlines()

# SPDX-License-Identifier: Apache-2.0
"""Starting processes together, for the tests of this folder."""
import os
import shutil
import subprocess
import sys

SKIPPED = 77
# What mpirun wants said before it runs more processes than there are cores, or in a container.
SETTINGS = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "OMPI_MCA_rmaps_base_oversubscribe": "1",
    "OMPI_MCA_hwloc_base_binding_policy": "none",
    "OMPI_MCA_btl": "self,vader",
    "OMPI_MCA_btl_vader_single_copy_mechanism": "none",
    # Open MPI keeps some of its memory to the end of the process.
    "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0",
}


def need_mpirun():
    """Skip the whole test where there is no Open MPI."""
    mpirun = shutil.which("mpirun")
    version = mpirun and subprocess.run(
        [mpirun, "--version"], capture_output=True, text=True, check=False
    )
    if not version or "Open MPI" not in version.stdout:
        print("skipped: Open MPI's mpirun is not installed (Debian: openmpi-bin)")
        sys.exit(SKIPPED)


def environment():
    return {**os.environ, **SETTINGS}


def together(processes, command):
    """`command` as argument list, so many times at once."""
    return ["mpirun", "-n", str(processes), *map(str, command)]


def run(command, **more):
    """Run to the end; with stdout and stderr as text."""
    return subprocess.run(
        list(map(str, command)),
        env={**environment(), **more},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )


def expect(condition, what, result=None):
    if condition:
        return
    print(f"failed: {what}")
    if result:
        print(f"exit status {result.returncode}\n{result.stdout}\n{result.stderr}")
    sys.exit(1)

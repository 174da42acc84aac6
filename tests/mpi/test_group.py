#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The checks of tests/unit/test_comm.c in groups of processes, and groups that cannot be.

    test_group.py PROGRAM PROGRAM_WITHOUT_MPI"""
import sys

from launch import expect, need_mpirun, run, together


def main():
    program, without_mpi = sys.argv[1:]
    result = run([without_mpi], OMPI_COMM_WORLD_SIZE="2")
    expect(
        result.returncode == 1
        and "2 processes were started together, but this build has no MPI" in result.stderr,
        "a build without MPI says so",
        result,
    )
    need_mpirun()
    result = run([program], PMI_SIZE="3")
    expect(
        result.returncode == 1
        and "3 processes were started together, but Open MPI found 1" in result.stderr,
        "another MPI's mpirun is noticed",
        result,
    )
    for processes in 2, 3, 4:
        result = run(together(processes, [program]))
        expect(
            result.returncode == 0 and result.stdout == f"Open MPI: {processes} processes agree\n",
            f"{processes} processes agree",
            result,
        )


main()

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Energy that the processors have used, where the system lets it be read: the counters that Linux
 * shows below /sys/class/powercap (RAPL), of all processor packages together, so of everything
 * that runs on them.
 *
 *     struct rw_energy energy;
 *     rw_energy_open(&energy, "/sys/class/powercap");
 *     double before = rw_energy_joules(&energy);      // NaN: energy.why says why not
 */
#ifndef RW_PROGRAM_ENERGY_H
#define RW_PROGRAM_ENERGY_H

#include <stddef.h>
#include <stdint.h>

#define RW_ENERGY_PACKAGES 16

struct rw_energy {
    struct {
        int fd;         /* of energy_uj: microjoules, beginning again after `range` */
        uint64_t range; /* 0: unknown */
        uint64_t last;
    } packages[RW_ENERGY_PACKAGES];
    size_t n_packages;
    double joules; /* since it was opened */
    char why[200]; /* it cannot be read, or "" */
};

void rw_energy_open(struct rw_energy *energy, const char *folder);
void rw_energy_close(struct rw_energy *energy);

/* Joules since it was opened, or NaN. Call it at least once a minute: counters are small. */
double rw_energy_joules(struct rw_energy *energy);

#endif

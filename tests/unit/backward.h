/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of backend/backward.h share: a backend prepared for training, and central
 * differences. A loss is a function of some arrays; each is there as the floats that an operation
 * gets and as the doubles that the loss is computed from.
 */
#ifndef UNIT_BACKWARD_H
#define UNIT_BACKWARD_H

#include "unit.h"

#include <math.h>

#include "backend/backward.h"
#include "base/alloc.h"
#include "base/cpu.h"
#include "base/rng.h"
#include "base/status.h"

#define MAX_COLS 640
#define MAX_HEAD 16

static unsigned machines[2]; /* masks: the reference, and what is here */

static inline struct rw_backend *open_backend(size_t threads, unsigned cpu, size_t tokens)
{
    struct rw_backend *be = NULL;
    rwkv_error err;

    assert_int_equal(rw_backend_cpu_new(&be, threads, cpu, &err), RWKV_OK);
    assert_int_equal(be->ops->prepare(be, tokens, MAX_COLS, &err), RWKV_OK);
    assert_int_equal(be->ops->backward->prepare(be, tokens, MAX_COLS, MAX_HEAD, &err), RWKV_OK);
    return be;
}

static inline void fill(struct rw_rng *rng, float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = (float)rw_rng_normal(rng);
}

static inline float *filled(struct rw_rng *rng, size_t n)
{
    float *x = rw_alloc(n, sizeof *x);

    assert_non_null(x);
    fill(rng, x, n);
    return x;
}

#define MAX_VARIABLES 24

struct variable {
    const char *name;
    float *value, *d;
    double *exact;
    size_t n;
};

struct problem {
    struct variable v[MAX_VARIABLES];
    size_t n_variables;
    double (*loss)(const struct problem *p);
};

static inline void variable(struct problem *p, struct rw_rng *rng, size_t i, const char *name,
                            size_t n, double scale)
{
    struct variable *v = &p->v[i];

    *v = (struct variable){.name = name, .n = n};
    v->value = rw_alloc(n, sizeof *v->value);
    v->d = rw_calloc(n, sizeof *v->d);
    v->exact = rw_alloc(n, sizeof *v->exact);
    assert_true(v->value && v->d && v->exact);
    for (size_t k = 0; k < n; k++) {
        v->value[k] = (float)(scale * rw_rng_normal(rng));
        v->exact[k] = (double)v->value[k];
    }
    p->n_variables = RW_MAX(p->n_variables, i + 1);
}

static inline void problem_free(struct problem *p)
{
    for (size_t i = 0; i < p->n_variables; i++) {
        rw_free(p->v[i].value);
        rw_free(p->v[i].d);
        rw_free(p->v[i].exact);
    }
}

static inline void reset_gradients(struct problem *p)
{
    for (size_t i = 0; i < p->n_variables; i++)
        memset(p->v[i].d, 0, p->v[i].n * sizeof(float));
}

static inline double difference(struct problem *p, double *x)
{
    double before = *x, h = 1e-5, up, down;

    *x = before + h;
    up = p->loss(p);
    *x = before - h;
    down = p->loss(p);
    *x = before;
    return (up - down) / (2 * h);
}

/* Some elements of each variable. */
static inline void check_gradient(struct problem *p, double tolerance)
{
    enum { CHECKED = 41 };

    for (size_t i = 0; i < p->n_variables; i++) {
        struct variable *v = &p->v[i];
        double largest = 0;

        for (size_t k = 0; k < v->n; k++)
            largest = fmax(largest, fabs((double)v->d[k]));
        for (size_t j = 0; j < RW_MIN(v->n, (size_t)CHECKED); j++) {
            size_t k = v->n > CHECKED ? j * (v->n - 1) / (CHECKED - 1) : j;
            double want = difference(p, &v->exact[k]), got = (double)v->d[k];

            if (!(fabs(got - want) <= tolerance * largest + 1e-8))
                fail_msg("%s[%zu of %zu]: want %g, found %g", v->name, k, v->n, want, got);
        }
    }
}

static inline void assert_same_gradients(const struct problem *a, const struct problem *b)
{
    for (size_t i = 0; i < a->n_variables; i++)
        assert_memory_equal(a->v[i].d, b->v[i].d, a->v[i].n * sizeof(float));
}

#endif

// SPDX-License-Identifier: MIT
/*
 * What the files of the self-test share.
 */
#ifndef CORE_SELFTEST_H
#define CORE_SELFTEST_H

#include <kernel/selftest.h>
#include <kernel/types.h>

/* Counts; a failure is a log line. Any thread. */
void selftest_check(bool ok, const char *file, int line, const char *text);
#define CHECK(cond) selftest_check((cond), __FILE__, __LINE__, #cond)

/*
 * Runs fn(arg, i) in `count` threads, i from 0, thread i bound to CPU i % cpu_count() if bound, and
 * waits for all of them.
 */
void selftest_threads(unsigned int count, bool bound, void (*fn)(void *arg, unsigned int i), void *arg);

/* Calls fn and checks that afterwards as many frames are free and bytes outstanding as before. */
void selftest_leakfree(const char *name, void (*fn)(void));

/* One for each subject. */
void selftest_text(void);
void selftest_locks(void);
void selftest_sched(void);
void selftest_timers(void);
void selftest_calls(void);
void selftest_memory(void);
void selftest_exhaustion(void); /* alone: nobody else allocates */
void selftest_user(void);

#endif

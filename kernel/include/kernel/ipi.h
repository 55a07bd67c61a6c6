// SPDX-License-Identifier: MIT
/*
 * Interrupts between processors.
 */
#ifndef KERNEL_IPI_H
#define KERNEL_IPI_H

#include <kernel/cpu.h>

/*
 * Runs fn(arg) on every CPU of the mask, the calling one included if named, and returns when all
 * have finished: what fn wrote there is visible here, what was written here before is visible
 * there. fn runs with interrupts off, on other CPUs in an interrupt, and must not block, take locks that
 * are held with interrupts on, or call ipi_call.
 *
 * Call with interrupts on (so that while it waits this CPU serves the requests of others: any
 * number of CPUs may call at once); preemption may be on or off, spinlocks of the spin_lock kind
 * may be held. Not from interrupt handlers. Sends one IPI to each CPU named and writes only the
 * caller's own request and one word of each target.
 */
void ipi_call(cpumask_t mask, void (*fn)(void *arg), void *arg);

/* Serves requests of ipi_call now, for loops that wait with interrupts off. Interrupts off. */
void ipi_serve(void);

/*
 * Makes the CPU pass through the scheduler soon. Any context. Also how a task in user mode is
 * brought into the kernel.
 */
void ipi_reschedule(unsigned int cpu);

#endif

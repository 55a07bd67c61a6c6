// SPDX-License-Identifier: MIT
/*
 * What the files of kernel/core and kernel/arch share and nobody else needs.
 */
#ifndef CORE_CORE_H
#define CORE_CORE_H

#include <kernel/cpu.h>
#include <kernel/regs.h>
#include <kernel/types.h>

struct task;

/* main.c */
_Noreturn void boot_main(uint64_t start_info);
_Noreturn void ap_main(void);

/* frames.c */
void frames_setup(void); /* before frames_add */
void frames_add(uint64_t start, uint64_t end); /* gives RAM to the allocator */
/* The allocator's byte for a frame that is in use; kmalloc keeps its slab class there. */
uint8_t frame_tag(uint64_t pa);
void frame_set_tag(uint64_t pa, unsigned int order, uint8_t tag);

/* sched.c */
void sched_setup_cpu(void); /* this CPU's run queue and idle task */
_Noreturn void sched_idle(void); /* what each CPU does in the end */
void sched_tick(bool user_mode);
void sched_reschedule_ipi(void);
void schedule_from_irq(void); /* interrupts off, preempt_count 0 */
void sched_first_switch(struct task *prev);

/* task.c */
void task_first_user(struct task *prev);
_Noreturn void task_first_kernel(struct task *prev);
struct task *task_create_idle(unsigned int cpu);

/* grace.c */
void grace_setup(void); /* starts the threads; all CPUs run */
void grace_quiescent(void); /* interrupts off */
void grace_idle_enter(void);
void grace_idle_exit(void);
/* On interrupt entry: wakes the CPU out of idle for readers; notes a quiescent state. */
void grace_irq_enter(void);

/* ktime.c */
void clock_setup(uint64_t tsc_hz);
void clock_epoch_setup(void); /* reads `epoch` of the configuration */

/* timer.c */
void timer_interrupt(bool user_mode);
void timer_busy(void); /* this CPU leaves idle: the tick starts */
void timer_idle(void); /* and stops */

/* printk.c */
extern _Atomic bool panicking;
_Noreturn void panic_regs(const struct regs *r, const char *fmt, ...) __printf(2, 3);

/* console.c */
void console_setup(void);
void serial_interrupt(void);
void control_raw(const char *text, size_t n); /* whole lines, under the lock */
void control_panic(void); /* from now on the lock is ignored */
_Noreturn void machine_off(void);

#endif

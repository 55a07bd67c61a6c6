// SPDX-License-Identifier: MIT
/*
 * What the files of this folder and kernel/core share and nobody else needs.
 */
#ifndef ARCH_ARCH_H
#define ARCH_ARCH_H

#include <kernel/cpu.h>
#include <kernel/regs.h>
#include <kernel/types.h>

struct task;

/* Interrupt vectors. Higher ones have priority in the local APIC. */
#define VECTOR_SERIAL 0x24
#define VECTOR_DEVICE 0x25
#define VECTOR_TIMER 0xec
#define VECTOR_RESCHEDULE 0xed
#define VECTOR_CALL 0xee
#define VECTOR_SPURIOUS 0xff

/* cpu.c */
void cpu_set_early(unsigned int id); /* GS base, so that this_cpu() works */
void cpu_detect(void); /* fills cpu_features; once */
void cpu_setup(void); /* control registers and MSRs of the calling CPU */
void cpu_setup_tables(void); /* GDT, TSS and IST stacks of the calling CPU; allocates */
void cpu_count_set(unsigned int n);
void cpu_set_kernel_stack(void *top);

/* traps.c */
void idt_setup(void); /* fills the IDT; once */
void idt_load(void);
void trap_dispatch(struct regs *r);
void paranoid_trap(struct regs *r);
bool syscall_c(struct regs *r);
void exit_to_user(struct regs *r);
void show_regs(const struct regs *r);

/* entry.S, switch.S */
extern char trap_stubs[], syscall_entry[];
struct task *task_switch(struct task *prev, struct task *next);
void task_start_user(void);
void task_start_kernel(void);
_Noreturn void enter_user(struct regs *frame);

/* switch.c */
void arch_switch_in(struct task *prev, struct task *next);
void arch_task_init_stack(struct task *t, const struct regs *user);
int arch_fpu_alloc(struct task *t, struct task *parent);
void fpu_detect(void);
void fpu_setup_cpu(void);

/* paging.c */
void paging_setup(void);
void paging_load(void); /* loads the kernel's root on this CPU */
uint64_t early_alloc(uint64_t size, uint64_t align);
void early_release_rest(void); /* what early_alloc did not use goes to the frame allocator */

/* apic.c */
void apic_setup_boot(void); /* finds and maps the APICs; PIC off */
void apic_setup_cpu(void);
void apic_eoi(void);
void apic_send(unsigned int apic_id, uint32_t command);
void apic_send_nmi_others(void);
void apic_timer_arm(uint64_t ns); /* one interrupt after ns, at least one count, at most ~4 s */
void apic_timer_calibrate(void);
void ioapic_route(unsigned int pin, unsigned int vector, unsigned int apic_id);

/* clock.c: returns TSC counts per second; calls fn's meanwhile for a second clock */
struct clock_rates {
	uint64_t tsc_hz, apic_hz;
};
void clock_calibrate(struct clock_rates *rates, uint32_t (*apic_count)(void));

/* ipi.c */
void ipi_call_interrupt(void);

/* smp.c */
unsigned int smp_cpus(void); /* fw_cfg */
void smp_start_all(void);

/* bootinfo.c */
void bootinfo_read(uint64_t start_info);

/* acpi.c: registers of the first VT-d unit, 0: none. With the boot tables. */
uint64_t acpi_find_iommu(uint64_t rsdp);

extern bool smap_on, slow_strings, fast_string_bytes;

#endif

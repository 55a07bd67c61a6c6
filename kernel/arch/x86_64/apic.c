// SPDX-License-Identifier: MIT
/*
 * The local APIC (x2APIC where the CPU has it, else through memory) with its timer, and the one
 * I/O APIC. Intel SDM vol. 3, chapter 11 (APIC); 82093AA data sheet (I/O APIC).
 */
#include "arch.h"

#include <kernel/memory.h>
#include <kernel/printk.h>
#include <kernel/time.h>

#define APIC_ID 0x20
#define APIC_TPR 0x80
#define APIC_EOI 0xb0
#define APIC_SPURIOUS 0xf0
#define APIC_ICR 0x300
#define APIC_ICR_HIGH 0x310
#define APIC_LVT_TIMER 0x320
#define APIC_LVT_LINT0 0x350
#define APIC_LVT_LINT1 0x360
#define APIC_LVT_ERROR 0x370
#define APIC_TIMER_INITIAL 0x380
#define APIC_TIMER_CURRENT 0x390
#define APIC_TIMER_DIVIDE 0x3e0

#define LVT_MASKED (1u << 16)
#define ICR_PENDING (1u << 12)
#define ICR_NMI_OTHERS 0xc4400u /* all but self, edge, assert, NMI */

static uint64_t timer_mult; /* counts per ns, 32.32 fixed point */

static uint32_t apic_read(unsigned int reg)
{
	if (cpu_features.x2apic)
		return rdmsr(0x800 + (reg >> 4));
	return *(volatile uint32_t *)(MMIO_BASE + reg);
}

static void apic_write(unsigned int reg, uint32_t v)
{
	if (cpu_features.x2apic)
		wrmsr(0x800 + (reg >> 4), v);
	else
		*(volatile uint32_t *)(MMIO_BASE + reg) = v;
}

static uint32_t ioapic_read(unsigned int reg)
{
	volatile uint32_t *io = (volatile uint32_t *)(MMIO_BASE + PAGE_SIZE);

	io[0] = reg;
	return io[4];
}

static void ioapic_write(unsigned int reg, uint32_t v)
{
	volatile uint32_t *io = (volatile uint32_t *)(MMIO_BASE + PAGE_SIZE);

	io[0] = reg;
	io[4] = v;
}

void apic_setup_boot(void)
{
	unsigned int pins;

	/* The old PIC: all lines masked, vectors out of the way of exceptions. */
	outb(0x20, 0x11);
	outb(0xa0, 0x11);
	outb(0x21, 0x30);
	outb(0xa1, 0x38);
	outb(0x21, 4);
	outb(0xa1, 2);
	outb(0x21, 1);
	outb(0xa1, 1);
	outb(0x21, 0xff);
	outb(0xa1, 0xff);

	pins = (ioapic_read(1) >> 16 & 0xff) + 1;
	for (unsigned int i = 0; i < pins; i++)
		ioapic_write(0x10 + 2 * i, LVT_MASKED);
}

/* Edge-triggered, active high, fixed delivery to one CPU: what ISA lines are. */
void ioapic_route(unsigned int pin, unsigned int vector, unsigned int apic_id)
{
	ioapic_write(0x11 + 2 * pin, apic_id << 24);
	ioapic_write(0x10 + 2 * pin, vector);
}

void apic_setup_cpu(void)
{
	uint64_t base = rdmsr(MSR_APIC_BASE);

	wrmsr(MSR_APIC_BASE, base | 1 << 11);
	if (cpu_features.x2apic)
		wrmsr(MSR_APIC_BASE, base | 1 << 11 | 1 << 10);
	apic_write(APIC_TPR, 0);
	apic_write(APIC_LVT_LINT0, LVT_MASKED);
	apic_write(APIC_LVT_LINT1, LVT_MASKED);
	apic_write(APIC_LVT_ERROR, LVT_MASKED);
	apic_write(APIC_TIMER_DIVIDE, 0xb); /* by 1 */
	apic_write(APIC_LVT_TIMER, VECTOR_TIMER); /* one-shot */
	apic_write(APIC_SPURIOUS, 0x100 | VECTOR_SPURIOUS);
}

void apic_eoi(void)
{
	apic_write(APIC_EOI, 0);
}

/* Interrupts off around the pair of writes, or an IPI sent from a handler would mix with this one. */
void apic_send(unsigned int apic_id, uint32_t command)
{
	uint64_t flags = irq_save();

	/* An x2APIC MSR write does not order earlier stores by itself (SDM vol. 3, 11.12.3). */
	atomic_thread_fence(memory_order_seq_cst);
	if (cpu_features.x2apic) {
		wrmsr(0x800 + (APIC_ICR >> 4), (uint64_t)apic_id << 32 | command);
	} else {
		while (apic_read(APIC_ICR) & ICR_PENDING)
			cpu_relax();
		apic_write(APIC_ICR_HIGH, apic_id << 24);
		apic_write(APIC_ICR, command);
	}
	irq_restore(flags);
}

/* For the fatal stop, which may come before there is an APIC or another CPU. */
void apic_send_nmi_others(void)
{
	if (cpu_count() > 1)
		apic_send(0, ICR_NMI_OTHERS);
}

static uint32_t timer_elapsed(void)
{
	return UINT32_MAX - apic_read(APIC_TIMER_CURRENT);
}

void apic_timer_calibrate(void)
{
	struct clock_rates rates;

	apic_write(APIC_LVT_TIMER, VECTOR_TIMER | LVT_MASKED);
	apic_write(APIC_TIMER_INITIAL, UINT32_MAX);
	clock_calibrate(&rates, timer_elapsed);
	apic_write(APIC_TIMER_INITIAL, 0);
	apic_write(APIC_LVT_TIMER, VECTOR_TIMER);
	timer_mult = (rates.apic_hz << 32) / NSEC_PER_SEC;
}

void apic_timer_arm(uint64_t ns)
{
	uint64_t count = (unsigned __int128)ns * timer_mult >> 32;

	apic_write(APIC_TIMER_INITIAL, MAX(MIN(count, (uint64_t)UINT32_MAX), 1UL));
}

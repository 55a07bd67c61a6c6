// SPDX-License-Identifier: MIT
/*
 * QEMU's device for teaching, "edu" (docs/specs/edu.txt of QEMU). Here: transfers between its
 * buffer and memory. One begins 100 ms after its command, cannot be called back, and
 * says nothing of how it went. At its end the device sends a message.
 *
 * One transfer at a time: edu_dev.c sees to it.
 */
#include "dev.h"

#include <kernel/hooks.h>
#include <kernel/memory.h>
#include <kernel/printk.h>
#include <kernel/time.h>

#include "../arch/x86_64/arch.h"

#define DEVICE_ID 0x11e81234u
#define MAGIC 0xedu /* the lowest byte of REG_ID */

enum {
	REG_ID = 0x00,
	REG_INTERRUPTS = 0x24,
	REG_ACKNOWLEDGE = 0x64,
	REG_FROM = 0x80,
	REG_TO = 0x88,
	REG_BYTES = 0x90,
	REG_COMMAND = 0x98,
	BUFFER = 0x40000, /* an address of the device's own */
};

#define COMMAND_RUN 1u
#define COMMAND_TO_MEMORY 2u
#define COMMAND_INTERRUPT 4u

/* A transfer takes a tenth of a second, of a clock that may stand still with the machine. */
#define LIMIT_NS (10 * NSEC_PER_SEC)

unsigned int edu_function;

static volatile char *registers;
static struct waitqueue idle_queue = WAITQUEUE_INIT(idle_queue);

static void set64(unsigned int at, uint64_t value)
{
	*(volatile uint64_t *)(registers + at) = value;
}

static bool is_busy(void)
{
	return *(volatile uint64_t *)(registers + REG_COMMAND) & COMMAND_RUN;
}

bool edu_start(void)
{
	uint64_t pa;

	edu_function = pci_find(DEVICE_ID);
	if (edu_function == PCI_NONE)
		return false;
	pa = pci_registers(edu_function);
	registers = pa ? mmio_map(pa) : NULL;
	if (!registers) {
		klog("edu has no registers that can be reached");
		return false;
	}
	pci_enable(edu_function);
	if ((*(volatile uint32_t *)(registers + REG_ID) & 0xff) != MAGIC ||
		!pci_set_message(edu_function, VECTOR_DEVICE)) {
		klog("edu is not what it should be");
		return false;
	}
	return true;
}

void edu_begin(uint64_t address, uint32_t offset, uint32_t length, bool to_memory)
{
	uint64_t buffer = BUFFER + offset;

	barrier(); /* what was written to memory is there before the command */
	set64(REG_FROM, to_memory ? buffer : address);
	set64(REG_TO, to_memory ? address : buffer);
	set64(REG_BYTES, length);
	set64(REG_COMMAND, COMMAND_RUN | COMMAND_INTERRUPT | (to_memory ? COMMAND_TO_MEMORY : 0));
}

int edu_wait_idle(enum wait_mode mode)
{
	int err = wait_event_full(&idle_queue, !is_busy(), mode, ktime_ns() + LIMIT_NS);

	return err == -ETIMEDOUT ? -EIO : err;
}

void device_interrupt(void)
{
	uint32_t which = *(volatile uint32_t *)(registers + REG_INTERRUPTS);

	*(volatile uint32_t *)(registers + REG_ACKNOWLEDGE) = which;
	wake_all(&idle_queue);
}

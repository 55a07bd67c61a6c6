// SPDX-License-Identifier: MIT
/*
 * Lines on the control stream and the fatal stop. A line is put together on the stack and goes out
 * in one piece under the lock in console.c.
 */
#include <kernel/printk.h>

#include <kernel/memory.h>
#include <kernel/string.h>
#include <kernel/task.h>

#include "../arch/x86_64/arch.h"
#include "core.h"

#define LINE_MAX_BYTES 512

_Atomic bool panicking;

extern char _text_start[], _text_end[];

static void line_out(const char *prefix, const char *fmt, va_list ap)
{
	char line[LINE_MAX_BYTES];
	size_t n = strlcpy(line, prefix, sizeof(line));

	n += (size_t)vsnprintf(line + n, sizeof(line) - n - 1, fmt, ap);
	n = MIN(n, sizeof(line) - 2);
	for (size_t i = 0; i < n; i++)
		if (line[i] == '\n')
			line[i] = ' ';
	line[n++] = '\n';
	control_raw(line, n);
}

void klog(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	line_out("log ", fmt, ap);
	va_end(ap);
}

void control_line(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	line_out("", fmt, ap);
	va_end(ap);
}

/* Frame pointers are not kept, so: what looks like a return address on the stack. */
static void show_stack(uint64_t sp)
{
	uint64_t end = ALIGN_DOWN(sp, KSTACK_SIZE) + KSTACK_SIZE;
	unsigned int shown = 0;

	if (sp < DIRECT_BASE || (sp >= DIRECT_END && sp < KERNEL_BASE))
		return;
	for (sp = ALIGN_UP(sp, 8); sp < end && shown < 24; sp += 8) {
		uint64_t v = *(uint64_t *)sp;

		if (v < (uint64_t)_text_start || v >= (uint64_t)_text_end)
			continue;
		klog("  stack %016lx: %016lx", sp, v);
		shown++;
	}
}

/* One CPU goes on; a second that panics meanwhile stops here. */
static void panic_begin(void)
{
	irq_disable();
	/* Acq_rel pairs with the acquire in paranoid_trap, where the NMI below arrives. */
	if (atomic_exchange_explicit(&panicking, true, memory_order_acq_rel))
		for (;;)
			__asm__ volatile("cli; hlt");
	apic_send_nmi_others();
	control_panic();
}

static _Noreturn void panic_end(const struct regs *r)
{
	klog("CPU %u, task %s", cpu_id(), current() ? current()->name : "none");
	if (r)
		show_regs(r);
	show_stack(r ? r->rsp : (uint64_t)__builtin_frame_address(0));
	machine_off();
}

void panic(const char *fmt, ...)
{
	va_list ap;

	panic_begin();
	va_start(ap, fmt);
	line_out("panic ", fmt, ap);
	va_end(ap);
	panic_end(NULL);
}

void panic_regs(const struct regs *r, const char *fmt, ...)
{
	va_list ap;

	panic_begin();
	va_start(ap, fmt);
	line_out("panic ", fmt, ap);
	va_end(ap);
	panic_end(r);
}

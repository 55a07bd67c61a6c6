// SPDX-License-Identifier: MIT
/*
 * From the first C instruction to the first thread.
 */
#include <kernel/boot.h>
#include <kernel/console.h>
#include <kernel/hooks.h>
#include <kernel/memory.h>
#include <kernel/printk.h>
#include <kernel/selftest.h>
#include <kernel/task.h>

#include "../arch/x86_64/arch.h"
#include "core.h"

#ifndef VMTREE_VERSION
#error "VMTREE_VERSION comes from the build"
#endif

static int main_thread(void *unused)
{
	(void)unused;
	if (config_get_u64("selftest", 0)) {
		selftest_run();
		machine_exit();
	}
	kernel_main();
	machine_exit();
}

void boot_main(uint64_t start_info)
{
	struct task *t;

	cpu_set_early(0);
	idt_setup();
	idt_load();
	cpu_detect();
	cpu_setup();
	bootinfo_read(start_info);
	paging_setup();
	frames_setup();
	early_release_rest();
	cpu_setup_tables();
	idt_load();
	apic_setup_boot();
	apic_setup_cpu();
	apic_timer_calibrate();
	sched_setup_cpu();
	smp_start_all();
	console_setup();
	control_line("boot %s", VMTREE_VERSION); /* standard input may come from here on */
	clock_epoch_setup();
	grace_setup();
	t = task_create("main", main_thread, NULL);
	assert(t);
	task_start(t);
	sched_idle();
}

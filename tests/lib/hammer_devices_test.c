// SPDX-License-Identifier: MIT
// Four CPUs and four devices at once in one space: mirrors on demand, kept up to date, walking the CPUs' tables, driven
// by commands; two of them with memory of their own. hammer_devices.h says what is demanded. The argument is the number
// of operations of all together.
#include "hammer_devices.h"

static struct zone zone;

static void zone_open(struct sim_cpu *cpu, struct world *w, bool silences)
{
	memset(&zone, 0, sizeof(zone));
	zone.world = w;
	zone.env = w->env;
	zone.silences = silences;
	cpu_map(cpu, &zone, BIG(0), BIG_PAGES * PAGE, HUGE_FITS ? VMT_MAP_HUGE : 0);
	cpu_map(cpu, &zone, SMALL(0), 32 * PAGE, 0);
	cpu_map(cpu, &zone, SHARED, SHARED_PAGES * PAGE, 0);
	cpu_map(cpu, &zone, CHURN, CHURN_PAGES * PAGE, 0);
	for (unsigned i = 0; i < CPUS; i++)
		cpu_owned_open(cpu, &zone, i);
	for (unsigned i = 0; i < DEVS; i++)
		zone.dev[i].operations = w->rounds / WRITERS;
	devs_open(&zone);
}

static void zone_close(struct sim_cpu *cpu)
{
	uint64_t done = 0;

	for (unsigned i = 0; i < DEVS; i++)
		sim_device_join(zone.dev[i].device);
	cpu_judge(cpu, &zone);
	sim_log_clear(zone.env->machine);
	if (sim_audit(zone.env->machine)) {
		for (unsigned i = 0; i < sim_log_count(zone.env->machine) && i < 40; i++)
			fprintf(stderr, "  %s\n", sim_log_line(zone.env->machine, i));
		wrong(cpu, 0, "something is cached that the tables do not say");
	}
	devs_close(&zone);
	expect(cpu, zone.env->ops->unmap(zone.env->space, ZONE, ZONE_END - ZONE), VMT_OK, ZONE, "unmap");
	devs_free_memory(&zone);
	for (unsigned i = 0; i < WRITERS; i++)
		done += zone.writer[i].done;
	fprintf(stderr, "  %llu operations\n", (unsigned long long)done);
}

static void run(struct sim_cpu *cpu, struct world *w, unsigned number, bool silences, unsigned rounds)
{
	if (number == 0)
		zone_open(cpu, w, silences);
	sim_barrier_wait(cpu, &w->barrier, CPUS);
	for (unsigned n = 0; n < rounds / WRITERS; n++)
		cpu_operation(cpu, &zone, number, n);
	cpu_finish(cpu, &zone, number);
	for (unsigned i = 0; i < DEVS && number == 0; i++)
		if (epoch_of(&zone, CPUS + i) & 1)
			dev_reset(&zone, cpu, i);
	while (devs_running(&zone)) {
		devs_serve(&zone, cpu);
		sim_poll(cpu);
	}
	sim_barrier_wait(cpu, &w->barrier, CPUS);
	if (number == 0)
		zone_close(cpu);
}

static void devices(struct sim_cpu *cpu, struct world *w, unsigned number)
{
	run(cpu, w, number, false, w->rounds);
}

static void silences(struct sim_cpu *cpu, struct world *w, unsigned number)
{
	// Fewer: much time goes by while a device is waited for.
	run(cpu, w, number, true, w->rounds / 4);
}

const struct hammer_scenario hammer_scenarios[] = {
	{.name = "devices", .run = devices},
	{.name = "silences", .run = silences},
};

const unsigned hammer_scenario_count = sizeof(hammer_scenarios) / sizeof(*hammer_scenarios);

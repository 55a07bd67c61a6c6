// SPDX-License-Identifier: MIT
// The frame around scenarios of several CPUs: the machine, the start, and the judgement at the end.
#include "hammer.h"

_Noreturn void wrong(struct sim_cpu *cpu, uint64_t addr, const char *what)
{
	sim_stop(sim_cpu_machine(cpu), addr, 0, what);
}

void demand(struct sim_cpu *cpu, bool good, uint64_t addr, const char *what)
{
	if (!good)
		wrong(cpu, addr, what);
}

void expect(struct sim_cpu *cpu, enum vmt_status got, enum vmt_status want, uint64_t addr, const char *what)
{
	char text[128];

	if (got == want)
		return;
	snprintf(text, sizeof(text), "%s: %s, not %s", what, vmt_status_name(got), vmt_status_name(want));
	wrong(cpu, addr, text);
}

void expect_one_of(struct sim_cpu *cpu, enum vmt_status got, unsigned mask, uint64_t addr, const char *what)
{
	if (!(1u << got & mask))
		expect(cpu, got, VMT_OK, addr, what);
}

uint64_t random_below(struct sim_cpu *cpu, uint64_t n)
{
	return sim_random(cpu) % n;
}

uint64_t stamp(unsigned cpu, uint64_t addr, uint64_t n)
{
	return (addr >> VMT_PAGE_SHIFT) << 24 | (uint64_t)(cpu + 1) << 20 | (n & 0xfffff);
}

bool stamped(uint64_t value, uint64_t addr)
{
	return value == 0 || (value >> 24 == addr >> VMT_PAGE_SHIFT && (value >> 20 & 15) <= CPUS);
}

void map_fixed(struct sim_cpu *cpu, struct world *w, uint64_t addr, uint64_t length, uint32_t flags)
{
	struct vmt_map_request request = {.addr = addr, .length = length, .prot = RW, .flags = flags | VMT_MAP_FIXED};
	uint64_t got;

	expect(cpu, w->env->ops->map(w->env->space, &request, &got), VMT_OK, addr, "map");
}

struct start {
	struct world *world;
	const struct hammer_scenario *scenario;
};

static void start_cpu(struct sim_cpu *cpu, void *arg)
{
	struct start *start = arg;

	sim_activate(cpu, start->world->env->space);
	sim_barrier_wait(cpu, &start->world->turnstile, CPUS);
	start->scenario->run(cpu, start->world, sim_cpu_number(cpu));
	sim_barrier_wait(cpu, &start->world->turnstile, CPUS);
	sim_deactivate(cpu);
}

static void run_scenario(enum sim_format format, const struct hammer_scenario *scenario, unsigned rounds, uint64_t seed)
{
	struct env env;
	struct world world = {.env = &env, .rounds = rounds};
	struct start start = {.world = &world, .scenario = scenario};

	env_open(&env, format, CPUS, 16384, seed);
	atomic_store_explicit(&world.busy, 1, memory_order_relaxed);
	OK(env.ops->object_create(env.vmt, 16 * PAGE, NULL, NULL, &world.object));
	world.second = env_new_space(&env);
	if (scenario->length)
		lib_map_object(&env, scenario->object ? world.object : NULL, scenario->base, scenario->length, 0, RW,
			       scenario->object ? VMT_MAP_SHARED : 0);
	for (unsigned i = 0; i < scenario->touched; i++)
		lib_write(&env, scenario->base + i * PAGE, 1000 + i);
	sim_deactivate(env.cpu);
	sim_run_all(env.machine, start_cpu, &start);
	sim_activate(env.cpu, env.space);
	if (scenario->judge)
		scenario->judge(&world);
	CHECK(&env, env.space);
	CHECK(&env, world.second);
	OK(env.ops->space_destroy(world.second));
	lib_expect_bare(&env, env.space);
	env.ops->object_put(world.object);
	env_close(&env);
}

int main(int argc, char **argv)
{
	unsigned rounds = argc > 1 ? (unsigned)atoi(argv[1]) : 50, passed = 0;
	uint64_t seed = lib_seed(1);

	for (unsigned s = 0; s < hammer_scenario_count; s++) {
		for (enum sim_format format = 0; format < SIM_FORMATS; format++) {
			if (!format_fits(format))
				continue;
			// "third": of all pairs of a scenario and a format a third, which one the seed says.
			if (argc > 2 && strcmp(argv[2], sim_format_name(format)) &&
			    strcmp(argv[2], hammer_scenarios[s].name) &&
			    (strcmp(argv[2], "third") || (s + format + seed) % 3))
				continue;
			fprintf(stderr, "%s (%s), %u rounds, seed %llu\n", hammer_scenarios[s].name,
				sim_format_name(format), rounds, (unsigned long long)seed);
			run_scenario(format, &hammer_scenarios[s], rounds, seed);
			passed++;
		}
	}
	printf("%u passed, 0 failed\n", passed);
	return passed == 0;
}

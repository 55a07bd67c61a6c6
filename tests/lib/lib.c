// SPDX-License-Identifier: MIT
// The machine and the space around each case.
#include "lib.h"

bool format_fits(enum sim_format format)
{
	return sim_ops(format) && sim_format_page(format) == PAGE;
}

unsigned format_levels(enum sim_format format)
{
	return sim_format_levels(format);
}

uint64_t lib_random(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

uint64_t lib_seed(uint64_t usual)
{
	const char *text = getenv("VMT_TEST_SEED");

	return text ? strtoull(text, NULL, 0) : usual;
}

static void print_log(struct env *env)
{
	for (unsigned i = 0; i < sim_log_count(env->machine) && i < 8; i++)
		print_message("  %s\n", sim_log_line(env->machine, i));
}

void lib_check(struct env *env, struct vmt_space *space, const char *file, int line)
{
	unsigned wrong;

	sim_log_clear(env->machine);
	wrong = env->ops->check(space);
	if (!wrong)
		return;
	print_log(env);
	print_error("%s: vmt_check found %u violations\n", env->ops->name, wrong);
	_fail(file, line);
}

void lib_status(enum vmt_status got, enum vmt_status want, const char *what, const char *file, int line)
{
	if (got == want)
		return;
	print_error("%s\n  is %s and should be %s\n", what, vmt_status_name(got), vmt_status_name(want));
	_fail(file, line);
}

struct vmt_space *env_new_space(struct env *env)
{
	struct vmt_space_config config = {.start = SPACE_START, .end = env->end, .user = true};
	struct vmt_space *space;

	OK(env->ops->space_create(env->vmt, &config, &space));
	return space;
}

void env_open_with(struct env *env, const struct sim_config *config)
{
	struct sim_config larger = *config;

	larger.frames *= PAGE / SIM_FRAME_SIZE;
	env->format = config->ops->format;
	env->ops = config->ops;
	env->end = sim_format_end(env->format);
	env->levels = format_levels(env->format);
	env->seed = config->seed;
	env->machine = sim_machine_create(&larger);
	env->cpu = sim_self();
	OK(env->ops->create(sim_port(env->machine), config->cpus, &env->vmt));
	env->space = env_new_space(env);
	sim_activate(env->cpu, env->space);
}

void env_open(struct env *env, enum sim_format format, unsigned cpus, uint64_t frames, uint64_t seed)
{
	env_open_with(env, &(struct sim_config){.ops = sim_ops(format), .cpus = cpus, .frames = frames, .seed = seed});
}

void env_close(struct env *env)
{
	uint64_t leaks;

	CHECK(env, env->space);
	sim_log_clear(env->machine);
	if (sim_audit(env->machine)) {
		print_log(env);
		fail_msg("%s: a CPU has cached what the tables do not say", env->ops->name);
	}
	sim_deactivate(env->cpu);
	OK(env->ops->space_destroy(env->space));
	OK(env->ops->destroy(env->vmt));
	sim_grace_barrier(env->machine);
	sim_log_clear(env->machine);
	leaks = sim_leaks(env->machine);
	if (leaks) {
		print_log(env);
		fail_msg("%s: %llu frames and blocks leaked", env->ops->name, (unsigned long long)leaks);
	}
	sim_machine_destroy(env->machine);
}

// ---- Short forms -------------------------------------------------------------------------------------------------

void lib_map(struct env *env, uint64_t addr, uint64_t length, vmt_prot prot, uint32_t flags)
{
	struct vmt_map_request request = {
		.addr = addr, .length = length, .prot = prot, .flags = flags | VMT_MAP_FIXED_NOREPLACE};
	uint64_t got = 0;

	OK(env->ops->map(env->space, &request, &got));
	assert_int_equal(got, addr);
}

uint64_t lib_map_object(struct env *env, struct vmt_object *object, uint64_t addr, uint64_t length, uint64_t offset,
			vmt_prot prot, uint32_t flags)
{
	struct vmt_map_request request = {
		.addr = addr, .length = length, .prot = prot, .flags = flags | (addr ? VMT_MAP_FIXED : 0),
		.object = object, .offset = offset};
	uint64_t got = 0;

	OK(env->ops->map(env->space, &request, &got));
	return got;
}

void lib_write(struct env *env, uint64_t addr, uint64_t value)
{
	OK(sim_write(env->cpu, addr, 8, value));
}

uint64_t lib_read(struct env *env, uint64_t addr)
{
	uint64_t value = 0;

	OK(sim_read(env->cpu, addr, 8, &value));
	return value;
}

uint64_t lib_tables(struct env *env, struct vmt_space *space)
{
	struct vmt_space_stats stats;

	env->ops->space_stats(space, &stats);
	return stats.tables;
}

uint64_t lib_resident(struct env *env, struct vmt_space *space)
{
	struct vmt_space_stats stats;

	env->ops->space_stats(space, &stats);
	return stats.resident_pages;
}

struct dump {
	char *text;
	size_t size, used;
};

static void dump_line(void *arg, const char *text)
{
	struct dump *dump = arg;
	size_t length = strlen(text) + 1;

	if (dump->used + length + 1 > dump->size) {
		dump->size = 2 * (dump->used + length + 1);
		dump->text = realloc(dump->text, dump->size);
		assert_non_null(dump->text);
	}
	memcpy(dump->text + dump->used, text, length - 1);
	dump->used += length;
	dump->text[dump->used - 1] = '\n';
	dump->text[dump->used] = 0;
}

char *lib_dump(struct env *env, struct vmt_space *space)
{
	struct dump dump = {.text = calloc(1, 64), .size = 64};

	env->ops->dump(space, dump_line, &dump);
	return dump.text;
}

void lib_expect_bare(struct env *env, struct vmt_space *space)
{
	struct vmt_space_stats stats;

	OK(env->ops->unmap(space, SPACE_START, env->end - SPACE_START));
	env->ops->reclaim(space, 0);
	env->ops->space_stats(space, &stats);
	assert_int_equal(stats.tables, 1);
	assert_int_equal(stats.resident_pages, 0);
	assert_int_equal(stats.mapped_bytes, 0);
	assert_int_equal(stats.array_bytes, 0);
	CHECK(env, space);
}

// ---- Running -----------------------------------------------------------------------------------------------------

struct one {
	const struct lib_case *test;
	enum sim_format format;
	bool fault_ad;
};

static void run_one(void **state)
{
	const struct one *one = *state;
	const struct lib_case *test = one->test;
	struct env env;

	env_open_with(&env, &(struct sim_config){
		.ops = sim_ops(one->format), .cpus = test->cpus ? test->cpus : 2,
		.frames = test->frames ? test->frames : 16384, .seed = lib_seed(1), .fault_ad = one->fault_ad});
	test->run(&env);
	env_close(&env);
}

static bool chosen(const char *name, int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], name) == 0)
			return true;
	return argc < 2;
}

int lib_main(const char *group, const struct lib_case *cases, unsigned count, int argc, char **argv)
{
	struct CMUnitTest *tests = calloc(2 * SIM_FORMATS * count, sizeof(*tests));
	struct one *ones = calloc(2 * SIM_FORMATS * count, sizeof(*ones));
	unsigned n = 0;

	if (!tests || !ones)
		abort();
	for (unsigned i = 0; i < count; i++) {
		for (unsigned f = 0; f < 2 * SIM_FORMATS; f++) {
			enum sim_format format = f % SIM_FORMATS;
			bool fault_ad = f >= SIM_FORMATS;
			char *name;

			if (!format_fits(format) ||
			    (fault_ad && (!sim_format_faults_ad(format) || !cases[i].hard)) ||
			    !chosen(sim_format_name(format), argc, argv))
				continue;
			name = calloc(1, 160);
			if (!name)
				abort();
			snprintf(name, 160, "%s (%s%s)", cases[i].name, sim_format_name(format),
				 fault_ad ? ", faults for A and D" : "");
			ones[n] = (struct one){.test = &cases[i], .format = format, .fault_ad = fault_ad};
			tests[n] = (struct CMUnitTest){.name = name, .test_func = run_one, .initial_state = &ones[n]};
			n++;
		}
	}
	return _cmocka_run_group_tests(group, tests, n, NULL, NULL);
}

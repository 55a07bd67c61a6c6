// SPDX-License-Identifier: MIT
// What stops a test, and that the report says so: stale use after a free, frees that come too early, reserved
// encodings, calls from the wrong place.
#include "fake.h"

#define VA UINT64_C(0x7f1234567000)

struct fixture {
	struct sim_machine *machine;
	struct sim_cpu *cpu;
	struct vmt_space space;
	uint64_t frame, table;
	const struct sim_ops *ops;
};

static char report[16384];

static void begin(struct fixture *f, const struct sim_ops *ops)
{
	f->machine = fake_machine(ops, 2, &fake_always_cached);
	f->cpu = sim_self();
	fake_space(f->machine, &f->space);
	f->frame = fake_frame(f->machine);
	sim_activate(f->cpu, &f->space);
	if (ops == &fake_x86_4)
		f->table = fake_map_x86(&f->space, VA, f->frame, X86_P | X86_U | X86_W);
}

static void expect(struct fixture *f, void (*fn)(void *arg), const char *words)
{
	if (!sim_stops(fn, f, report, sizeof(report)))
		fail_msg("the test did not stop: %s", words);
	if (!strstr(report, words))
		fail_msg("the report does not say '%s': %s", words, report);
	sim_machine_destroy(f->machine);
}

static void read_va(void *arg)
{
	struct fixture *f = arg;
	uint64_t value;

	sim_read(f->cpu, VA, 8, &value);
}

// A library whose generation does not grow: the stale translation of an identifier not in use comes back.
static void stale_frame_used(void **state)
{
	struct fixture f;
	uint64_t generation;

	(void)state;
	begin(&f, &fake_x86_4);
	read_va(&f);
	sim_deactivate(f.cpu);
	vmt_port_frame_free(f.machine, f.frame, SIM_FRAME_SIZE);
	sim_activate(f.cpu, &f.space);
	assert_false(sim_frame_allocated(f.machine, f.frame, &generation));
	expect(&f, read_va, "uses a stale translation for 0x7f1234567000");
	// The history has the whole story.
	assert_non_null(strstr(report, "frame allocated"));
	assert_non_null(strstr(report, "cached translation 0x7f1234567000"));
	assert_non_null(strstr(report, "frame freed"));
	assert_non_null(strstr(report, "activated"));
}

static void stale_frame_used_after_reuse(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, &fake_x86_4);
	read_va(&f);
	sim_deactivate(f.cpu);
	vmt_port_frame_free(f.machine, f.frame, SIM_FRAME_SIZE);
	while (fake_frame(f.machine) != f.frame)
		;
	sim_activate(f.cpu, &f.space);
	expect(&f, read_va, "freed and allocated again since");
}

// Only one of the three cached entries leads to the freed table: chance takes it sooner or later.
static void stale_table_used(void **state)
{
	struct fixture f;
	bool found = false;

	(void)state;
	for (unsigned i = 0; !found; i++) {
		assert_true(i < 100);
		begin(&f, &fake_x86_4);
		for (unsigned skip = 0; skip < i; skip++)
			read_va(&f);
		fake_flush(&f.space, VA, VA + 0x1000, false);
		sim_deactivate(f.cpu);
		vmt_port_frame_free(f.machine, f.table, SIM_FRAME_SIZE);
		// The generation moved with the flush: put it back, as a broken library would.
		atomic_fetch_sub_explicit(&f.space.generation, 1, memory_order_relaxed);
		sim_activate(f.cpu, &f.space);
		assert_true(sim_stops(read_va, &f, report, sizeof(report)));
		found = strstr(report, "uses a stale intermediate entry") != NULL;
		sim_machine_destroy(f.machine);
	}
	assert_non_null(strstr(report, "cached intermediate entry"));
	assert_non_null(strstr(report, "frame freed"));
}

static void free_frame(void *arg)
{
	struct fixture *f = arg;

	vmt_port_frame_free(f->machine, f->frame, SIM_FRAME_SIZE);
}

static void free_table(void *arg)
{
	struct fixture *f = arg;

	vmt_port_frame_free(f->machine, f->table, SIM_FRAME_SIZE);
}

static void free_root(void *arg)
{
	struct fixture *f = arg;

	sim_prefetch(f->cpu, VA);
	vmt_port_frame_free(f->machine, f->space.root, SIM_FRAME_SIZE);
}

static void frame_freed_without_flush(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, &fake_x86_4);
	read_va(&f);
	fake_set(f.machine, f.table, VA >> 12 & 511, 0);
	expect(&f, free_frame, "freed while CPU 0 has a translation of level 0 cached for 0x7f1234567000");
	assert_non_null(strstr(report, "cached translation"));
}

static void table_freed_without_tables(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, &fake_x86_4);
	read_va(&f);
	fake_flush(&f.space, VA, VA + 0x1000, false);
	free_frame(&f);
	expect(&f, free_table, "freed while CPU 0 has an intermediate entry of level 1 cached");
	assert_non_null(strstr(report, "asks to flush"));
}

static void freed_after_flush(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, &fake_x86_4);
	read_va(&f);
	fake_flush(&f.space, VA, VA + 0x1000, true);
	assert_false(sim_stops(free_frame, &f, report, sizeof(report)));
	assert_false(sim_stops(free_table, &f, report, sizeof(report)));
	sim_deactivate(f.cpu);
	sim_machine_destroy(f.machine);
}

static void free_twice(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, &fake_x86_4);
	free_frame(&f);
	expect(&f, free_frame, "freed twice");
}

static void entry_to_free_frame(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, &fake_x86_4);
	free_frame(&f);
	expect(&f, read_va, "points to the free frame");
}

static void reserved_bits(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, &fake_x86_4);
	fake_set(f.machine, f.table, VA >> 12 & 511, f.frame | X86_P | X86_U | UINT64_C(1) << 50);
	expect(&f, read_va, "a reserved address bit");
	begin(&f, &fake_sv48);
	fake_set(f.machine, f.space.root, VA >> 39 & 511, RV_V | RV_W);
	expect(&f, read_va, "W without R");
}

#if !defined(__SANITIZE_ADDRESS__) // which would speak up first
static void write_free_frame(void *arg)
{
	struct fixture *f = arg;

	while (fake_frame(f->machine) != f->frame)
		;
}

static void written_while_free(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, &fake_x86_4);
	free_frame(&f);
	((uint64_t *)vmt_port_frame_ptr(f.machine, f.frame))[5] = 1;
	expect(&f, write_free_frame, "was written while it was free");
	begin(&f, &fake_x86_4);
	free_frame(&f);
	vmt_port_frame_meta(f.machine, f.frame)->bytes[9] = 1;
	expect(&f, write_free_frame, "the metadata of the frame");
}
#endif

static void read_unset(void *arg)
{
	struct fixture *f = arg;

	f->frame = vmt_port_frame_alloc(f->machine, SIM_FRAME_SIZE, false);
	fake_set(f->machine, f->table, VA >> 12 & 511, f->frame | X86_P | X86_U);
	read_va(f);
}

static void never_filled(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, &fake_x86_4);
	expect(&f, read_unset, "a frame never filled");
}

// ---- Calls from the wrong place ----------------------------------------------------------------------------------

static void alloc_held(void *arg)
{
	struct fixture *f = arg;

	vmt_port_preempt_off(f->machine);
	vmt_port_preempt_off(f->machine);
	vmt_port_preempt_on(f->machine);
	vmt_port_frame_alloc(f->machine, SIM_FRAME_SIZE, true);
}

static void alloc_in_section(void *arg)
{
	struct fixture *f = arg;

	vmt_port_read_enter(f->machine);
	vmt_port_mem_alloc(f->machine, 64);
}

static void preempt_on_twice(void *arg)
{
	struct fixture *f = arg;

	vmt_port_preempt_off(f->machine);
	vmt_port_preempt_on(f->machine);
	vmt_port_preempt_on(f->machine);
}

static void exit_twice(void *arg)
{
	vmt_port_read_exit(((struct fixture *)arg)->machine);
}

static void cpu_preemptible(void *arg)
{
	vmt_port_cpu(((struct fixture *)arg)->machine);
}

static void relax_held(void *arg)
{
	struct fixture *f = arg;

	vmt_port_preempt_off(f->machine);
	vmt_port_relax(f->machine, false);
	vmt_port_relax(f->machine, true);
}

static void access_in_section(void *arg)
{
	vmt_port_read_enter(((struct fixture *)arg)->machine);
	read_va(arg);
}

static void access_without_space(void *arg)
{
	sim_deactivate(((struct fixture *)arg)->cpu);
	read_va(arg);
}

static void empty_flush(void *arg)
{
	struct fixture *f = arg;

	vmt_port_flush(f->machine, &(struct vmt_flush){ .space = &f->space, .cpus = { 1 } });
}

static void fatal(void *arg)
{
	vmt_port_fatal(((struct fixture *)arg)->machine, "the count is wrong");
}

static void wrong_size(void *arg)
{
	struct fixture *f = arg;

	vmt_port_mem_free(f->machine, vmt_port_mem_alloc(f->machine, 100), 101);
}

static void free_referenced(void *arg)
{
	struct fixture *f = arg;

	atomic_store_explicit(&vmt_port_frame_meta(f->machine, f->frame)->data.refs, 1, memory_order_relaxed);
	free_frame(f);
}

static void wrong_places(void **state)
{
	static const struct {
		void (*fn)(void *arg);
		const char *words;
	} cases[] = {
		{ alloc_held, "vmt_port_frame_alloc on CPU 0 where it may not sleep: preemption off 1 deep" },
		{ alloc_in_section, "read-side sections 1 deep" },
		{ preempt_on_twice, "vmt_port_preempt_on: it is on" },
		{ exit_twice, "no section is open" },
		{ cpu_preemptible, "vmt_port_cpu with preemption on" },
		{ relax_held, "vmt_port_relax(preemptible)" },
		{ access_in_section, "an access: preemption off 0 deep, read-side sections 1 deep" },
		{ access_without_space, "no space active" },
		{ empty_flush, "count is 0" },
		{ fatal, "the count is wrong" },
		{ wrong_size, "a block of 100 bytes is freed as one of 101" },
		{ free_root, "root on CPU 0" },
		{ free_referenced, "is freed while somebody holds it" },
	};
	struct fixture f;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		begin(&f, &fake_x86_4);
		expect(&f, cases[i].fn, cases[i].words);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stale_frame_used),
		cmocka_unit_test(stale_frame_used_after_reuse),
		cmocka_unit_test(stale_table_used),
		cmocka_unit_test(frame_freed_without_flush),
		cmocka_unit_test(table_freed_without_tables),
		cmocka_unit_test(freed_after_flush),
		cmocka_unit_test(free_twice),
		cmocka_unit_test(entry_to_free_frame),
		cmocka_unit_test(reserved_bits),
#if !defined(__SANITIZE_ADDRESS__)
		cmocka_unit_test(written_while_free),
#endif
		cmocka_unit_test(never_filled),
		cmocka_unit_test(wrong_places),
	};

	return cmocka_run_group_tests_name("stop", tests, NULL, NULL);
}

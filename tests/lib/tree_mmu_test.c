// SPDX-License-Identifier: MIT
// The page-table layer on its own, under the hostile MMU: CPUs of the simulated machine access memory through a tree
// while it is changed. What they have cached, for runs of entries too, must be gone when an operation that changes it
// returns; what they read is the page that was mapped there; what they wrote is reported as dirty. As tree_test.c.
#include "tree_test.h"

#define RUNS 4

// What the machine takes for a space: the owner of the tree.
struct vmt_space {
	uint64_t root;
};

static struct vmt_space owner;

static uint64_t root_of(const struct vmt_space *space)
{
	return space->root;
}

static uint64_t activate(struct vmt_space *space)
{
	(void)space;
	return 1;
}

static void deactivate(struct vmt_space *space)
{
	(void)space;
}

static const struct sim_ops ops = {
	.format = TEST_MACHINE, .name = "a tree", .space_root = root_of, .activate = activate, .deactivate = deactivate,
};

// The range under test: RUNS of the smallest runs that the format has, or as many pages, each mapped to a page whose
// first word is its own number.
static uint64_t run_size(void)
{
	uint64_t runs = vmt_tree_leaf_sizes() & ~single_leaves();

	return runs ? runs & -runs : 16 * PAGE;
}

static unsigned pages(void)
{
	return (unsigned)(RUNS * run_size() / PAGE);
}

static uint64_t va_of(unsigned page)
{
	return GIB + page * PAGE;
}

#define PAGES_MAX (RUNS * 128)

static uint64_t frames[PAGES_MAX];

static void take_page(unsigned page, uint64_t pa)
{
	*(_Atomic(uint64_t) *)vmt_port_frame_ptr(sim_port(machine), pa) = page + 1;
	frames[page] = pa;
}

// Memory for a whole run, at once.
static void take_run(unsigned first)
{
	uint64_t pa = vmt_port_frame_alloc(sim_port(machine), run_size(), true);

	assert_int_not_equal(pa, VMT_NO_FRAME);
	for (unsigned i = 0; i < run_size() / PAGE; i++)
		take_page(first + i, pa + i * PAGE);
}

static void give_page(unsigned page)
{
	vmt_port_frame_free(sim_port(machine), frames[page], PAGE);
}

static void map_run(unsigned first, vmt_prot prot)
{
	assert_int_equal(tree_map(va_of(first), run_size(), frames[first], prot, 0, NULL), VMT_OK);
}

static void begin(unsigned cpus, uint64_t seed)
{
	open_tree_on(&(struct sim_config){.ops = &ops, .cpus = cpus, .frames = 4096 * (PAGE / SIM_FRAME_SIZE),
					  .seed = seed, .trees = true}, &owner, vmt_tree_leaf_sizes());
	assert_true(pages() <= PAGES_MAX);
	owner.root = vmt_tree_root(tree);
	for (unsigned first = 0; first < pages(); first += run_size() / PAGE) {
		take_run(first);
		map_run(first, RW);
	}
}

static void end(void)
{
	if (sim_active(sim_self()))
		sim_deactivate(sim_self());
	assert_int_equal(vmt_tree_unmap(tree, 0, TREE_END, NULL), VMT_OK);
	for (unsigned page = 0; page < pages(); page++)
		give_page(page);
	close_tree();
}

// One access, which finds the page or nothing.
static bool look(struct sim_cpu *cpu, unsigned page)
{
	uint64_t value = 0;

	if (sim_try(cpu, va_of(page), VMT_READ, true, 8, &value) != VMT_OK)
		return false;
	assert_int_equal(value, page + 1);
	return true;
}

static bool scribble(struct sim_cpu *cpu, unsigned page)
{
	uint64_t value = 7;

	return sim_try(cpu, va_of(page) + 8, VMT_WRITE, true, 8, &value) == VMT_OK;
}

// ---- One CPU: nothing stale is left behind an operation ----------------------------------------------------------

static void audit(const char *what)
{
	sim_log_clear(machine);
	if (!sim_audit(machine))
		return;
	for (unsigned i = 0; i < sim_log_count(machine) && i < 8; i++)
		print_message("  %s\n", sim_log_line(machine, i));
	fail_msg("after %s", what);
}

static const char *random_change(struct sim_cpu *cpu)
{
	uint64_t random = sim_random(cpu);
	unsigned first = (unsigned)(random >> 8) % pages(), count = 1 + (unsigned)(random >> 32) % 20;
	uint64_t at = va_of(first), length;

	count = count < pages() - first ? count : pages() - first;
	length = random & 64 ? run_size() : count * PAGE;
	at = random & 64 ? at & ~(run_size() - 1) : at;
	switch (random % 6) {
	case 0:
		assert_int_equal(vmt_tree_unmap(tree, at, length, NULL), VMT_OK);
		return "unmap";
	case 1:
		assert_int_equal(vmt_tree_protect(tree, at, length, random & 128 ? RW : VMT_READ, NULL), VMT_OK);
		return "protect";
	case 2:
		assert_int_equal(vmt_tree_split(tree, at, length, PAGE, NULL), VMT_OK);
		return "split";
	case 3:
		vmt_tree_collapse(tree, at & ~(run_size() - 1), 2 * run_size());
		return "collapse";
	case 4:
		vmt_tree_test_and_clear(tree, at, length, random & 128 ? VMT_DIRTY : VMT_ACCESSED, NULL);
		return "test and clear";
	default:
		at &= ~(run_size() - 1);
		assert_int_equal(tree_replace(at, run_size(), frames[(at - GIB) / PAGE], RW, 0, NULL), VMT_OK);
		return "replace";
	}
}

static void one_cpu(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 4; seed++) {
		struct sim_cpu *cpu;

		begin(1, seed);
		cpu = sim_self();
		sim_activate(cpu, &owner);
		for (unsigned i = 0; i < 400; i++) {
			for (unsigned n = 0; n < 12; n++) {
				unsigned page = (unsigned)(sim_random(cpu) % pages());

				if (n & 1)
					scribble(cpu, page);
				else
					look(cpu, page);
			}
			audit(random_change(cpu));
		}
		end();
	}
}

// ---- Several CPUs ------------------------------------------------------------------------------------------------

static _Atomic bool written[PAGES_MAX];
static uint64_t harvested[PAGES_MAX / 64];
static struct sim_barrier barrier;

#define ROUNDS 12

static bool was_harvested(unsigned page)
{
	return harvested[page / 64] >> (page % 64) & 1;
}

// The range is cut, joined, restricted, replaced by itself and harvested; the translation of every page stays the same.
static void reshape(struct sim_cpu *cpu, unsigned me)
{
	unsigned page = (unsigned)(sim_random(cpu) % pages()), first = page / (pages() / RUNS) * (pages() / RUNS);

	if (me == 0 && sim_random(cpu) % 8 == 0)
		assert_int_equal(tree_replace(va_of(first), run_size(), frames[first], RW, 0, NULL), VMT_OK);
	else if (me == 0 && sim_random(cpu) % 3 == 0)
		assert_int_equal(vmt_tree_split(tree, va_of(page), PAGE, PAGE, NULL), VMT_OK);
	else if (me == 0)
		assert_int_equal(vmt_tree_protect(tree, va_of(page), PAGE, sim_random(cpu) & 1 ? RW : VMT_READ, NULL),
				 VMT_OK);
	else if (sim_random(cpu) % 4)
		vmt_tree_collapse(tree, GIB, RUNS * run_size());
	else
		vmt_tree_test_and_clear(tree, GIB, RUNS * run_size(), VMT_DIRTY, harvested);
}

// What was written since the last time has been reported as dirty, now or meanwhile.
static void settle(void)
{
	vmt_tree_test_and_clear(tree, GIB, RUNS * run_size(), VMT_DIRTY, harvested);
	for (unsigned page = 0; page < pages(); page++) {
		if (atomic_load_explicit(&written[page], memory_order_relaxed) && !was_harvested(page))
			sim_stop(machine, va_of(page), frames[page], "a write was lost");
		atomic_store_explicit(&written[page], false, memory_order_relaxed);
	}
	memset(harvested, 0, sizeof(harvested));
	assert_int_equal(vmt_tree_protect(tree, GIB, RUNS * run_size(), RW, NULL), VMT_OK);
	vmt_tree_test_and_clear(tree, GIB, RUNS * run_size(), VMT_DIRTY, NULL);
}

static void reshaping(struct sim_cpu *cpu, void *arg)
{
	unsigned me = sim_cpu_number(cpu);

	(void)arg;
	sim_activate(cpu, &owner);
	for (unsigned round = 0; round < ROUNDS; round++) {
		for (unsigned i = 0; i < 60; i++) {
			unsigned page = (unsigned)(sim_random(cpu) % pages());

			if (me < 2)
				reshape(cpu, me);
			else if (i & 1)
				look(cpu, page);
			else if (scribble(cpu, page))
				atomic_store_explicit(&written[page], true, memory_order_relaxed);
			sim_poll(cpu);
		}
		sim_barrier_wait(cpu, &barrier, 4);
		if (me == 0)
			settle();
		sim_barrier_wait(cpu, &barrier, 4);
	}
	sim_deactivate(cpu);
}

static void together(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 3; seed++) {
		begin(4, seed);
		memset(harvested, 0, sizeof(harvested));
		vmt_tree_test_and_clear(tree, GIB, RUNS * run_size(), VMT_DIRTY, NULL);
		sim_run_all(machine, reshaping, NULL);
		audit("several CPUs at once");
		end();
	}
}

// Each CPU of the first two owns half of the range: takes pages out, gives them back, and maps others, one by one or a
// whole run. The machine stops if one is given back that some CPU can still reach.
static void move_pages(struct sim_cpu *cpu, unsigned me)
{
	unsigned in_run = (unsigned)(run_size() / PAGE), half = pages() / 2;
	unsigned page = me * half + (unsigned)(sim_random(cpu) % half), first = page / in_run * in_run;

	if (sim_random(cpu) % 4) {
		assert_int_equal(vmt_tree_unmap(tree, va_of(page), PAGE, NULL), VMT_OK);
		give_page(page);
		take_page(page, vmt_port_frame_alloc(sim_port(machine), PAGE, true));
		assert_int_equal(tree_map(va_of(page), PAGE, frames[page], RW, 0, NULL), VMT_OK);
		return;
	}
	assert_int_equal(vmt_tree_unmap(tree, va_of(first), run_size(), NULL), VMT_OK);
	for (unsigned i = 0; i < in_run; i++)
		give_page(first + i);
	take_run(first);
	map_run(first, RW);
}

static void moving(struct sim_cpu *cpu, void *arg)
{
	unsigned me = sim_cpu_number(cpu);

	(void)arg;
	sim_activate(cpu, &owner);
	for (unsigned i = 0; i < 400; i++) {
		unsigned page = (unsigned)(sim_random(cpu) % pages());

		if (me < 2 && i % 4 == 0)
			move_pages(cpu, me);
		else if (i & 1)
			scribble(cpu, page);
		else
			look(cpu, page);
		sim_poll(cpu);
	}
	sim_deactivate(cpu);
}

static void giving_back(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 3; seed++) {
		begin(4, seed);
		sim_run_all(machine, moving, NULL);
		audit("pages were given back");
		end();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_cpu), cmocka_unit_test(together), cmocka_unit_test(giving_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: MIT
// The spare array that each CPU keeps for each space, and what is asked of a port whose memory is short or particular.
#include "lib.h"

#include <vmtree/port.h>

#define RW	    (VMT_READ | VMT_WRITE)
#define ARRAY_BYTES (PAGE / 2)

// ---- A port with room for few arrays, that is asked for the metadata of RAM only ---------------------------------

static unsigned arrays, most = UINT32_MAX; // there are; there may be
static unsigned strange;		    // questions about what is no RAM

void *__real_vmt_port_mem_alloc(void *port, size_t bytes);
void *__wrap_vmt_port_mem_alloc(void *port, size_t bytes);
void __real_vmt_port_mem_free(void *port, void *memory, size_t bytes);
void __wrap_vmt_port_mem_free(void *port, void *memory, size_t bytes);
struct vmt_frame *__real_vmt_port_frame_meta(void *port, uint64_t pa);
struct vmt_frame *__wrap_vmt_port_frame_meta(void *port, uint64_t pa);

void *__wrap_vmt_port_mem_alloc(void *port, size_t bytes)
{
	void *memory = bytes == ARRAY_BYTES && arrays >= most ? NULL : __real_vmt_port_mem_alloc(port, bytes);

	arrays += memory && bytes == ARRAY_BYTES;
	return memory;
}

void __wrap_vmt_port_mem_free(void *port, void *memory, size_t bytes)
{
	arrays -= bytes == ARRAY_BYTES;
	__real_vmt_port_mem_free(port, memory, bytes);
}

struct vmt_frame *__wrap_vmt_port_frame_meta(void *port, uint64_t pa)
{
	struct vmt_frame *frame = __real_vmt_port_frame_meta(port, pa);

	strange += !frame;
	return frame;
}

static void on_cpu_1(struct env *env, void (*run)(struct sim_cpu *cpu, void *arg))
{
	sim_cpu_run(env->machine, 1, run, env);
	sim_cpu_join(env->machine, 1);
}

// ---- Cases -------------------------------------------------------------------------------------------------------

static uint64_t reclaimed;

static void reclaim(struct sim_cpu *cpu, void *arg)
{
	struct env *env = arg;

	(void)cpu;
	most = 1;
	reclaimed = env->ops->reclaim(env->space, 16);
	most = UINT32_MAX;
}

// To fold the table that was kept, an array is needed; the only one that memory has room for is the spare of a CPU that
// has left.
static void reclaim_takes_it(struct env *env)
{
	lib_map(env, GIB(20), span(1), RW, 0);
	lib_write(env, GIB(20), 1);
	OK(env->ops->release(env->space, GIB(20), PAGE));
	on_cpu_1(env, reclaim);
	assert_true(reclaimed > 0);
	CHECK(env, env->space);
}

static void map_and_unmap_here(struct sim_cpu *cpu, void *arg)
{
	struct env *env = arg;

	(void)cpu;
	lib_map(env, 20 * span(2), PAGE, RW, 0);
	OK(env->ops->unmap(env->space, 20 * span(2), PAGE));
}

// An operation that needs an array, and memory that has none, takes the spare one of another CPU.
static void another_takes_it(struct env *env)
{
	unsigned before;

	if (env->levels != 3)
		return;
	lib_map(env, GIB(1), span(1), RW, 0);
	lib_map(env, GIB(3), span(1), RW, 0);
	before = arrays;
	on_cpu_1(env, map_and_unmap_here);
	assert_int_equal(arrays, before + 1);
	most = 0;
	OK(env->ops->protect(env->space, GIB(1) + PAGE, PAGE, VMT_READ));
	IS(env->ops->protect(env->space, GIB(3) + PAGE, PAGE, VMT_READ), VMT_ERR_NO_MEMORY); // there was one
	most = UINT32_MAX;
	CHECK(env, env->space);
}

static struct vmt_space *limited;
static enum vmt_status said;

// CPU 1 comes to have a spare array.
static void map_and_unmap(struct sim_cpu *cpu, void *arg)
{
	struct vmt_map_request request = {.addr = 20 * span(2), .length = PAGE, .prot = RW, .flags = VMT_MAP_FIXED};
	struct env *env = arg;
	uint64_t got;

	(void)cpu;
	OK(env->ops->map(limited, &request, &got));
	OK(env->ops->unmap(limited, request.addr, PAGE));
}

// Needs two arrays more.
static void protect_across(struct sim_cpu *cpu, void *arg)
{
	struct env *env = arg;

	(void)cpu;
	said = env->ops->protect(limited, 5 * span(2) - span(1), span(1) + 2 * span(1) + PAGE, VMT_READ);
}

static void map_limited(struct env *env, uint64_t addr, uint64_t length, struct vmt_object *object)
{
	struct vmt_map_request request = {.addr = addr, .length = length, .prot = RW, .object = object,
					  .flags = VMT_MAP_FIXED | (object ? VMT_MAP_SHARED : 0)};
	uint64_t got;

	OK(env->ops->map(limited, &request, &got));
}

// A spare array counts with those that the same operation has got already.
static void at_the_limit(struct env *env)
{
	struct vmt_space_config config = {.start = SPACE_START, .end = env->end, .array_limit = 4 * ARRAY_BYTES};
	struct vmt_space_stats stats;
	struct vmt_object *object;

	if (env->levels != 3)
		return;
	OK(env->ops->space_create(env->vmt, &config, &limited));
	OK(env->ops->object_create(env->vmt, span(2), NULL, NULL, &object));
	map_limited(env, 5 * span(2) - 3 * span(1), 3 * span(1), NULL);
	map_limited(env, 5 * span(2), span(2), object);
	map_limited(env, 8 * span(2), span(2), object);
	on_cpu_1(env, map_and_unmap);
	OK(env->ops->protect(limited, 5 * span(2) - span(1) + PAGE, PAGE, VMT_READ));
	OK(env->ops->protect(limited, 5 * span(2) - 2 * span(1) + PAGE, PAGE, VMT_READ));
	on_cpu_1(env, protect_across);
	env->ops->space_stats(limited, &stats);
	assert_true(stats.array_bytes <= config.array_limit);
	IS(said, VMT_ERR_LIMIT);
	CHECK(env, limited);
	OK(env->ops->space_destroy(limited));
	env->ops->object_put(object);
}

// A marker's payload is no address, and a port may well stop at such a question.
static void fork_asks_of_ram(struct env *env)
{
	struct vmt_space *child;

	lib_map(env, GIB(1), 8 * PAGE, RW, 0);
	lib_write(env, GIB(1), 1);
	OK(env->ops->guard_install(env->space, GIB(1) + PAGE, PAGE));
	OK(env->ops->mark(env->space, GIB(1) + 3 * PAGE, PAGE, VMT_MARKER_POISON, 0x12345678));
	strange = 0;
	OK(env->ops->space_fork(env->space, NULL, &child));
	assert_int_equal(strange, 0);
	OK(env->ops->space_destroy(child));
}

int main(int argc, char **argv)
{
	static const struct lib_case cases[] = {
		{.name = "reclaim takes the spare array", .run = reclaim_takes_it},
		{.name = "another CPU takes the spare array", .run = another_takes_it},
		{.name = "spare array at the limit", .run = at_the_limit},
		{.name = "fork asks of RAM", .run = fork_asks_of_ram},
	};

	return lib_main("spare", cases, sizeof(cases) / sizeof(*cases), argc, argv);
}

// SPDX-License-Identifier: MIT
// A secondary that attaches and detaches while another CPU is at work: when detaching is over nobody calls its ops.
#include "devices.h"

#define BASE   (GIB(4) - 8 * PAGE)
#define LENGTH (16 * PAGE)

struct busy {
	struct env *env;
	struct sim_barrier barrier;
	_Atomic unsigned alive;	// the subscription that its ops belong to, 0: none
	_Atomic unsigned over;
	_Atomic uint64_t calls;
	bool mute;
};

// Called with the subscription gone, an operation stops the test.
static void busy_told(void *owner, const struct vmt_change *change)
{
	struct busy *busy = owner;

	// Sequentially consistent, as the stores: when detaching is over nobody is in here.
	if (!atomic_load_explicit(&busy->alive, memory_order_seq_cst))
		sim_stop(busy->env->machine, change->start, 0, "a secondary was told after it had detached");
	sim_poll(sim_self());
	if (!atomic_load_explicit(&busy->alive, memory_order_seq_cst))
		sim_stop(busy->env->machine, change->start, 0, "a secondary was detached while it was being told");
	atomic_fetch_add_explicit(&busy->calls, 1, memory_order_relaxed);
}

static bool busy_wait(void *owner, const struct vmt_change *change)
{
	struct busy *busy = owner;

	busy_told(owner, change);
	return !busy->mute;
}

static const struct vmt_secondary_ops busy_ops = {
	.begin = busy_told, .end = busy_told, .issue = busy_told, .wait = busy_wait, .filled = busy_told,
};

static void busy_commit(void *arg, const struct vmt_grant *grant)
{
	(void)arg, (void)grant;
}

static void busy_attach(struct busy *busy)
{
	struct vmt_secondary_config config = {.ops = &busy_ops, .owner = busy};
	struct vmt_secondary_request request = {.addr = BASE, .length = LENGTH, .access = VMT_READ,
						.commit = busy_commit};
	const struct sim_ops *ops = busy->env->ops;
	unsigned id;

	// Until it was told of something: the host may let the other CPU wait for long.
	for (unsigned round = 0; round < 200 || !atomic_load_explicit(&busy->calls, memory_order_relaxed); round++) {
		// Sequentially consistent: see busy_told.
		atomic_store_explicit(&busy->alive, 1, memory_order_seq_cst);
		OK(ops->secondary_attach(busy->env->space, &config, &id));
		for (unsigned i = 0; i < round % 4; i++)
			ops->secondary_fault(busy->env->space, id, &request, NULL);
		for (unsigned i = 0; i < round % 8; i++)
			sim_poll(sim_self());
		ops->secondary_detach(busy->env->space, id);
		atomic_store_explicit(&busy->alive, 0, memory_order_seq_cst);
	}
	atomic_store_explicit(&busy->over, 1, memory_order_relaxed);
}

static void busy_run(struct sim_cpu *cpu, void *arg)
{
	struct busy *busy = arg;
	struct env *env = busy->env;

	sim_activate(cpu, env->space);
	sim_barrier_wait(cpu, &busy->barrier, 2);
	if (sim_cpu_number(cpu) == 1) {
		busy_attach(busy);
	} else {
		while (!atomic_load_explicit(&busy->over, memory_order_relaxed)) {
			enum vmt_status status;

			sim_write(cpu, BASE + sim_random(cpu) % LENGTH / 8 * 8, 8, 1);
			status = sim_random(cpu) % 2 ? env->ops->release(env->space, BASE, LENGTH) :
						       env->ops->protect(env->space, BASE, LENGTH, RW);
			if (status != VMT_OK && !(busy->mute && status == VMT_ERR_DEVICE))
				sim_stop(env->machine, BASE, 0, "an operation failed");
		}
	}
	sim_barrier_wait(cpu, &busy->barrier, 2);
	sim_deactivate(cpu);
}

static void detach_while_busy(struct env *env)
{
	for (unsigned mute = 0; mute < 2; mute++) {
		struct busy busy = {.env = env, .mute = mute};

		devices_begin();
		record.paused = true;
		lib_map(env, BASE, LENGTH, RW, 0);
		sim_deactivate(env->cpu);
		sim_run_all(env->machine, busy_run, &busy);
		sim_activate(env->cpu, env->space);
		assert_true(atomic_load_explicit(&busy.calls, memory_order_relaxed) > 0);
		lib_expect_bare(env, env->space);
	}
	record.paused = false;
}

static const struct lib_case cases[] = {
	{.name = "detach while busy", .run = detach_while_busy},
};

int main(int argc, char **argv)
{
	return lib_main("detaching", cases, sizeof(cases) / sizeof(*cases), argc, argv);
}

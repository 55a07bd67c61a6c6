// SPDX-License-Identifier: MIT
/*
 * Self-test of the ways between user and kernel mode: programs of a few instructions on page tables
 * built here by hand, with handlers of their own (struct task_ops), and copies to and from user
 * memory with and without faults.
 */
#include "selftest.h"

#include <kernel/memory.h>
#include <kernel/printk.h>
#include <kernel/string.h>
#include <kernel/task.h>
#include <kernel/time.h>
#include <kernel/uaccess.h>
#include <kernel/wait.h>

#include "../arch/x86_64/arch.h"

#define CODE 0x400000UL
#define STACK 0x500000UL
#define TLS 0x600000UL
#define DEMAND 0x10000000UL /* up to DEMAND_END: pages appear when touched */
#define DEMAND_END 0x40000000UL
#define READONLY 0x700000UL

#define PTE_USER 0x7UL
#define PTE_USER_RO 0x5UL
#define PTE_ADDR 0x000ffffffffff000UL

#define FPU_ROUNDS 3000000
#define GS_ROUNDS 2000
#define ICR_NMI 0x4400u

extern char selftest_program[], selftest_program_end[], selftest_fpu[], selftest_fpu_end[];
extern char selftest_gs[], selftest_gs_end[];

/* One test program: ops first, so that handlers find the rest. */
struct program {
	struct task_ops ops;
	struct mutex lock; /* the tables */
	int exit_code;
	atomic_bool done;
	unsigned int faults;
	uint64_t expected_rip;
};

static struct waitqueue done_queue = WAITQUEUE_INIT(done_queue);

static struct program *here(void)
{
	return container_of(current()->ops, struct program, ops);
}

static uint64_t *user_entry(uint64_t root, uint64_t va)
{
	uint64_t *table = phys_to_virt(root);

	for (unsigned int level = 3; level; level--) {
		uint64_t *e = &table[va >> (12 + 9 * level) & 511];

		if (!*e) {
			uint64_t pa = frame_alloc(0, FRAME_ZERO);

			assert(pa);
			*e = pa | PTE_USER;
		}
		table = phys_to_virt(*e & PTE_ADDR);
	}
	return &table[va >> 12 & 511];
}

static void *map_page(uint64_t root, uint64_t va, uint64_t bits)
{
	uint64_t *e = user_entry(root, va);

	if (!*e)
		*e = frame_alloc(0, FRAME_ZERO) | bits;
	return phys_to_virt(*e & PTE_ADDR);
}

static void free_level(uint64_t table, unsigned int level, unsigned int slots)
{
	uint64_t *e = phys_to_virt(table);

	for (unsigned int i = 0; i < slots; i++) {
		if (!e[i])
			continue;
		if (level)
			free_level(e[i] & PTE_ADDR, level - 1, 512);
		else
			frame_free(e[i] & PTE_ADDR, 0);
	}
	frame_free(table, 0);
}

static bool test_fault(struct regs *r, uint64_t address, unsigned int error)
{
	struct program *p = here();

	(void)r;
	mutex_lock(&p->lock);
	p->faults++;
	mutex_unlock(&p->lock);
	if (address < DEMAND || address >= DEMAND_END || (error & PF_PRESENT))
		return false;
	mutex_lock(&p->lock);
	map_page(p->ops.root, ALIGN_DOWN(address, PAGE_SIZE), PTE_USER);
	mutex_unlock(&p->lock);
	return true;
}

/* What selftest_program expects: r15 counts; rip goes on behind, or at r14 for bad jumps. */
static void test_exception(struct regs *r, int vector, uint64_t error)
{
	struct program *p = here();

	CHECK(may_sleep());
	switch (vector) {
	case TRAP_UD:
	case TRAP_DE:
		r->rip += 2;
		break;
	case TRAP_BP:
		break;
	case TRAP_DB:
		r->rflags &= ~X86_FLAGS_TF;
		break;
	case TRAP_GP:
		if (p->expected_rip) {
			r->rip = p->expected_rip;
			p->expected_rip = 0;
			r->r15--;
		} else {
			r->rip = error ? r->rip + 2 : r->r14; /* int n has an error code, a bad jump none */
		}
		break;
	case TRAP_PF:
		r->rip = r->r14;
		break;
	default:
		klog("vector %d", vector);
		CHECK(false);
	}
	r->r15++;
}

static _Noreturn void test_exit(struct program *p, int code)
{
	p->exit_code = code;
	/* Release pairs with the acquire in program_wait. */
	atomic_store_explicit(&p->done, true, memory_order_release);
	wake_all(&done_queue);
	task_exit();
}

static void test_syscall(struct regs *r)
{
	struct program *p = here();

	CHECK(may_sleep() && r->vector == REGS_VECTOR_SYSCALL && r == task_regs(current()));
	switch (r->error) {
	case 0:
		test_exit(p, (int)r->rdi);
	case 1:
		r->rax = r->rdi + r->rsi + r->rdx + r->r10 + r->r8 + r->r9;
		break;
	case 2:
		p->expected_rip = r->rip;
		r->rip = 0x0000800000000000;
		r->rax = 0x2222;
		break;
	case 3:
		r->rcx = 0x4321;
		break;
	case 4:
		CHECK(!(read_flags() & (X86_FLAGS_AC | X86_FLAGS_DF | X86_FLAGS_TF)));
		task_yield();
		break;
	}
}

static void program_init(struct program *p, const char *code, const char *end)
{
	uint64_t root = frame_alloc(0, FRAME_ZERO);

	assert(root);
	memset(p, 0, sizeof(*p));
	mutex_init(&p->lock);
	p->ops = (struct task_ops){ test_syscall, test_fault, test_exception, root };
	memcpy((uint64_t *)phys_to_virt(root) + 256, kernel_root_table() + 256, 2048);
	memcpy(map_page(root, CODE, PTE_USER_RO), code, (size_t)(end - code));
	map_page(root, STACK, PTE_USER);
	map_page(root, TLS, PTE_USER);
	strlcpy(map_page(root, READONLY, PTE_USER_RO), "readonly", 16);
}

static struct task *program_start(struct program *p, uint64_t rdi, uint64_t rsi, cpumask_t cpus)
{
	struct regs r;
	struct task *t;

	regs_init_user(&r, CODE, STACK + PAGE_SIZE);
	r.rdi = rdi;
	r.rsi = rsi;
	t = task_create_user("program", &r, NULL);
	assert(t);
	t->ops = &p->ops;
	t->fs_base = TLS;
	task_set_affinity(t, cpus);
	task_start(t);
	return t;
}

static int program_wait(struct program *p, struct task *t)
{
	wait_event(&done_queue, atomic_load_explicit(&p->done, memory_order_acquire));
	/* Its tables may go only when it runs no more. Acquire pairs with the end of the last switch. */
	while (t->on_rq || atomic_load_explicit(&t->on_cpu, memory_order_acquire))
		task_yield();
	task_put(t);
	free_level(p->ops.root, 3, 256);
	return p->exit_code;
}

static void test_program(void)
{
	struct program p;
	int code;

	program_init(&p, selftest_program, selftest_program_end);
	code = program_wait(&p, program_start(&p, 0, 0, cpu_all()));
	if (code)
		klog("user program: step %d failed", code);
	CHECK(code == 0);
	CHECK(p.faults >= 64 + 2);
}

/* Two programs for each CPU, with different patterns in FPU and FS base. */
static void test_fpu(void)
{
	unsigned int n = 2 * MIN(cpu_count(), 2u);
	struct program *p = kzalloc(n * sizeof(*p));
	struct task *t[4];

	assert(p);
	for (unsigned int i = 0; i < n; i++) {
		program_init(&p[i], selftest_fpu, selftest_fpu_end);
		t[i] = program_start(&p[i], 0x0101010101010101 * (i + 1), FPU_ROUNDS, CPU_BIT(i / 2));
	}
	for (unsigned int i = 0; i < n; i++)
		CHECK(program_wait(&p[i], t[i]) == 0);
	kfree(p);
}

/* NMIs from this CPU into one that switches between user and kernel mode all the time. */
static uint64_t gs_and_nmi_once(unsigned int target)
{
	struct program p;
	struct task *t;
	uint64_t sent = 0;

	program_init(&p, selftest_gs, selftest_gs_end);
	t = program_start(&p, (uint64_t)&percpus[0], GS_ROUNDS, CPU_BIT(target));
	/* Acquire pairs with test_exit. */
	while (!atomic_load_explicit(&p.done, memory_order_acquire)) {
		apic_send(percpus[target].apic_id, ICR_NMI);
		if (++sent % 8 == 0 || target == 0)
			task_yield();
	}
	CHECK(program_wait(&p, t) == 0);
	CHECK(p.faults >= GS_ROUNDS / 64);
	return sent;
}

static void test_gs_and_nmi(void)
{
	uint64_t sent = 0;

	if (!cpu_features.fsgsbase)
		return;
	task_set_affinity(current(), CPU_BIT(0));
	/* The program may be through before this CPU gets to run at all: several times. */
	for (int i = 0; i < 30 && sent < 1000; i++)
		sent += gs_and_nmi_once(cpu_count() - 1);
	CHECK(sent > 0);
	klog("selftest: %lu NMIs sent", sent);
	task_set_affinity(current(), cpu_all());
}

/* ---- Copies, in a kernel thread that has the tables loaded ---- */

static void copies_basic(void)
{
	char buf[64];
	uint64_t v64 = 0;
	uint32_t v = 0;

	CHECK(copy_to_user(DEMAND, "hello", 6) == 0);
	CHECK(copy_from_user(buf, DEMAND, 6) == 0 && strcmp(buf, "hello") == 0);
	CHECK(put_user_u64(DEMAND + 4092, 0x123456789abcdef0) == 0);
	CHECK(get_user_u64(&v64, DEMAND + 4092) == 0 && v64 == 0x123456789abcdef0);
	CHECK(put_user_u32(DEMAND + 16, 7) == 0 && get_user_u32(&v, DEMAND + 16) == 0 && v == 7);
	CHECK(user_cmpxchg_u32(DEMAND + 16, &v, 9) == 0 && v == 7);
	v = 3;
	CHECK(user_cmpxchg_u32(DEMAND + 16, &v, 1) == 0 && v == 9);
	CHECK(user_cmpxchg_u32(DEMAND + 17, &v, 1) == -EINVAL);
	CHECK(clear_user(DEMAND + 1, 4101) == 0);
	CHECK(get_user_u64(&v64, DEMAND + 4094) == 0 && v64 == 0);
	CHECK(strncpy_from_user(buf, READONLY, sizeof(buf)) == 8 && strcmp(buf, "readonly") == 0);
	CHECK(strncpy_from_user(buf, READONLY, 8) == -ENAMETOOLONG);
}

static void copies_faults(void)
{
	static char buf[8192];
	uint64_t v = 5, edge = STACK + PAGE_SIZE; /* nothing is mapped behind */

	for (uint64_t n = 1; n < 100; n += 7) {
		CHECK(copy_to_user_left(edge - n, buf, n + 40) == 40);
		CHECK(copy_from_user_left(buf, edge - n, 5000) == 5000 - n);
		CHECK(clear_user(edge - n, n) == 0 && clear_user(edge - n, n + 1) == -EFAULT);
	}
	CHECK(copy_to_user(READONLY, buf, 1) == -EFAULT);
	CHECK(put_user_u32(READONLY, 1) == -EFAULT && put_user_u8(edge, 1) == -EFAULT);
	CHECK(get_user_u64(&v, edge - 4) == -EFAULT && v == 5);
	CHECK(get_user_u64(&v, KERNEL_BASE + 0x100000) == -EFAULT && v == 5);
	CHECK(copy_from_user(buf, DIRECT_BASE, 8) == -EFAULT);
	CHECK(copy_from_user(buf, USER_END - 4, 8) == -EFAULT);
	CHECK(copy_from_user(buf, UINT64_MAX - 4, 8) == -EFAULT);
	memset(buf, 'x', 4096);
	CHECK(copy_to_user(STACK, buf, 4096) == 0);
	CHECK(strncpy_from_user(buf, STACK, sizeof(buf)) == -EFAULT);
	CHECK(strncpy_from_user(buf, edge - 2, 1) == -ENAMETOOLONG);
	/* With preemption off a fault fails instead of sleeping. */
	preempt_disable();
	CHECK(put_user_u32(DEMAND_END - 4096, 1) == -EFAULT);
	preempt_enable();
	CHECK(put_user_u32(DEMAND_END - 4096, 1) == 0);
	preempt_disable();
	CHECK(put_user_u32(DEMAND_END - 4096, 1) == 0);
	preempt_enable();
}

static int copies_thread(void *arg)
{
	struct program *p = arg;

	copies_basic();
	copies_faults();
	atomic_store_explicit(&p->done, true, memory_order_release);
	wake_all(&done_queue);
	return 0;
}

static void test_copies(void)
{
	struct program p;
	struct task *t;

	program_init(&p, selftest_fpu, selftest_fpu_end);
	t = task_create("copies", copies_thread, &p);
	assert(t);
	t->ops = &p.ops;
	task_start(t);
	CHECK(program_wait(&p, t) == 0);
}

void selftest_user(void)
{
	test_program();
	test_copies();
	test_fpu();
	test_gs_and_nmi();
}

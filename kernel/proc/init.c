// SPDX-License-Identifier: MIT
/*
 * kernel_main: the first program from start to end, and what is left afterwards.
 *
 * The first program is pid 2. Pid 1 is the kernel's own process: orphans become its children and
 * are reaped without anybody asking. When the first program has ended everything else is killed,
 * all layers are taken down, and free memory is compared with what was free before.
 */
#include "proc.h"
#include <kernel/boot.h>
#include <kernel/console.h>
#include <kernel/device.h>
#include <kernel/grace.h>
#include <kernel/hooks.h>
#include <kernel/memory.h>
#include <kernel/printk.h>
#include <kernel/report.h>
#include <kernel/string.h>
#include <kernel/syscall.h>

/* What `.vmtree/` says; copies, since the RAM disk is given up before the program starts. */
struct start {
	char *args, *env;
	size_t args_size, env_size;
	char exec[PATH_MAX], cwd[PATH_MAX];
	int error; /* why the program could not be started; set before its thread ends */
};

static char *copy_member(const char *name, size_t *size)
{
	struct cpio_member m;
	char *copy;

	*size = 0;
	if (!initrd_find(name, &m))
		return NULL;
	/* One NUL more, so that the last string ends whatever the file says. */
	copy = kzalloc(m.size + 1);
	if (!copy)
		return NULL;
	memcpy(copy, m.data, m.size);
	*size = m.size && copy[m.size - 1] ? m.size + 1 : m.size;
	return copy;
}

static void start_read(struct start *s)
{
	s->args = copy_member(".vmtree/args", &s->args_size);
	s->env = copy_member(".vmtree/env", &s->env_size);
	if (!config_get("exec", s->exec, sizeof(s->exec)))
		strlcpy(s->exec, s->args ? s->args : "", sizeof(s->exec));
	if (!config_get("cwd", s->cwd, sizeof(s->cwd)))
		strlcpy(s->cwd, "/", sizeof(s->cwd));
}

static void start_free(struct start *s)
{
	kfree(s->args);
	kfree(s->env);
	kfree(s);
}

/* ---- The first program ---- */

static const char *error_text(int err)
{
	switch (err) {
	case ENOENT:
		return "no such file or directory";
	case ENOTDIR:
		return "a part of the path is not a directory";
	case EACCES:
		return "not an executable file";
	case ENOEXEC:
		return "not a program that can run here";
	case ENOMEM:
		return "not enough memory";
	case ELOOP:
		return "too many levels of links or scripts";
	case E2BIG:
		return "argument list too long";
	case EINVAL:
		return "bad program header";
	default:
		return "cannot be started";
	}
}

/* Kernel thread of the new process; becomes the program. */
static int first_thread(void *arg)
{
	struct start *s = arg;
	struct exec_request q = {.dirfd = AT_FDCWD,
		.path = s->exec,
		.lookup_flags = LOOKUP_FOLLOW,
		.kernel_argv = s->args,
		.kernel_argv_size = s->args_size,
		.kernel_envp = s->env,
		.kernel_envp_size = s->env_size};
	struct regs regs;
	int err = fs_set_cwd(current_fs(), s->cwd);

	if (err)
		klog("working directory %s: error %d", s->cwd, -err);
	if (!err)
		err = exec_run(&q, &regs);
	if (!err)
		err = task_enter_user(&regs);
	s->error = -err;
	thread_exit(EXIT_CODE_STATUS(127));
}

/* A process with descriptors 0 to 2 and one thread, not started. NULL: memory. */
static struct process *first_process(struct start *s, struct files *files, struct task **task)
{
	struct process *p = process_alloc(NULL);
	struct thread *t = p ? thread_alloc(p) : NULL;
	struct fs_state *fs = fs_create();
	uint64_t flags;
	int err;

	*task = task_create("init", first_thread, s);
	if (!t || !fs || !*task)
		return NULL;
	p->sighand = sighand_alloc();
	if (!p->sighand)
		return NULL;
	p->exit_signal = SIGCHLD;
	t->task = *task;
	t->files = files;
	t->fs = fs;
	(*task)->process = p;
	(*task)->thread = t;
	spin_lock(&tree_lock);
	flags = spin_lock_irqsave(&p->lock);
	err = tree_add_process(p, &init_process, t);
	p->pgid = p->sid = p->pid;
	spin_unlock_irqrestore(&p->lock, flags);
	spin_unlock(&tree_lock);
	return err ? NULL : p;
}

static bool is_zombie(struct process *p)
{
	bool zombie;

	spin_lock(&tree_lock);
	zombie = p->zombie;
	spin_unlock(&tree_lock);
	return zombie;
}

/* Runs it and waits for its end; its exit code as wait4 would report it. */
static int run_first(struct start *s, struct files *files)
{
	struct task *task;
	struct process *p = first_process(s, files, &task);
	int code;

	if (!p)
		panic("no memory for the first process");
	task_start(task);
	task_put(task);
	wait_event(&init_process.child_wait, is_zombie(p));
	code = p->exit_code;
	process_put(p);
	return code;
}

/* ---- The end ---- */

/* Until nobody is left: what forks while we look is found in the next round. */
static void kill_rest(void)
{
	struct process *p;
	int err = 0;

	while (!tree_only_init()) {
		spin_lock(&tree_lock);
		tree_for_each(p)
		{
			if (p != &init_process)
				signal_send_process(p, SIGKILL, NULL);
		}
		spin_unlock(&tree_lock);
		err = wait_event_timeout(
			&init_process.child_wait, tree_only_init(), ktime_ns() + 10 * TICK_NS);
	}
	(void)err; /* the loop looks again */
	/* The last steps of dead tasks, and their freeing. */
	while (thread_objects()) {
		grace_barrier();
		task_yield();
	}
	grace_barrier();
}

static void print_end(const struct start *s, int code)
{
	int sig = code & 0x7f;

	if (s->error)
		control_line("noexec %d %s", s->error, error_text(s->error));
	else if (sig)
		control_line("signal %d %d", sig, signal_dumps_core(sig));
	else
		control_line("exit %d", code >> 8 & 0xff);
}

/* The RAM disk's memory is free for programs from here on. Returns how many frames that are. */
static uint64_t release_initrd(void)
{
	uint64_t before = frame_count_free();

	dump_at_exit = config_get_u64("dump", 0);
	initrd_release();
	return frame_count_free() - before;
}

void kernel_main(void)
{
	struct report *report = kzalloc(sizeof(*report));
	struct start *s;
	struct files *files;
	int code, err;

	assert(report);
	report_begin(report);
	s = kzalloc(sizeof(*s));
	assert(s);
	start_read(s);
	tree_init();
	mm_init();
	devices_init();
	err = fs_init();
	files = err ? NULL : files_create();
	if (!err && files)
		err = files_open_console(files);
	if (err || !files)
		panic("the files do not fit in memory");
	if (!s->args_size)
		panic("no .vmtree/args in the RAM disk");
	report->frames_boot += release_initrd();
	report->start_ns = ktime_ns();
	code = run_first(s, files);
	report->end_ns = ktime_ns();
	kill_rest();
	print_end(s, code);
	start_free(s);
	mm_totals_get(&report->mm);
	fs_destroy();
	mm_shutdown();
	report_end(report);
	kfree(report);
	machine_exit();
}

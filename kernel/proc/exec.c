// SPDX-License-Identifier: MIT
/*
 * execve: find the program behind a path (scripts name another one), build its memory beside the
 * old one, end the other threads, and change over. All that can fail is done before the change.
 */
#include "proc.h"
#include <kernel/errno.h>
#include <kernel/memory.h>
#include <kernel/printk.h>
#include <kernel/string.h>
#include <kernel/syscall.h>
#include <kernel/uaccess.h>

#define SCRIPT_DEPTH   5
#define PREFIX_MAX     (2 * SCRIPT_DEPTH + 1)
#define ARGS_LIMIT_MIN (128UL << 10)
#define ARGS_LIMIT_MAX (6UL << 20)

struct exec_state {
	struct file *file;
	char head[EXEC_HEAD + 1];
	size_t head_size;
	/* What scripts put before the arguments, last first. With any, argv[0] is left out. */
	char *prefix[PREFIX_MAX];
	unsigned int nr_prefix;
	struct exec_strings argv, envp;
	struct mm *mm;
	struct elf_image image;
	uint64_t sp;
	struct sighand *sighand; /* NULL: the old one is nobody else's */
	char *args;              /* for /proc */
	size_t args_size;
};

static void state_free(struct exec_state *x)
{
	if (x->file)
		file_put(x->file);
	for (unsigned int i = 0; i < x->nr_prefix; i++)
		kfree(x->prefix[i]);
	exec_strings_free(&x->argv);
	exec_strings_free(&x->envp);
	mm_put(x->mm);
	if (x->sighand)
		sighand_put(x->sighand);
	kfree(x->args);
}

/* ---- Finding the program ---- */

static int open_program(struct exec_state *x, int dirfd, const char *path, unsigned int flags)
{
	ssize_t n;
	int err = file_open_exec(dirfd, path, flags, &x->file);

	if (err)
		return err;
	n = file_read_at(x->file, x->head, EXEC_HEAD, 0);
	if (n < 0)
		return (int)n;
	x->head_size = (size_t)n;
	x->head[n] = 0;
	return 0;
}

static int prefix_add(struct exec_state *x, const char *text)
{
	char *copy = kstrdup(text);

	if (!copy)
		return -ENOMEM;
	x->prefix[x->nr_prefix++] = copy;
	return 0;
}

static char *skip_blanks(char *s)
{
	while (*s == ' ' || *s == '\t')
		s++;
	return s;
}

/* Takes `#! INTERPRETER [ARGUMENT]` apart in place; the argument is the rest of the line. */
static int parse_script(struct exec_state *x, char **interpreter, char **argument)
{
	char *s = skip_blanks(x->head + 2), *end = strchr(s, '\n'), *word;

	if (!end && x->head_size == EXEC_HEAD)
		return -ENOEXEC; /* the line is cut off */
	if (end)
		*end = 0;
	else
		end = s + strlen(s);
	while (end > s && (end[-1] == ' ' || end[-1] == '\t'))
		*--end = 0;
	if (!*s)
		return -ENOEXEC;
	*interpreter = s;
	for (word = s; *word && *word != ' ' && *word != '\t'; word++)
		;
	*argument = NULL;
	if (*word) {
		*word++ = 0;
		*argument = skip_blanks(word);
	}
	return 0;
}

static int find_program(struct exec_state *x, const struct exec_request *q)
{
	int err = open_program(x, q->dirfd, q->path, q->lookup_flags);

	for (int depth = 0; !err && memcmp(x->head, "#!", 2) == 0; depth++) {
		char *interpreter, *argument;

		if (depth == SCRIPT_DEPTH)
			return -ELOOP;
		err = parse_script(x, &interpreter, &argument);
		if (!err && !depth)
			err = prefix_add(x, q->path);
		if (!err && argument)
			err = prefix_add(x, argument);
		if (!err)
			err = prefix_add(x, interpreter);
		if (err)
			return err;
		file_put(x->file);
		x->file = NULL;
		err = open_program(x, AT_FDCWD, x->prefix[x->nr_prefix - 1], LOOKUP_FOLLOW);
	}
	if (!err && !elf_is(x->head, x->head_size))
		err = -ENOEXEC;
	return err;
}

/* ---- Arguments ---- */

static int add_packed(struct exec_strings *s, const char *text, size_t size, size_t skip)
{
	int err = 0;

	for (const char *end = text + size; text < end && !err; text += strlen(text) + 1) {
		if (skip)
			skip--;
		else
			err = exec_strings_add(s, text);
	}
	return err;
}

static int collect_strings(struct exec_state *x, const struct exec_request *q)
{
	size_t limit = process_rlimit(RLIMIT_STACK) / 4, skip = x->nr_prefix ? 1 : 0;
	int err;

	limit = MIN(MAX(limit, ARGS_LIMIT_MIN), ARGS_LIMIT_MAX);
	err = exec_strings_init(&x->envp, limit);
	if (!err && q->kernel_argv)
		err = add_packed(&x->envp, q->kernel_envp, q->kernel_envp_size, 0);
	else if (!err)
		err = exec_strings_add_user(&x->envp, q->envp, 0);
	if (err)
		return err;
	/* One limit for both. */
	limit -= x->envp.bytes + x->envp.count * sizeof(uint64_t);
	err = exec_strings_init(&x->argv, MAX(limit, 1UL));
	for (unsigned int i = x->nr_prefix; i-- > 0 && !err;)
		err = exec_strings_add(&x->argv, x->prefix[i]);
	if (!err && q->kernel_argv)
		err = add_packed(&x->argv, q->kernel_argv, q->kernel_argv_size, skip);
	else if (!err)
		err = exec_strings_add_user(&x->argv, q->argv, skip);
	if (!err && !x->argv.count)
		err = exec_strings_add(&x->argv, ""); /* as Linux since 5.18 */
	return err;
}

/* ---- The new program's memory ---- */

static int build(struct exec_state *x, const struct exec_request *q)
{
	struct process *p = current_process();
	int err = mm_create(&x->mm);

	if (!err)
		err = elf_map(x->file, q->path, x->mm, &x->image);
	if (!err)
		err = mm_map_stack(x->mm, x->image.exec_stack, &x->sp);
	if (!err)
		err = exec_build_stack(x->mm, &x->image, &x->argv, &x->envp, q->path, &x->sp);
	if (err)
		return err;
	x->args_size = MIN(x->argv.bytes, (size_t)PROCESS_ARGS_MAX);
	x->args = kmalloc(x->args_size);
	if (!x->args)
		return -ENOMEM;
	exec_strings_read(&x->argv, 0, x->args, x->args_size);
	/* Relaxed: only this process can share its table, and its threads end before it is used. */
	if (atomic_load_explicit(&p->sighand->refs, memory_order_relaxed) > 1) {
		x->sighand = sighand_copy(p->sighand);
		if (!x->sighand)
			return -ENOMEM;
	}
	return 0;
}

/* ---- Changing over ---- */

static bool alone(struct process *p)
{
	uint64_t flags = spin_lock_irqsave(&p->lock);
	bool one = p->nr_threads == 1;

	spin_unlock_irqrestore(&p->lock, flags);
	return one;
}

/* Ends all other threads. -ERESTARTNOINTR: the process is ending, or another thread was first. */
static int end_others(struct thread *t)
{
	struct process *p = t->process;
	struct thread *other;
	uint64_t flags = spin_lock_irqsave(&p->lock);

	if (p->group_exit || p->exec_thread) {
		spin_unlock_irqrestore(&p->lock, flags);
		return -ERESTARTNOINTR;
	}
	p->exec_thread = t;
	list_for_each(other, &p->threads, process_link)
	{
		if (other != t)
			task_notify(other->task, WORK_SIGNAL);
	}
	wake_all(&p->stop_wait);
	spin_unlock_irqrestore(&p->lock, flags);
	wait_event(&p->exec_wait, alone(p));
	if (t->tid != p->pid) {
		spin_lock(&tree_lock);
		flags = spin_lock_irqsave(&p->lock);
		tree_become_leader(t);
		spin_unlock_irqrestore(&p->lock, flags);
		spin_unlock(&tree_lock);
	}
	return 0;
}

static void exec_over(struct process *p)
{
	uint64_t flags = spin_lock_irqsave(&p->lock);

	p->exec_thread = NULL;
	spin_unlock_irqrestore(&p->lock, flags);
}

/* Handlers are gone with the old program; what was ignored stays so. p->lock held. */
static void reset_actions(struct sighand *s)
{
	spin_lock(&s->lock);
	for (int i = 0; i < SIG_COUNT; i++) {
		if (s->actions[i].handler != SIG_IGN)
			s->actions[i].handler = SIG_DFL;
		s->actions[i].flags = 0;
		s->actions[i].mask = 0;
		s->actions[i].restorer = 0;
	}
	spin_unlock(&s->lock);
}

static void set_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	strlcpy(current()->name, slash ? slash + 1 : path, sizeof(current()->name));
}

/*
 * Everything is there: nothing here can fail. What was the old program's lands in *x to be freed.
 */
static void change_over(struct exec_state *x, struct thread *t)
{
	struct process *p = t->process;
	struct mm *old_mm = current()->mm;
	struct file *old_exe;
	struct sighand *old_sighand = p->sighand;
	char *old_args;
	uint64_t flags;

	thread_release_mm(t);
	/* The tree lock as well: it keeps a parent's table of actions for its children. */
	spin_lock(&tree_lock);
	flags = spin_lock_irqsave(&p->lock);
	p->did_exec = true;
	task_set_mm(x->mm);
	x->mm = old_mm;
	old_exe = p->exe;
	p->exe = x->file;
	x->file = old_exe;
	old_args = p->args;
	p->args = x->args;
	p->args_size = x->args_size;
	x->args = old_args;
	if (x->sighand) {
		p->sighand = x->sighand;
		x->sighand = old_sighand;
	}
	reset_actions(p->sighand);
	spin_unlock_irqrestore(&p->lock, flags);
	spin_unlock(&tree_lock);
	vfork_done(t);
	t->altstack = (struct sigaltstack){.flags = SS_DISABLE};
	t->restart = (struct restart_block){0};
	t->set_child_tid = 0;
	t->robust_list = 0;
	rseq_clear(t);
	if (current()->fpu) {
		fpu_reset_current();
		user_set_fs_base(0);
		user_set_gs_base(0);
	}
}

int exec_run(const struct exec_request *q, struct regs *regs)
{
	struct thread *t = current_thread();
	struct process *p = t->process;
	struct exec_state *x = kzalloc(sizeof(*x));
	int err;

	if (!x)
		return -ENOMEM;
	err = find_program(x, q);
	if (!err)
		err = collect_strings(x, q);
	if (!err)
		err = build(x, q);
	if (!err)
		err = end_others(t);
	if (!err) {
		err = files_exec(&t->files);
		if (!err) {
			change_over(x, t);
			set_name(q->path);
			regs_init_user(regs, x->image.entry, x->sp);
		}
		exec_over(p);
	}
	state_free(x);
	kfree(x);
	return err;
}

static long exec_system_call(struct exec_request *q, uint64_t path)
{
	struct regs regs;
	char *text;
	int err = path_from_user(path, &text);

	if (err)
		return err;
	q->path = text;
	err = exec_run(q, &regs);
	kfree(text);
	if (!err)
		*task_regs(current()) = regs;
	return err;
}

long sys_execve(long a_path, long a_argv, long a_envp)
{
	struct exec_request q = {.dirfd = AT_FDCWD,
		.lookup_flags = LOOKUP_FOLLOW,
		.argv = (uint64_t)a_argv,
		.envp = (uint64_t)a_envp};

	return exec_system_call(&q, (uint64_t)a_path);
}

long sys_execveat(long a_dirfd, long a_path, long a_argv, long a_envp, long a_flags)
{
	struct exec_request q = {.dirfd = (int)a_dirfd,
		.lookup_flags = LOOKUP_FOLLOW,
		.argv = (uint64_t)a_argv,
		.envp = (uint64_t)a_envp};
	unsigned int flags = (unsigned int)a_flags;

	if (flags & ~(unsigned int)(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW))
		return -EINVAL;
	if (flags & AT_EMPTY_PATH)
		q.lookup_flags |= LOOKUP_EMPTY;
	if (flags & AT_SYMLINK_NOFOLLOW)
		q.lookup_flags &= ~(unsigned int)LOOKUP_FOLLOW;
	return exec_system_call(&q, (uint64_t)a_path);
}

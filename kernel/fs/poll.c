// SPDX-License-Identifier: MIT
/*
 * poll(2), ppoll(2), select(2), pselect6(2). A file's poll function puts the caller on the queues
 * that matter and says what is ready; the files are referenced until the caller has left the queues.
 * No locks of its own.
 */
#include "fs.h"

#include <kernel/process.h>
#include <kernel/signal.h>

#define POLL_MAX 65536U

struct pollfd {
	int32_t fd;
	int16_t events, revents;
};

struct poll_slot {
	struct waiter waiter;
	struct waitqueue *queue;
};

/* Chunks of slots: a waiter must not move. */
struct poll_chunk {
	struct poll_chunk *next;
	unsigned int used;
	struct poll_slot slots[62];
};

struct poll_table {
	unsigned int used;
	struct poll_slot slots[8];
	struct poll_chunk *chunks;
	bool failed; /* no memory for a slot */
};

static struct poll_slot *slot_new(struct poll_table *pt)
{
	struct poll_chunk *c = pt->chunks;

	if (pt->used < ARRAY_SIZE(pt->slots))
		return &pt->slots[pt->used++];
	if (!c || c->used == ARRAY_SIZE(c->slots)) {
		c = kmalloc(sizeof(*c));
		if (!c)
			return NULL;
		c->used = 0;
		c->next = pt->chunks;
		pt->chunks = c;
	}
	return &c->slots[c->used++];
}

void poll_wait(struct poll_table *pt, struct waitqueue *q)
{
	struct poll_slot *s;

	if (!pt)
		return;
	s = slot_new(pt);
	if (!s) {
		pt->failed = true;
		return;
	}
	s->queue = q;
	waiter_add(q, &s->waiter);
}

static void poll_table_end(struct poll_table *pt)
{
	struct poll_chunk *c;

	for (unsigned int i = 0; i < pt->used; i++)
		waiter_remove(pt->slots[i].queue, &pt->slots[i].waiter);
	while ((c = pt->chunks)) {
		for (unsigned int i = 0; i < c->used; i++)
			waiter_remove(c->slots[i].queue, &c->slots[i].waiter);
		pt->chunks = c->next;
		kfree(c);
	}
}

/* What is ready now, with errors, which are always reported. Files without poll are always ready. */
static unsigned int poll_file(struct file *f, unsigned int events, struct poll_table *pt)
{
	unsigned int ready = POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM;

	if (f->ops->poll)
		ready = f->ops->poll(f, pt);
	return ready & (events | POLLERR | POLLHUP);
}

static unsigned int poll_scan(struct pollfd *fds, struct file **files, unsigned int n,
	struct poll_table *pt)
{
	unsigned int ready = 0;

	for (unsigned int i = 0; i < n; i++) {
		unsigned int mask = 0;

		if (files[i])
			mask = poll_file(files[i], (uint16_t)fds[i].events, ready ? NULL : pt);
		else if (fds[i].fd >= 0)
			mask = POLLNVAL;
		fds[i].revents = (int16_t)mask;
		ready += mask != 0;
	}
	return ready;
}

/* Waits until something is ready, the deadline, or a signal (-EINTR). Returns how many are ready. */
static long poll_files(struct pollfd *fds, struct file **files, unsigned int n, uint64_t deadline)
{
	struct poll_table pt = { 0 };
	long ready = poll_scan(fds, files, n, deadline ? &pt : NULL);
	int err = 0;

	while (!ready && !err && deadline && !pt.failed) {
		wait_prepare(WAIT_INTERRUPTIBLE);
		ready = poll_scan(fds, files, n, NULL);
		if (!ready)
			err = wait_sleep(WAIT_INTERRUPTIBLE, deadline);
		wait_finish();
	}
	poll_table_end(&pt);
	if (!ready && err == -ETIMEDOUT)
		ready = poll_scan(fds, files, n, NULL);
	if (ready || err == -ETIMEDOUT || !deadline)
		return ready;
	return pt.failed ? -ENOMEM : -EINTR;
}

static long poll_fds(struct pollfd *fds, unsigned int n, uint64_t deadline)
{
	struct file **files = kzalloc((n + 1) * sizeof(struct file *));
	long ready;

	if (!files)
		return -ENOMEM;
	for (unsigned int i = 0; i < n; i++)
		files[i] = fds[i].fd >= 0 ? fd_get(fds[i].fd) : NULL;
	ready = poll_files(fds, files, n, deadline);
	for (unsigned int i = 0; i < n; i++) {
		if (files[i])
			file_put(files[i]);
	}
	kfree(files);
	return ready;
}

static long poll_user(uint64_t address, unsigned int n, uint64_t deadline)
{
	struct pollfd *fds;
	long ready;

	if (n > MIN(process_rlimit(RLIMIT_NOFILE), (uint64_t)POLL_MAX))
		return -EINVAL;
	if (!user_range_ok(address, n * sizeof(*fds)))
		return -EFAULT; /* also of no descriptors at all */
	fds = kmalloc((n + 1) * sizeof(*fds));
	if (!fds)
		return -ENOMEM;
	ready = copy_from_user(fds, address, n * sizeof(*fds));
	if (!ready)
		ready = poll_fds(fds, n, deadline);
	for (unsigned int i = 0; i < n && ready >= 0; i++) {
		if (copy_to_user(address + i * sizeof(*fds) + offsetof(struct pollfd, revents),
			&fds[i].revents, sizeof(fds[i].revents)))
			ready = -EFAULT;
	}
	kfree(fds);
	return ready;
}

/* A deadline of 0 means "do not wait"; a later one is never 0. */
static uint64_t deadline_ms(int ms)
{
	if (ms < 0)
		return WAIT_FOREVER;
	return ms ? deadline_after((uint64_t)ms * 1000000) : 0;
}

static int deadline_timespec(uint64_t *deadline, uint64_t address)
{
	uint64_t ns;
	int err;

	*deadline = WAIT_FOREVER;
	if (!address)
		return 0;
	err = timespec_from_user(&ns, address);
	if (!err)
		*deadline = ns ? deadline_after(ns) : 0;
	return err;
}

/* What ppoll and pselect6 leave of the time: the program sees it, as on Linux. */
static void timespec_rest(uint64_t address, uint64_t deadline)
{
	uint64_t now = ktime_ns();

	if (address && deadline && deadline != WAIT_FOREVER)
		timespec_to_user(address, deadline > now ? deadline - now : 0);
}

static long poll_restart(struct restart_block *b)
{
	long n = poll_user(b->arg[0], (unsigned int)b->arg[1], b->arg[2]);

	return n == -EINTR ? -ERESTART_RESTARTBLOCK : n;
}

long sys_poll(long fds, long n, long timeout)
{
	struct restart_block *b = &current_thread()->restart;
	uint64_t deadline = deadline_ms((int)timeout);
	long ready = poll_user((uint64_t)fds, (unsigned int)n, deadline);

	if (ready != -EINTR)
		return ready;
	b->fn = poll_restart;
	b->arg[0] = (uint64_t)fds;
	b->arg[1] = (uint64_t)n;
	b->arg[2] = deadline;
	return -ERESTART_RESTARTBLOCK;
}

long sys_ppoll(long fds, long n, long timeout, long mask, long mask_size)
{
	uint64_t deadline, set;
	long ready;

	ready = deadline_timespec(&deadline, (uint64_t)timeout);
	if (!ready && mask)
		ready = signal_mask_from_user(&set, (uint64_t)mask, (uint64_t)mask_size);
	if (ready)
		return ready;
	if (mask)
		signal_mask_begin(set);
	ready = poll_user((uint64_t)fds, (unsigned int)n, deadline);
	if (mask)
		signal_mask_end(ready == -EINTR);
	timespec_rest((uint64_t)timeout, deadline);
	return ready == -EINTR ? -ERESTARTNOHAND : ready;
}

/* ---- select ---- */

#define SET_WORDS(n) DIV_ROUND_UP((n), 64U)
#define IN_SET (POLLRDNORM | POLLRDBAND | POLLIN | POLLHUP | POLLERR)
#define OUT_SET (POLLWRBAND | POLLWRNORM | POLLOUT | POLLERR)
#define EX_SET (POLLPRI)

static const unsigned int set_masks[3] = { IN_SET, OUT_SET, EX_SET };
static const unsigned int set_events[3] = { POLLIN | POLLRDNORM | POLLRDBAND,
	POLLOUT | POLLWRNORM | POLLWRBAND, POLLPRI };

/* Fills one entry for each descriptor that is in a set; returns how many, or -EBADF. */
static long sets_to_fds(uint64_t *sets[3], unsigned int n, struct pollfd *fds)
{
	unsigned int count = 0;

	for (unsigned int fd = 0; fd < n; fd++) {
		unsigned int events = 0;
		struct file *f;

		for (int s = 0; s < 3; s++) {
			if (sets[s][fd / 64] >> fd % 64 & 1)
				events |= set_events[s];
		}
		if (!events)
			continue;
		f = fd_get((int)fd);
		if (!f)
			return -EBADF;
		file_put(f);
		fds[count++] = (struct pollfd){ (int)fd, (int16_t)events, 0 };
	}
	return count;
}

/* Replaces the sets by what is ready; returns the number of bits set. */
static long fds_to_sets(uint64_t *sets[3], const struct pollfd *fds, unsigned int count)
{
	long bits = 0;

	for (unsigned int i = 0; i < count; i++) {
		unsigned int fd = (unsigned int)fds[i].fd;

		for (int s = 0; s < 3; s++) {
			bool asked = sets[s][fd / 64] >> fd % 64 & 1;

			if (asked && (uint16_t)fds[i].revents & set_masks[s])
				bits++;
			else
				sets[s][fd / 64] &= ~(1UL << fd % 64);
		}
	}
	return bits;
}

static int sets_copy(uint64_t *sets[3], const uint64_t users[3], unsigned int n, bool out)
{
	size_t bytes = SET_WORDS(n) * 8;
	int err = 0;

	for (int s = 0; s < 3 && !err; s++) {
		if (!users[s])
			continue;
		err = out ? copy_to_user(users[s], sets[s], bytes) :
			    copy_from_user(sets[s], users[s], bytes);
	}
	return err;
}

static long do_select(long n_arg, const uint64_t users[3], uint64_t deadline)
{
	unsigned int n = (unsigned int)n_arg, words;
	uint64_t *sets[3], *memory;
	struct pollfd *fds;
	long result, count;

	if ((int)n < 0)
		return -EINVAL;
	n = MIN(n, files_size(current_files()));
	words = SET_WORDS(n);
	memory = kzalloc(3 * words * 8 + (n + 1) * sizeof(*fds));
	if (!memory)
		return -ENOMEM;
	for (unsigned int s = 0; s < 3; s++)
		sets[s] = memory + s * words;
	fds = (struct pollfd *)(memory + 3 * words);
	result = sets_copy(sets, users, n, false);
	if (!result)
		result = sets_to_fds(sets, n, fds);
	count = result;
	if (result >= 0)
		result = poll_fds(fds, (unsigned int)count, deadline);
	if (result >= 0) {
		result = fds_to_sets(sets, fds, (unsigned int)count);
		if (sets_copy(sets, users, n, true))
			result = -EFAULT;
	}
	kfree(memory);
	return result;
}

struct timeval {
	int64_t tv_sec, tv_usec;
};

long sys_select(long n, long in, long out, long ex, long timeout)
{
	uint64_t users[3] = { (uint64_t)in, (uint64_t)out, (uint64_t)ex };
	uint64_t deadline = WAIT_FOREVER, now;
	struct timeval tv;
	long ready;

	if (timeout) {
		if (copy_from_user(&tv, (uint64_t)timeout, sizeof(tv)))
			return -EFAULT;
		if (tv.tv_sec < 0 || tv.tv_usec < 0)
			return -EINVAL;
		tv.tv_sec = MIN(tv.tv_sec, INT32_MAX) + tv.tv_usec / 1000000;
		tv.tv_usec %= 1000000;
		deadline = tv.tv_sec || tv.tv_usec ?
				   deadline_after((uint64_t)tv.tv_sec * NSEC_PER_SEC +
						  (uint64_t)tv.tv_usec * 1000) :
				   0;
	}
	ready = do_select(n, users, deadline);
	if (timeout && deadline) {
		now = ktime_ns();
		now = deadline > now ? deadline - now : 0;
		tv.tv_sec = (int64_t)(now / NSEC_PER_SEC);
		tv.tv_usec = (int64_t)(now % NSEC_PER_SEC / 1000);
		/* As on Linux, a time that cannot be stored is no error. */
		(void)copy_to_user((uint64_t)timeout, &tv, sizeof(tv));
	}
	return ready == -EINTR ? -ERESTARTNOHAND : ready;
}

long sys_pselect6(long n, long in, long out, long ex, long timeout, long mask_arg)
{
	uint64_t users[3] = { (uint64_t)in, (uint64_t)out, (uint64_t)ex };
	uint64_t deadline, mask[2] = { 0, 0 }, set;
	long ready = deadline_timespec(&deadline, (uint64_t)timeout);

	if (!ready && mask_arg)
		ready = copy_from_user(mask, (uint64_t)mask_arg, sizeof(mask));
	if (!ready && mask[0])
		ready = signal_mask_from_user(&set, mask[0], mask[1]);
	if (ready)
		return ready;
	if (mask[0])
		signal_mask_begin(set);
	ready = do_select(n, users, deadline);
	if (mask[0])
		signal_mask_end(ready == -EINTR);
	timespec_rest((uint64_t)timeout, deadline);
	return ready == -EINTR ? -ERESTARTNOHAND : ready;
}

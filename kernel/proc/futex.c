// SPDX-License-Identifier: MIT
/*
 * Futexes (futex(2)): waiters in a hash table by key; one spinlock for each bucket, two at once in
 * the order of their addresses.
 *
 * A waiter looks at the word under the bucket's lock and queues itself there, and a waker changes
 * the word before it takes that lock: so the waker finds the waiter, or the waiter finds the new
 * value. Under the lock user memory is read without sleeping; when the page is not there, the lock
 * is dropped, the page touched, and everything done again.
 */
#include "proc.h"
#include <kernel/errno.h>
#include <kernel/syscall.h>
#include <kernel/uaccess.h>

#define BUCKETS 256

#define FUTEX_WAIT           0
#define FUTEX_WAKE           1
#define FUTEX_REQUEUE        3
#define FUTEX_CMP_REQUEUE    4
#define FUTEX_WAKE_OP        5
#define FUTEX_WAIT_BITSET    9
#define FUTEX_WAKE_BITSET    10
#define FUTEX_PRIVATE_FLAG   128
#define FUTEX_CLOCK_REALTIME 256
#define FUTEX_BITSET_ANY     UINT32_MAX

struct bucket {
	struct spinlock lock;
	struct list waiters; /* next NULL: not set up yet */
} __cacheline;

struct futex_waiter {
	struct list link;      /* the bucket's lock */
	struct futex_key key;  /* to match; changed by a requeue, under both buckets' locks */
	struct futex_key held; /* the one it came with, and whose reference it has */
	_Atomic(struct bucket *) bucket; /* NULL: woken */
	uint32_t bitset;
	struct task *task;
};

static struct bucket buckets[BUCKETS];

static struct bucket *bucket_of(const struct futex_key *key)
{
	return &buckets[futex_key_hash(key) % BUCKETS];
}

static void bucket_lock(struct bucket *b)
{
	spin_lock(&b->lock);
	if (!b->waiters.next)
		list_init(&b->waiters);
}

static void lock_two(struct bucket *a, struct bucket *b)
{
	bucket_lock(a < b ? a : b);
	if (a != b)
		bucket_lock(a < b ? b : a);
}

static void unlock_two(struct bucket *a, struct bucket *b)
{
	if (a != b)
		spin_unlock(&b->lock);
	spin_unlock(&a->lock);
}

/* ---- Waking ---- */

/*
 * Bucket's lock held, so preemption is off and the task stays in memory after the waiter has left.
 */
static void wake_waiter(struct futex_waiter *w)
{
	struct task *task = w->task;

	list_del(&w->link);
	/* Release: what the waker did; pairs with the acquire in is_woken. *w may be gone now. */
	atomic_store_explicit(&w->bucket, NULL, memory_order_release);
	task_wake(task);
}

static long wake_in(struct bucket *b, const struct futex_key *key, unsigned int n, uint32_t bitset)
{
	struct futex_waiter *w, *next;
	long woken = 0;

	list_for_each_safe(w, next, &b->waiters, link)
	{
		if ((uint64_t)woken >= n)
			break;
		if (!futex_key_equal(&w->key, key) || !(w->bitset & bitset))
			continue;
		wake_waiter(w);
		woken++;
	}
	return woken;
}

static long futex_wake(uint64_t address, bool shared, unsigned int n, uint32_t bitset)
{
	struct futex_key key;
	struct bucket *b;
	long woken;
	int err;

	if (!bitset)
		return -EINVAL;
	err = futex_key_get(&key, address, shared);
	if (err)
		return err;
	b = bucket_of(&key);
	bucket_lock(b);
	woken = wake_in(b, &key, n, bitset);
	spin_unlock(&b->lock);
	futex_key_put(&key);
	return woken;
}

long futex_wake_address(uint64_t address, bool shared, unsigned int n)
{
	return futex_wake(address, shared, n, FUTEX_BITSET_ANY);
}

/* ---- Waiting ---- */

struct futex_wait {
	uint64_t address, deadline; /* ktime or WAIT_FOREVER */
	uint32_t value, bitset;
	bool shared;
};

static bool is_woken(struct futex_waiter *w)
{
	/* Acquire pairs with the release in wake_waiter. */
	return atomic_load_explicit(&w->bucket, memory_order_acquire) == NULL;
}

/* Queues w if the word has the value: 0, -EAGAIN when it has not, -EFAULT. */
static int queue_if_equal(const struct futex_wait *q, struct futex_waiter *w)
{
	struct bucket *b = bucket_of(&w->key);
	uint32_t value;
	int err;

	for (;;) {
		bucket_lock(b);
		err = get_user_u32(&value, q->address);
		if (!err)
			break;
		spin_unlock(&b->lock);
		err = get_user_u32(&value, q->address);
		if (err)
			return err;
	}
	if (value != q->value) {
		spin_unlock(&b->lock);
		return -EAGAIN;
	}
	/* Relaxed: published by the lock. */
	atomic_store_explicit(&w->bucket, b, memory_order_relaxed);
	list_add_tail(&b->waiters, &w->link);
	spin_unlock(&b->lock);
	return 0;
}

/* Takes itself off, wherever it was requeued to. False: it had been woken. */
static bool unqueue(struct futex_waiter *w)
{
	for (;;) {
		/*
		 * Acquire: pairs with the stores of requeue and wake_waiter; looked at again below.
		 */
		struct bucket *b = atomic_load_explicit(&w->bucket, memory_order_acquire);
		bool same;

		if (!b)
			return false;
		bucket_lock(b);
		/* Relaxed: it changes under this lock only. */
		same = atomic_load_explicit(&w->bucket, memory_order_relaxed) == b;
		if (same)
			list_del(&w->link);
		spin_unlock(&b->lock);
		if (same)
			return true;
	}
}

static int sleep_until_woken(struct futex_waiter *w, uint64_t deadline)
{
	int err = 0;

	while (!err) {
		wait_prepare(WAIT_INTERRUPTIBLE);
		if (is_woken(w))
			break;
		err = wait_sleep(WAIT_INTERRUPTIBLE, deadline);
	}
	wait_finish();
	return err;
}

static int futex_wait(const struct futex_wait *q)
{
	struct futex_waiter w = {.bitset = q->bitset, .task = current()};
	int err;

	if (!q->bitset)
		return -EINVAL;
	err = futex_key_get(&w.held, q->address, q->shared);
	if (err)
		return err;
	w.key = w.held;
	err = queue_if_equal(q, &w);
	if (!err) {
		err = sleep_until_woken(&w, q->deadline);
		if (!unqueue(&w))
			err = 0; /* woken: that had the last word */
	}
	futex_key_put(&w.held);
	return err;
}

static long wait_again(struct restart_block *b)
{
	struct futex_wait q = {.address = b->arg[0],
		.deadline = b->arg[1],
		.value = (uint32_t)b->arg[2],
		.bitset = (uint32_t)b->arg[3],
		.shared = b->arg[4]};
	struct restart_block *again = &current_thread()->restart;
	int err = futex_wait(&q);

	if (err != -ERESTARTSYS)
		return err;
	again->fn = wait_again;
	return -ERESTART_RESTARTBLOCK;
}

/* A signal: without a time-out the call can just be made again; with one, the rest of the time. */
static long wait_call(const struct futex_wait *q)
{
	int err = futex_wait(q);

	if (err != -ERESTARTSYS || q->deadline == WAIT_FOREVER)
		return err;
	current_thread()->restart = (struct restart_block){
		.fn = wait_again, .arg = {q->address, q->deadline, q->value, q->bitset, q->shared}};
	return -ERESTART_RESTARTBLOCK;
}

/* ---- Requeue ---- */

struct futex_pair {
	uint64_t address1, address2;
	unsigned int wake, move; /* most waiters to wake and to move, or to wake at the second */
	bool shared, compare;
	uint32_t value; /* or the operation of FUTEX_WAKE_OP */
	struct futex_key key1, key2;
	struct bucket *b1, *b2;
};

static int pair_keys(struct futex_pair *p)
{
	int err = futex_key_get(&p->key1, p->address1, p->shared);

	if (err)
		return err;
	err = futex_key_get(&p->key2, p->address2, p->shared);
	if (err) {
		futex_key_put(&p->key1);
		return err;
	}
	p->b1 = bucket_of(&p->key1);
	p->b2 = bucket_of(&p->key2);
	return 0;
}

/* Locks both once the word has been compared. -EAGAIN: another value. */
static int lock_and_compare(struct futex_pair *p)
{
	uint32_t value;
	int err;

	for (;;) {
		lock_two(p->b1, p->b2);
		if (!p->compare)
			return 0;
		err = get_user_u32(&value, p->address1);
		if (!err && value == p->value)
			return 0;
		unlock_two(p->b1, p->b2);
		if (!err)
			return -EAGAIN;
		err = get_user_u32(&value, p->address1);
		if (err)
			return err;
	}
}

/*
 * Both locks held. The waiter has no reference on the page it is moved to. That page can go only
 * when nobody maps it any more, so that nobody can wake there; should its frame come back as
 * another futex's page, the waiter may be woken for nothing, which futex(2) allows.
 */
static void move_waiter(struct futex_pair *p, struct futex_waiter *w)
{
	list_del(&w->link);
	list_add_tail(&p->b2->waiters, &w->link);
	w->key = p->key2;
	/* Release pairs with the acquire in unqueue. */
	atomic_store_explicit(&w->bucket, p->b2, memory_order_release);
}

static long requeue_locked(struct futex_pair *p)
{
	struct futex_waiter *w, *next;
	long woken = 0, moved = 0;

	if (futex_key_equal(&p->key1, &p->key2))
		return wake_in(p->b1, &p->key1, p->wake, FUTEX_BITSET_ANY);
	list_for_each_safe(w, next, &p->b1->waiters, link)
	{
		if (!futex_key_equal(&w->key, &p->key1))
			continue;
		if ((uint64_t)woken < p->wake) {
			wake_waiter(w);
			woken++;
		} else if ((uint64_t)moved < p->move) {
			move_waiter(p, w);
			moved++;
		} else {
			break;
		}
	}
	return woken + moved;
}

static long futex_requeue(struct futex_pair *p)
{
	long result;

	if ((int)p->wake < 0 || (int)p->move < 0)
		return -EINVAL;
	result = pair_keys(p);
	if (result)
		return result;
	result = lock_and_compare(p);
	if (!result) {
		result = requeue_locked(p);
		unlock_two(p->b1, p->b2);
	}
	futex_key_put(&p->key1);
	futex_key_put(&p->key2);
	return result;
}

/* ---- Wake-op: change the second word, then wake by its old value ---- */

static bool operate(uint32_t code, uint32_t old, uint32_t *new)
{
	int32_t arg = (int32_t)(code << 8) >> 20;
	uint32_t op = code >> 28 & 7, v = code >> 31 ? 1U << (arg & 31) : (uint32_t)arg;

	switch (op) {
	case 0:
		*new = v;
		return true;
	case 1:
		*new = old + v;
		return true;
	case 2:
		*new = old | v;
		return true;
	case 3:
		*new = old & ~v;
		return true;
	case 4:
		*new = old ^ v;
		return true;
	default:
		return false;
	}
}

static int compare(uint32_t code, uint32_t old_word)
{
	int32_t arg = (int32_t)(code << 20) >> 20, old = (int32_t)old_word;

	switch (code >> 24 & 15) {
	case 0:
		return old == arg;
	case 1:
		return old != arg;
	case 2:
		return old < arg;
	case 3:
		return old <= arg;
	case 4:
		return old > arg;
	case 5:
		return old >= arg;
	default:
		return -ENOSYS;
	}
}

/* Both locks held: the accesses do not sleep. */
static int change_word(const struct futex_pair *p, uint32_t *old)
{
	uint32_t seen, new;
	int err = get_user_u32(old, p->address2);

	while (!err) {
		if (!operate(p->value, *old, &new))
			return -ENOSYS;
		seen = *old;
		err = user_cmpxchg_u32(p->address2, &seen, new);
		if (!err && seen == *old)
			return 0;
		*old = seen;
	}
	return err;
}

/* Makes the page writable without changing it. */
static int touch_word(uint64_t address)
{
	uint32_t v;
	int err = get_user_u32(&v, address);

	return err ? err : user_cmpxchg_u32(address, &v, v);
}

static long futex_wake_op(struct futex_pair *p)
{
	uint32_t old;
	long woken, yes;
	int err = pair_keys(p);

	if (err)
		return err;
	if (!operate(p->value, 0, &old)) {
		err = -ENOSYS; /* before the word is looked at, as Linux */
		goto out;
	}
	for (;;) {
		lock_two(p->b1, p->b2);
		err = change_word(p, &old);
		if (!err)
			break;
		unlock_two(p->b1, p->b2);
		if (err == -EFAULT)
			err = touch_word(p->address2);
		if (err)
			goto out;
	}
	woken = wake_in(p->b1, &p->key1, p->wake, FUTEX_BITSET_ANY);
	yes = compare(p->value, old);
	if (yes > 0)
		woken += wake_in(p->b2, &p->key2, p->move, FUTEX_BITSET_ANY);
	unlock_two(p->b1, p->b2);
	err = yes < 0 ? (int)yes : 0;
out:
	futex_key_put(&p->key1);
	futex_key_put(&p->key2);
	return err ? err : woken;
}

/* ---- The system call ---- */

/* FUTEX_WAIT's time-out is relative, that of FUTEX_WAIT_BITSET absolute, on the clock chosen. */
static int read_deadline(struct futex_wait *q, int op, int cmd, uint64_t address)
{
	uint64_t ns, skew;
	int err;

	q->deadline = WAIT_FOREVER;
	if (!address)
		return 0;
	err = timespec_from_user(&ns, address);
	if (err)
		return err;
	if (cmd == FUTEX_WAIT) {
		q->deadline = deadline_after(ns);
		return 0;
	}
	skew = (op & FUTEX_CLOCK_REALTIME) ? wall_ns() - ktime_ns() : 0;
	q->deadline = ns > skew ? ns - skew : 0;
	return 0;
}

long sys_futex(
	long a_address, long a_op, long a_value, long a_timeout, long a_address2, long a_value3)
{
	int op = (int)a_op, cmd = op & ~(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME), err;
	bool shared = !(op & FUTEX_PRIVATE_FLAG);
	uint32_t bitset = (cmd == FUTEX_WAIT_BITSET || cmd == FUTEX_WAKE_BITSET)
				  ? (uint32_t)a_value3
				  : FUTEX_BITSET_ANY;
	struct futex_wait q = {.address = (uint64_t)a_address,
		.value = (uint32_t)a_value,
		.bitset = bitset,
		.shared = shared};
	struct futex_pair p = {.address1 = (uint64_t)a_address,
		.address2 = (uint64_t)a_address2,
		.wake = (unsigned int)a_value,
		.move = (unsigned int)a_timeout,
		.shared = shared,
		.value = (uint32_t)a_value3};

	if ((op & FUTEX_CLOCK_REALTIME) && cmd != FUTEX_WAIT_BITSET && cmd != FUTEX_WAIT)
		return -ENOSYS;
	switch (cmd) {
	case FUTEX_WAIT:
	case FUTEX_WAIT_BITSET:
		err = read_deadline(&q, op, cmd, (uint64_t)a_timeout);
		return err ? err : wait_call(&q);
	case FUTEX_WAKE:
	case FUTEX_WAKE_BITSET:
		return futex_wake((uint64_t)a_address, shared, p.wake, bitset);
	case FUTEX_CMP_REQUEUE:
		p.compare = true;
		return futex_requeue(&p);
	case FUTEX_REQUEUE:
		return futex_requeue(&p);
	case FUTEX_WAKE_OP:
		return futex_wake_op(&p);
	default:
		return -ENOSYS;
	}
}

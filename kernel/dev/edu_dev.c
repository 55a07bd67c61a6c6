// SPDX-License-Identifier: MIT
/*
 * /dev/edu (kernel/eduabi.h): a program's memory for the device, by a mirror of its space or by
 * pages that it pinned, and transfers.
 *
 * edu.lock (mutex) guards who has the device open and what its tables hold; held over calls of the
 * library. edu.turn (mutex) makes transfers follow one another; held over them, and taken before
 * edu.lock. So an address space ends, which takes edu.lock, without waiting for a transfer under
 * way: what that still asks for then faults in the IOMMU.
 *
 * The mm is the opener's, without a reference: device_mm_ends takes it away before it is gone. Who
 * calls what may reclaim memory (which puts references of all mms) holds one meanwhile, and puts it
 * without the lock.
 */
#include "dev.h"

#include <kernel/file.h>
#include <kernel/memory.h>
#include <kernel/mm.h>
#include <kernel/printk.h>
#include <kernel/string.h>
#include <kernel/task.h>
#include <kernel/uaccess.h>

_Static_assert(EDU_BUFFER < PAGE_SIZE, "a transfer touches two pages at most");

struct pin {
	uint64_t address, pa;
};

static struct {
	struct mutex lock;
	bool open;
	_Atomic(struct mm *) mm; /* of the opener; NULL once it has ended. Written under lock */
	struct domain *domain; /* constant while open */
	struct vmt_mirror *mirror; /* NULL: pages are pinned, or the mm has ended */
	bool pinning;
	unsigned int pinned;
	struct pin pins[EDU_PINS];

	struct mutex turn; /* for the rest */
	bool running; /* begun, and its end was not seen yet */
	uint64_t address; /* of the last transfer */
	uint32_t length;
	bool to_memory, denied;
	bool faulted; /* how it ended */
	struct edu_fault fault;
	uint64_t transfers, faults;
	struct edu_fault last_fault;
} edu = { .lock = MUTEX_INIT(edu.lock), .turn = MUTEX_INIT(edu.turn) };

static bool present;

/* ---- Following a program's memory ---- */

static void mirror_issue(void *owner, uint64_t start, uint64_t end, bool tables)
{
	(void)owner;
	vtd_issue(start, end, tables);
}

static bool mirror_wait(void *owner)
{
	(void)owner;
	return vtd_wait();
}

/*
 * Who keeps a translation that allows less than the new one, or that there was none (caching mode),
 * may not look again by itself. Unanswered, what came is not seen: as if it came later.
 */
static void mirror_filled(void *owner, uint64_t start, uint64_t end)
{
	(void)owner;
	vtd_issue(start, end, false);
	vtd_wait();
}

static const struct vmt_mirror_ops mirror_ops = {
	.issue = mirror_issue,
	.wait = mirror_wait,
	.filled = mirror_filled,
};

/*
 * The IOMMU has not answered, and pages or a mirror are to be let go of: the device is cut off, and
 * the IOMMU made to forget everything. domain_join ends that. If it cannot be made to, the device
 * may ask no more.
 */
static void cut_off(void)
{
	if (domain_cut(edu.domain))
		return;
	klog("the VT-d unit does not answer: edu is turned off");
	pci_set_master(edu_function, false);
}

/*
 * Ending a mirror that is lost is to say that nothing of it is remembered; and nothing may be
 * learned of it again before it has gone from the tables.
 */
static void unfollow(void)
{
	bool cut;

	if (!edu.mirror)
		return;
	cut = !vtd_wait();
	if (cut)
		cut_off();
	while (vmt_mirror_destroy(edu.mirror) == VMT_ERR_DEVICE) {
		cut = true;
		cut_off();
	}
	if (cut)
		domain_join(edu.domain);
	edu.mirror = NULL;
}

/* The device cannot fault: what the program can reach has to be there before it asks. */
static int follow(struct mm *mm)
{
	struct vmt_target target;
	struct vmt_mirror_config config = {
		.mode = VMT_MIRROR_EAGER,
		.target = &target,
		.ops = &mirror_ops,
	};
	enum vmt_status s;

	domain_target(edu.domain, &target);
	s = mm_try(vmt_mirror_create(mm->space, &config, &edu.mirror));
	if (s == VMT_ERR_DEVICE) /* it is there, and lost */
		unfollow();
	else if (s != VMT_OK)
		edu.mirror = NULL;
	return mm_errno(s);
}

/*
 * The opener's mm with a reference, or NULL. Under edu.lock, which keeps the structure from going;
 * the last reference may be gone already.
 */
static struct mm *opener_get(void)
{
	/* Relaxed: written under the lock. */
	struct mm *mm = atomic_load_explicit(&edu.mm, memory_order_relaxed);

	return mm && mm_get_live(mm) ? mm : NULL;
}

void device_mm_ends(struct mm *mm)
{
	/*
	 * Relaxed: who opened the device with this mm had a reference then, whose drop has ordered
	 * it before us.
	 */
	if (atomic_load_explicit(&edu.mm, memory_order_relaxed) != mm)
		return;
	mutex_lock(&edu.lock);
	/* It may have been closed, but not opened anew by this mm. */
	if (atomic_load_explicit(&edu.mm, memory_order_relaxed) == mm) {
		unfollow();
		atomic_store_explicit(&edu.mm, NULL, memory_order_relaxed);
	}
	mutex_unlock(&edu.lock);
}

/* ---- Pinned pages ---- */

/* Takes the pages [first, end) from the device. */
static void unmap_pins(unsigned int first, unsigned int end)
{
	bool answered = true;

	for (unsigned int i = first; i < end; i++)
		answered &= domain_unmap(edu.domain, edu.pins[i].address) == VMT_OK;
	if (!answered) {
		cut_off();
		domain_join(edu.domain);
	}
}

/* Lets go of those from `first` on, which the device does not have any more. */
static void unpin_from(unsigned int first)
{
	while (edu.pinned > first)
		vmt_page_unpin(the_vmt, edu.pins[--edu.pinned].pa);
}

static void unpin_all(void)
{
	unmap_pins(0, edu.pinned);
	unpin_from(0);
}

static bool is_pinned(uint64_t address)
{
	for (unsigned int i = 0; i < edu.pinned; i++)
		if (edu.pins[i].address == address)
			return true;
	return false;
}

static int pin_pages(struct mm *mm, const struct edu_range *range)
{
	for (uint64_t at = 0; at < range->length; at += PAGE_SIZE) {
		struct pin *p = &edu.pins[edu.pinned];
		enum vmt_status s;

		if (edu.pinned == EDU_PINS)
			return -ENOSPC;
		if (is_pinned(range->address + at))
			return -EBUSY;
		p->address = range->address + at;
		s = mm_try(vmt_page_pin(mm->space, p->address, VMT_WRITE, &p->pa));
		if (s != VMT_OK)
			return s == VMT_ERR_NO_MEMORY ? -ENOMEM : -EFAULT;
		edu.pinned++;
	}
	return 0;
}

static int map_pins(unsigned int first)
{
	for (unsigned int i = first; i < edu.pinned; i++) {
		if (domain_map(edu.domain, edu.pins[i].address, edu.pins[i].pa) == VMT_OK)
			continue;
		unmap_pins(first, i);
		return -ENOMEM;
	}
	return 0;
}

/* The device keeps what it had unless all of the range comes to it. edu.lock held. */
static int pin_range(struct mm *mm, const struct edu_range *range)
{
	unsigned int first = edu.pinned;
	int err = pin_pages(mm, range);

	if (!err) {
		unfollow();
		err = map_pins(first);
	}
	if (err)
		unpin_from(first);
	else
		edu.pinning = true;
	if (err && !edu.pinning && !edu.mirror)
		(void)follow(mm); /* in vain: EDU_INFO says that it does not */
	return err;
}

static long edu_pin(uint64_t arg)
{
	struct edu_range range;
	struct mm *mm;
	int err;

	if (copy_from_user(&range, arg, sizeof(range)))
		return -EFAULT;
	if (!range.length || !IS_ALIGNED(range.address | range.length, PAGE_SIZE) ||
		!user_range_ok(range.address, range.length))
		return -EINVAL;
	mutex_lock(&edu.lock);
	mm = opener_get();
	err = mm ? pin_range(mm, &range) : -ESRCH;
	mutex_unlock(&edu.lock);
	mm_put(mm);
	return err;
}

static long edu_unpin(void)
{
	struct mm *mm;
	int err = 0;

	mutex_lock(&edu.lock);
	unpin_all();
	edu.pinning = false;
	mm = opener_get();
	if (mm && !edu.mirror)
		err = follow(mm);
	mutex_unlock(&edu.lock);
	mm_put(mm);
	return err;
}

/* ---- Transfers ---- */

/* Writes here are interrupts, which the IOMMU does not translate. */
#define MESSAGES_START 0xfee00000UL
#define MESSAGES_END 0xfef00000UL

static bool transfer_is_valid(const struct edu_transfer *t)
{
	uint64_t end = t->address + t->length;

	if (t->flags & ~(uint32_t)(EDU_POPULATE | EDU_NO_WAIT) || t->reserved)
		return false;
	if (!t->length || t->offset > EDU_BUFFER || t->length > EDU_BUFFER - t->offset)
		return false;
	return end > t->address && (end <= MESSAGES_START || t->address >= MESSAGES_END);
}

/*
 * QEMU 7.2 records no fault where it has kept the translation with fewer permissions than it is
 * asked for; nothing gets through all the same. So a write that could get through neither before
 * nor after is one that faulted.
 */
static bool write_is_denied(uint64_t *denied)
{
	return edu.to_memory && domain_denies(edu.domain, edu.address, edu.length, VMT_WRITE, denied);
}

static void end_seen(void)
{
	uint64_t denied;

	edu.running = false;
	edu.transfers++;
	edu.fault = (struct edu_fault){0};
	edu.faulted = vtd_take_faults(edu_function, &edu.fault);
	if (!edu.faulted && edu.denied && write_is_denied(&denied)) {
		edu.fault = (struct edu_fault){ denied, EDU_DENIED_WRITE, 1 };
		edu.faulted = true;
	}
	if (edu.faulted) {
		edu.faults++;
		edu.last_fault = edu.fault;
	}
}

/* Until the transfer that was begun last has ended. */
static int wait_end(void)
{
	int err = edu.running ? edu_wait_idle(WAIT_INTERRUPTIBLE) : 0;

	if (edu.running && !err)
		end_seen();
	return err == -ERESTARTSYS ? -EINTR : err;
}

/* What an eager mirror could not enter for want of memory is tried again before it is missed. */
static void catch_up(void)
{
	struct vmt_mirror_counts counts = {0};
	struct mm *mm;

	mutex_lock(&edu.lock);
	mm = opener_get();
	if (mm && edu.mirror)
		vmt_mirror_stats(edu.mirror, &counts);
	if (counts.behind)
		(void)mm_try(vmt_mirror_sync(edu.mirror, 0, USER_END));
	mutex_unlock(&edu.lock);
	mm_put(mm);
}

/* Faults the pages in. -EFAULT: the program could not access one either, see edu.fault. */
static int populate(const struct edu_transfer *t, bool to_memory)
{
	enum vmt_status s = VMT_OK;
	uint64_t done = 0;
	struct mm *mm;

	mutex_lock(&edu.lock);
	mm = opener_get();
	if (mm && edu.mirror)
		s = mm_try(vmt_mirror_fault(edu.mirror, t->address, t->length,
			to_memory ? VMT_WRITE : VMT_READ, &done));
	mutex_unlock(&edu.lock);
	mm_put(mm);
	if (s == VMT_OK || s == VMT_ERR_OUTSIDE) /* about no program's addresses the IOMMU decides */
		return 0;
	if (s == VMT_ERR_NO_MEMORY || s == VMT_ERR_LIMIT || s == VMT_ERR_RETRY)
		return -ENOMEM;
	if (s == VMT_ERR_DEVICE)
		return -EIO;
	edu.fault = (struct edu_fault){ (t->address + done) & PAGE_MASK, 0, to_memory };
	edu.faulted = true;
	return -EFAULT;
}

static int begin(const struct edu_transfer *t, bool to_memory)
{
	int err = t->flags & EDU_POPULATE ? populate(t, to_memory) : 0;

	if (err)
		return err;
	catch_up();
	edu.address = t->address;
	edu.length = t->length;
	edu.to_memory = to_memory;
	edu.denied = write_is_denied(&(uint64_t){0});
	edu.running = true;
	edu_begin(t->address, t->offset, t->length, to_memory);
	return 0;
}

static long edu_transfer(uint64_t arg, bool to_memory)
{
	struct edu_transfer t;
	int err;

	if (copy_from_user(&t, arg, sizeof(t)))
		return -EFAULT;
	if (!transfer_is_valid(&t))
		return -EINVAL;
	err = mutex_lock_interruptible(&edu.turn);
	if (err)
		return err;
	err = wait_end();
	if (!err)
		err = begin(&t, to_memory);
	if (!err && !(t.flags & EDU_NO_WAIT)) {
		err = wait_end();
		if (!err && edu.faulted)
			err = -EFAULT;
	}
	t.fault = err == -EFAULT ? edu.fault : (struct edu_fault){0};
	mutex_unlock(&edu.turn);
	if (copy_to_user(arg, &t, sizeof(t)))
		return -EFAULT;
	return err;
}

static long edu_wait(uint64_t arg)
{
	struct edu_fault fault;
	int err = mutex_lock_interruptible(&edu.turn);

	if (err)
		return err;
	err = wait_end();
	if (!err && edu.faulted)
		err = -EFAULT;
	fault = edu.fault;
	mutex_unlock(&edu.turn);
	return (!err || err == -EFAULT) && copy_to_user(arg, &fault, sizeof(fault)) ? -EFAULT : err;
}

/* ---- The rest of the file ---- */

static long edu_info(uint64_t arg)
{
	struct vmt_mirror_counts counts = {0};
	struct edu_info info = {
		.registers = vtd_state.registers,
		.from_acpi = vtd_state.from_acpi,
		.coherent = vtd_state.coherent,
		.caching = vtd_state.caching,
		.tables = domain_tables(edu.domain),
	};
	int err = mutex_lock_interruptible(&edu.turn);

	if (err)
		return err;
	info.transfers = edu.transfers;
	info.faults = edu.faults;
	info.last = edu.last_fault;
	mutex_unlock(&edu.turn);
	mutex_lock(&edu.lock);
	if (edu.mirror)
		vmt_mirror_stats(edu.mirror, &counts);
	info.following = edu.mirror != NULL;
	info.pinned = edu.pinned;
	mutex_unlock(&edu.lock);
	info.behind = counts.behind;
	info.lost = counts.lost;
	info.entered = counts.entered;
	info.invalidations = counts.invalidations;
	return copy_to_user(arg, &info, sizeof(info));
}

static long edu_ioctl(struct file *f, unsigned int request, uint64_t arg)
{
	(void)f;
	switch (request) {
	case EDU_TO_DEVICE:
		return edu_transfer(arg, false);
	case EDU_FROM_DEVICE:
		return edu_transfer(arg, true);
	case EDU_WAIT:
		return edu_wait(arg);
	case EDU_PIN:
		return edu_pin(arg);
	case EDU_UNPIN:
		return edu_unpin();
	case EDU_INFO:
		return edu_info(arg);
	case EDU_JAM:
		vtd_jam();
		return 0;
	default:
		return -ENOTTY;
	}
}

/* ---- Opening and closing ---- */

static int attach(struct mm *mm)
{
	struct edu_fault old;
	int err = edu_wait_idle(WAIT_INTERRUPTIBLE); /* what the last user has begun */

	if (err)
		return err;
	vtd_take_faults(edu_function, &old);
	err = domain_create(edu_function, &edu.domain);
	if (err)
		return err;
	err = follow(mm);
	if (err) {
		domain_destroy(edu.domain);
		return err;
	}
	edu.running = edu.faulted = edu.pinning = false;
	edu.transfers = edu.faults = 0;
	edu.fault = edu.last_fault = (struct edu_fault){0};
	/* Relaxed: under the lock. */
	atomic_store_explicit(&edu.mm, mm, memory_order_relaxed);
	edu.open = true;
	pci_set_master(edu_function, true);
	return 0;
}

/* The device is kept from asking before its tables go. */
static void edu_release(struct file *f)
{
	(void)f;
	mutex_lock(&edu.lock);
	pci_set_master(edu_function, false);
	unfollow();
	unpin_all();
	domain_destroy(edu.domain);
	atomic_store_explicit(&edu.mm, NULL, memory_order_relaxed);
	edu.open = false;
	mutex_unlock(&edu.lock);
}

static const struct file_ops edu_ops = {
	.ioctl = edu_ioctl,
	.release = edu_release,
};

static int edu_open(struct inode *inode, struct file *f)
{
	int err;

	(void)inode;
	if (!present)
		return -ENXIO;
	err = mutex_lock_interruptible(&edu.lock);
	if (err)
		return err;
	err = edu.open ? -EBUSY : attach(current()->mm);
	mutex_unlock(&edu.lock);
	f->ops = &edu_ops;
	return err;
}

const struct inode_ops edu_inode_ops = { .open = edu_open };

bool edu_present(void)
{
	return present;
}

void devices_init(void)
{
	present = edu_start() && vtd_start();
}

// SPDX-License-Identifier: MIT
// Changes while a transfer runs: one at a time, between its start and its end, and many, by another thread. See dma.h.
#include "dma.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS 16 // transfers in each of the races with a thread

// ---- One change --------------------------------------------------------------------------------------------------

// Begins to move the device's buffer, full of `byte`, to the page, or the page to the buffer. The IOMMU has kept the
// page's translation by then, so that it has to be told of what happens.
static bool begin(unsigned request, void *page, int byte)
{
	to_device(page, 0, 1);
	buffer_fill(byte);
	return !transfer(request, page, 0, EDU_BUFFER, EDU_NO_WAIT);
}

static void unmapped(void)
{
	unsigned char *memory = pages_new(1, 'a'), *foreign;

	check("begin to write", begin(EDU_FROM_DEVICE, memory, 'b'));
	munmap(memory, PAGE);
	foreign = foreign_new(FOREIGN_PAGES);
	check("unmapped while it is written", transfer_end() == EFAULT && fault.address == (uintptr_t)memory);
	check("whoever has it now", foreign_end(foreign, FOREIGN_PAGES));

	pages_at(memory, 1);
	memset(memory, 'c', PAGE);
	check("begin to read", begin(EDU_TO_DEVICE, memory, 'd'));
	munmap(memory, PAGE);
	foreign = foreign_new(FOREIGN_PAGES);
	check("unmapped while it is read", transfer_end() == EFAULT);
	check("nothing foreign was read", memchr(buffer(), FOREIGN, EDU_BUFFER) == NULL);
	check("nor written", foreign_end(foreign, FOREIGN_PAGES));
}

static void replaced(void)
{
	unsigned char *memory = pages_new(1, 'e'), *foreign;

	check("begin to write", begin(EDU_FROM_DEVICE, memory, 'f'));
	pages_at(memory, 1);
	memset(memory, 'g', PAGE);
	foreign = foreign_new(FOREIGN_PAGES);
	check("replaced while it is written", !transfer_end() && full_of(memory, EDU_BUFFER, 'f'));
	check("and not what was there", foreign_end(foreign, FOREIGN_PAGES));
	memset(memory, 'h', PAGE);
	check("begin to read", begin(EDU_TO_DEVICE, memory, 'i'));
	pages_at(memory, 1);
	memset(memory, 'j', PAGE);
	check("replaced while it is read", !transfer_end() && full_of(buffer(), EDU_BUFFER, 'j'));
	munmap(memory, PAGE);
}

static void moved(void)
{
	unsigned char *memory = pages_new(1, 'k'), *there = pages_new(1, 'l');

	check("begin to write", begin(EDU_FROM_DEVICE, memory, 'm'));
	mremap(memory, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, there);
	check("moved while it is written", transfer_end() == EFAULT && full_of(there, PAGE, 'k'));
	check("begin again", begin(EDU_FROM_DEVICE, memory, 'n'));
	mremap(there, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, memory);
	check("moved to where it is written", !transfer_end() && full_of(memory, EDU_BUFFER, 'n'));
	munmap(memory, PAGE);
}

static void restricted(void)
{
	unsigned char *memory = pages_new(1, 'o'), *foreign;

	check("begin to write", begin(EDU_FROM_DEVICE, memory, 'p'));
	mprotect(memory, PAGE, PROT_READ);
	check("read-only while it is written", transfer_end() == EFAULT && full_of(memory, PAGE, 'o'));
	mprotect(memory, PAGE, READ_WRITE);
	memset(memory, 'q', PAGE);
	check("begin to write", begin(EDU_FROM_DEVICE, memory, 'r'));
	madvise(memory, PAGE, MADV_DONTNEED);
	foreign = foreign_new(FOREIGN_PAGES);
	check("released while it is written", transfer_end() == EFAULT && full_of(memory, PAGE, 0));
	check("whoever has it now", foreign_end(foreign, FOREIGN_PAGES));
	munmap(memory, PAGE);
}

static void forked(void)
{
	unsigned char *memory = pages_new(1, 's');
	int status;

	check("begin to write", begin(EDU_FROM_DEVICE, memory, 't'));
	pid_t pid = fork();
	if (pid == 0) {
		usleep(200000); // longer than a transfer takes
		_exit(!full_of(memory, PAGE, 's'));
	}
	check("forked while it is written", transfer_end() == EFAULT && full_of(memory, PAGE, 's'));
	memset(memory, 'u', PAGE);
	check("begin to write the copy", begin(EDU_FROM_DEVICE, memory, 'v'));
	check("the parent's copy", !transfer_end() && full_of(memory, EDU_BUFFER, 'v'));
	check("the child's page", waitpid(pid, &status, 0) == pid && !status);

	memset(memory, 'w', PAGE);
	check("begin to write", begin(EDU_FROM_DEVICE, memory, 'x'));
	pid = fork();
	memset(memory, pid ? 'y' : 'z', PAGE);
	if (pid == 0) {
		usleep(200000);
		_exit(!full_of(memory, PAGE, 'z'));
	}
	check("copied while it is written", !transfer_end() && full_of(memory, EDU_BUFFER, 'x'));
	check("the child's copy", waitpid(pid, &status, 0) == pid && !status);
	munmap(memory, PAGE);
}

// ---- Many changes ------------------------------------------------------------------------------------------------

// What a thread does to one page again and again, until it is told to stop. The page is full of OWN (or zeroes, or
// what the device writes) whenever it is there.
#define OWN 0x0e

static atomic_bool over, harmed;
static unsigned char *target;

// Takes what was given back last, has it for a moment, and looks whether somebody was there.
static void use_foreign(void)
{
	unsigned char *page = foreign_new(1);

	usleep(300);
	if (!foreign_end(page, 1))
		atomic_store_explicit(&harmed, true, memory_order_relaxed);
}

static void remap(void)
{
	munmap(target, PAGE);
	use_foreign();
	pages_at(target, 1);
	memset(target, OWN, PAGE);
	usleep(300);
}

static void drop(void)
{
	madvise(target, PAGE, MADV_DONTNEED);
	use_foreign();
	memset(target, OWN, PAGE);
	usleep(300);
}

static void move(void)
{
	unsigned char *there = pages_new(1, FOREIGN);

	mremap(target, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, there);
	use_foreign();
	pages_at(target, 1);
	mremap(there, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, target);
	usleep(300);
}

static void protect(void)
{
	mprotect(target, PAGE, PROT_NONE);
	use_foreign();
	mprotect(target, PAGE, READ_WRITE);
	memset(target, OWN, PAGE);
	usleep(300);
}

static void divide(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		memset(target, FOREIGN, PAGE);
		usleep(300);
		_exit(!full_of(target, PAGE, FOREIGN));
	}
	memset(target, OWN, PAGE);
	int status;
	if (waitpid(pid, &status, 0) != pid || status)
		atomic_store_explicit(&harmed, true, memory_order_relaxed);
}

static void *change(void *act)
{
	void (*const *change_once)(void) = act;

	while (!atomic_load_explicit(&over, memory_order_relaxed))
		(*change_once)();
	return NULL;
}

// Every transfer either faults or moved bytes that belong there.
static bool transfers(bool may_fault)
{
	bool good = true;

	for (int round = 0; round < ROUNDS && good; round++) {
		int error;

		if (round % 2) {
			error = from_device(target, 0, EDU_BUFFER); // what was read there before
		} else {
			error = to_device(target, 0, EDU_BUFFER);
			// Read back through a page that nothing happens to.
			good = error || memchr(buffer(), FOREIGN, EDU_BUFFER) == NULL;
		}
		good = good && (!error || (may_fault && error == EFAULT && fault.address == (uintptr_t)target));
	}
	return good;
}

static void against(const char *name, void (*act)(void), bool may_fault)
{
	pthread_t thread;

	atomic_store_explicit(&over, false, memory_order_relaxed);
	atomic_store_explicit(&harmed, false, memory_order_relaxed);
	buffer_fill(OWN);
	if (pthread_create(&thread, NULL, change, &act))
		return check("a thread", false);
	bool good = transfers(may_fault);
	atomic_store_explicit(&over, true, memory_order_relaxed);
	pthread_join(thread, NULL);
	check(name, good && !atomic_load_explicit(&harmed, memory_order_relaxed));
}

void cases_races(void)
{
	device_open();
	unmapped();
	replaced();
	moved();
	restricted();
	forked();

	target = pages_new(1, OWN);
	against("a thread that unmaps and maps", remap, true);
	against("a thread that releases", drop, true);
	against("a thread that moves", move, true);
	against("a thread that protects", protect, true);
	// While another thread forks, also the page that the buffer is filled through is away for moments: so it is
	// pinned, and then all has to get through.
	check("pin", !pin(target, 1) && !pin(bounce, 1));
	against("a thread that forks, and pinned pages", divide, false);
	unpin();
	check("afterwards", full_of(target, PAGE, OWN));
	munmap(target, PAGE);
	device_close();
}

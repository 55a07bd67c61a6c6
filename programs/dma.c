// SPDX-License-Identifier: MIT
// Transfers of a device, and a program that changes its own memory between them. See dma.h.
#include "dma.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE  103
#endif

#define HUGE	      (2ul << 20)
#define MIDDLE	      512 // where in a page most transfers are

int device = -1;
struct edu_fault fault;
static int good_cases, bad_cases;
unsigned char *bounce;
static void *reserved; // for foreign_new

void check(const char *name, bool good)
{
	if (good) {
		good_cases++;
		return;
	}
	bad_cases++;
	printf("FAILED  %s (the last fault: at %#lx, reason %u, %s)\n", name, (unsigned long)fault.address,
	       fault.reason, fault.write ? "a write" : "a read");
}

// ---- The device --------------------------------------------------------------------------------------------------

void device_open(void)
{
	device = open(EDU_PATH, O_RDWR);
	if (device < 0) {
		perror(EDU_PATH);
		exit(1);
	}
}

void device_close(void)
{
	close(device);
	device = -1;
}

int transfer(unsigned request, const void *at, unsigned offset, unsigned length, unsigned flags)
{
	struct edu_transfer what = {
		.address = (uintptr_t)at, .offset = offset, .length = length, .flags = flags,
	};
	int error = ioctl(device, request, &what) ? errno : 0;

	fault = what.fault;
	return error;
}

int to_device(const void *from, unsigned offset, unsigned length)
{
	return transfer(EDU_TO_DEVICE, from, offset, length, 0);
}

int from_device(void *to, unsigned offset, unsigned length)
{
	return transfer(EDU_FROM_DEVICE, to, offset, length, 0);
}

int transfer_end(void)
{
	return ioctl(device, EDU_WAIT, &fault) ? errno : 0;
}

// Written again each time, so that it is there and may be written, also after a fork.
void buffer_fill(int byte)
{
	memset(bounce, byte, PAGE);
	if (to_device(bounce, 0, EDU_BUFFER)) {
		puts("the device cannot be filled");
		exit(1);
	}
}

const unsigned char *buffer(void)
{
	memset(bounce, 0x99, PAGE);
	if (from_device(bounce, 0, EDU_BUFFER)) {
		puts("the device's buffer cannot be read");
		exit(1);
	}
	return bounce;
}

bool full_of(const void *at, size_t bytes, int byte)
{
	const unsigned char *first = at;

	return first[0] == (unsigned char)byte && !memcmp(first, first + 1, bytes - 1);
}

static bool fault_is(const void *page, bool write)
{
	return fault.address == (uintptr_t)page && fault.write == write &&
	       fault.reason == (write ? EDU_DENIED_WRITE : EDU_DENIED_READ);
}

// The byte that the page is full of is read by the device.
static bool is_read(const void *page, int byte)
{
	buffer_fill(~byte);
	return !to_device((const char *)page + MIDDLE, 0, PIECE) && full_of(buffer(), PIECE, byte);
}

static bool is_written(void *page, int byte)
{
	unsigned char *at = page;

	buffer_fill(~byte);
	if (from_device(at + MIDDLE, 0, PIECE) || !full_of(at + MIDDLE, PIECE, ~byte))
		return false;
	memset(at + MIDDLE, byte, PIECE);
	return full_of(at, PAGE, byte);
}

bool reaches(void *page, int byte)
{
	return is_read(page, byte) && is_written(page, byte);
}

static bool write_faults(const void *page)
{
	return from_device((char *)page + MIDDLE, 0, PIECE) == EFAULT && fault_is(page, true);
}

bool faults(const void *page)
{
	buffer_fill(0x77);
	if (!write_faults(page))
		return false;
	if (to_device((const char *)page + MIDDLE, 0, PIECE) != EFAULT || !fault_is(page, false))
		return false;
	// What it had, or what a bus says that nobody answers on.
	return full_of(buffer(), PIECE, 0x77) || full_of(bounce, PIECE, 0) || full_of(bounce, PIECE, 0xff);
}

bool only_reads(void *page, int byte)
{
	return write_faults(page) && is_read(page, byte) && write_faults(page) && full_of(page, PAGE, byte);
}

// ---- Memory ------------------------------------------------------------------------------------------------------

static void *must(void *at)
{
	if (at == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	return at;
}

unsigned char *pages_new(size_t pages, int byte)
{
	void *memory = must(mmap(NULL, pages * PAGE, READ_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));

	return memset(memory, byte, pages * PAGE);
}

unsigned char *pages_at(void *at, size_t pages)
{
	return must(mmap(at, pages * PAGE, READ_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
}

unsigned char *foreign_new(size_t pages)
{
	return memset(pages_at(reserved, pages), FOREIGN, pages * PAGE);
}

bool foreign_end(unsigned char *foreign, size_t pages)
{
	bool good = full_of(foreign, pages * PAGE, FOREIGN);

	must(mmap(foreign, pages * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	return good;
}

// ---- What is there -----------------------------------------------------------------------------------------------

static void plain(void)
{
	unsigned char *memory = pages_new(3, 0);
	static const unsigned starts[] = {0, 1, 7, MIDDLE, PAGE - 1, PAGE - PIECE / 2};

	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
		unsigned char *at = memory + starts[i], *back = memory + 2 * PAGE;

		for (unsigned byte = 0; byte < PIECE; byte++)
			at[byte] = (unsigned char)(byte + i);
		check("to the device", !to_device(at, 100 + (unsigned)i, PIECE));
		check("and back", !from_device(back, 100 + (unsigned)i, PIECE) && !memcmp(at, back, PIECE));
		memset(memory, 0, 3 * PAGE);
	}
	for (unsigned i = 0; i < EDU_BUFFER; i++)
		memory[i] = (unsigned char)(i * i >> 3);
	check("all of the buffer", !to_device(memory, 0, EDU_BUFFER));
	check("all of it back", !from_device(memory + PAGE + 1, 0, EDU_BUFFER) &&
					!memcmp(memory, memory + PAGE + 1, EDU_BUFFER) && !memory[PAGE] &&
					!memory[2 * PAGE]);
	munmap(memory, 3 * PAGE);
}

static void arguments(void)
{
	static const unsigned char byte = 1;
	struct edu_info info;

	check("a second opener", open(EDU_PATH, O_RDWR) < 0 && errno == EBUSY);
	check("no bytes", to_device(&byte, 0, 0) == EINVAL);
	check("behind the buffer", to_device(&byte, EDU_BUFFER, 1) == EINVAL);
	check("over its end", to_device(&byte, EDU_BUFFER - 1, 2) == EINVAL);
	check("a very large offset", to_device(&byte, ~0u, 1) == EINVAL);
	check("a very large length", to_device(&byte, 1, ~0u) == EINVAL);
	check("a flag that is none", transfer(EDU_TO_DEVICE, &byte, 0, 1, 1u << 7) == EINVAL);
	check("around the end of all addresses", to_device((void *)(UINTPTR_MAX - 3), 0, 8) == EINVAL);
	check("where interrupts are sent", from_device((void *)0xfee00000, 0, 4) == EINVAL);
	check("one byte before", from_device((void *)0xfedfffff, 0, 2) == EINVAL);
	check("no address of programs", to_device((void *)0xffff800000000000, 0, 4) == EFAULT);
	check("the null page", to_device(NULL, 0, 4) == EFAULT && !fault.address);
	check("no such request", ioctl(device, EDU_INFO + 1, &info) && errno == ENOTTY);
	check("nowhere to answer", ioctl(device, EDU_INFO, 1) && errno == EFAULT);
	check("nothing to read the request from", ioctl(device, EDU_TO_DEVICE, NULL) && errno == EFAULT);
	check("information", !ioctl(device, EDU_INFO, &info) && info.following && !info.lost && !info.behind &&
				     info.transfers > info.faults && info.faults == 2 && info.tables > 1);
}

static void not_touched(void)
{
	unsigned char *memory = must(mmap(NULL, 4 * PAGE, READ_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));

	check("not touched", faults(memory));
	check("read by the program", !*(volatile unsigned char *)memory && only_reads(memory, 0));
	memset(memory, 5, PAGE);
	check("written by the program", reaches(memory, 5));
	check("faulted in to be read", !transfer(EDU_TO_DEVICE, memory + PAGE, 0, PIECE, EDU_POPULATE) &&
					       full_of(buffer(), PIECE, 0));
	buffer_fill(6);
	check("faulted in to be written", !transfer(EDU_FROM_DEVICE, memory + 2 * PAGE - 8, 0, 16, EDU_POPULATE) &&
						  full_of(memory + 2 * PAGE - 8, 16, 6));
	mprotect(memory + 3 * PAGE, PAGE, PROT_READ);
	check("not allowed to be faulted in",
	      transfer(EDU_FROM_DEVICE, memory + 3 * PAGE - 8, 0, 16, EDU_POPULATE) == EFAULT &&
		      fault.address == (uintptr_t)memory + 3 * PAGE && !fault.reason);
	munmap(memory, 4 * PAGE);
	check("not there to be faulted in",
	      transfer(EDU_TO_DEVICE, memory, 0, 1, EDU_POPULATE) == EFAULT && !fault.reason);
}

// ---- What becomes of it ------------------------------------------------------------------------------------------

static void unmapped(void)
{
	unsigned char *memory = pages_new(3, 'a');
	unsigned char *foreign;

	check("before", reaches(memory + PAGE, 'a'));
	munmap(memory + PAGE, PAGE);
	foreign = foreign_new(FOREIGN_PAGES);
	check("unmapped", faults(memory + PAGE));
	check("its neighbours", reaches(memory, 'a') && reaches(memory + 2 * PAGE, 'a'));
	buffer_fill('b');
	check("over its edge",
	      from_device(memory + PAGE - 8, 0, 16) == EFAULT && fault.address == (uintptr_t)memory + PAGE);
	check("whoever has its memory now", foreign_end(foreign, FOREIGN_PAGES));
	pages_at(memory + PAGE, 1);
	check("mapped again", faults(memory + PAGE));
	memset(memory + PAGE, 'c', PAGE);
	check("and written", reaches(memory + PAGE, 'c'));
	munmap(memory, 3 * PAGE);
}

static void replaced(void)
{
	unsigned char *memory = pages_new(1, 'd'), *foreign;

	check("before", reaches(memory, 'd'));
	pages_at(memory, 1);
	foreign = foreign_new(FOREIGN_PAGES);
	check("mapped over", faults(memory));
	memset(memory, 'e', PAGE);
	check("the new page", reaches(memory, 'e'));
	check("and not the old one", foreign_end(foreign, FOREIGN_PAGES));
	munmap(memory, PAGE);
}

static void moved(void)
{
	unsigned char *memory = pages_new(2, 'f'), *there = pages_new(4, 'g'), *foreign;

	check("before", reaches(memory, 'f') && reaches(there, 'g'));
	check("a move", mremap(memory, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, there) == there);
	foreign = foreign_new(FOREIGN_PAGES);
	check("where it was", faults(memory));
	check("where it is", reaches(there, 'f'));
	check("beside", reaches(memory + PAGE, 'f') && reaches(there + PAGE, 'g'));
	check("the page that had been there", foreign_end(foreign, FOREIGN_PAGES));
	check("shrunk", mremap(there, 4 * PAGE, PAGE, 0) == MAP_FAILED || faults(there + PAGE));
	munmap(memory + PAGE, PAGE);
	munmap(there, 4 * PAGE);
}

static void protected(void)
{
	unsigned char *memory = pages_new(2, 'h');

	check("before", reaches(memory, 'h'));
	mprotect(memory, PAGE, PROT_READ);
	check("PROT_READ", only_reads(memory, 'h'));
	mprotect(memory, PAGE, PROT_NONE);
	check("PROT_NONE", faults(memory));
	mprotect(memory, PAGE, PROT_READ);
	check("PROT_READ again", only_reads(memory, 'h'));
	mprotect(memory, PAGE, READ_WRITE);
	memset(memory, 'i', PAGE);
	check("all allowed again", reaches(memory, 'i') && reaches(memory + PAGE, 'h'));
	munmap(memory, 2 * PAGE);
}

static void released(void)
{
	unsigned char *memory = pages_new(2, 'j'), *foreign;

	check("before", reaches(memory, 'j'));
	madvise(memory, PAGE, MADV_DONTNEED);
	foreign = foreign_new(FOREIGN_PAGES);
	check("released", faults(memory) && reaches(memory + PAGE, 'j'));
	check("a page of zeroes", !*(volatile unsigned char *)memory && only_reads(memory, 0));
	memset(memory, 'k', PAGE);
	check("a new page", reaches(memory, 'k'));
	check("whoever has the old one", foreign_end(foreign, FOREIGN_PAGES));
	madvise(memory, PAGE, MADV_FREE);
	buffer_fill('l');
	check("lazily freed, and written by the device", !from_device(memory, 0, EDU_BUFFER) && memory[9] == 'l');
	munmap(memory, 2 * PAGE);
}

static void guarded(void)
{
	unsigned char *memory = pages_new(3, 'm'), *foreign;

	check("before", reaches(memory + PAGE, 'm'));
	check("a guard", !madvise(memory + PAGE, PAGE, MADV_GUARD_INSTALL));
	foreign = foreign_new(FOREIGN_PAGES);
	check("guarded", faults(memory + PAGE));
	check("not to be faulted in",
	      transfer(EDU_TO_DEVICE, memory + PAGE, 0, 1, EDU_POPULATE) == EFAULT && !fault.reason);
	check("beside", reaches(memory, 'm') && reaches(memory + 2 * PAGE, 'm'));
	check("whoever has the page now", foreign_end(foreign, FOREIGN_PAGES));
	madvise(memory + PAGE, PAGE, MADV_GUARD_REMOVE);
	memset(memory + PAGE, 'n', PAGE);
	check("no guard any more", reaches(memory + PAGE, 'n'));
	munmap(memory, 3 * PAGE);
}

static void huge(void)
{
	unsigned char *space = must(mmap(NULL, 2 * HUGE, READ_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	unsigned char *memory = space + (-(uintptr_t)space & (HUGE - 1)), *foreign;

	check("advice", !madvise(memory, HUGE, MADV_HUGEPAGE));
	memset(memory, 'o', HUGE);
	check("a huge page",
	      reaches(memory, 'o') && reaches(memory + HUGE - PAGE, 'o') && reaches(memory + 77 * PAGE, 'o'));
	munmap(memory + 77 * PAGE, PAGE);
	foreign = foreign_new(FOREIGN_PAGES);
	check("a part of it unmapped", faults(memory + 77 * PAGE));
	check("the rest of it",
	      reaches(memory + 76 * PAGE, 'o') && reaches(memory + 78 * PAGE, 'o') && reaches(memory, 'o'));
	mprotect(memory, 8 * PAGE, PROT_READ);
	check("a part of it read-only", only_reads(memory + 7 * PAGE, 'o') && reaches(memory + 8 * PAGE, 'o'));
	check("whoever has that part now", foreign_end(foreign, FOREIGN_PAGES));
	munmap(space, 2 * HUGE);
	check("all of it unmapped", faults(memory) && faults(memory + 8 * PAGE));
}

static void collapsed(void)
{
	unsigned char *space = must(mmap(NULL, 2 * HUGE, READ_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	unsigned char *memory = space + (-(uintptr_t)space & (HUGE - 1)), *foreign;

	memset(memory, 'p', HUGE);
	check("small pages", reaches(memory, 'p') && reaches(memory + 99 * PAGE, 'p'));
	check("made one", !madvise(memory, HUGE, 25 /* MADV_COLLAPSE */));
	foreign = foreign_new(FOREIGN_PAGES);
	check("the huge page",
	      reaches(memory, 'p') && reaches(memory + 99 * PAGE, 'p') && reaches(memory + HUGE - PAGE, 'p'));
	check("whoever has the small ones now", foreign_end(foreign, FOREIGN_PAGES));
	munmap(space, 2 * HUGE);
}

static void of_a_file(void)
{
	int file = memfd_create("dma", 0);
	unsigned char *one, *other, *copy, *foreign;

	if (file < 0 || ftruncate(file, 2 * PAGE))
		return check("a file", false);
	one = must(mmap(NULL, 2 * PAGE, READ_WRITE, MAP_SHARED, file, 0));
	other = must(mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, file, 0));
	copy = must(mmap(NULL, 2 * PAGE, READ_WRITE, MAP_PRIVATE, file, 0));
	memset(one, 'q', 2 * PAGE);
	check("a file", reaches(one, 'q') && reaches(one + PAGE, 'q'));
	buffer_fill('r');
	check("its other mapping", !from_device(one, 0, 9) && other[8] == 'r' && other[9] == 'q' && copy[8] == 'r');
	memset(one, 'q', 9);
	check("that may not be written", only_reads(other, 'q'));
	check("a private one", copy[0] == 'q' && only_reads(copy, 'q'));
	memset(copy, 's', PAGE);
	check("and its copy", reaches(copy, 's') && full_of(one, PAGE, 'q'));
	check("cut", !ftruncate(file, PAGE));
	foreign = foreign_new(FOREIGN_PAGES);
	check("behind its end", faults(one + PAGE) && faults(other + PAGE));
	check("before it", reaches(one, 'q'));
	check("whoever has what was cut off", foreign_end(foreign, FOREIGN_PAGES));
	munmap(one, 2 * PAGE);
	munmap(other, 2 * PAGE);
	munmap(copy, 2 * PAGE);
	close(file);
}

// ---- Pinned ------------------------------------------------------------------------------------------------------

int pin(void *at, size_t pages)
{
	struct edu_range range = {(uintptr_t)at, pages * PAGE};

	return ioctl(device, EDU_PIN, &range) ? errno : 0;
}

void unpin(void)
{
	if (ioctl(device, EDU_UNPIN)) {
		perror("unpin");
		exit(1);
	}
}

static void pinned(void)
{
	unsigned char *memory = pages_new(3, 't'), *foreign;

	check("pin nothing", pin(memory, 0) == EINVAL);
	check("pin what is not there", pin((void *)PAGE, 1) == EFAULT);
	check("pin too much", pin(memory, EDU_PINS + 1) == EFAULT && reaches(memory, 't'));
	// From here on the device has these pages alone: also what fills its buffer.
	check("pin", !pin(memory, 2) && !pin(bounce, 1) && pin(memory + PAGE, 2) == EBUSY);
	check("pinned", reaches(memory, 't') && reaches(memory + PAGE, 't'));
	check("and nothing else", faults(memory + 2 * PAGE));
	munmap(memory, PAGE);
	foreign = foreign_new(FOREIGN_PAGES);
	buffer_fill('u');
	check("unmapped, and still the device's", !from_device(memory, 0, PIECE));
	buffer_fill('v');
	check("it finds there what it wrote", !to_device(memory, 0, PIECE) && full_of(buffer(), PIECE, 'u'));
	check("which is nobody else's", foreign_end(foreign, FOREIGN_PAGES));
	unpin();
	check("unpinned: unmapped", faults(memory));
	check("unpinned: mapped", reaches(memory + PAGE, 't') && reaches(memory + 2 * PAGE, 't'));
	munmap(memory + PAGE, 2 * PAGE);
}

static void cases_memory(void)
{
	device_open();
	plain();
	arguments();
	not_touched();
	unmapped();
	replaced();
	moved();
	protected();
	released();
	guarded();
	huge();
	collapsed();
	of_a_file();
	pinned();
	device_close();
}

// Is this part asked for? Without a word all are.
static bool wanted(char **argv, const char *part)
{
	return !argv[1] || !strcmp(argv[1], part);
}

int main(int argc, char **argv)
{

	setvbuf(stdout, NULL, _IOLBF, 0);
	bounce = pages_new(1, 0);
	reserved = must(mmap(NULL, FOREIGN_PAGES * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	if (argc == 3 && !strcmp(argv[1], "exec"))
		return !case_after_exec(atoi(argv[2]));
	if (access(EDU_PATH, F_OK)) {
		puts("there is no device");
		return 77;
	}
	if (wanted(argv, "memory"))
		cases_memory();
	if (wanted(argv, "races"))
		cases_races();
	if (wanted(argv, "shared"))
		cases_shared();
	printf("%d passed, %d failed\n", good_cases, bad_cases);
	return bad_cases || !good_cases;
}

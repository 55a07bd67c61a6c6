// SPDX-License-Identifier: MIT
// The program `dma`: a device reads and writes this program's memory (kernel/eduabi.h) while the program changes what
// is where. Whatever a transfer cannot reach it must not reach, and say so; what it can reach must be the right bytes.
//
//	dma.c		counting, transfers, and what a program does to its own memory
//	dma_shared.c	other processes
//	dma_races.c	changes while a transfer runs
#ifndef PROGRAMS_DMA_H
#define PROGRAMS_DMA_H

#include <kernel/eduabi.h>
#include <stdbool.h>
#include <stddef.h>

#define PAGE	   4096ul
#define READ_WRITE (PROT_READ | PROT_WRITE)
#define PIECE	   64 // bytes of most transfers

// Counts a case, and prints its name where it failed.
void check(const char *name, bool good);

// The device. Fails the program if it cannot be opened.
void device_open(void);
void device_close(void);
extern int device;

// One transfer. 0 or the error; where that is EFAULT, `fault` is what the IOMMU said.
int to_device(const void *from, unsigned offset, unsigned length);
int from_device(void *to, unsigned offset, unsigned length);
int transfer(unsigned request, const void *at, unsigned offset, unsigned length, unsigned flags);
int transfer_end(void); // of one with EDU_NO_WAIT
extern struct edu_fault fault;

// Lets the device have these pages and no others but what was pinned before. 0 or the error.
int pin(void *at, size_t pages);
void unpin(void);

// The device's buffer, which is filled and read through a page of this program: filled with a byte; and what it holds,
// valid until the next call.
void buffer_fill(int byte);
const unsigned char *buffer(void);
extern unsigned char *bounce; // that page

// Both directions, a few bytes in the middle of the page: the bytes that are there go to the device, and others come
// back. `byte` is what the page is full of; it still is afterwards.
bool reaches(void *page, int byte);
// Neither direction gets through, the fault says where, and the buffer keeps nothing of it.
bool faults(const void *page);
// A write does not get through, a read does.
bool only_reads(void *page, int byte);

// Private anonymous pages, each filled with a byte.
unsigned char *pages_new(size_t pages, int byte);
// Fresh ones in place of what is at an address.
unsigned char *pages_at(void *at, size_t pages);
bool full_of(const void *at, size_t bytes, int byte);

// Memory that takes up what was just given back, full of FOREIGN: whoever reaches it by an old translation shows.
// Always at the same addresses, so that it does not lie where something was unmapped. One at a time. Not much: the
// IOMMU is told of pages that come, too, and QEMU's then forgets all that have the same number modulo 256.
#define FOREIGN	      0xf5
#define FOREIGN_PAGES 24ul
unsigned char *foreign_new(size_t pages);
bool foreign_end(unsigned char *foreign, size_t pages); // was it left alone?

void cases_shared(void);
bool case_after_exec(int descriptor);
void cases_races(void);

#endif

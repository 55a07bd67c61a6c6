// SPDX-License-Identifier: MIT
// The smallest port: one CPU, no interrupts, memory that was set aside, as in firmware. From nothing to a first
// mapping.
//
// 8 functions do something. Of the other 9, fatal ends the program, and 8 stay empty: there is no other CPU to wait
// for or to be interrupted by, so nobody can stand in a table when it is freed, and defer frees at once.
#define VMT_FORMAT x86_64_4
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vmtree/port.h>
#include <vmtree/tree.h>

#define FRAMES 16

// ---- Memory: frames for tables, with their metadata, and blocks for the library's own structures -----------------

static _Alignas(VMT_PAGE_SIZE) char memory[FRAMES][VMT_PAGE_SIZE];
static struct vmt_frame meta[FRAMES]; // zero, and from now on the library's
static bool taken[FRAMES];
static _Alignas(64) char block[4][2048];
static bool block_taken[4];

uint64_t vmt_port_frame_alloc(void *port, uint64_t bytes, bool zero)
{
	(void)port, (void)bytes;
	for (unsigned i = 0; i < FRAMES; i++) {
		if (taken[i])
			continue;
		taken[i] = true;
		if (zero)
			memset(memory[i], 0, VMT_PAGE_SIZE);
		return (uintptr_t)memory[i]; // memory is where it says: physical addresses are pointers
	}
	return VMT_NO_FRAME;
}

void vmt_port_frame_free(void *port, uint64_t pa, uint64_t bytes)
{
	(void)port, (void)bytes;
	taken[(pa - (uintptr_t)memory) / VMT_PAGE_SIZE] = false;
}

void *vmt_port_frame_ptr(void *port, uint64_t pa)
{
	(void)port;
	return (void *)(uintptr_t)pa;
}

struct vmt_frame *vmt_port_frame_meta(void *port, uint64_t pa)
{
	(void)port;
	return &meta[(pa - (uintptr_t)memory) / VMT_PAGE_SIZE];
}

void *vmt_port_mem_alloc(void *port, size_t bytes)
{
	(void)port;
	for (unsigned i = 0; i < 4 && bytes <= sizeof(block[0]); i++)
		if (!block_taken[i])
			return block_taken[i] = true, block[i];
	return NULL;
}

void vmt_port_mem_free(void *port, void *freed, size_t bytes)
{
	(void)port, (void)bytes;
	block_taken[((char *)freed - block[0]) / sizeof(block[0])] = false;
}

// ---- The machine -------------------------------------------------------------------------------------------------

static unsigned flushes;

// On x86-64: for each range INVLPG, or write CR3. Here nothing has been loaded yet.
void vmt_port_flush(void *port, const struct vmt_flush *flush) { (void)port, (void)flush, flushes++; }

void vmt_port_defer(void *port, struct vmt_deferred *item) { item->run(port, item); }

_Noreturn void vmt_port_fatal(void *port, const char *what) { (void)port, puts(what), abort(); }

unsigned vmt_port_cpu(void *port) { (void)port; return 0; }
void vmt_port_preempt_off(void *port) { (void)port; }
void vmt_port_preempt_on(void *port) { (void)port; }
void vmt_port_relax(void *port, bool preemptible) { (void)port, (void)preemptible; }
void vmt_port_publish(void *port, _Atomic(uint64_t) *first, unsigned count) { (void)port, (void)first, (void)count; }
void vmt_port_read_enter(void *port) { (void)port; }
void vmt_port_read_exit(void *port) { (void)port; }
void vmt_port_log(void *port, const char *line) { (void)port, (void)line; }

// ---- A first mapping ---------------------------------------------------------------------------------------------

int main(void)
{
	struct vmt_tree_config config = {.start = 0, .end = UINT64_C(1) << 47, .cpus = 1};
	struct vmt_tree_map map = {
		.addr = 0x40000000, .length = 0x201000, .pa = 0xfe000000, .prot = VMT_READ | VMT_WRITE,
	};
	struct vmt_translation at;
	struct vmt_tree *tree;
	bool right;

	if (vmt_tree_create(NULL, &config, &tree) != VMT_OK || vmt_tree_map(tree, &map, NULL) != VMT_OK)
		return 1;
	right = vmt_tree_translate(tree, 0x40123456, &at) == VMT_OK && at.pa == 0xfe123456 && at.size == 0x200000;
	printf("0x40123456 is 0x%llx, in a leaf of %llu kB; CR3 would be 0x%llx\n", (unsigned long long)at.pa,
	       (unsigned long long)at.size >> 10, (unsigned long long)vmt_tree_root(tree));
	right = right && vmt_tree_unmap(tree, map.addr, map.length, NULL) == VMT_OK && flushes > 0 &&
		vmt_tree_translate(tree, 0x40123456, &at) == VMT_ERR_NOT_PRESENT;
	vmt_tree_destroy(tree);
	for (unsigned i = 0; i < FRAMES; i++)
		right = right && !taken[i];
	printf("%d passed, %d failed\n", right, !right);
	return !right;
}

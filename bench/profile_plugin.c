// SPDX-License-Identifier: MIT
// A plugin for QEMU (version 1 of its interface for plugins): counts how often each instruction of the kernel is
// executed, and those of programs in one sum. At the end of the machine it writes lines "address count", in hexadecimal
// and decimal, to the file that the environment variable VMTREE_PROFILE names; address 0 stands for programs. See
// profile.py.
//
// The counts are plain additions: with several CPUs they are right because a counting clock runs all on one host
// thread.
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

// The part of QEMU's interface that is used here.
struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef uint64_t qemu_plugin_id_t;
typedef void translated_fn(qemu_plugin_id_t id, struct qemu_plugin_tb *block);
typedef void ended_fn(qemu_plugin_id_t id, void *data);
enum { ADD_U64 };

extern int qemu_plugin_version;
int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv);
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, translated_fn *fn);
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *insn, int operation, void *word,
						uint64_t operand);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id, ended_fn *fn, void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *block, size_t n);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);

int qemu_plugin_version = 1;

#define ROOM (1u << 20) // instructions of the kernel, four times what it has

static struct {
	uint64_t address, count;
} *kernel;
static uint64_t programs;

// An instruction is translated more than once; its count is one.
static uint64_t *count_of(uint64_t address)
{
	uint32_t n = (uint32_t)(address * UINT64_C(0x9e3779b97f4a7c15) >> 44);

	if (address >> 63 == 0)
		return &programs;
	while (kernel[n].address && kernel[n].address != address)
		n = (n + 1) % ROOM;
	kernel[n].address = address;
	return &kernel[n].count;
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *block)
{
	(void)id;
	for (size_t i = 0; i < qemu_plugin_tb_n_insns(block); i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(block, i);

		qemu_plugin_register_vcpu_insn_exec_inline(insn, ADD_U64, count_of(qemu_plugin_insn_vaddr(insn)), 1);
	}
}

static void ended(qemu_plugin_id_t id, void *path)
{
	FILE *file = fopen(path, "w");

	(void)id;
	if (!file)
		return; // profile.py misses it
	fprintf(file, "0 %llu\n", (unsigned long long)programs);
	for (uint32_t n = 0; n < ROOM; n++)
		if (kernel[n].count)
			fprintf(file, "%llx %llu\n", (unsigned long long)kernel[n].address,
				(unsigned long long)kernel[n].count);
	fclose(file);
}

int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv)
{
	char *path = getenv("VMTREE_PROFILE");

	(void)info, (void)argc, (void)argv;
	kernel = calloc(ROOM, sizeof(*kernel));
	if (!path || !kernel)
		return -1;
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	qemu_plugin_register_atexit_cb(id, ended, path);
	return 0;
}

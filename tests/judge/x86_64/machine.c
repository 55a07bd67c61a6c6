// SPDX-License-Identifier: MIT
// x86-64, Intel SDM vol. 3: 4.5 to 4.8 (paging), 4.7 (what a page fault says), 6 (exceptions). The image runs in the
// upper half of every root. Every access of a test ends by an exception: INT3 behind it, or its fault.
#include "judge.h"

#define USER_ALIAS UINT64_C(0xffffffff40000000) // boot.S

#define CR4_SMEP (UINT64_C(1) << 20)
#define CR4_SMAP (UINT64_C(1) << 21)

enum {
	VECTOR_INT3 = 3,
	VECTOR_PAGE_FAULT = 14,
};

// The error code of a page fault. No other bit may be set: not 3, a reserved bit, and not 5, a protection key.
enum {
	FAULT_PRESENT = 1,
	FAULT_WRITE = 2,
	FAULT_USER = 4,
	FAULT_EXECUTE = 16,
};

extern struct {
	uint64_t vector, error, cr2, rax;
} x86_trap;

extern uint64_t x86_root[512], x86_gdt[7];
extern char x86_vectors[], x86_trap_stack[];

void x86_attempt(uint64_t code, uint64_t a, uint64_t b, uint64_t user);
void x86_load(void);
void x86_store(void);

struct table_pointer {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

static struct {
	uint64_t low, high;
} idt[32];

static struct {
	uint32_t reserved;
	uint64_t stack[3], reserved2, ist[7], reserved3;
	uint16_t reserved4, io;
} __attribute__((packed)) task_state;

static void out8(uint16_t port, uint8_t byte)
{
	__asm__ volatile("outb %0, %1" ::"a"(byte), "Nd"(port));
}

static bool has_features(void)
{
	uint32_t a = 7, b, c = 0, d;

	// Leaf 7: SMEP, SMAP; leaf 80000001: 1 GiB leaves, NX.
	__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	if (!(b >> 7 & 1) || !(b >> 20 & 1))
		return false;
	a = 0x80000001;
	__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "=c"(c), "=d"(d));
	return (d >> 26 & 1) && (d >> 20 & 1);
}

void machine_start(void)
{
	struct table_pointer pointer = {sizeof(x86_gdt) - 1, (uint64_t)x86_gdt};
	uint64_t base = (uint64_t)&task_state;

	task_state.stack[0] = (uint64_t)x86_trap_stack;
	task_state.io = sizeof(task_state);
	x86_gdt[5] = (sizeof(task_state) - 1) | (base & 0xffffff) << 16 | UINT64_C(0x89) << 40 |
		     (base >> 24 & 0xff) << 56;
	x86_gdt[6] = base >> 32;
	__asm__ volatile("lgdt %0" ::"m"(pointer));
	__asm__ volatile("ltr %w0" ::"r"(0x28));
	for (unsigned i = 0; i < 32; i++) {
		uint64_t at = (uint64_t)x86_vectors + 16 * i, type = i == VECTOR_INT3 ? 0xee : 0x8e;

		idt[i].low = (at & 0xffff) | 0x08 << 16 | type << 40 | (at >> 16 & 0xffff) << 48;
		idt[i].high = at >> 32;
	}
	pointer = (struct table_pointer){sizeof(idt) - 1, (uint64_t)idt};
	__asm__ volatile("lidt %0" ::"m"(pointer));
	if (!has_features())
		judge_skip("the processor lacks NX, SMEP, SMAP or leaves of 1 GiB");
}

void machine_use(uint64_t root)
{
	if (root == NOWHERE)
		root = (uint64_t)x86_root - JUDGE_DIRECT;
	else
		((uint64_t *)port_pointer(root))[511] = x86_root[511];
	__asm__ volatile("mov %0, %%cr3" ::"r"(root) : "memory");
}

void machine_flush_all(void)
{
	uint64_t root;

	__asm__ volatile("mov %%cr3, %0\n\tmov %0, %%cr3" : "=r"(root)::"memory");
}

void machine_flush_page(uint64_t va)
{
	__asm__ volatile("invlpg (%0)" ::"r"(va) : "memory");
}

void machine_strict(bool on)
{
	uint64_t cr4;

	__asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
	cr4 &= ~(CR4_SMEP | CR4_SMAP);
	cr4 |= on ? CR4_SMEP | CR4_SMAP : 0;
	__asm__ volatile("mov %0, %%cr4" ::"r"(cr4) : "memory");
}

// 4.6.1: a supervisor does with a user's leaf what it allows, unless SMAP and SMEP forbid it (AC is clear).
bool machine_allows(enum judge_who who, enum judge_access access, bool user, bool strict)
{
	(void)access;
	return who == USER ? user : !user || !strict;
}

void machine_code(uint32_t code[4], uint32_t token)
{
	code[0] = 0xb8 | token << 8; // mov $token, %eax
	code[1] = token >> 24 | 0xcc << 8; // int3
}

struct judge_result machine_access(enum judge_who who, enum judge_access access, uint64_t va, uint64_t value)
{
	uint64_t code = (uint64_t)(access == READ ? x86_load : x86_store);
	uint64_t error = (access == WRITE ? FAULT_WRITE : 0) | (who == USER ? FAULT_USER : 0) |
			 (access == EXECUTE ? FAULT_EXECUTE : 0);
	struct judge_result result = {.outcome = OTHER, .level = -1};

	if (access == EXECUTE)
		code = va;
	else if (who == USER)
		code += USER_ALIAS - JUDGE_DIRECT;
	x86_attempt(code, va, value, who == USER);
	if (x86_trap.vector == VECTOR_INT3)
		result.outcome = ALLOWED;
	else if (x86_trap.vector == VECTOR_PAGE_FAULT && x86_trap.error == error)
		result.outcome = ABSENT;
	else if (x86_trap.vector == VECTOR_PAGE_FAULT && x86_trap.error == (error | FAULT_PRESENT))
		result.outcome = DENIED;
	result.value = x86_trap.rax;
	result.address = x86_trap.cr2;
	result.raw[0] = x86_trap.vector;
	result.raw[1] = x86_trap.error;
	return result;
}

void machine_put(char c)
{
	out8(0xe9, (uint8_t)c); // isa-debugcon
}

_Noreturn void machine_end(bool good)
{
	out8(0xf4, good ? 0 : 1); // isa-debug-exit: the status is twice that, plus one
	for (;;)
		__asm__ volatile("hlt");
}

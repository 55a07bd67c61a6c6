// SPDX-License-Identifier: MIT
// A guest under AMD's SVM, AMD64 APM vol. 2 (24593): 15.5 (VMRUN), 15.25 (nested paging), appendix B (the control
// block). The library's tables are the nested ones. The guest's own map each address to itself. Every access of a
// test ends by an exit: VMMCALL behind it, or the nested page fault.
#include "judge.h"

#define WINDOW UINT64_C(0x8000000000) // the image, as the guest sees it (guest.S)

#define MSR_EFER     0xc0000080
#define MSR_HSAVE    0xc0010117
#define EFER_GUEST   0x1d00 // SVME, NXE, LMA, LME
#define EFER_SVME    0x1000
#define CR0_GUEST    UINT64_C(0x80010031) // PG, WP, NE, ET, PE
#define CR4_GUEST    0x20		  // PAE
#define EXIT_NPF     0x400
#define EXIT_VMMCALL 0x81

// EXITINFO1 of a nested page fault. Each access counts as a user's. FAULT_FINAL: not on the way through the guest's
// tables.
enum {
	FAULT_PRESENT = 1,
	FAULT_WRITE = 2,
	FAULT_USER = 4,
	FAULT_EXECUTE = 16,
};
#define FAULT_FINAL (UINT64_C(1) << 32)

struct segment {
	uint16_t selector, attributes;
	uint32_t limit;
	uint64_t base;
};

static _Alignas(4096) struct {
	uint32_t control[28];
	uint64_t exit_code, exit_info[2], exit_interrupt;
	uint64_t nested;
	uint64_t unused1[2];
	uint64_t inject, nested_root;
	uint64_t unused2[105];
	struct segment es, cs, ss, ds, fs, gs, gdtr, ldtr, idtr, tr;
	uint8_t unused3[43], cpl;
	uint32_t unused4;
	uint64_t efer, unused5[14];
	uint64_t cr4, cr3, cr0, dr7, dr6, rflags, rip, unused6[11];
	uint64_t rsp, unused7[3], rax, unused8[8];
	uint64_t cr2, unused9[4], pat;
	uint8_t rest[4096 - 0x670];
} vmcb;

_Static_assert(offsetof(__typeof__(vmcb), exit_code) == 0x070, "appendix B");
_Static_assert(offsetof(__typeof__(vmcb), nested_root) == 0x0b0, "appendix B");
_Static_assert(offsetof(__typeof__(vmcb), es) == 0x400, "appendix B");
_Static_assert(offsetof(__typeof__(vmcb), cpl) == 0x4cb, "appendix B");
_Static_assert(offsetof(__typeof__(vmcb), efer) == 0x4d0, "appendix B");
_Static_assert(offsetof(__typeof__(vmcb), cr4) == 0x548, "appendix B");
_Static_assert(offsetof(__typeof__(vmcb), rip) == 0x578, "appendix B");
_Static_assert(offsetof(__typeof__(vmcb), rsp) == 0x5d8, "appendix B");
_Static_assert(offsetof(__typeof__(vmcb), rax) == 0x5f8, "appendix B");
_Static_assert(offsetof(__typeof__(vmcb), cr2) == 0x640, "appendix B");
_Static_assert(sizeof(vmcb) == 4096, "appendix B");

static _Alignas(4096) unsigned char host_state[4096];

extern uint64_t svm_guest_root[512], svm_window[512];

void svm_attempt(uint64_t vmcb, uint64_t a, uint64_t b);
void svm_load(void);
void svm_store(void);

static uint64_t physical(const void *at)
{
	return (uint64_t)at - JUDGE_DIRECT;
}

static void out8(uint16_t port, uint8_t byte)
{
	__asm__ volatile("outb %0, %1" ::"a"(byte), "Nd"(port));
}

static uint64_t msr_read(uint32_t msr)
{
	uint32_t low, high;

	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
	return (uint64_t)high << 32 | low;
}

static void msr_write(uint32_t msr, uint64_t value)
{
	__asm__ volatile("wrmsr" ::"c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)) : "memory");
}

static bool has_nested_paging(void)
{
	uint32_t a = 0x80000001, b, c = 0, d;

	__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	if (!(c >> 2 & 1))
		return false;
	a = 0x8000000a;
	__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	return d & 1;
}

void machine_start(void)
{
	if (!has_nested_paging())
		judge_skip("the processor has no nested paging");
	msr_write(MSR_EFER, msr_read(MSR_EFER) | EFER_SVME);
	msr_write(MSR_HSAVE, physical(host_state));
	vmcb.control[2] = UINT32_MAX;	// every exception
	vmcb.control[3] = 1u << 31;	// shutdown
	vmcb.control[4] = 3;		// VMRUN, VMMCALL
	vmcb.control[22] = 1;		// the address space's identifier
	vmcb.nested = 1;
	vmcb.efer = EFER_GUEST;
	vmcb.cr0 = CR0_GUEST;
	vmcb.cr3 = physical(svm_guest_root) + WINDOW;
	vmcb.cr4 = CR4_GUEST;
	vmcb.pat = UINT64_C(0x0007040600070406);
}

void machine_use(uint64_t root)
{
	static _Alignas(4096) uint64_t nothing[512];
	uint64_t *table = root == NOWHERE ? nothing : port_pointer(root);

	table[1] = physical(svm_window) | 7;
	vmcb.nested_root = physical(table);
	machine_flush_all();
}

// At the next VMRUN (15.16.2).
void machine_flush_all(void)
{
	vmcb.control[23] = 1;
}

// Nothing drops one guest physical address.
void machine_flush_page(uint64_t va)
{
	(void)va;
	machine_flush_all();
}

// Nested tables do not know whose a page is.
void machine_strict(bool on)
{
	(void)on;
}

bool machine_allows(enum judge_who who, enum judge_access access, bool user, bool strict)
{
	(void)who, (void)access, (void)user, (void)strict;
	return true;
}

void machine_code(uint32_t code[4], uint32_t token)
{
	code[0] = 0xb8 | token << 8;	       // mov $token, %eax
	code[1] = token >> 24 | 0xd9010f << 8; // vmmcall
}

struct judge_result machine_access(enum judge_who who, enum judge_access access, uint64_t va, uint64_t value)
{
	uint64_t error = FAULT_FINAL | FAULT_USER | (access == WRITE ? FAULT_WRITE : 0) |
			 (access == EXECUTE ? FAULT_EXECUTE : 0);
	struct judge_result result = {.outcome = OTHER, .level = -1};
	uint16_t privilege = who == USER ? 0x60 : 0;

	vmcb.cs = (struct segment){8, 0x29b | privilege, UINT32_MAX, 0};
	vmcb.ss = vmcb.ds = vmcb.es = (struct segment){16, 0xc93 | privilege, UINT32_MAX, 0};
	vmcb.cpl = who == USER ? 3 : 0;
	vmcb.rflags = 2;
	vmcb.rip = access == EXECUTE ? va : physical(access == READ ? svm_load : svm_store) + WINDOW;
	svm_attempt(physical(&vmcb), va, value);
	vmcb.control[23] = 0;
	if (vmcb.exit_code == EXIT_VMMCALL)
		result.outcome = ALLOWED;
	else if (vmcb.exit_code == EXIT_NPF && vmcb.exit_info[0] == error)
		result.outcome = ABSENT;
	else if (vmcb.exit_code == EXIT_NPF && vmcb.exit_info[0] == (error | FAULT_PRESENT))
		result.outcome = DENIED;
	result.value = vmcb.rax;
	result.address = vmcb.exit_info[1];
	result.raw[0] = vmcb.exit_code;
	result.raw[1] = vmcb.exit_info[0];
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

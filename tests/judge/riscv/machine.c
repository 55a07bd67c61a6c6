// SPDX-License-Identifier: MIT
// RISC-V, privileged spec (20240411). The image runs in machine mode. Reads and writes go through the tables by MPRV
// (3.1.6.3), with the privilege of MPP; to execute, the processor leaves machine mode for the page and comes back by
// its ECALL, or by the fault.
#include "judge.h"

#define MSTATUS_MPP_S (UINT64_C(1) << 11)
#define MSTATUS_MPRV  (UINT64_C(1) << 17)
#define MSTATUS_SUM   (UINT64_C(1) << 18)
#define MENVCFG_ADUE  (UINT64_C(1) << 61)
#define MENVCFG_PBMTE (UINT64_C(1) << 62)

enum { // mcause
	CAUSE_ECALL_U = 8,
	CAUSE_ECALL_S = 9,
	CAUSE_ECALL_M = 11,
	CAUSE_FETCH = 12,
	CAUSE_LOAD = 13,
	CAUSE_STORE = 15,
};

extern struct {
	uint64_t cause, tval, a0;
} riscv_trap;

void riscv_attempt(void (*code)(void), uint64_t a, uint64_t b, uint64_t set);
void riscv_attempt_execute(uint64_t va, uint64_t a, uint64_t b, uint64_t set);
void riscv_load(void);
void riscv_store(void);

static bool strict;

#define csr_read(csr)                                                                                                  \
	({                                                                                                             \
		uint64_t value_;                                                                                       \
		__asm__ volatile("csrr %0, " csr : "=r"(value_));                                                      \
		value_;                                                                                                \
	})
#define csr_write(csr, value) __asm__ volatile("csrw " csr ", %0" ::"r"((uint64_t)(value)) : "memory")

static uint64_t satp_of(uint64_t root)
{
	// Sv39 is mode 8, and each level more is one more.
	return (uint64_t)(8 + FMT_TOP - 2) << 60 | root >> VMT_PAGE_SHIFT;
}

void machine_start(void)
{
	// All memory for all modes (3.7): one range, naturally aligned, of everything.
	csr_write("pmpaddr0", UINT64_MAX >> 10);
	csr_write("pmpcfg0", 0x1f);
	// Svadu, where it is optional: the hardware writes A and D. Svpbmt.
	csr_write("0x30a", csr_read("0x30a") | MENVCFG_ADUE | MENVCFG_PBMTE);
	csr_write("satp", satp_of(0));
	if (csr_read("satp") != satp_of(0))
		judge_skip("the processor has no such mode");
	csr_write("satp", 0);
}

void machine_use(uint64_t root)
{
	csr_write("satp", root == NOWHERE ? 0 : satp_of(root));
	machine_flush_all();
}

void machine_flush_all(void)
{
	__asm__ volatile("sfence.vma\n\tfence.i" ::: "memory");
}

void machine_flush_page(uint64_t va)
{
	__asm__ volatile("sfence.vma %0, zero" ::"r"(va) : "memory");
}

// Nothing tells of Svnapot and Svpbmt but their use (7.2 of the emulator lets PBMTE be set without Svpbmt). Whoever
// starts the machine without them puts a word into memory.
bool machine_has_extensions(void)
{
	return *(volatile uint64_t *)UINT64_C(0xa0000000) == 0;
}

void machine_strict(bool on)
{
	strict = on;
}

// 12.3.1: U says whose the leaf is. The supervisor reaches a user's data with SUM, and never executes it.
bool machine_allows(enum judge_who who, enum judge_access access, bool user, bool protect)
{
	if (who == USER)
		return user;
	return !user || (access != EXECUTE && !protect);
}

void machine_code(uint32_t code[4], uint32_t token)
{
	code[0] = token << 12 | 10 << 7 | 0x37; // lui a0, token
	code[1] = 0x00000073;			// ecall
	__asm__ volatile("fence.i" ::: "memory");
}

struct judge_result machine_access(enum judge_who who, enum judge_access access, uint64_t va, uint64_t value)
{
	static const uint64_t faults[] = {[READ] = CAUSE_LOAD, [WRITE] = CAUSE_STORE, [EXECUTE] = CAUSE_FETCH};
	uint64_t mode = (who == SUPERVISOR ? MSTATUS_MPP_S : 0) | (strict ? 0 : MSTATUS_SUM);
	uint64_t allowed = access != EXECUTE ? CAUSE_ECALL_M : who == USER ? CAUSE_ECALL_U : CAUSE_ECALL_S;
	struct judge_result result = {.outcome = OTHER, .level = -1};

	if (access == EXECUTE)
		riscv_attempt_execute(va, 0, 0, mode);
	else
		riscv_attempt(access == READ ? riscv_load : riscv_store, va, value, mode | MSTATUS_MPRV);
	if (riscv_trap.cause == allowed)
		result.outcome = ALLOWED;
	else if (riscv_trap.cause == faults[access])
		result.outcome = ABSENT;
	result.value = access == EXECUTE ? riscv_trap.a0 >> 12 & 0xfffff : riscv_trap.a0;
	result.address = riscv_trap.tval;
	result.raw[0] = riscv_trap.cause;
	result.raw[1] = riscv_trap.tval;
	return result;
}

void machine_put(char c)
{
	*(volatile unsigned char *)UINT64_C(0x10000000) = (unsigned char)c; // the UART sends at once
}

_Noreturn void machine_end(bool good)
{
	*(volatile uint32_t *)UINT64_C(0x100000) = good ? 0x5555 : 1 << 16 | 0x3333;
	for (;;)
		;
}

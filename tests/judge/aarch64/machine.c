// SPDX-License-Identifier: MIT
// AArch64 at EL1, Arm ARM (DDI 0487) D8 (translation), D17 (ESR_EL1, PAR_EL1, TCR_EL1). The library's tables are the
// lower half (TTBR0). Every access of a test ends by an exception: SVC behind it, or its fault.
#include "judge.h"

#define USER_ALIAS UINT64_C(0xffff008000000000) // start.S

#define TCR_HA	 (UINT64_C(1) << 39)
#define TCR_HD	 (UINT64_C(1) << 40)
#define ESR_FNV	 (UINT64_C(1) << 10) // the fault's address is not known
#define ESR_WNR	 (UINT64_C(1) << 6)
#define PAR_FAULT UINT64_C(1)

enum { // ESR_EL1.EC
	CLASS_SVC = 0x15,
	CLASS_FETCH = 0x20, // from EL0; from EL1 one more
	CLASS_DATA = 0x24,
};

extern struct {
	uint64_t esr, far, x0, saved;
} a64_trap;

void a64_attempt(uint64_t code, uint64_t a, uint64_t b, uint64_t user);
void a64_load(void);
void a64_store(void);

#define sys_read(name)                                                                                                 \
	({                                                                                                             \
		uint64_t value_;                                                                                       \
		__asm__ volatile("mrs %0, " name : "=r"(value_)::"memory");                                            \
		value_;                                                                                                \
	})
#define sys_write(name, value) __asm__ volatile("msr " name ", %0\n\tisb" ::"r"((uint64_t)(value)) : "memory")

void machine_start(void)
{
	// ID_AA64MMFR1_EL1: HAFDBS says that the hardware manages both marks, PAN that there is one.
	uint64_t features = sys_read("id_aa64mmfr1_el1");

	if ((features & 15) < 2 || !(features >> 20 & 15))
		judge_skip("the processor does not write access flags and dirty states, or has no PAN");
	machine_hardware_marks(true);
	machine_strict(false);
}

void machine_use(uint64_t root)
{
	static _Alignas(4096) const uint64_t nothing[512];

	sys_write("ttbr0_el1", root == NOWHERE ? (uint64_t)nothing - JUDGE_DIRECT : root);
	machine_flush_all();
}

void machine_flush_all(void)
{
	__asm__ volatile("dsb ish\n\ttlbi vmalle1\n\tdsb ish\n\tic iallu\n\tdsb ish\n\tisb" ::: "memory");
}

void machine_flush_page(uint64_t va)
{
	uint64_t page = va >> 12 & ((UINT64_C(1) << 44) - 1);

	__asm__ volatile("dsb ish\n\ttlbi vaae1, %0\n\tdsb ish\n\tisb" ::"r"(page) : "memory");
}

void machine_strict(bool on)
{
	if (on)
		__asm__ volatile(".arch armv8.5-a\n\tmsr pan, #1" ::: "memory");
	else
		__asm__ volatile(".arch armv8.5-a\n\tmsr pan, #0" ::: "memory");
}

void machine_hardware_marks(bool on)
{
	uint64_t tcr = sys_read("tcr_el1") & ~(TCR_HA | TCR_HD);

	sys_write("tcr_el1", on ? tcr | TCR_HA | TCR_HD : tcr);
	machine_flush_all();
}

// D8.4: EL1 reads and writes what EL0 does, unless PAN is set, and executes none of it: the library sets PXN.
bool machine_allows(enum judge_who who, enum judge_access access, bool user, bool strict)
{
	if (who == USER)
		return user;
	return !user || (access != EXECUTE && !strict);
}

void machine_code(uint32_t code[4], uint32_t token)
{
	code[0] = 0xd2800000 | (token & 0xffff) << 5; // movz x0, #token
	code[1] = 0xf2a00000 | token >> 16 << 5;      // movk x0, #token >> 16, lsl #16
	code[2] = 0xd4000001;			      // svc #0
	__asm__ volatile("dsb ish\n\tic iallu\n\tdsb ish\n\tisb" ::: "memory");
}

// A fault status code, as ESR_EL1 and PAR_EL1 have it. The architecture counts levels from the root.
static void describe(struct judge_result *result, uint64_t status)
{
	static const enum judge_outcome outcomes[] = {OTHER, ABSENT, UNMARKED, DENIED};

	result->outcome = status < 16 ? outcomes[status >> 2] : OTHER;
	result->level = FMT_TOP - (int)(status & 3);
}

struct judge_result machine_access(enum judge_who who, enum judge_access access, uint64_t va, uint64_t value)
{
	uint64_t class = (access == EXECUTE ? CLASS_FETCH : CLASS_DATA) + (who == SUPERVISOR);
	uint64_t code = (uint64_t)(access == READ ? a64_load : a64_store), esr;
	struct judge_result result = {.outcome = OTHER, .level = -1};

	if (access == EXECUTE)
		code = va;
	else if (who == USER)
		code += USER_ALIAS - JUDGE_DIRECT;
	a64_attempt(code, va, value, who == USER);
	esr = a64_trap.esr;
	if (esr >> 26 == CLASS_SVC)
		result.outcome = ALLOWED;
	else if (esr >> 26 == class && !(esr & ESR_FNV) &&
		 (access == EXECUTE || !!(esr & ESR_WNR) == (access == WRITE)))
		describe(&result, esr & 63);
	result.value = a64_trap.x0;
	result.address = a64_trap.far;
	result.raw[0] = esr;
	result.raw[1] = a64_trap.far;
	return result;
}

struct judge_result machine_translate(enum judge_who who, enum judge_access access, uint64_t va)
{
	struct judge_result result = {.outcome = OTHER, .level = -1};
	uint64_t par;

	if (who == USER && access == WRITE)
		__asm__ volatile("at s1e0w, %0\n\tisb" ::"r"(va) : "memory");
	else if (who == USER)
		__asm__ volatile("at s1e0r, %0\n\tisb" ::"r"(va) : "memory");
	else if (access == WRITE)
		__asm__ volatile("at s1e1w, %0\n\tisb" ::"r"(va) : "memory");
	else
		__asm__ volatile("at s1e1r, %0\n\tisb" ::"r"(va) : "memory");
	par = sys_read("par_el1");
	result.raw[0] = par;
	if (par & PAR_FAULT) {
		describe(&result, par >> 1 & 63);
		return result;
	}
	// Normal write-back memory, inner shareable (PAR_EL1.ATTR and SH), or it is not what the format promises.
	if (par >> 56 == 0xff && (par >> 7 & 3) == 3)
		result.outcome = ALLOWED;
	result.value = (par & (((UINT64_C(1) << 52) - 1) & ~VMT_PAGE_MASK)) | (va & VMT_PAGE_MASK);
	return result;
}

void machine_put(char c)
{
	*(volatile uint32_t *)(UINT64_C(0x9000000) + JUDGE_DIRECT) = (unsigned char)c; // the UART sends at once
}

_Noreturn void machine_end(bool good)
{
	(void)good;
	// PSCI: SYSTEM_OFF. It has no status; the last line does.
	__asm__ volatile("mov w0, #0x8\n\tmovk w0, #0x8400, lsl #16\n\thvc #0" ::: "x0", "memory");
	for (;;)
		;
}

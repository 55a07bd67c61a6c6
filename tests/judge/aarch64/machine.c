// SPDX-License-Identifier: MIT
// AArch64 at EL1, Arm ARM (DDI 0487) D8 (translation), D17 (ESR_EL1, PAR_EL1, TCR_EL1). The library's tables are the
// lower half (TTBR0). Every access of a test ends by an exception: SVC behind it, or its fault.
#include "judge.h"

#define USER_ALIAS UINT64_C(0xffff008000000000) // start.S

// TCR_EL1, of the lower half as the format has it, in the place of 48 bits in and out and 4 KiB (start.S).
#define TCR_TG0	 ((uint64_t)(VMT_PAGE_SHIFT == 12 ? 0 : VMT_PAGE_SHIFT == 14 ? 2 : 1) << 14)
#define TCR_T0SZ UINT64_C(63)
#define TCR_IPS	 (UINT64_C(7) << 32)
#define TCR_HA	 (UINT64_C(1) << 39)
#define TCR_HD	 (UINT64_C(1) << 40)
#define TCR_DS	 (UINT64_C(1) << 59) // 52 bits with 4 and 16 KiB, and shareability in this register
#define WIDE	 (FMT_VA_BITS == 52)
#define ESR_FNV	 (UINT64_C(1) << 10) // the fault's address is not known
#define ESR_WNR	 (UINT64_C(1) << 6)
#define PAR_FAULT UINT64_C(1)
#define STATUS_ABSENT_ABOVE 0x2b // a translation fault of level -1

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

// ID_AA64MMFR0_EL1: the granule, and with 52 bits FEAT_LPA2, or FEAT_LPA and (ID_AA64MMFR2_EL1) FEAT_LVA.
static bool has_format(void)
{
	uint64_t features = sys_read("id_aa64mmfr0_el1");

	if (WIDE && (features & 15) < 6)
		return false;
	switch (VMT_PAGE_SHIFT) {
	case 12:
		return (features >> 28 & 15) == WIDE || (!WIDE && (features >> 28 & 15) == 1);
	case 14:
		return (features >> 20 & 15) >= 1u + WIDE;
	default:
		// ID_AA64MMFR2_EL1, which the assembler knows from ARMv8.2 on
		return !(features >> 24 & 15) && (!WIDE || sys_read("s3_0_c0_c7_2") >> 16 & 15);
	}
}

void machine_start(void)
{
	uint64_t tcr = sys_read("tcr_el1") & ~(TCR_T0SZ | TCR_IPS);

	// ID_AA64MMFR1_EL1: HAFDBS says that the hardware manages both marks, PAN that there is one.
	uint64_t features = sys_read("id_aa64mmfr1_el1");

	if ((features & 15) < 2 || !(features >> 20 & 15))
		judge_skip("the processor does not write access flags and dirty states, or has no PAN");
	if (!has_format())
		judge_skip("the processor lacks the granule, or 52 bits with it");
	tcr |= (64 - FMT_VA_BITS) | TCR_TG0 | (uint64_t)(WIDE ? 6 : 5) << 32;
	sys_write("tcr_el1", WIDE && VMT_PAGE_SHIFT != 16 ? tcr | TCR_DS : tcr);
	machine_hardware_marks(true);
	machine_strict(false);
}

void machine_use(uint64_t root)
{
	static _Alignas(PAGE) const uint64_t nothing[FMT_SLOTS];

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

// A fault status code, as ESR_EL1 and PAR_EL1 have it. The architecture's level 3 is level 0 here, and its level -1 has
// codes of its own.
static void describe(struct judge_result *result, uint64_t status)
{
	static const enum judge_outcome outcomes[] = {OTHER, ABSENT, UNMARKED, DENIED};

	result->outcome = status < 16 ? outcomes[status >> 2] : status == STATUS_ABSENT_ABOVE ? ABSENT : OTHER;
	result->level = status == STATUS_ABSENT_ABOVE ? 4 : 3 - (int)(status & 3);
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

// Normal write-back memory, inner shareable (PAR_EL1.ATTR and SH), normal memory that is not cacheable, or
// device-nGnRE. These two are outer shareable whatever the entry says; the emulator repeats what it says. Nothing else
// is what the format promises.
static bool kind_of_memory(uint64_t par, enum vmt_memory *memory)
{
	unsigned attr = par >> 56, share = par >> 7 & 3;

	*memory = attr == 0x44 ? VMT_MEMORY_NONCACHED : attr == 0x04 ? VMT_MEMORY_DEVICE : VMT_MEMORY_NORMAL;
	return attr == 0xff ? share == 3 : share >= 2 && *memory != VMT_MEMORY_NORMAL;
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
	result.outcome = kind_of_memory(par, &result.memory) ? ALLOWED : OTHER;
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

// SPDX-License-Identifier: MIT
// AArch64 at EL2 with a guest at EL1 and EL0, Arm ARM (DDI 0487) D8 (translation), D17 (ESR_EL2, HPFAR_EL2, PAR_EL1,
// VTCR_EL2). The library's tables are stage 2; there is no stage 1, so addresses of the guest are intermediate
// physical ones. Every access of a test ends by an exception: SVC behind it and then the guest's HVC, or its fault.
#include "judge.h"

// Where the walk begins. The last entry of that table, beyond what the tests use, maps the image to the guest.
#define TOP    (FMT_TOP - JUDGE_BELOW)
#define BITS   (JUDGE_VA_BITS + 1)
#define WINDOW ((UINT64_C(1) << BITS) - fmt_span(TOP))
#define WIDE   (FMT_VA_BITS == 52)

#define HCR_VM	  (UINT64_C(1) << 0)
#define HCR_DC	  (UINT64_C(1) << 12) // without stage 1, memory is normal
#define HCR_RW	  (UINT64_C(1) << 31)
#define VTCR_HA	  (UINT64_C(1) << 21)
#define VTCR_HD	  (UINT64_C(1) << 22)
// As the format has it; write-back walks, inner shareable. SL0 (and SL2) say at which level the root is: the
// architecture's level 0 is 2 with 4 KiB and 3 with 16 KiB, its level 1 is 2 with 16 and 64 KiB, its level -1 is SL2.
#define VTCR_TG0  ((uint64_t)(VMT_PAGE_SHIFT == 12 ? 0 : VMT_PAGE_SHIFT == 14 ? 2 : 1) << 14)
#define VTCR_SL	  (TOP == 4 ? UINT64_C(1) << 33 : (uint64_t)(VMT_PAGE_SHIFT == 14 && TOP == 3 ? 3 : 2) << 6)
#define VTCR_DS	  ((uint64_t)(WIDE && VMT_PAGE_SHIFT != 16) << 32)
#define VTCR                                                                                                           \
	((64 - BITS) | VTCR_SL | 1 << 8 | 1 << 10 | 3 << 12 | VTCR_TG0 | (WIDE ? 6 : 5) << 16 |                 \
	 UINT64_C(1) << 31 | VTCR_DS)
#define STATE_EL0 UINT64_C(0x3c0)
#define STATE_EL1 UINT64_C(0x3c5)
#define ESR_FNV	  (UINT64_C(1) << 10) // the fault's address is not known
#define ESR_WNR	  (UINT64_C(1) << 6)
#define PAR_FAULT UINT64_C(1)
#define PAR_STAGE_2 (UINT64_C(1) << 9)
#define STATUS_ABSENT_ABOVE 0x2b // a translation fault of level -1

enum { // ESR_EL2.EC, ESR_EL1.EC
	CLASS_SVC = 0x15,
	CLASS_HVC = 0x16,
	CLASS_FETCH = 0x20,
	CLASS_DATA = 0x24,
};

extern struct {
	uint64_t esr, far, hpfar, guest_esr, x0, saved;
} a64_trap;

void a64_attempt(uint64_t code, uint64_t a, uint64_t b, uint64_t state);
void a64_load(void);
void a64_store(void);
void a64_vectors(void);

#define sys_read(name)                                                                                                 \
	({                                                                                                             \
		uint64_t value_;                                                                                       \
		__asm__ volatile("mrs %0, " name : "=r"(value_)::"memory");                                            \
		value_;                                                                                                \
	})
#define sys_write(name, value) __asm__ volatile("msr " name ", %0\n\tisb" ::"r"((uint64_t)(value)) : "memory")

// The first 4 GiB of memory, by the largest leaves below the root.
static _Alignas(PAGE) uint64_t window[FMT_SLOTS];

static void window_fill(void)
{
	uint64_t span = fmt_span(TOP - 1), n = span < 4 * GIB ? 4 * GIB / span : 1;

	for (uint64_t i = 0; i < n; i++)
		// Accessed, readable, writable, executable, write-back, a block; with VTCR.DS without shareability.
		window[i] = i * span | (VTCR_DS ? 0x4fd : 0x7fd);
}

// ID_AA64MMFR0_EL1: the granule at stage 2, and with 52 bits FEAT_LPA2 or FEAT_LPA.
static bool has_format(void)
{
	uint64_t features = sys_read("id_aa64mmfr0_el1");
	unsigned at = VMT_PAGE_SHIFT == 12 ? 40 : VMT_PAGE_SHIFT == 14 ? 32 : 36;
	unsigned stage2 = features >> at & 15, stage1 = features >> (at == 40 ? 28 : at == 32 ? 20 : 24) & 15;

	if (WIDE && (features & 15) < 6)
		return false;
	if (stage2)
		return stage2 >= (VTCR_DS ? 3 : 2);
	// As stage 1, where 0 stands for the granule with 4 and 64 KiB, and 1 with 16 KiB.
	return VTCR_DS ? stage1 == (VMT_PAGE_SHIFT == 14 ? 2 : 1) : VMT_PAGE_SHIFT == 14 ? stage1 >= 1 : stage1 < 2;
}

void machine_start(void)
{
	// ID_AA64MMFR1_EL1.HAFDBS
	if ((sys_read("id_aa64mmfr1_el1") & 15) < 2)
		judge_skip("the processor does not write access flags and dirty states");
	if (!has_format())
		judge_skip("the processor lacks the granule at stage 2, or 52 bits with it");
	window_fill();
	sys_write("vbar_el1", (uint64_t)a64_vectors + WINDOW);
	sys_write("hcr_el2", HCR_VM | HCR_DC | HCR_RW);
	machine_hardware_marks(true);
}

static uint64_t root_in_use = NOWHERE;
static _Alignas(PAGE) uint64_t nothing[FMT_SLOTS];

// The table where the walk begins.
static uint64_t *first_table(void)
{
	uint64_t *table = root_in_use == NOWHERE ? nothing : port_pointer(root_in_use);

	if (JUDGE_BELOW && table != nothing)
		table = fmt_is_table(table[0], FMT_TOP) ? port_pointer(fmt_pa(table[0])) : nothing;
	return table;
}

// Before the guest runs, and after: its image is in the table only meanwhile, for the table may be given back.
static void enter(void)
{
	uint64_t *table = first_table();

	table[fmt_index(WINDOW, TOP)] = (uint64_t)window | 3;
	if (sys_read("vttbr_el2") == (uint64_t)table)
		return;
	sys_write("vttbr_el2", (uint64_t)table);
	machine_flush_all();
}

static void leave(void)
{
	first_table()[fmt_index(WINDOW, TOP)] = 0;
}

void machine_use(uint64_t root)
{
	root_in_use = root;
	enter();
	leave();
	machine_flush_all();
}

void machine_flush_all(void)
{
	__asm__ volatile("dsb ish\n\ttlbi vmalls12e1\n\tdsb ish\n\tic iallu\n\tdsb ish\n\tisb" ::: "memory");
}

// What stage 2 alone has cached, and then what both stages together have (D8.17).
void machine_flush_page(uint64_t va)
{
	__asm__ volatile("dsb ish\n\ttlbi ipas2e1, %0\n\tdsb ish\n\ttlbi vmalle1\n\tdsb ish\n\tisb" ::"r"(va >> 12)
			 : "memory");
}

// Stage 2 does not know whose a page is.
void machine_strict(bool on)
{
	(void)on;
}

bool machine_allows(enum judge_who who, enum judge_access access, bool user, bool strict)
{
	(void)who, (void)access, (void)user, (void)strict;
	return true;
}

void machine_hardware_marks(bool on)
{
	sys_write("vtcr_el2", on ? VTCR | VTCR_HA | VTCR_HD : VTCR);
	machine_flush_all();
}

void machine_code(uint32_t code[4], uint32_t token)
{
	code[0] = 0xd2800000 | (token & 0xffff) << 5; // movz x0, #token
	code[1] = 0xf2a00000 | token >> 16 << 5;      // movk x0, #token >> 16, lsl #16
	code[2] = 0xd4000001;			      // svc #0
	__asm__ volatile("dsb ish\n\tic iallu\n\tdsb ish\n\tisb" ::: "memory");
}

// A fault status code, as ESR_EL2 and PAR_EL1 have it. The architecture's level 3 is level 0 here, and its level -1 has
// codes of its own.
static void describe(struct judge_result *result, uint64_t status)
{
	static const enum judge_outcome outcomes[] = {OTHER, ABSENT, UNMARKED, DENIED};

	result->outcome = status < 16 ? outcomes[status >> 2] : status == STATUS_ABSENT_ABOVE ? ABSENT : OTHER;
	result->level = status == STATUS_ABSENT_ABOVE ? 4 : 3 - (int)(status & 3);
	if (JUDGE_BELOW && first_table() == nothing)
		result->level = -1; // of an entry that it has not seen
}

struct judge_result machine_access(enum judge_who who, enum judge_access access, uint64_t va, uint64_t value)
{
	uint64_t code = access == EXECUTE ? va : (uint64_t)(access == READ ? a64_load : a64_store) + WINDOW, esr;
	struct judge_result result = {.outcome = OTHER, .level = -1};

	enter();
	a64_attempt(code, va, value, who == USER ? STATE_EL0 : STATE_EL1);
	leave();
	esr = a64_trap.esr;
	if (esr >> 26 == CLASS_HVC && a64_trap.guest_esr >> 26 == CLASS_SVC)
		result.outcome = ALLOWED;
	else if (esr >> 26 == (access == EXECUTE ? CLASS_FETCH : CLASS_DATA) && !(esr & ESR_FNV) &&
		 (access == EXECUTE || !!(esr & ESR_WNR) == (access == WRITE)) && a64_trap.hpfar >> 4 == va >> 12)
		describe(&result, esr & 63);
	result.value = a64_trap.x0;
	result.address = a64_trap.far;
	result.raw[0] = esr;
	result.raw[1] = a64_trap.guest_esr;
	return result;
}

// Normal write-back memory, inner shareable (PAR_EL1.ATTR and SH), normal memory that is not cacheable, or
// device-nGnRE, which are always outer shareable. Nothing else is what the format promises.
static bool kind_of_memory(uint64_t par, enum vmt_memory *memory)
{
	unsigned attr = par >> 56, share = par >> 7 & 3;

	*memory = attr == 0x44 ? VMT_MEMORY_NONCACHED : attr == 0x04 ? VMT_MEMORY_DEVICE : VMT_MEMORY_NORMAL;
	return attr == 0xff ? share == 3 : share == 2 && *memory != VMT_MEMORY_NORMAL;
}

struct judge_result machine_translate(enum judge_who who, enum judge_access access, uint64_t va)
{
	struct judge_result result = {.outcome = OTHER, .level = -1};
	uint64_t par;

	enter();
	if (who == USER && access == WRITE)
		__asm__ volatile("at s12e0w, %0\n\tisb" ::"r"(va) : "memory");
	else if (who == USER)
		__asm__ volatile("at s12e0r, %0\n\tisb" ::"r"(va) : "memory");
	else if (access == WRITE)
		__asm__ volatile("at s12e1w, %0\n\tisb" ::"r"(va) : "memory");
	else
		__asm__ volatile("at s12e1r, %0\n\tisb" ::"r"(va) : "memory");
	leave();
	par = sys_read("par_el1");
	result.raw[0] = par;
	if (par & PAR_FAULT) {
		if (par & PAR_STAGE_2)
			describe(&result, par >> 1 & 63);
		return result;
	}
	result.outcome = kind_of_memory(par, &result.memory) ? ALLOWED : OTHER;
	result.value = (par & (((UINT64_C(1) << 52) - 1) & ~VMT_PAGE_MASK)) | (va & VMT_PAGE_MASK);
	return result;
}

void machine_put(char c)
{
	*(volatile uint32_t *)UINT64_C(0x9000000) = (unsigned char)c; // the UART sends at once
}

_Noreturn void machine_end(bool good)
{
	(void)good;
	// PSCI: SYSTEM_OFF. It has no status; the last line does.
	__asm__ volatile("mov w0, #0x8\n\tmovk w0, #0x8400, lsl #16\n\tsmc #0" ::: "x0", "memory");
	for (;;)
		;
}

// SPDX-License-Identifier: MIT
// The entry of the fuzzer: bytes become a sequence of tests/lib/device_differential.h, which compares the library with
// a flat model after each operation and stops the process if they differ.
#include "decode.h"

// Pages around edges: of the range, of its two tables, of huge pages. The upper bits say which edge.
static unsigned decode_page(uint8_t byte)
{
	static const unsigned edges[] = {0, HALF - 8, HALF, CELLS - 8};
	unsigned page = (byte & 31) * (unsigned)(CELLS / 32);

	return byte < 0xe0 ? edges[byte >> 6] + (byte & 7) : page;
}

// Mostly a few pages; a half, or all that is left.
static unsigned decode_pages(uint8_t byte, unsigned page)
{
	unsigned left = (unsigned)CELLS - page, pages = left;

	if (byte < 0x80)
		pages = 1 + (byte & 7);
	else if (byte < 0xc0)
		pages = HALF;
	else if (byte < 0xe0)
		pages = 1 + (byte & 31);
	return pages < left ? pages : left;
}

static void decode_op(const uint8_t *byte, unsigned at, struct op *op)
{
	*op = (struct op){
		.kind = byte[0] % OP_KINDS,
		.space = (byte[1] & 3) % SPACES,
		.device = (byte[1] >> 2 & 3) % DEVICES,
		.memory = byte[1] >> 4 & 3,
		.page = decode_page(byte[2]),
		.to = decode_page(byte[4]),
		.flags = (byte[5] | (unsigned)byte[6] << 8) & OPF_ALL,
		.value = ((uint64_t)(at + 1) << 8 | byte[7]) + 1,	// which no other operation writes
	};
	op->pages = decode_pages(byte[3], op->page);
	op->memory = op->memory > MEMORIES ? MEMORIES : op->memory;
}

// Which of all formats with pages of this size; if it was not built, the next one that was. So a corpus says the same
// whatever else is built.
static enum sim_format decode_format(uint8_t byte)
{
	unsigned formats = 0, n;

	for (unsigned format = 0; format < SIM_FORMATS; format++)
		formats += sim_format_page(format) == PAGE;
	n = byte % formats;
	for (enum sim_format format = 0;; format = (format + 1) % SIM_FORMATS) {
		if (sim_format_page(format) != PAGE)
			continue;
		if (n == 0 && format_fits(format))
			return format;
		n -= n > 0;
	}
}

bool fuzz_decode(const uint8_t *bytes, size_t size, struct sequence *sequence)
{
	if (size < FUZZ_HEAD + FUZZ_OP)
		return false;
	sequence->format = decode_format(bytes[0]);
	sequence->seed = bytes[1];
	for (sequence->count = 0; sequence->count < FUZZ_OPS; sequence->count++) {
		size_t at = FUZZ_HEAD + (size_t)sequence->count * FUZZ_OP;

		if (at + FUZZ_OP > size)
			break;
		decode_op(bytes + at, sequence->count, &sequence->op[sequence->count]);
	}
	return true;
}

// A check that fails outside of a cmocka test ends the process as a stop of the machine does.
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	return setenv("CMOCKA_TEST_ABORT", "1", 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static struct sequence sequence;

	if (fuzz_decode(bytes, size, &sequence))
		run_sequence(sequence.format, sequence.seed, sequence.op, sequence.count);
	return 0;
}

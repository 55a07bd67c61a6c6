// SPDX-License-Identifier: MIT
// A fault at each place in turn. For each operation in each scene: the first frame that it asks for is not there, then
// the second, and so on until it asks no more; and the same with memory, with copies to and from device memory, with
// pages that an object's owner refuses, with flushes before which the MMUs of all CPUs and the mirrors' devices go on
// loading, and with grace periods that last until the end of the sequence. The operations and the flat model that
// everything is compared with are those of device_differential.h; starved.h repeats what has failed.
//
//	lib_faults_test [SEEDS]	the places come last, for faults.py to judge
#include <signal.h>
#include <unistd.h>

#include "device_differential.h"
#include "faults.h"
#include "faults_acts.h"

// Words: an operation's name, then s(pace), p(age), n (pages), t(o), d(evice), m(emory), v(alue), each with its number,
// and letters for flags: r x h w m W i s o a k O, from OPF_READ_ONLY on.
static const char *const scenes[] = {
	"",
	"map p0 n512; map p512 n512; write p3; write p5; write p510; write p511; write p512; write p516; read p20",
	"map p0 n512; map p512 n512; write p5; write p6; write p511; write p514; fork t1; write p511; read s1 p5",
	"map p0 n512 fh; map p512 n512 fh; write p5; write p600",
	"map p0 n512 fh; map p512 n512 fh; write p5; write p600; fork t1; pin p7 v1",
	"map p0 n512 fso v1; map p512 n40 fo v1; map p560 n40 fs v4; read p5; write p510; write p514; read p515; "
	"write p561; fork t1",
	"map p0 n512; map p512 n512; write p5; write p510; mark p6 n3 t2; mark p512 n512 t2; guard p500 n24; "
	"take p5 fO v5; take p510 fO v6",
	"map p0 n512; map p512 n512; write p4; write p5; write p6; write p510; write p511; write p512; "
	"migrate p4 n3 m0; migrate p510 n3 m1; device-read d0 p5; advise p500 n24 m0 fm; device-read d0 p514",
	"map p0 n512 fh; map p512 n512 fh; write p5; write p600; migrate p0 n512 m0; device-write d0 p7; "
	"exclusive d1 p600",
	"map p0 n512; map p512 n512; write p5; write p510; mirror t0 v20 fwW; mirror t1 v3 fw; "
	"mirror-use t1 p5 fW; write p511",
	"map p0 n512 fh; write p5; map p512 n512; write p514; mirror t0 v0 fw; mirror t1 v2; "
	"mirror-use t0 p5 fW; mirror-use t0 p514 fW",
	"map p0 n512; map p512 n512; write p4; write p5; write p510; write p514; write p600; unmap p600 n20; "
	"lazy p4 n1; lazy p512 n8",
	"map p0 n512; write p5; advise p0 n512 m1; start p4 n2 m0 v0; write p6; fork t1; fork s1 t2; pin p6 v0",
};

static const char *const operations[] = {
	"map p4 n4 fr", "map p500 n24 fr", "map p0 n512 fh", "map n24 fa", "map p4 n4 fk", "map p8 n8 fso v1",
	"map p508 n8 fs", "map p8 n8 fo v3", "map p0 n1024", "unmap p5 n1", "unmap p500 n24", "unmap p0 n1024",
	"protect p5 n1 fr", "protect p5 n2 frx", "protect p500 n24 fr", "release p5 n1", "release p500 n24",
	"release p0 n1024", "lazy p4 n4", "lazy p0 n512", "guard p5 n1", "guard p500 n24", "unguard p502 n2",
	"unguard p0 n1024", "move p4 n4 t700", "move p5 n1 t514", "move p0 n512 t512", "move p513 n20 t100",
	"fork t2", "fork s1 t2", "destroy s1", "read p5", "read p6", "read p511", "read p600", "write p5",
	"write p7", "write p510", "write p514", "write p700", "write s1 p5", "write s1 p600", "populate p0 n24",
	"populate p500 n24", "reclaim v50", "pin p6 v1", "pin p511 v1", "take p5 v9", "take p600 v9 fO", "collapse",
	"huge p0 n512 fh", "huge p500 n24", "harvest p0 n1024", "harvest p500 n24 fr", "device-read d0 p5",
	"device-write d0 p5", "device-write d1 p511", "device-write d2 p4", "device-write d0 p600",
	"present d0 p0 n512", "exclusive d0 p5", "exclusive d2 p511", "range d0 p500 n24 fW v1",
	"range d1 p0 n40 v1", "attach d2 s1", "migrate p4 n3 m0", "migrate p500 n24 m1", "migrate p0 n512 m0",
	"migrate p512 n512 m1", "back p0 n512", "back p500 n24", "start p500 n24 m0 v1", "finish v0",
	"advise p0 n40 m0", "advise p510 n4 m1 fm", "mark p5 n1 t0 v3", "mark p500 n24 t2 v3", "unmark p7 n1 t2",
	"unmark p500 n40 t2", "resolve p5 v9", "resolve p520 v9", "resolve p7 v9", "look p5", "mirror t0 v0 fw",
	"mirror t0 v4 fwW", "mirror t0 v3 fwW", "mirror-fault t0 p0 n40 fW", "mirror-fault t1 p500 n24",
	"mirror-use t0 p7 fW", "mirror-fault t0 p600 fwW", "mirror-sync t0 p5", "destroy s1 fW",
};

#define COUNT(array) (unsigned)(sizeof(array) / sizeof(*(array)))

// ---- Words to operations -----------------------------------------------------------------------------------------

static unsigned parse_flags(const char *letters)
{
	static const char order[] = "rxhwmWisoakO";
	unsigned flags = 0;

	for (; *letters; letters++) {
		const char *at = strchr(order, *letters);

		assert_non_null(at);
		flags |= 1u << (at - order);
	}
	return flags;
}

static void parse_word(const char *word, struct op *op)
{
	unsigned number = (unsigned)strtoul(word + 1, NULL, 10);

	switch (word[0]) {
	case 's':
		op->space = number;
		break;
	case 'p':
		op->page = number;
		break;
	case 'n':
		op->pages = number;
		break;
	case 't':
		op->to = number;
		break;
	case 'd':
		op->device = number;
		break;
	case 'm':
		op->memory = number;
		break;
	case 'v':
		op->value = number;
		break;
	case 'f':
		op->flags = parse_flags(word + 1);
		break;
	default:
		fail_msg("what is %s?", word);
	}
}

// Appends the operations of the text. What a write writes, and nothing else, is its place.
static unsigned parse(const char *text, struct op *ops, unsigned count)
{
	static char copy[1024];
	char *next = copy, *rest, *word;

	snprintf(copy, sizeof(copy), "%s", text);
	for (char *part; (part = strtok_r(next, ";", &rest)); next = NULL, count++) {
		struct op *op = &ops[count];
		char *more;

		*op = (struct op){.pages = 1, .value = 1000 + count, .memory = MEMORIES};
		word = strtok_r(part, " ", &more);
		while (op->kind < OP_KINDS && strcmp(word, op_names[op->kind]))
			op->kind++;
		assert_true(op->kind < OP_KINDS);
		while ((word = strtok_r(NULL, " ", &more)))
			parse_word(word, op);
	}
	return count;
}

// ---- Faults ------------------------------------------------------------------------------------------------------

static struct {
	const char *scene, *operation;
	enum sim_format format;
	uint64_t seed;
	enum fault_kind kind;
	unsigned n, at;
	bool all, happened;
	uint64_t failed;	// of what was to fail: allocations, copies, pages of objects, before the operation
	uint64_t copies, fills;	// that have failed, in all
	uint64_t runs, faults;
} now;

static const char *const kind_names[] = {"frame", "memory", "flush", "grace period", "copy", "page of an object"};

// What has failed so far.
static uint64_t failures(struct run *run)
{
	struct sim_counts counts;

	sim_get_counts(run->env.machine, &counts);
	return now.kind == FAULT_COPY ? run->vram[0].failed + run->vram[1].failed :
	       now.kind == FAULT_FILL ? run->refused : counts.injected;
}

// While a flush is late the MMUs load what they can for all that there is, and mirrors' devices use it.
static void load_all(void *arg)
{
	struct run *run = arg;
	uint64_t pa;

	for (unsigned page = 0; page < CELLS; page += page % HALF < 24 || page % HALF > HALF - 16 ? 1 : 37) {
		for (unsigned i = 0; i < CPUS; i++)
			sim_prefetch(run->cpu[i], page_addr(run, page));
		for (unsigned i = 0; i < MIRRORS; i++) {
			struct dev *dev = &run->mirror[i];
			uint64_t at = page_addr(run, page);

			if (dev->mirror && at >= dev->config.start && at < dev->config.end)
				dev_uses(dev, at, VMT_READ, &pa);
		}
	}
}

static void before(struct run *run, unsigned at)
{
	static const unsigned kinds[] = {SIM_FAIL_FRAME, SIM_FAIL_MEM, 0, 0, FAIL_COPY, FAIL_FILL};

	if (at != now.at)
		return;
	now.failed = failures(run);
	if (now.kind == FAULT_FLUSH || now.kind == FAULT_DEFER) {
		faults_delay(now.kind, now.n, load_all, run);
		return;
	}
	run->starve = now.n;
	run->starve_kinds = kinds[now.kind];
	run->starve_all = now.all;
}

static void after(struct run *run, unsigned at)
{
	if (at != now.at)
		return;
	now.happened = now.kind == FAULT_FLUSH || now.kind == FAULT_DEFER ? faults_delayed() :
									    failures(run) > now.failed;
	now.copies += now.kind == FAULT_COPY && now.happened;
	now.fills += now.kind == FAULT_FILL && now.happened;
	faults_delay(now.kind, 0, NULL, NULL);
	compare_all(run);
}

static const struct run_hooks hooks = {.before = before, .after = after, .end = faults_release};

static void say_where(int signal)
{
	(void)signal;
	fprintf(stderr, "%s, seed %llu: %s; then %s, when %s %u%s fails or is late\n", sim_format_name(now.format),
		(unsigned long long)now.seed, now.scene, now.operation, kind_names[now.kind], now.n,
		now.all ? " and all after it" : "");
	_exit(1);
}

static void each_point(unsigned kind, bool all)
{
	static struct op ops[64];
	unsigned count = parse(now.operation, ops, parse(now.scene, ops, 0));

	now.kind = kind;
	now.all = all;
	now.at = count - 1;
	for (now.n = 1; now.n == 1 || now.happened; now.n++) {
		if (now.n == 400)
			fail_msg("there is no end to the faults");
		now.happened = false;
		run_sequence(now.format, now.seed, ops, count);
		now.runs++;
		now.faults += now.happened;
	}
}

static void each_operation(void)
{
	for (unsigned s = 0; s < COUNT(scenes); s++)
		for (unsigned o = 0; o < COUNT(operations); o++) {
			now.scene = scenes[s];
			now.operation = operations[o];
			for (unsigned kind = 0; kind < FAULT_KINDS; kind++) {
				each_point(kind, false);
				if (kind == FAULT_FRAME || kind == FAULT_MEM)
					each_point(kind, true);
			}
		}
}

int main(int argc, char **argv)
{
	unsigned seeds = argc > 1 ? (unsigned)atoi(argv[1]) : 1;
	uint64_t first = lib_seed(1), acts = 0;

	setenv("CMOCKA_TEST_ABORT", "1", 1);
	signal(SIGABRT, say_where);
	now.format = TEST_FORMAT;
	now.scene = now.operation = "functions by themselves";
	acts = faults_acts(now.format);
	run_hooks = &hooks;
	for (now.seed = first; now.seed < first + seeds; now.seed++)
		each_operation();
	assert_true(acts > 0 && now.faults > 0);
	faults_print();
	printf("place copy 0 copy %llu %llu\n", (unsigned long long)now.runs, (unsigned long long)now.copies);
	printf("place fill 0 fill %llu %llu\n", (unsigned long long)now.runs, (unsigned long long)now.fills);
	printf("%llu sequences, %llu of them with a fault; %llu calls by themselves\n", (unsigned long long)now.runs,
	       (unsigned long long)now.faults, (unsigned long long)acts);
	return 0;
}

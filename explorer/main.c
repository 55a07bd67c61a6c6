// SPDX-License-Identifier: MIT
// The command. docs/proof.md says what it is for.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "explore.h"
#include "tree/protections.h"

#define PREEMPTIONS 2
#define STALE	    2

static const struct { const char *name; unsigned number; } protections[] = {
#define PROTECTION(name) {#name, name},
#include "protections.inc"
#undef PROTECTION
	{"RELAX_SERVES", XP_RELAX_SERVES},
};

unsigned vmt_without;

struct options {
	const char *replay, *without;
	bool list, seeded, quiet, prove;
	struct xp_plan plan;
};

static const char usage[] =
	"usage: explore [options] SCENARIO...\n"
	"\n"
	"Runs the library's source under a scheduler of its own and looks for an interleaving that goes wrong.\n"
	"SCENARIO is a name of --list, or what it begins with before the first -, or all. Ends with 0 if nothing was\n"
	"found, 1 if something was, 2 for a bad argument.\n"
	"\n"
	"  --list              the scenarios, each with the protection whose absence it shows\n"
	"  --without NAME      switches a protection off (src/tree/protections.h; RELAX_SERVES: of the port)\n"
	"  --preemptions N     all interleavings with at most N preemptions (2)\n"
	"  --plain             ... without leaving out what can only end the same\n"
	"  --random            random interleavings, with priorities, instead; needs a budget\n"
	"  --seed N            with --random the first seed (1); alone this one interleaving again, with its steps\n"
	"  --replay SCHEDULE   one interleaving again, as a failure has printed it (EVENT:CPU,...), with its steps\n"
	"  --weak              loads may return older values, as C11 permits: at most 2 in one interleaving\n"
	"  --stale N           --weak with at most N\n"
	"  --litmus            small programs of which C11 says how they may end: the explorer's own test\n"
	"  --orders            where which order was asked for, and which acquire has read from which release\n"
	"  --weaken ADDR,...=O the accesses there (of --orders; with failed: before them, where they fail) have order O\n"
	"  --budget N|Ns       at most N interleavings, or N seconds, for each scenario (0: none)\n"
	"  --prove             nothing is found within the budget, and with its protection off (or that of --without)\n"
	"                      each scenario fails at its own assertion; a line of docs/proof.md for each\n"
	"  --progress N        says every N seconds how far it is\n"
	"  --quiet             a line for each scenario, and no interleaving\n";

static _Noreturn void refuse(const char *what, const char *argument)
{
	fprintf(stderr, "explore: %s%s%s\n", what, argument ? ": " : "", argument ? argument : "");
	exit(2);
}

static uint64_t number(const char *text, const char **end)
{
	char *stop;
	uint64_t value;

	errno = 0;
	value = strtoull(text, &stop, 10);
	if (stop == text || errno || *text == '-')
		refuse("not a number", text);
	*end = stop;
	return value;
}

static uint64_t whole_number(const char *text)
{
	const char *end;
	uint64_t value = number(text, &end);

	if (*end)
		refuse("not a number", text);
	return value;
}

static void set_without(const char *name)
{
	for (unsigned i = 0; i < sizeof(protections) / sizeof(*protections); i++) {
		if (!strcmp(protections[i].name, name)) {
			vmt_without = protections[i].number;
			return;
		}
	}
	refuse("there is no protection of this name", name);
}

static void set_budget(const char *text, struct xp_plan *plan)
{
	const char *end;
	uint64_t value = number(text, &end);

	plan->schedules = 0;
	plan->seconds = 0;
	if (!strcmp(end, "s"))
		plan->seconds = (double)value;
	else if (!*end)
		plan->schedules = value;
	else
		refuse("not a budget", text);
}

static unsigned parse_schedule(const char *text, struct xp_deviation *deviation, unsigned most)
{
	unsigned count = 0;

	while (*text) {
		const char *end;

		if (count == most)
			refuse("the schedule is too long", NULL);
		deviation[count].event = number(text, &end);
		if (*end != ':')
			refuse("not a schedule", text);
		deviation[count].cpu = (unsigned)number(end + 1, &end);
		if (deviation[count++].cpu > XP_OLDER || (*end && *end != ','))
			refuse("not a schedule", text);
		text = end + (*end == ',');
	}
	return count;
}

static void list(void)
{
	for (unsigned i = 0; i < xp_scenario_count; i++)
		printf("%-28s %-18s %s\n", xp_scenarios[i]->name, xp_scenarios[i]->without, xp_scenarios[i]->about);
}

static bool can_replay(const struct xp_result *result)
{
	return result->deviations <= sizeof(result->deviation) / sizeof(*result->deviation);
}

static void print_schedule(const struct xp_result *result)
{
	if (!can_replay(result)) {
		printf("  (more switches than a schedule can name)\n");
		return;
	}
	printf("  again: --replay '");
	for (unsigned i = 0; i < result->deviations; i++)
		printf("%s%llu:%u", i ? "," : "", (unsigned long long)result->deviation[i].event,
		       result->deviation[i].cpu);
	printf("'\n");
}

// Runs the schedule once more and prints what happens.
static int show(const struct scenario *scenario, const struct xp_deviation *deviation, unsigned count)
{
	struct xp_result result;

	xp_trace_start();
	xp_replay(scenario, deviation, count, &result);
	xp_trace_stop();
	xp_trace_print();
	printf("%s: %s\n", scenario->name, result.outcome == XP_FAILED ? result.message : "nothing goes wrong");
	return result.outcome == XP_FAILED;
}

static int explore(const struct scenario *scenario, const struct options *options)
{
	static struct xp_report report;
	bool failed;

	xp_explore(scenario, &options->plan, &report);
	failed = report.result.outcome == XP_FAILED;
	printf("%s: %s, %llu interleavings, %llu events, %.2f s", scenario->name,
	       failed ? report.result.message : "nothing found", (unsigned long long)report.schedules,
	       (unsigned long long)report.events, report.seconds);
	if (!failed && !options->plan.random)
		printf(", %llu ends, %s", (unsigned long long)report.ends,
		       report.exhausted ? "exhausted" : "not exhausted");
	printf("\n");
	if (xp_orders_noted)
		xp_orders_print();
	if (!failed)
		return 0;
	if (options->plan.random)
		printf("  seed %llu\n", (unsigned long long)report.seed);
	print_schedule(&report.result);
	if (!options->quiet && can_replay(&report.result))
		show(scenario, report.result.deviation, report.result.deviations);
	return 1;
}

// What is found with a protection off: with no preemption, with one, and so on, since few are enough for most.
static void explore_without(const struct scenario *scenario, const char *without, struct xp_plan plan,
			    struct xp_report *report)
{
	unsigned most = plan.preemptions;
	uint64_t before = 0;

	plan.schedules = 0;
	plan.seconds = 0;
	set_without(without);
	for (plan.preemptions = 0; plan.preemptions <= most; plan.preemptions++) {
		xp_explore(scenario, &plan, report);
		report->schedules += before;
		before = report->schedules;
		if (report->result.outcome == XP_FAILED)
			break;
	}
	vmt_without = 0;
}

// Nothing with everything on, and what the scenario asserts fails with its protection off (or the one that was named).
static int prove(const struct scenario *scenario, const struct options *options)
{
	const char *without = options->without ? options->without : scenario->without;
	static struct xp_report on, off;
	bool found;

	xp_explore(scenario, &options->plan, &on);
	if (on.result.outcome == XP_FAILED) {
		printf("%s: %s\n", scenario->name, on.result.message);
		print_schedule(&on.result);
		return 1;
	}
	if (!without) {
		printf("| %s | %llu | %llu | %s | - | - | - | - |\n", scenario->name,
		       (unsigned long long)on.schedules, (unsigned long long)on.ends, on.exhausted ? "yes" : "no");
		return 0;
	}
	explore_without(scenario, without, options->plan, &off);
	found = off.result.outcome == XP_FAILED && off.result.own &&
		!strncmp(off.result.message, scenario->words, strlen(scenario->words));
	if (!found) {
		printf("%s without %s: %s%s\n", scenario->name, without,
		       off.result.outcome != XP_FAILED ? "nothing found" :
		       off.result.own ? "" : "not at what it asserts: ", off.result.message);
		return 1;
	}
	printf("| %s | %llu | %llu | %s | %s | %llu | %llu | %s |\n", scenario->name, (unsigned long long)on.schedules,
	       (unsigned long long)on.ends, on.exhausted ? "yes" : "no", without,
	       (unsigned long long)off.schedules, (unsigned long long)off.result.events, scenario->words);
	return 0;
}

static int run_seed(const struct scenario *scenario, uint64_t seed)
{
	struct xp_result result;

	xp_random_once(scenario, seed, &result);
	print_schedule(&result);
	return can_replay(&result) ? show(scenario, result.deviation, result.deviations) :
				     result.outcome == XP_FAILED;
}

static int run(const struct scenario *scenario, const struct options *options)
{
	struct xp_deviation deviation[256];

	if (options->prove)
		return prove(scenario, options);
	if (options->replay)
		return show(scenario, deviation, parse_schedule(options->replay, deviation, 256));
	if (options->seeded && !options->plan.random)
		return run_seed(scenario, options->plan.seed);
	return explore(scenario, options);
}

static int run_named(const char *name, const struct options *options)
{
	bool all = !strcmp(name, "all"), known = false;
	size_t length = strlen(name);
	int found = 0;

	for (unsigned i = 0; i < xp_scenario_count; i++) {
		const char *whole = xp_scenarios[i]->name;

		if (all || !strcmp(whole, name) || (!strncmp(whole, name, length) && whole[length] == '-')) {
			known = true;
			found |= run(xp_scenarios[i], options);
			fflush(stdout);
		}
	}
	if (!known)
		refuse("there is no scenario of this name", name);
	return found;
}

static const char *value_of(char **arguments, int *i)
{
	if (!arguments[*i + 1])
		refuse("a value is missing", arguments[*i]);
	return arguments[++*i];
}

// Returns the index of the first scenario.
static int parse(char **arguments, struct options *options)
{
	int i;

	for (i = 1; arguments[i] && arguments[i][0] == '-'; i++) {
		const char *name = arguments[i];

		if (!strcmp(name, "--list")) {
			options->list = true;
		} else if (!strcmp(name, "--random")) {
			options->plan.random = true;
		} else if (!strcmp(name, "--plain")) {
			options->plan.plain = true;
		} else if (!strcmp(name, "--weak")) {
			xp_stale = STALE;
		} else if (!strcmp(name, "--stale")) {
			xp_stale = (unsigned)whole_number(value_of(arguments, &i));
		} else if (!strcmp(name, "--litmus")) {
			exit(xp_litmus());
		} else if (!strcmp(name, "--orders")) {
			xp_orders_noted = true;
		} else if (!strcmp(name, "--weaken")) {
			const char *value = value_of(arguments, &i);

			if (!xp_orders_weaken(value))
				refuse("not addresses and an order", value);
		} else if (!strcmp(name, "--prove")) {
			options->prove = true;
		} else if (!strcmp(name, "--quiet")) {
			options->quiet = true;
		} else if (!strcmp(name, "--without")) {
			options->without = value_of(arguments, &i);
			set_without(options->without);
		} else if (!strcmp(name, "--preemptions")) {
			options->plan.preemptions = (unsigned)whole_number(value_of(arguments, &i));
		} else if (!strcmp(name, "--seed")) {
			options->plan.seed = whole_number(value_of(arguments, &i));
			options->seeded = true;
		} else if (!strcmp(name, "--replay")) {
			options->replay = value_of(arguments, &i);
		} else if (!strcmp(name, "--budget")) {
			set_budget(value_of(arguments, &i), &options->plan);
		} else if (!strcmp(name, "--progress")) {
			options->plan.progress = (double)whole_number(value_of(arguments, &i));
		} else if (!strcmp(name, "--help")) {
			fputs(usage, stdout);
			exit(0);
		} else {
			refuse("there is no option of this name", name);
		}
	}
	return i;
}

int main(int argc, char **argv)
{
	struct options options = {.plan = {.preemptions = PREEMPTIONS, .seed = 1}};
	int first = parse(argv, &options), found = 0;

	if (options.list) {
		list();
		return 0;
	}
	if (first == argc) {
		fputs(usage, stderr);
		return 2;
	}
	if (options.prove)
		vmt_without = 0; // for its second half only
	if (options.plan.random && !options.plan.schedules && options.plan.seconds == 0)
		refuse("--random needs a --budget", NULL);
	for (int i = first; i < argc; i++)
		found |= run_named(argv[i], &options);
	return found;
}

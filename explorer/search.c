// SPDX-License-Identifier: MIT
// Which executions: all with few preemptions, random ones, or one again.
//
// *Exhaustive*, up to a bound on preemptions: depth first, by running the scenario from the beginning again with other
// choices. To switch away from a CPU that could go on costs one; when it waits or has ended the choice is free. Two
// reductions, both of which leave every result to be found:
//  - only visible events are choices (run.c): those that another CPU could notice. When a place has turned out to be
//    visible that was not, the search begins anew.
//  - partial orders: an execution that comes to a state that was reached before, with the same CPU at work and no fewer
//    preemptions spent, is cut off. States are equal if their histories are, that is if the executions differ only in
//    the order of events that do not depend on each other.
//
// *Random*, by priorities (PCT; Burckhardt, Kothari, Musuvathi, Nagarakatte: "A randomized scheduler with probabilistic
// guarantees of finding bugs", ASPLOS 2010): the CPU with the highest priority runs; at a few random events, and
// when it waits, the one at work gets the lowest. All of it follows from a seed.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "explore.h"

#define MOST_CHOICES 20001
#define CHANGES	     3	// of priority, in a random execution

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

// ---- States that were reached ------------------------------------------------------------------------------------

// Open addressing; a state and the fewest preemptions that it was reached with. Full at the end: then what is new is
// not remembered, and only more is run than had to be.
#define STATES_MOST (1u << 23)

struct reached {
	uint64_t state;		// 0: nothing
	uint64_t preemptions;
};

static struct reached *reached;
static uint64_t reached_size, reached_count;
static bool plain;

static struct reached *reached_slot(uint64_t state)
{
	uint64_t i = state & (reached_size - 1);

	while (reached[i].state && reached[i].state != state)
		i = (i + 1) & (reached_size - 1);
	return &reached[i];
}

static void reached_grow(uint64_t size)
{
	struct reached *old = reached;
	uint64_t old_size = reached_size;

	reached = calloc(size, sizeof(*reached));
	if (!reached)
		abort();
	reached_size = size;
	for (uint64_t i = 0; i < old_size; i++) {
		if (old[i].state)
			*reached_slot(old[i].state) = old[i];
	}
	free(old);
}

static void reached_reset(void)
{
	free(reached);
	reached = NULL;
	reached_size = reached_count = 0;
	reached_grow(1u << 12);
}

// True: it was, with so many preemptions or fewer. Without remembering it.
static bool was_reached(uint64_t state, unsigned preemptions)
{
	const struct reached *slot = reached_slot(state | 1);

	return slot->state && slot->preemptions <= preemptions;
}

// True: it was, with so many preemptions or fewer.
static bool reached_before(uint64_t state, unsigned preemptions)
{
	struct reached *slot = reached_slot(state |= 1);

	if (slot->state) {
		bool before = slot->preemptions <= preemptions;

		if (!before)
			slot->preemptions = preemptions;
		return before;
	}
	if (reached_count >= STATES_MOST / 4 * 3)
		return false;
	*slot = (struct reached){state, preemptions};
	if (++reached_count > reached_size / 2 && reached_size < STATES_MOST)
		reached_grow(2 * reached_size);
	return false;
}

// ---- Exhaustive --------------------------------------------------------------------------------------------------

struct node {
	uint8_t left;		// CPUs that are still to be tried
	uint8_t chosen, current;
	bool goes_on;
	bool either;
	uint16_t preemptions;	// before this choice
	uint64_t event;		// xp_choice::event
};

static struct node path[MOST_CHOICES];
static unsigned depth, fixed;	// how long the path is, and how much of it is prescribed
static unsigned most_preemptions;

static unsigned cost(const struct node *node, unsigned cpu)
{
	return node->goes_on && cpu != node->current;
}

static unsigned spent(void)
{
	return depth ? path[depth - 1].preemptions + cost(&path[depth - 1], path[depth - 1].chosen) : 0;
}

// ... and with so many older values read or fewer.
static bool state_reached(uint64_t state, unsigned preemptions)
{
	for (unsigned stale = 0; stale < xp_stale_spent(); stale++) {
		if (was_reached(xp_mix(state, stale), preemptions))
			return true;
	}
	return reached_before(xp_mix(state, xp_stale_spent()), preemptions);
}

static unsigned choose_path(const struct xp_choice *choice)
{
	struct node *node = &path[depth];
	unsigned before = spent(), at_work = choice->either * 16u + (choice->goes_on ? choice->current : XP_CPUS);

	if (depth < fixed) {
		// Else something of an execution depends on the one before it.
		if (node->event != choice->event || node->either != choice->either)
			xp_fail("an execution does not repeat itself");
		depth++;
		return node->chosen;
	}
	if (!plain && state_reached(xp_mix(xp_state(), at_work), before))
		return XP_CPUS;
	*node = (struct node){.event = choice->event, .either = choice->either,
			      .current = (uint8_t)choice->current, .goes_on = choice->goes_on,
			      .preemptions = (uint16_t)before, .chosen = (uint8_t)xp_default(choice)};
	if (!choice->goes_on || before < most_preemptions)
		node->left = (uint8_t)(choice->enabled & ~(1u << node->chosen));
	depth++;
	return node->chosen;
}

// The next path. False: there is none.
static bool backtrack(void)
{
	while (depth && !path[depth - 1].left)
		depth--;
	if (!depth)
		return false;
	path[depth - 1].chosen = (uint8_t)__builtin_ctz(path[depth - 1].left);
	path[depth - 1].left &= (uint8_t)(path[depth - 1].left - 1);
	return true;
}

static bool within(const struct xp_plan *plan, const struct xp_report *report, double start)
{
	return (!plan->schedules || report->schedules < plan->schedules) &&
	       (!plan->seconds || now() - start < plan->seconds);
}

// A search that goes on for long says so.
static void tell(const struct scenario *scenario, const struct xp_plan *plan, const struct xp_report *report,
		 double start)
{
	static double told;
	double time = now();

	if (told < start)
		told = start;
	if (plan->progress == 0 || time - told < plan->progress)
		return;
	told = time;
	fprintf(stderr, "%s: at work for %.0f s, %llu interleavings", scenario->name, time - start,
		(unsigned long long)report->schedules);
	if (plan->random)
		fprintf(stderr, ", seed %llu\n", (unsigned long long)report->seed);
	else
		fprintf(stderr, ", at most %u preemptions, %llu ends\n", plan->preemptions,
			(unsigned long long)report->ends);
}

static void explore_all(const struct scenario *scenario, const struct xp_plan *plan, struct xp_report *report,
			double start)
{
	most_preemptions = plan->preemptions;
	plain = plan->plain;
	reached_reset();
	fixed = 0;
	do {
		depth = 0;
		xp_run(scenario, choose_path, plain, &report->result);
		report->schedules++;
		report->events += report->result.events;
		tell(scenario, plan, report, start);
		if (report->result.outcome == XP_FAILED)
			return;
		if (xp_visible_grew() && !plain) {
			reached_reset();
			depth = fixed = 0;
			report->ends = 0;
			continue;
		}
		// No choice has this state: the last CPU's end has gone into its history.
		if (report->result.outcome == XP_FINE)
			report->ends += !reached_before(xp_mix(xp_end(), UINT64_MAX), 0);
		report->exhausted = !backtrack();
		fixed = depth;
	} while (!report->exhausted && within(plan, report, start));
}

// ---- Random ------------------------------------------------------------------------------------------------------

static uint64_t random_state;
static int64_t priority[XP_CPUS], lowest;
static uint64_t change_at[CHANGES];

static uint64_t random_next(void)
{
	random_state += UINT64_C(0x9e3779b97f4a7c15);
	return xp_mix(random_state, 0);
}

static unsigned random_way(uint8_t enabled)
{
	unsigned ways = (unsigned)__builtin_popcount(enabled);

	return random_next() % 2 ? 0 : (unsigned)(random_next() % ways);
}

static unsigned choose_random(const struct xp_choice *choice)
{
	unsigned best = XP_CPUS;
	bool changes = false;

	if (choice->either)
		return random_way(choice->enabled);
	for (unsigned i = 0; i < CHANGES; i++)
		changes |= choice->event == change_at[i];
	// One that waits lets all others pass, or two that wait for a third would keep each other at it.
	if (choice->current < XP_CPUS && (changes || !choice->goes_on))
		priority[choice->current] = lowest--;
	for (unsigned cpu = 0; cpu < XP_CPUS; cpu++) {
		if (choice->enabled >> cpu & 1 && (best == XP_CPUS || priority[cpu] > priority[best]))
			best = cpu;
	}
	return best;
}

// How long an execution of the scenario is, for the changes to be spread over.
static uint64_t length_of(const struct scenario *scenario)
{
	struct xp_result result;

	xp_run(scenario, xp_default, true, &result);
	return result.events + 1;
}

static void random_run(const struct scenario *scenario, uint64_t seed, uint64_t length, struct xp_result *result)
{
	random_state = seed * UINT64_C(0x2545f4914f6cdd1d);
	lowest = CHANGES;
	for (unsigned i = 0; i < CHANGES; i++)
		change_at[i] = random_next() % length + 1;
	for (unsigned cpu = 0; cpu < XP_CPUS; cpu++)
		priority[cpu] = (int64_t)(CHANGES + 1 + random_next() % 1000);
	xp_run(scenario, choose_random, true, result);
}

void xp_random_once(const struct scenario *scenario, uint64_t seed, struct xp_result *result)
{
	random_run(scenario, seed, length_of(scenario), result);
}

static void explore_random(const struct scenario *scenario, const struct xp_plan *plan, struct xp_report *report,
			   double start)
{
	uint64_t length = length_of(scenario);

	for (report->seed = plan->seed;; report->seed++) {
		random_run(scenario, report->seed, length, &report->result);
		report->schedules++;
		report->events += report->result.events;
		tell(scenario, plan, report, start);
		if (report->result.outcome == XP_FAILED || !within(plan, report, start))
			return;
	}
}

void xp_explore(const struct scenario *scenario, const struct xp_plan *plan, struct xp_report *report)
{
	double start = now();

	memset(report, 0, sizeof(*report));
	xp_forget_visible();
	(plan->random ? explore_random : explore_all)(scenario, plan, report, start);
	report->seconds = now() - start;
}

// ---- Replay ------------------------------------------------------------------------------------------------------

static const struct xp_deviation *replayed;
static unsigned replayed_count;

static unsigned choose_replayed(const struct xp_choice *choice)
{
	for (unsigned i = 0; i < replayed_count; i++) {
		if (replayed[i].event == choice->event && choice->enabled >> replayed[i].cpu & 1)
			return replayed[i].cpu;
	}
	return xp_default(choice);
}

void xp_replay(const struct scenario *scenario, const struct xp_deviation *deviation, unsigned count,
	       struct xp_result *result)
{
	replayed = deviation;
	replayed_count = count;
	xp_run(scenario, choose_replayed, true, result);
}

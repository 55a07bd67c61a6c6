// SPDX-License-Identifier: MIT
// Which memory orders the source asks for where, who reads what was released where, and what happens if one of them
// is weaker. A place in the source is known by the address that its call of the runtime returns to; where a function is
// inlined it has several. orders.py makes lines of these, and weakens them one after the other.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "explore.h"

#define SITES 4096 // a power of two
#define PAIRS 8192

struct site {
	const void *pc;		// NULL: free
	bool failed;		// the order of a compare-and-swap that fails
	int order;
};

struct pair {
	const void *reads, *released;
};

bool xp_orders_noted;

static struct site sites[SITES];
static struct pair pairs[PAIRS];
static unsigned site_count, pair_count;
static const void *at;

static const void *weakened[256];
static unsigned weakened_count;
static bool weakened_failed;
static int weakened_to;

static const char *const names[] = {
	[__ATOMIC_RELAXED] = "relaxed", [__ATOMIC_CONSUME] = "consume", [__ATOMIC_ACQUIRE] = "acquire",
	[__ATOMIC_RELEASE] = "release", [__ATOMIC_ACQ_REL] = "acq_rel", [__ATOMIC_SEQ_CST] = "seq_cst",
};

static void note(const void *pc, bool failed, int order)
{
	unsigned i = (unsigned)((uintptr_t)pc * 2 + failed) * 0x9e3779b1u % SITES;

	while (sites[i].pc && (sites[i].pc != pc || sites[i].failed != failed))
		i = (i + 1) % SITES;
	if (sites[i].pc)
		return;
	if (++site_count == SITES)
		xp_fail("more places with orders than the explorer notes");
	sites[i] = (struct site){pc, failed, order};
}

int xp_order(const void *pc, bool failed, int order)
{
	at = pc;
	if (xp_orders_noted && order != __ATOMIC_RELAXED)
		note(pc, failed, order);
	for (unsigned i = 0; i < weakened_count; i++) {
		if (weakened[i] == pc && weakened_failed == failed)
			return weakened_to;
	}
	return order;
}

const void *xp_order_at(void)
{
	return at;
}

void xp_order_pair(const void *released)
{
	if (!xp_orders_noted || !released)
		return;
	for (unsigned i = 0; i < pair_count; i++) {
		if (pairs[i].reads == at && pairs[i].released == released)
			return;
	}
	if (pair_count < PAIRS)
		pairs[pair_count++] = (struct pair){at, released};
}

void xp_orders_print(void)
{
	for (unsigned i = 0; i < SITES; i++) {
		if (sites[i].pc)
			printf("  %p %s%s\n", sites[i].pc, names[sites[i].order], sites[i].failed ? " failed" : "");
	}
	for (unsigned i = 0; i < pair_count; i++)
		printf("  %p reads %p\n", pairs[i].reads, pairs[i].released);
	memset(sites, 0, sizeof(sites));
	site_count = pair_count = 0;
}

bool xp_orders_weaken(const char *text)
{
	static const char failed[] = "failed:";
	char *end;

	weakened_failed = !strncmp(text, failed, strlen(failed));
	text += weakened_failed ? strlen(failed) : 0;
	for (;; text = end + 1) {
		if (weakened_count == sizeof(weakened) / sizeof(*weakened))
			return false;
		weakened[weakened_count++] = (const void *)(uintptr_t)strtoull(text, &end, 16);
		if (end == text || (*end != ',' && *end != '='))
			return false;
		if (*end == '=')
			break;
	}
	for (int order = 0; order < (int)(sizeof(names) / sizeof(*names)); order++) {
		if (!strcmp(end + 1, names[order])) {
			weakened_to = order;
			return true;
		}
	}
	return false;
}

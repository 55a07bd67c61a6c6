// SPDX-License-Identifier: MIT
// What a scenario asserts of things that only the explorer sees. It names the thing beforehand, with its own words: a
// page or a table that nobody may use once it is free, a circle of CPUs that wait for each other, a line that the
// library says when it gives up. When that very thing is met, these words are said, and the failure is the scenario's
// own. Everything else that the explorer finds is a failure too, but proves nothing of the scenario.
#include <string.h>

#include "port.h"

#define CLAIMS	  4
#define ANY_TABLE XP_FRAMES
#define DETACHED  2		// vmt_node::state (src/tree/tree.h)

static struct claim {
	unsigned misuse;
	unsigned frame;
	const char *words;
} claims[CLAIMS];

static unsigned claim_count;
static uint64_t address;
static const char *address_words;
static uint64_t circle[XP_CPUS];
static const char *circle_words, *said, *said_words;

void xp_claims_reset(void)
{
	claim_count = 0;
	circle_words = address_words = said = NULL;
}

void xp_claim(unsigned misuse, uint64_t pa, const char *words)
{
	bool any = pa == XP_ANY_TABLE;

	if (claim_count == CLAIMS || (!any && xp_frame_is_free(pa)))
		xp_fail("a scenario claims what is not there, or too much");
	claims[claim_count++] = (struct claim){
		misuse, any ? ANY_TABLE : (unsigned)((pa - XP_RAM) / VMT_PAGE_SIZE), words};
}

// The metadata say so also when the frame is free, for nobody writes them then.
static bool is_detached_table(unsigned frame)
{
	const struct vmt_node *node = &xp_frame_meta(XP_RAM + frame * VMT_PAGE_SIZE)->node;

	return node->table == xp_frame_ptr(XP_RAM + frame * VMT_PAGE_SIZE) &&
	       atomic_load_explicit(&node->state, memory_order_relaxed) == DETACHED;
}

const char *xp_claimed(enum xp_misuse misuse, unsigned frame)
{
	for (unsigned i = 0; i < claim_count; i++) {
		if (claims[i].misuse & misuse &&
		    (claims[i].frame == frame ||
		     (claims[i].frame == ANY_TABLE && frame < XP_FRAMES && is_detached_table(frame))))
			return claims[i].words;
	}
	return NULL;
}

void xp_claim_circle(const uint64_t waits_for[XP_CPUS], const char *words)
{
	memcpy(circle, waits_for, sizeof(circle));
	circle_words = words;
}

const char *xp_claimed_circle(const uint64_t waits_for[XP_CPUS])
{
	return circle_words && !memcmp(circle, waits_for, sizeof(circle)) ? circle_words : NULL;
}

void xp_claim_address(uint64_t va, const char *words)
{
	address = va;
	address_words = words;
}

const char *xp_claimed_address(uint64_t va)
{
	return address == va ? address_words : NULL;
}

void xp_claim_said(const char *line, const char *words)
{
	said = line;
	said_words = words;
}

const char *xp_claimed_said(const char *line)
{
	return said && !strcmp(said, line) ? said_words : NULL;
}

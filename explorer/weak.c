// SPDX-License-Identifier: MIT
// What an atomic load may return. Each location keeps its last stores in modification order, which is the order in
// which they happen here. A load may read any of them that is not *hidden*: by a later one that comes before the load,
// or that the loading CPU, or somebody who comes before the load, has read (coherence), or by the rules of seq_cst.
// Which one is a choice of the scheduler's; at most xp_stale of them in one execution are not the last store, so that a
// search ends and loops that wait go on. With xp_stale 0 memory is sequentially consistent.
//
// An acquire load learns what the store that it has read has released, or the release sequence that this goes on with.
// A relaxed store ends a release sequence, also one of the same CPU (C++20 and C23; C11 was kinder). A
// read-modify-write reads the last store; a compare-and-swap that fails is a load.
//
// Nothing else happens here that C11 forbids; what it permits and is not here: a load never reads a store that comes
// later in time (as when two CPUs do a relaxed load and then a store), and stores to one location are ordered as they
// happen. A seq_cst load reads nothing older than what a seq_cst access of the location has read or written (C++20). A
// fence knows all that CPUs knew at seq_cst accesses before it. Only the last KEPT stores of a location can be read.
#include <string.h>

#include "explore.h"

#define KEPT	  (XP_OLDER + 1)
#define LOCATIONS (1u << 14)	// that are written atomically in one execution

// What somebody learns who reads from a store: what comes before, and by seq_cst fences what is hidden besides.
struct message {
	struct clock before, sight;
};

struct store {
	uint64_t value, version;
	struct message released;
	const void *released_at; // by the last that took part in the release sequence, and by whom
	unsigned released_by;
	struct clock known;	// since when each has known of it or of a later one; 0: has not
};

struct location {
	unsigned frame_life, bytes, count;
	unsigned seq_cst;	// the oldest that a seq_cst load may read
	struct store store[KEPT]; // the oldest first
};

unsigned xp_stale;

static struct location locations[LOCATIONS];
static unsigned location_count;
static struct { uint32_t execution, location; } at_place[XP_PLACES];
static unsigned frame_life[XP_FRAMES + 1];
static uint32_t execution;
static unsigned stale;

// Of each: what fences have shown; what a release fence gives to later relaxed stores; what relaxed loads have read
// that an acquire fence would make known.
static struct clock sight[XP_CLOCKS];
static struct message fenced[XP_CLOCKS], read_relaxed[XP_CLOCKS];
// What was known at seq_cst accesses, and at seq_cst fences.
static struct clock seq_cst_accesses, seq_cst_fences;

void xp_weak_reset(void)
{
	execution++;
	location_count = stale = 0;
	memset(sight, 0, sizeof(sight));
	memset(fenced, 0, sizeof(fenced));
	memset(read_relaxed, 0, sizeof(read_relaxed));
	seq_cst_accesses = seq_cst_fences = (struct clock){{0}};
}

unsigned xp_stale_spent(void)
{
	return stale;
}

static bool acquires(int order)
{
	return order != __ATOMIC_RELAXED && order != __ATOMIC_RELEASE;
}

static bool releases(int order)
{
	return order == __ATOMIC_RELEASE || order == __ATOMIC_ACQ_REL || order == __ATOMIC_SEQ_CST;
}

static void message_join(struct message *to, const struct message *from)
{
	xp_clock_join(&to->before, &from->before);
	xp_clock_join(&to->sight, &from->sight);
}

static void learn(unsigned who, const struct message *message)
{
	xp_clock_join(xp_clock(who), &message->before);
	xp_clock_join(&sight[who], &message->sight);
}

// ---- Locations ---------------------------------------------------------------------------------------------------

// NULL: nothing was stored there since it was plain memory.
static struct location *location_at(uint32_t place, unsigned bytes)
{
	struct location *location = &locations[at_place[place].location];

	if (at_place[place].execution != execution || location->bytes != bytes ||
	    location->frame_life != frame_life[xp_place_frame(place)])
		return NULL;
	return location;
}

// Before the first store: all know what was there.
static struct location *location_begin(uint32_t place, unsigned bytes, uint64_t value)
{
	struct location *location = &locations[location_count];

	if (++location_count == LOCATIONS)
		xp_fail("more atomic locations than the explorer keeps");
	at_place[place].execution = execution;
	at_place[place].location = location_count - 1;
	location->frame_life = frame_life[xp_place_frame(place)];
	location->bytes = bytes;
	location->count = 1;
	location->seq_cst = 0;
	location->store[0] = (struct store){.value = value, .version = xp_version(place)};
	return location;
}

void xp_weak_plain(uint32_t place, unsigned count)
{
	for (uint32_t at = place; at < place + count; at++)
		at_place[at].execution = 0;
}

void xp_weak_frame(unsigned frame)
{
	frame_life[frame]++;
}

static void know(unsigned who, struct store *store)
{
	if (!store->known.at[who])
		store->known.at[who] = xp_clock(who)->at[who];
}

static bool is_known(const struct store *store, const struct clock *clock)
{
	for (unsigned i = 0; i < XP_CLOCKS; i++) {
		if (store->known.at[i] && store->known.at[i] <= clock->at[i])
			return true;
	}
	return false;
}

// The oldest store that may be read with this knowledge.
static unsigned oldest(const struct location *location, const struct clock *knows)
{
	unsigned i = location->count - 1;

	while (i && !is_known(&location->store[i], knows))
		i--;
	return i;
}

unsigned xp_weak_visible(uint32_t place, uint64_t last, const struct clock *knows, struct xp_visible all[XP_OLDER + 1])
{
	const struct location *location = xp_exploring() ? location_at(place, sizeof(last)) : NULL;
	unsigned count = 0;

	if (!location) {
		all[0] = (struct xp_visible){.value = last};
		return 1;
	}
	for (unsigned i = oldest(location, knows); i < location->count; i++) {
		all[count].value = location->store[i].value;
		all[count++].released = location->store[i].released.before;
	}
	return count;
}

bool xp_weak_older(void)
{
	bool older = stale < xp_stale && xp_pick(2);

	stale += older;
	xp_remember(xp_self(), older);
	return older;
}

// ---- Loads -------------------------------------------------------------------------------------------------------

static unsigned oldest_for(const struct location *location, unsigned who, const struct clock *also, int order)
{
	struct clock knows = *xp_clock(who);
	unsigned first;

	xp_clock_join(&knows, &sight[who]);
	if (also)
		xp_clock_join(&knows, also);
	if (order == __ATOMIC_SEQ_CST)
		xp_clock_join(&knows, &seq_cst_fences);
	first = oldest(location, &knows);
	return order == __ATOMIC_SEQ_CST && location->seq_cst > first ? location->seq_cst : first;
}

// Which store is read: the last if the scheduler does not want it otherwise. `not`: no older one with this value.
static struct store *choose(struct location *location, unsigned who, const struct clock *also, int order,
			    const uint64_t *not)
{
	struct store *older[KEPT], *last = &location->store[location->count - 1];
	unsigned count = 0, picked;

	if (stale >= xp_stale || who == XP_GRACE)
		return last;
	for (unsigned i = location->count - 1; i-- > oldest_for(location, who, also, order);) {
		if (!not || location->store[i].value != *not)
			older[count++] = &location->store[i];
	}
	picked = count ? xp_pick(count + 1) : 0;
	if (!picked)
		return last;
	stale++;
	xp_trace_say("an older value, by %u", (unsigned)(last - older[picked - 1]));
	return older[picked - 1];
}

static void seq_cst_access(unsigned who, struct location *location, const struct store *store)
{
	unsigned at = (unsigned)(store - location->store);

	if (at > location->seq_cst)
		location->seq_cst = at;
	xp_clock_join(&seq_cst_accesses, xp_clock(who));
	xp_clock_tick(who);
}

static uint64_t read_from(uint32_t place, struct location *location, struct store *store, int order)
{
	unsigned who = xp_clock_self();

	if (acquires(order)) {
		learn(who, &store->released);
		if (store->released_by != who)
			xp_order_pair(store->released_at);
	}
	message_join(&read_relaxed[who], &store->released);
	know(who, store);
	if (order == __ATOMIC_SEQ_CST)
		seq_cst_access(who, location, store);
	xp_read_version(place, store->version);
	return store->value;
}

static uint64_t load(uint32_t place, unsigned bytes, uint64_t last, int order, const struct clock *also)
{
	struct location *location = location_at(place, bytes);

	if (location)
		return read_from(place, location, choose(location, xp_clock_self(), also, order, NULL), order);
	xp_happened(place, XP_READ);
	return last;
}

void xp_weak_copy(uint32_t place)
{
	struct location *location = location_at(place, sizeof(uint64_t));

	if (location)
		read_from(place, location, &location->store[location->count - 1], __ATOMIC_RELAXED);
	else
		xp_happened(place, XP_READ);
}

uint64_t xp_weak_load(uint32_t place, unsigned bytes, uint64_t last, int order)
{
	return load(place, bytes, last, order, NULL);
}

uint64_t xp_weak_load_hardware(uint32_t place, uint64_t last, const struct clock *knows)
{
	return xp_exploring() ? load(place, sizeof(last), last, __ATOMIC_RELAXED, knows) : last;
}

bool xp_weak_compare(uint32_t place, unsigned bytes, int order, uint64_t expected, uint64_t *seen)
{
	struct location *location = location_at(place, bytes);
	struct store *store = location ? choose(location, xp_clock_self(), NULL, order, &expected) : NULL;

	if ((store ? store->value : *seen) == expected)
		return false;
	if (store)
		*seen = read_from(place, location, store, order);
	else
		xp_happened(place, XP_READ);
	return true;
}

// ---- Stores ------------------------------------------------------------------------------------------------------

static struct store *append(struct location *location)
{
	// With sequential consistency nobody reads an older one.
	unsigned most = xp_stale ? KEPT : 1;

	if (location->count >= most) {
		memmove(location->store, location->store + 1, (location->count - 1) * sizeof(*location->store));
		location->count--;
		location->seq_cst -= location->seq_cst > 0;
	}
	return &location->store[location->count++];
}

void xp_weak_store(uint32_t place, unsigned bytes, enum access access, int order, uint64_t old, uint64_t value)
{
	struct message released = {{{0}}, {{0}}};
	unsigned who = xp_clock_self();
	struct location *location;
	struct store *store, last = {0};

	if (!xp_exploring())
		return;
	location = location_at(place, bytes);
	if (!location)
		location = location_begin(place, bytes, old);
	if (access & XP_READ) {
		// The release sequence goes on.
		last = location->store[location->count - 1];
		released = last.released;
		if (acquires(order)) {
			learn(who, &released);
			if (last.released_by != who)
				xp_order_pair(last.released_at);
		}
		message_join(&read_relaxed[who], &released);
	}
	message_join(&released, &fenced[who]);
	if (releases(order))
		message_join(&released, &(struct message){*xp_clock(who), sight[who]});
	store = append(location);
	*store = (struct store){.value = value, .released = released,
				.released_at = releases(order) ? xp_order_at() : last.released_at,
				.released_by = releases(order) ? who : last.released_by};
	know(who, store);
	if (order == __ATOMIC_SEQ_CST)
		seq_cst_access(who, location, store);
	else if (releases(order))
		xp_clock_tick(who);
	xp_happened(place, access);
	store->version = xp_version(place);
}

void xp_weak_fence(int order)
{
	unsigned who = xp_clock_self();

	if (acquires(order))
		learn(who, &read_relaxed[who]);
	if (order == __ATOMIC_SEQ_CST) {
		xp_clock_join(&sight[who], &seq_cst_fences);
		xp_clock_join(&sight[who], &seq_cst_accesses);
		xp_clock_join(&seq_cst_fences, &sight[who]);
		xp_clock_join(&seq_cst_fences, xp_clock(who));
	}
	if (releases(order)) {
		fenced[who] = (struct message){*xp_clock(who), sight[who]};
		xp_clock_tick(who);
	}
	// What seq_cst fences know depends on the order of all of them.
	for (unsigned cpu = 0; cpu < XP_CPUS; cpu++)
		xp_ordered(xp_self(), xp_history(cpu));
}

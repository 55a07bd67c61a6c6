// SPDX-License-Identifier: MIT
// A database with 100,000 rows: made, indexed, asked and checked. Prints results that depend on
// nothing but the code.
//
//   sqlite [ROWS [FILE]]     FILE: the database's file; without it the database is in memory
#include <sqlite3.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static void fail(sqlite3 *db, const char *what)
{
	fprintf(stderr, "sqlite: %s: %s\n", what, db ? sqlite3_errmsg(db) : "no memory");
	exit(1);
}

static void execute(sqlite3 *db, const char *sql)
{
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		fail(db, sql);
}

// The same numbers on every machine (xorshift, 64 bits).
static uint64_t next_random(void)
{
	static uint64_t state = 88172645463325252u;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static void fill(sqlite3 *db, int rows)
{
	static const char *const cities[] = {
		"Aarhus", "Bergen", "Cork", "Delft", "Espoo", "Faro", "Ghent"};
	sqlite3_stmt *insert;

	execute(db, "BEGIN");
	if (sqlite3_prepare_v2(db, "INSERT INTO people VALUES (?, ?, ?, ?)", -1, &insert, NULL))
		fail(db, "prepare");
	for (int i = 0; i < rows; i++) {
		char name[32];
		snprintf(name, sizeof(name), "name-%08llx",
			(unsigned long long)(next_random() & 0xffffffff));
		sqlite3_bind_int(insert, 1, i);
		sqlite3_bind_text(insert, 2, name, -1, SQLITE_TRANSIENT);
		sqlite3_bind_text(insert, 3, cities[next_random() % 7], -1, SQLITE_STATIC);
		sqlite3_bind_int64(insert, 4, (sqlite3_int64)(next_random() % 1000000));
		if (sqlite3_step(insert) != SQLITE_DONE)
			fail(db, "insert");
		sqlite3_reset(insert);
	}
	sqlite3_finalize(insert);
	execute(db, "COMMIT");
}

// Prints every row of the answer and adds it to the checksum (FNV-1a).
static void ask(sqlite3 *db, uint64_t *checksum, const char *sql)
{
	sqlite3_stmt *query;
	int step;

	if (sqlite3_prepare_v2(db, sql, -1, &query, NULL))
		fail(db, sql);
	printf("%s\n", sql);
	while ((step = sqlite3_step(query)) == SQLITE_ROW) {
		for (int i = 0; i < sqlite3_column_count(query); i++) {
			const unsigned char *value = sqlite3_column_text(query, i);
			printf("%s%s", i ? " | " : "    ", value ? (const char *)value : "NULL");
			for (; value && *value; value++)
				*checksum = (*checksum ^ *value) * 1099511628211u;
		}
		putchar('\n');
	}
	if (step != SQLITE_DONE)
		fail(db, sql);
	sqlite3_finalize(query);
}

int main(int argc, char **argv)
{
	int rows = argc > 1 ? atoi(argv[1]) : 100000;
	uint64_t checksum = 14695981039346656037u;
	sqlite3 *db;

	if (sqlite3_open(argc > 2 ? argv[2] : ":memory:", &db) != SQLITE_OK)
		fail(db, "open");
	execute(db, "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT, city TEXT, score "
		    "INTEGER)");
	fill(db, rows);
	execute(db, "CREATE INDEX by_score ON people (score)");
	ask(db, &checksum, "SELECT count(*), min(score), max(score), sum(score) FROM people");
	ask(db, &checksum,
		"SELECT city, count(*), avg(score) FROM people GROUP BY city ORDER BY city");
	ask(db, &checksum,
		"SELECT id, name, score FROM people WHERE score BETWEEN 5000 AND 5100 ORDER BY "
		"score, id LIMIT 5");
	ask(db, &checksum, "SELECT name, city FROM people ORDER BY name DESC LIMIT 3");
	execute(db, "DELETE FROM people WHERE id % 3 = 0");
	execute(db, "UPDATE people SET score = score + 1 WHERE city = 'Delft'");
	ask(db, &checksum, "SELECT count(*), sum(score) FROM people");
	ask(db, &checksum,
		"SELECT a.city, count(*) FROM people a JOIN people b ON a.score = b.score AND a.id "
		"< b.id GROUP BY a.city ORDER BY a.city");
	ask(db, &checksum, "PRAGMA integrity_check");
	printf("checksum %016llx\n", (unsigned long long)checksum);
	return sqlite3_close(db) == SQLITE_OK ? 0 : 1;
}

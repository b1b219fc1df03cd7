/* SPDX-License-Identifier: MIT
 *
 * db_digest.c - prints the digest of a database's contents (sim/store.h: store_digest), for tests that compare runs.
 */
#include "sim/store.h"

#include <stdio.h>

int main(int argc, char **argv)
{
	struct error error = {0};
	char digest[65];
	struct store *store = argc == 2 ? store_open_readonly(argv[1], &error) : NULL;
	if (!store || !store_digest(store, digest, &error)) {
		fprintf(stderr, "db_digest: %s\n", store || argc == 2 ? error.text : "usage: db_digest DB");
		return ERROR_USAGE;
	}
	puts(digest);
	return store_close(store, &error) ? 0 : ERROR_HOST;
}

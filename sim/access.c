/* SPDX-License-Identifier: MIT
 *
 * access.c - the names of kinds (interface: access.h).
 */
#include "sim/access.h"

const char *access_kind_name(enum access_kind kind)
{
	static const char *const names[ACCESS_KINDS] = {
	        [ACCESS_CODE] = "code",         [ACCESS_LOAD] = "load",          [ACCESS_STORE] = "store",
	        [ACCESS_MODIFY] = "modify",     [ACCESS_WALK] = "walk",          [ACCESS_WALK_STORE] = "walk_store",
	        [ACCESS_PREFETCH] = "prefetch", [ACCESS_WRITEBACK] = "writeback"};
	SIM_ASSERT(kind < ACCESS_KINDS);
	return names[kind];
}

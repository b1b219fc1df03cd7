/* SPDX-License-Identifier: MIT
 *
 * access_summary.c - counting and printing (interface: access_summary.h).
 */
#include "sim/access_summary.h"

#include <inttypes.h>

void access_summary_init(struct access_summary *summary)
{
	*summary = (struct access_summary){.first = UINT64_MAX};
}

void access_summary_add(struct access_summary *summary, const struct access *batch, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct access *access = &batch[i];
		uint64_t last = access->address + access->bytes - 1;
		SIM_ASSERT(access->kind < ACCESS_KINDS);
		summary->kinds[access->kind]++;
		summary->bytes += access->bytes;
		summary->first = access->address < summary->first ? access->address : summary->first;
		summary->last = last > summary->last ? last : summary->last;
		summary->bytes_max = access->bytes > summary->bytes_max ? access->bytes : summary->bytes_max;
		summary->cpus = access->cpu >= summary->cpus ? access->cpu + 1u : summary->cpus;
	}
}

uint64_t access_summary_accesses(const struct access_summary *summary)
{
	uint64_t accesses = 0;
	for (unsigned kind = 0; kind < ACCESS_KINDS; kind++)
		accesses += summary->kinds[kind];
	return accesses;
}

bool access_summary_read(struct access_summary *summary, struct access_source *source, const struct progress *progress,
                         struct error *error)
{
	struct access batch[ACCESS_BATCH];
	size_t count = 1;
	access_summary_init(summary);
	while (count > 0) {
		if (!access_source_read(source, batch, ACCESS_BATCH, &count, error))
			return false;
		access_summary_add(summary, batch, count);
		if (progress)
			progress->tell(progress->context, source->bytes_done, source->bytes_total);
	}
	return true;
}

void access_summary_text(const struct access_summary *summary, const char *path, const char *format, FILE *out)
{
	uint64_t accesses = access_summary_accesses(summary);
	fprintf(out, "%s: access trace (%s)\n", path, format);
	fprintf(out, "%20" PRIu64 "  accesses, of them\n", accesses);
	fprintf(out, "%20" PRIu64 "  code\n%20" PRIu64 "  load\n%20" PRIu64 "  store\n%20" PRIu64 "  modify\n",
	        summary->kinds[ACCESS_CODE], summary->kinds[ACCESS_LOAD], summary->kinds[ACCESS_STORE],
	        summary->kinds[ACCESS_MODIFY]);
	if (accesses == 0)
		return;
	fprintf(out, "%20" PRIu64 "  bytes, at most %u at once\n", summary->bytes, summary->bytes_max);
	fprintf(out, "%20u  CPUs or threads\n", summary->cpus);
	fprintf(out, "addresses 0x%" PRIx64 " to 0x%" PRIx64 "\n", summary->first, summary->last);
}

/* A text as a JSON string; what is no printable ASCII becomes \u00XX. */
static void print_string(const char *text, FILE *out)
{
	fputc('"', out);
	for (const unsigned char *at = (const unsigned char *)text; *at; at++) {
		if (*at == '"' || *at == '\\')
			fprintf(out, "\\%c", *at);
		else if (*at < ' ')
			fprintf(out, "\\u%04x", *at);
		else
			fputc(*at, out);
	}
	fputc('"', out);
}

void access_summary_json(const struct access_summary *summary, const char *path, const char *format, FILE *out)
{
	fprintf(out, "{\"source\": ");
	print_string(path, out);
	fprintf(out, ", \"format\": \"%s\", \"accesses\": %" PRIu64, format, access_summary_accesses(summary));
	fprintf(out, ", \"code\": %" PRIu64 ", \"load\": %" PRIu64 ", \"store\": %" PRIu64 ", \"modify\": %" PRIu64,
	        summary->kinds[ACCESS_CODE], summary->kinds[ACCESS_LOAD], summary->kinds[ACCESS_STORE],
	        summary->kinds[ACCESS_MODIFY]);
	fprintf(out, ", \"bytes\": %" PRIu64 ", \"bytes_max\": %u, \"cpus\": %u", summary->bytes, summary->bytes_max,
	        summary->cpus);
	fprintf(out, ", \"first\": %" PRIu64 ", \"last\": %" PRIu64 "}\n", summary->first > summary->last ? 0 : summary->first,
	        summary->last);
}

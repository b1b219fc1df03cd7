/* SPDX-License-Identifier: MIT
 *
 * machine_draw.c - pictures of `kmemsim machine` (interface: machine_draw.h).
 */
#include "tools/kmemsim/machine_draw.h"

#include "sim/io/gnuplot.h"
#include "tools/kmemsim/configs.h"
#include "tools/kmemsim/machine_detect.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TITLE_CHARACTERS 100u

struct drawing {
	const struct machine_picture *picture;
	const char *data, *path;
};

static void print_variable(FILE *script, const char *name, const char *text)
{
	fprintf(script, "%s = '", name);
	for (; *text; text++)
		fprintf(script, *text == '\'' ? "''" : "%c", *text);
	fputs("'\n", script);
}

static void write_data(const void *context, FILE *out)
{
	const struct machine_picture *picture = ((const struct drawing *)context)->picture;
	picture->write_data(picture->context, out);
}

static void write_script(const void *context, FILE *out)
{
	const struct drawing *drawing = context;
	const struct machine_picture *picture = drawing->picture;
	char *source = gnuplot_text(picture->source, TITLE_CHARACTERS);
	const char *end = strrchr(drawing->path, '.');
	print_variable(out, "FORMAT", end && strcmp(end, ".svg") == 0 ? "svg" : "png");
	print_variable(out, "HEADING", picture->heading);
	print_variable(out, "SOURCE", source);
	print_variable(out, "OUT", drawing->path);
	print_variable(out, "DATA", drawing->data);
	print_variable(out, "TEMPLATES", template_dir());
	if (picture->write_script)
		picture->write_script(picture->context, out);
	fprintf(out, "load TEMPLATES.'/style.gp'\nload TEMPLATES.'/%s.gp'\nunset output\n", picture->template);
	free(source);
}

bool machine_picture_draw(const struct machine_picture *picture, const char *path, struct error *error)
{
	const char *temporary = getenv("TMPDIR");
	char *folder = xasprintf("%s/kmemsim-XXXXXX", temporary && *temporary ? temporary : "/tmp");
	if (!mkdtemp(folder)) {
		error_set(error, ERROR_HOST, "%s: no folder can be made for gnuplot: %s", folder, strerror(errno));
		free(folder);
		return false;
	}
	char *data = xasprintf("%s/%s.data", folder, picture->template),
	     *script = xasprintf("%s/%s.gp", folder, picture->template);
	const struct drawing drawing = {picture, data, path};
	bool drawn = machine_write(data, write_data, &drawing, error) && machine_write(script, write_script, &drawing, error) &&
	             gnuplot_run("gnuplot", script, error);
	unlink(data);
	unlink(script);
	rmdir(folder);
	free(data);
	free(script);
	free(folder);
	return drawn;
}

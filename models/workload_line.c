/* SPDX-License-Identifier: MIT
 *
 * workload_line.c - lines of the setting `workload` (interface: workload_line.h).
 */
#include "models/workload_line.h"

#include "models/registry.h"
#include "sim/setting.h"

#include <stdlib.h>
#include <string.h>

bool workload_line_read(struct workload_line *line, const char *text, const char *place, struct error *error)
{
	*line = (struct workload_line){0};
	text += strspn(text, " \t");
	char *name = xasprintf("%.*s", (int)strcspn(text, " \t"), text);
	struct error why = {0};
	const struct workload_model *model = workload_model(name, &why);
	free(name);
	if (!model)
		return error_set(error, why.kind, "%s: %s", place, why.text);
	line->ops = model->ops;
	line->values = xcalloc(1, model->ops->values_bytes);
	if (!setting_read_line(model->ops->keys, text, NULL, line->values, place, error)) {
		free(line->values);
		*line = (struct workload_line){0};
		return false;
	}
	if (!model->ops->check || model->ops->check(line->values, place, error))
		return true;
	workload_line_release(line);
	return false;
}

void workload_line_release(struct workload_line *line)
{
	if (line->ops)
		setting_table_release(line->ops->keys, line->values);
	free(line->values);
	*line = (struct workload_line){0};
}

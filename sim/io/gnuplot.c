/* SPDX-License-Identifier: MIT
 *
 * gnuplot.c - runs gnuplot as a child with its stderr caught (interface: gnuplot.h).
 *
 * --default-settings keeps the user's start-up files out, so that pictures do not depend on who draws them.
 */
#include "sim/io/gnuplot.h"

#include "sim/utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* Enough of gnuplot's complaint to tell what is wrong. */
#define COMPLAINT_BYTES 700

static bool start(const char *program, const char *script, int complaints, pid_t *child, struct error *error)
{
	posix_spawn_file_actions_t actions;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, complaints, STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&actions, complaints, STDERR_FILENO);
	char *const arguments[] = {(char[]){"gnuplot"}, (char[]){"--default-settings"}, xstrdup(script), NULL};
	int failed = posix_spawnp(child, program, &actions, NULL, arguments, environ);
	free(arguments[2]);
	posix_spawn_file_actions_destroy(&actions);
	if (failed == ENOENT)
		return error_set(error, ERROR_HOST,
		                 "the program '%s' is not installed; pictures need it (Debian: apt-get install gnuplot-nox)",
		                 program);
	return !failed || error_set(error, ERROR_HOST, "the program '%s' cannot be started: %s", program, strerror(failed));
}

/* The end of what gnuplot wrote, where it says what is wrong, on one line. */
static void read_complaint(FILE *complaints, char *text, size_t size)
{
	if (fseek(complaints, -(long)(size - 1), SEEK_END) != 0)
		rewind(complaints);
	size_t length = fread(text, 1, size - 1, complaints);
	text[length] = '\0';
	size_t to = 0;
	for (size_t from = 0; from < length; from++) {
		bool space = (unsigned char)text[from] <= ' ';
		if (!space)
			text[to++] = text[from];
		else if (to && text[to - 1] != ' ')
			text[to++] = ' ';
	}
	text[to] = '\0';
}

static bool wait_for(pid_t child, FILE *complaints, struct error *error)
{
	int status;
	while (waitpid(child, &status, 0) < 0) {
		if (errno != EINTR)
			return error_set(error, ERROR_HOST, "waiting for gnuplot failed: %s", strerror(errno));
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return true;
	char complaint[COMPLAINT_BYTES];
	read_complaint(complaints, complaint, sizeof complaint);
	if (WIFSIGNALED(status))
		return error_set(error, ERROR_HOST, "gnuplot was ended by signal %d; it said: %s", WTERMSIG(status), complaint);
	return error_set(error, ERROR_HOST, "gnuplot failed with exit code %d; it said: %s", WEXITSTATUS(status), complaint);
}

bool gnuplot_run(const char *program, const char *script, struct error *error)
{
	FILE *complaints = tmpfile();
	if (!complaints)
		return error_set(error, ERROR_HOST, "no temporary file can be made for gnuplot: %s", strerror(errno));
	pid_t child;
	bool ok = start(program, script, fileno(complaints), &child, error) && wait_for(child, complaints, error);
	fclose(complaints);
	return ok;
}

char *gnuplot_text(const char *text, size_t characters)
{
	char *safe = utf8_line(text, characters);
	for (char *at = safe; *at; at++) {
		if (strchr("\"'`\\", *at))
			*at = '?';
	}
	return safe;
}

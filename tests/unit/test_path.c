/* SPDX-License-Identifier: MIT
 *
 * test_path.c - parts of paths. Mistakes it would catch: a file in the root folder that loses its folder, an ending looked for in
 * the folder's name, and "FOLDER/../" left out where FOLDER is a link to elsewhere.
 */
#include "sim/base.h"
#include "sim/path.h"
#include "tests/unit/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void expect(char *made, const char *expected)
{
	assert_string_equal(made, expected);
	free(made);
}

static void test_parts(void **state)
{
	(void)state;
	assert_string_equal(path_name("a/b.yaml"), "b.yaml");
	assert_string_equal(path_name("b.yaml"), "b.yaml");
	expect(path_folder("a/b.yaml"), "a/");
	expect(path_folder("b.yaml"), "");
	expect(path_open_folder("a/b"), "a");
	expect(path_open_folder("b"), ".");
	expect(path_open_folder("/b"), "/");
	expect(path_stem("a.d/b.c.yaml"), "b.c");
	expect(path_stem("a.d/b"), "b");
	expect(path_stem(".hidden"), ".hidden");
	expect(path_join("a/", "b"), "a/b");
	expect(path_join("a/", "/b"), "/b");
}

static void test_shorten(void **state)
{
	(void)state;
	char root[] = "/tmp/kmemsim-path-XXXXXX";
	assert_non_null(mkdtemp(root));
	char *inner = xasprintf("%s/a", root), *far = xasprintf("%s/far", root), *below = xasprintf("%s/far/b", root),
	     *link = xasprintf("%s/link", root), *file = xasprintf("%s/file", root);
	char *plain = xasprintf("%s/a/../file", root), *through = xasprintf("%s/link/../file", root), *kept = xstrdup(through);
	assert_int_equal(mkdir(inner, 0700) | mkdir(far, 0700) | mkdir(below, 0700) | symlink(below, link), 0);
	FILE *made = fopen(file, "w");
	assert_non_null(made);
	fclose(made);
	path_shorten(plain);
	assert_string_equal(plain, file);
	/* link/.. is far, which holds no such file. */
	path_shorten(through);
	assert_string_equal(through, kept);
	unlink(file);
	unlink(link);
	rmdir(below);
	rmdir(far);
	rmdir(inner);
	rmdir(root);
	free(inner), free(far), free(below), free(link), free(file), free(plain), free(through), free(kept);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_parts),
	        cmocka_unit_test(test_shorten),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * commands.c - the way into the recording module: two files under /sys/kernel/debug/oracle.
 *
 *   echo "slab size=40 seed=7" > run   runs a script to its end, on CPU 0; its text is added to the log
 *   cat log                            the text so far;   echo > log   empties it
 *
 * A value that a command does not give has the default below. Values are decimal or 0x hexadecimal.
 */
#include "oracle.h"
#include <linux/cpumask.h>
#include <linux/debugfs.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/uaccess.h>

#define COMMAND_MAX 256

static unsigned int buffer_mb = 16;
module_param(buffer_mb, uint, 0444);
MODULE_PARM_DESC(buffer_mb, "size of the log in MiB");

static DEFINE_MUTEX(command_mutex);
static struct dentry *folder;

/* The value of " name=" in a command. */
static u64 value_of(const char *command, const char *name, u64 otherwise)
{
	char pattern[24];
	const char *found;

	snprintf(pattern, sizeof(pattern), " %s=", name);
	found = strstr(command, pattern);
	return found ? simple_strtoull(found + strlen(pattern), NULL, 0) : otherwise;
}

/* How many calls: each may make an object, and the table of objects has an end. */
static u32 calls_of(const char *command, u32 otherwise)
{
	return min_t(u64, value_of(command, "nops", otherwise), OBJECTS_MAX);
}

static void run_slab(const char *c)
{
	script_slab(value_of(c, "size", 64), value_of(c, "align", 0), value_of(c, "hw", 0), value_of(c, "seed", 1),
	            calls_of(c, 5000));
}

static void run_kmalloc_sizes(const char *c)
{
	script_kmalloc_sizes(value_of(c, "max", 8192));
}

static void run_kmalloc_pow2(const char *c)
{
	script_kmalloc_pow2();
}

static void run_kmalloc_rand(const char *c)
{
	script_kmalloc_rand(value_of(c, "seed", 1), calls_of(c, 20000), value_of(c, "lim", 4000));
}

static void run_pages(const char *c)
{
	script_pages(value_of(c, "mix", 0), value_of(c, "seed", 1), calls_of(c, 20000), value_of(c, "lim", 4000),
	             value_of(c, "floor", 40000));
}

static void run_vmalloc(const char *c)
{
	script_vmalloc(value_of(c, "seed", 1), calls_of(c, 2000), value_of(c, "lim", 200));
}

static void run_vmalloc_pow2(const char *c)
{
	script_vmalloc_pow2();
}

static void run_kmap(const char *c)
{
	script_kmap();
}

static void run_facts(const char *c)
{
	say_facts();
}

/* state TAG [what=LETTERS] */
static void run_state(const char *c)
{
	const char *what = strstr(c, " what="), *after_verb = strchr(c, ' ');
	char tag[64];

	strscpy(tag, after_verb ? after_verb + 1 : "state", sizeof(tag));
	tag[strcspn(tag, " ")] = '\0';
	dump_state(tag, what ? what + strlen(" what=") : "pmcsv");
}

static const struct {
	const char *verb;
	void (*run)(const char *command);
} commands[] = {
        {"slab", run_slab},
        {"kmalloc_sizes", run_kmalloc_sizes},
        {"kmalloc_pow2", run_kmalloc_pow2},
        {"kmalloc_rand", run_kmalloc_rand},
        {"pages", run_pages},
        {"vmalloc", run_vmalloc},
        {"vmalloc_pow2", run_vmalloc_pow2},
        {"kmap", run_kmap},
        {"facts", run_facts},
        {"state", run_state},
};

static int run(const char *command)
{
	size_t length = strcspn(command, " ");
	int i;

	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		if (strlen(commands[i].verb) != length || strncmp(command, commands[i].verb, length))
			continue;
		set_cpus_allowed_ptr(current, cpumask_of(0));
		commands[i].run(command);
		set_cpus_allowed_ptr(current, cpu_online_mask);
		return 0;
	}
	return -EINVAL;
}

static ssize_t run_write(struct file *file, const char __user *from, size_t size, loff_t *position)
{
	static char command[COMMAND_MAX]; /* under command_mutex */
	int result = -EFAULT;

	if (size >= sizeof(command))
		return -EINVAL;
	mutex_lock(&command_mutex);
	memset(command, 0, sizeof(command));
	if (!copy_from_user(command, from, size))
		result = run(strim(command));
	mutex_unlock(&command_mutex);
	return result ? result : size;
}

static ssize_t log_read(struct file *file, char __user *to, size_t size, loff_t *position)
{
	return log_copy(to, size, position);
}

static ssize_t log_write(struct file *file, const char __user *from, size_t size, loff_t *position)
{
	log_reset();
	return size;
}

static const struct file_operations run_operations = {.owner = THIS_MODULE, .write = run_write};
static const struct file_operations log_operations = {
        .owner = THIS_MODULE,
        .read = log_read,
        .write = log_write,
        .llseek = default_llseek,
};

static int __init oracle_init(void)
{
	int result = symbols_find();

	if (!result)
		result = log_init(buffer_mb);
	if (result)
		return result;
	result = events_hook();
	if (result) {
		log_release();
		return result;
	}
	folder = debugfs_create_dir("oracle", NULL);
	debugfs_create_file("run", 0200, folder, NULL, &run_operations);
	debugfs_create_file("log", 0600, folder, NULL, &log_operations);
	return 0;
}

static void __exit oracle_exit(void)
{
	debugfs_remove_recursive(folder);
	events_unhook();
	log_release();
}

module_init(oracle_init);
module_exit(oracle_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Records what the kernel's memory allocators do with scripted calls");

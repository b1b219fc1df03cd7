# SPDX-License-Identifier: MIT
# What `record` and `record-processes` have in common; they set $here and $kernel, and are in the folder of their output.

make_plugin() {
	gcc -shared -fPIC -O2 -o plugin.so "$here/plugin.c"
}

# The folder root becomes the guest's files.
pack() {
	(cd root && find . | LC_ALL=C sort | cpio -o -H newc --quiet) | gzip -9n >initramfs.gz
	rm -rf root
}

boot() { # kernel options, QEMU options...
	options=$1
	shift
	timeout "${TIMEOUT:-1800}" qemu-system-x86_64 -accel tcg -cpu Skylake-Client,-hle,-rtm -nic none -nographic \
		-no-reboot -kernel "$kernel" -initrd initramfs.gz -append "console=ttyS0 nokaslr quiet panic=-1 $options" "$@" \
		</dev/null 2>&1 | tr -d '\r'
}

# Leaves `symbols`, as the guest tells them, and `functions`, those that are to be watched; sets $trigger.
find_functions() { # function...
	boot symbols -m 256M | awk 'length($1) == 16 && NF >= 3 { print $1, $3 }' >symbols
	printf '%s\n' "$@" | awk 'NR == FNR { wanted[$1] = 1; next } $2 in wanted' - symbols >functions
	trigger=$(awk '$2 == "__x64_sys_sethostname" { print $1 }' symbols)
	if [ ! -s functions ] || [ -z "$trigger" ]; then
		echo "$(basename "$0"): the kernel shows no such functions in /proc/kallsyms: $*" >&2
		exit 1
	fi
}

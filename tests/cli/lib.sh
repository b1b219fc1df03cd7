# What the command-line tests share: a scratch folder, and checks that name what they expected.
#   . lib.sh   after setting $kmemsim to the program
top=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
recording=$top/traces/qemu-512m-slub-small/trace.txt.xz
failures=0

fail() {
	echo "FAILED: $*" >&2
	failures=$((failures + 1))
}

# expect CODE 'what' COMMAND...: the exit code, with the output kept in $work/out and $work/err
expect() {
	expected=$1 what=$2
	shift 2
	code=0
	"$@" >"$work/out" 2>"$work/err" || code=$?
	[ "$code" = "$expected" ] || {
		fail "$what: exit code $code, expected $expected: $*"
		sed 's/^/    /' "$work/err" >&2
	}
}

# says PATTERN: the last command printed it
says() {
	grep -qE -- "$1" "$work/out" "$work/err" || {
		fail "does not say '$1'"
		head -n 20 "$work/out" "$work/err" | sed 's/^/    /' >&2
	}
}

finish() {
	[ $failures = 0 ] || {
		echo "$failures checks failed" >&2
		exit 1
	}
	echo "all checks passed"
}

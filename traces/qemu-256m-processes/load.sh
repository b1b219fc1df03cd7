#!/bin/sh
# SPDX-License-Identifier: MIT
# The recorded load, run by dash: programs that fork, exec, wait; a pipe, subshells, work.c.
i=0
while [ $i -lt 3 ]; do
	i=$((i+1))
	/bin/echo round $i | /bin/cat > /dev/null
	( : )
done
/bin/ls -l /bin > /dev/null
/bin/sort /load.sh > /dev/null &
/bin/sleep 0.05 &
wait
/bin/work /data

#!/bin/bash
#
# Copyright (C) the ngx_http_oci_module authors
#
# Runs cmocka programs, shows what failed, and adds up.
#
# usage: .ci/unit.sh PROGRAM...

set -uo pipefail

passed=0
failed=0

if [ $# -eq 0 ]; then
    echo "unit: no tests"
    exit 1
fi

for program in "$@"; do
    log=$program.log
    timeout 300 "$program" > "$log" 2>&1
    rc=$?

    ok=$(grep -ac '^\[ *OK *\]' "$log")
    ran=$(sed -n 's/^\[==========\] .*: \([0-9]*\) test(s) run.*/\1/p' "$log" \
          | awk '{ n += $1 } END { print n + 0 }')

    # Killed, or stopped by a sanitizer: what did not say OK has failed.

    bad=$((ran > ok ? ran - ok : 0))

    if [ $rc -ne 0 ] && [ $bad -eq 0 ]; then
        bad=1
    fi

    if [ $rc -eq 0 ] && [ "$ok" -eq 0 ]; then
        echo "unit: $program ran no test" >> "$log"
        bad=1
    fi

    if [ $bad -ne 0 ]; then
        cat "$log"
        echo "unit: $program FAILED (exit status $rc)"
    fi

    passed=$((passed + ok))
    failed=$((failed + bad))
done

echo "$passed passed, $failed failed"
[ $failed -eq 0 ]

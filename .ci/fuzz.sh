#!/bin/bash
#
# Copyright (C) the ngx_http_oci_module authors
#
# Runs each fuzzer for SECONDS_EACH seconds, from its seeds in
# t/fuzz/seeds/NAME and what earlier runs found (build/fuzz/corpus/NAME).
#
# usage: .ci/fuzz.sh PROGRAM...

set -uo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
each=${SECONDS_EACH:-60}
passed=0
failed=0

if [ $# -eq 0 ]; then
    echo "fuzz: no fuzzers"
    exit 1
fi

# two at a time: one would leave a core idle

run() {
    local program=$1 name seeds=() dir corpus log

    name=$(basename "$program")
    name=${name#fuzz_}
    corpus=$root/build/fuzz/corpus/$name
    log=$root/build/fuzz/$name.log
    mkdir -p "$corpus"

    for dir in "$root/t/fuzz/seeds/$name" "$root/t/fuzz/seeds/fuzz_$name"; do
        [ ! -d "$dir" ] || seeds+=("$dir")
    done

    "$program" -max_total_time="$each" -timeout=10 -rss_limit_mb=1024 \
        -print_final_stats=1 -verbosity=1 \
        -artifact_prefix="$root/build/fuzz/$name-" \
        "$corpus" "${seeds[@]}" > "$log" 2>&1
}

pids=()
names=()

finish() {
    local runs

    if wait "${pids[0]}"; then
        runs=$(sed -n 's/^stat::number_of_executed_units: *//p' \
               "$root/build/fuzz/${names[0]}.log")

        if [ "${runs:-0}" -gt 0 ]; then
            echo "fuzz: ${names[0]}: $runs runs"
            passed=$((passed + 1))
        else
            echo "fuzz: ${names[0]}: ran nothing"
            failed=$((failed + 1))
        fi

    else
        tail -n 60 "$root/build/fuzz/${names[0]}.log"
        echo "fuzz: ${names[0]} FAILED"
        failed=$((failed + 1))
    fi

    pids=("${pids[@]:1}")
    names=("${names[@]:1}")
}

for program in "$@"; do
    [ ${#pids[@]} -lt 2 ] || finish
    run "$program" &
    pids+=($!)
    name=$(basename "$program")
    names+=("${name#fuzz_}")
done

while [ ${#pids[@]} -gt 0 ]; do
    finish
done

echo "$passed passed, $failed failed"
[ $failed -eq 0 ]

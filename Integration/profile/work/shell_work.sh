#!/bin/bash
# What shells do: pipes, job control, process substitution, traps, and the usual tools.
set -euo pipefail
set -m
sleep 60 &
job=$!
kill -STOP $job
until [ "$(cut -d' ' -f3 "/proc/$job/stat")" = T ]; do sleep 0.01; done
jobs | grep -q Stopped
bg %1 >/dev/null
kill %1
status=0
wait $job || status=$?
test $status = 143
seq 100000 | sort -R | sort -n | tail -1 | grep -qx 100000
test "$(paste <(seq 3) <(seq 4 6) | wc -l)" = 3
trap 'echo trapped >trapped' USR1
kill -USR1 $$
test "$(cat trapped)" = trapped
status=0
timeout 0.1 sleep 10 || status=$?
test $status = 124
seq 20 | xargs -P 4 -n 1 echo | sort -n | tail -1 | grep -qx 20
mkdir -p tree/{a,b,c}/{1,2} && find tree -type d -print0 | xargs -0 chmod 700 && tar -cz tree | tar -tz | wc -l | grep -qx 10
flock lock -c 'echo locked' | grep -qx locked
mkfifo fifo && { echo through >fifo & } && grep -qx through fifo
(ulimit -n 64 && test "$(ulimit -n)" = 64)
dd if=/dev/zero of=zeros bs=1M count=8 status=none && cp --sparse=always zeros sparse && cmp zeros sparse && split -b 1M zeros part
nice -n 5 true && nohup true 2>/dev/null && setsid -w true && id -un | grep -qx agent
ps -e >/dev/null && busybox sh -c 'echo $((6 * 7))' | grep -qx 42
echo text | openssl enc -aes-256-cbc -pbkdf2 -k key | openssl enc -d -aes-256-cbc -pbkdf2 -k key | grep -qx text
perl -e 'print fork() ? (wait() > 0 ? "perl\n" : "") : ""' | grep -qx perl
echo shell worked

#!/bin/bash
# A C project built in parallel: objects, an archive, a shared library, a threaded program that uses both.
set -euo pipefail
mkdir project && cd project
for n in $(seq 16); do echo "int f$n(int x) { return x + $n; }" >"f$n.c"; done
cat >main.c <<'C'
#include <pthread.h>
#include <stdio.h>
int f1(int), f16(int);
static void *run(void *p) { *(int *)p = f1(f16(0)); return 0; }
int main(void) {
  pthread_t t[8];
  int v[8], sum = 0;
  for (int i = 0; i < 8; i++) pthread_create(&t[i], 0, run, &v[i]);
  for (int i = 0; i < 8; i++) pthread_join(t[i], 0), sum += v[i];
  return printf("%d\n", sum) < 0;
}
C
cat >Makefile <<'M'
OBJECTS := $(patsubst %.c,%.o,$(wildcard f*.c))
CFLAGS := -O2 -fPIC -pipe
all: program static
libf.a: $(OBJECTS) ; ar rcs $@ $^
libf.so: $(OBJECTS) ; $(CC) -shared -flto -o $@ $^
program: main.c libf.so ; $(CC) -pthread -o $@ main.c -L. -lf -Wl,-rpath,.
static: main.c libf.a ; $(CC) -static -pthread -o $@ main.c libf.a
M
make -s -j4
test "$(./program)" = 136 && test "$(./static)" = 136
echo build worked

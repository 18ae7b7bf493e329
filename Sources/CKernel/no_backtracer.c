// Takes the place of the Swift runtime's crash reporter, which at every start looks for a program `swift-backtrace` beside the
// executable, to run it at a crash: this runtime runs nothing that it was not told to. These are the symbols by which the rest
// of the Swift runtime would draw the reporter in; the settings' zeros mean "off".
#include <stdbool.h>
#include <stdint.h>

uint64_t _swift_backtraceSettings[64];

bool _swift_backtrace_isThunkFunction(const char *name) {
  (void)name;
  return false;
}

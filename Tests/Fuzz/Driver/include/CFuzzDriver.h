// libFuzzer's entrance for programs that keep their own main.
#ifndef CFUZZ_DRIVER_H
#define CFUZZ_DRIVER_H
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerRunDriver(int *argc, char ***argv, int (*callback)(const uint8_t *data, size_t size));
#endif

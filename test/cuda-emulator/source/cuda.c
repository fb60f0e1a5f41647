// An emulated NVIDIA driver: what a look for a GPU asks. CUDA_EMULATOR_FAULT says what is wrong with it.
#include "emulator.h"
#include <stdlib.h>
#include <string.h>

static int is_fault(const char *name) {
  const char *text = getenv("CUDA_EMULATOR_FAULT");
  return text != NULL && strcmp(text, name) == 0;
}
static char context[64];

status_t cuInit(unsigned flags) {
  if (is_fault("broken-driver")) return 999;
  return is_fault("no-device") ? NO_DEVICE : SUCCESS;
}
status_t cuDriverGetVersion(int *version) {
  *version = is_fault("old-driver") ? 12040 : CUDA_VERSION;
  return SUCCESS;
}
status_t cuDeviceGetCount(int *count) {
  *count = 1;
  return SUCCESS;
}
status_t cuDeviceGet(int *device, int index) {
  *device = index;
  return SUCCESS;
}
status_t cuDeviceGetName(char *name, int size, int device) {
  strncpy(name, DEVICE_NAME, (size_t)size);
  return SUCCESS;
}
status_t cuDeviceGetAttribute(int *value, int attribute, int device) {
  *value = attribute == 75 ? COMPUTE_MAJOR : attribute == 76 ? COMPUTE_MINOR : 1;
  return SUCCESS;
}
status_t cuDevicePrimaryCtxRetain(void **place, int device) {
  *place = context;
  return SUCCESS;
}
status_t cuDevicePrimaryCtxRelease_v2(int device) { return SUCCESS; }
status_t cuCtxPushCurrent_v2(void *pushed) { return SUCCESS; }
status_t cuCtxPopCurrent_v2(void **place) {
  *place = context;
  return SUCCESS;
}
status_t cuMemGetInfo_v2(size_t *free_bytes, size_t *total) {
  const char *text = getenv("CUDA_EMULATOR_MEMORY");
  *total = MEMORY_BYTES;
  *free_bytes = text == NULL ? MEMORY_BYTES : (size_t)atoll(text);
  return SUCCESS;
}

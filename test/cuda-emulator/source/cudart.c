// An emulated CUDA runtime: device memory is host memory and kernels do nothing. Every copy, launch, wait and graph is
// written down, a line each, to the file that CUDA_EMULATOR_LOG names. What CUDA forbids in a capture is refused.
#include "emulator.h"
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void note(const char *format, ...) {
  static FILE *file;
  pthread_mutex_lock(&lock);
  if (file == NULL) {
    const char *path = getenv("CUDA_EMULATOR_LOG");
    file = path == NULL ? stderr : fopen(path, "a");
    if (file == NULL) abort();
    setvbuf(file, NULL, _IOLBF, 0);
  }
  va_list values;
  va_start(values, format);
  vfprintf(file, format, values);
  va_end(values);
  pthread_mutex_unlock(&lock);
}

// Captures

static int capturing;
static status_t refused_in_capture(const char *name) {
  if (!capturing) return SUCCESS;
  note("error: %s in a capture\n", name);
  return CAPTURE_UNSUPPORTED;
}
static const char *captured(void) { return capturing ? " captured" : ""; }

// Memory

typedef struct allocation {
  char *start;
  size_t size;
  struct allocation *next;
} allocation;
static allocation *allocations;

static int is_device(const void *address) {
  int found = 0;
  pthread_mutex_lock(&lock);
  for (allocation *each = allocations; each != NULL && !found; each = each->next)
    found = (const char *)address >= each->start && (const char *)address < each->start + each->size;
  pthread_mutex_unlock(&lock);
  return found;
}

// What new memory is filled with: 0, or the byte that CUDA_EMULATOR_FILL says.
static int fill_byte(void) {
  const char *text = getenv("CUDA_EMULATOR_FILL");
  return text == NULL ? 0 : atoi(text);
}

// The most that may be taken at once, where CUDA_EMULATOR_LIMIT says so.
static int is_too_much(size_t size) {
  const char *text = getenv("CUDA_EMULATOR_LIMIT");
  if (text == NULL) return 0;
  size_t taken = size;
  pthread_mutex_lock(&lock);
  for (allocation *each = allocations; each != NULL; each = each->next) taken += each->size;
  pthread_mutex_unlock(&lock);
  return taken > (size_t)atoll(text);
}

status_t cudaMalloc(void **place, size_t size) {
  if (refused_in_capture("cudaMalloc")) return CAPTURE_UNSUPPORTED;
  if (is_too_much(size)) return OUT_OF_MEMORY;
  allocation *made = malloc(sizeof *made);
  made->size = size;
  made->start = aligned_alloc(256, (size + 255) / 256 * 256 + 256);
  memset(made->start, fill_byte(), size);
  *place = made->start;
  pthread_mutex_lock(&lock);
  made->next = allocations;
  allocations = made;
  pthread_mutex_unlock(&lock);
  note("allocate %zu\n", size);
  return SUCCESS;
}

status_t cudaFree(void *address) {
  if (address == NULL) return SUCCESS;
  if (refused_in_capture("cudaFree")) return CAPTURE_UNSUPPORTED;
  allocation *gone = NULL;
  pthread_mutex_lock(&lock);
  for (allocation **each = &allocations; *each != NULL && gone == NULL; each = &(*each)->next)
    if ((*each)->start == address) {
      gone = *each;
      *each = gone->next;
      break;
    }
  pthread_mutex_unlock(&lock);
  if (gone == NULL) {
    note("error: free of what was not allocated\n");
    return 1;
  }
  note("free %zu\n", gone->size);
  memset(gone->start, 0xff, gone->size);
  free(gone->start);
  free(gone);
  return SUCCESS;
}

status_t cudaMallocFromPoolAsync(void **place, size_t size, void *pool, stream_t stream) {
  return cudaMalloc(place, size);
}
status_t cudaFreeAsync(void *address, stream_t stream) { return cudaFree(address); }
status_t cudaMallocHost(void **place, size_t size) {
  *place = aligned_alloc(256, (size + 255) / 256 * 256 + 256);
  return SUCCESS;
}
status_t cudaHostAlloc(void **place, size_t size, unsigned flags) { return cudaMallocHost(place, size); }
status_t cudaFreeHost(void *address) {
  free(address);
  return SUCCESS;
}
status_t cudaMemGetInfo(size_t *free_bytes, size_t *total) {
  *free_bytes = *total = MEMORY_BYTES;
  return SUCCESS;
}

// Copies

static const char *place_of(const void *address) { return is_device(address) ? "device" : "host"; }
static void note_copy(const void *target, const void *source, size_t size) {
  note("copy %s-%s %zu%s\n", place_of(source), place_of(target), size, captured());
}

status_t cudaMemcpy(void *target, const void *source, size_t size, int kind) {
  if (refused_in_capture("cudaMemcpy")) return CAPTURE_UNSUPPORTED;
  note_copy(target, source, size);
  memmove(target, source, size);
  return SUCCESS;
}
status_t cudaMemcpyAsync(void *target, const void *source, size_t size, int kind, stream_t stream) {
  note_copy(target, source, size);
  memmove(target, source, size);
  return SUCCESS;
}
static void copy_rows(char *target, size_t pitch, const char *source, size_t source_pitch, size_t width, size_t height) {
  note_copy(target, source, width * height);
  for (size_t row = 0; row < height; row++) memmove(target + row * pitch, source + row * source_pitch, width);
}
status_t cudaMemcpy2D(void *target, size_t pitch, const void *source, size_t source_pitch, size_t width, size_t height,
                      int kind) {
  if (refused_in_capture("cudaMemcpy2D")) return CAPTURE_UNSUPPORTED;
  copy_rows(target, pitch, source, source_pitch, width, height);
  return SUCCESS;
}
status_t cudaMemcpy2DAsync(void *target, size_t pitch, const void *source, size_t source_pitch, size_t width,
                           size_t height, int kind, stream_t stream) {
  copy_rows(target, pitch, source, source_pitch, width, height);
  return SUCCESS;
}
status_t cudaMemcpyFromSymbol(void *target, const void *symbol, size_t size, size_t offset, int kind) {
  memset(target, 0, size);
  return refused_in_capture("cudaMemcpyFromSymbol");
}
status_t cudaMemset(void *address, int value, size_t size) {
  if (refused_in_capture("cudaMemset")) return CAPTURE_UNSUPPORTED;
  note("set %zu\n", size);
  memset(address, value, size);
  return SUCCESS;
}
status_t cudaMemsetAsync(void *address, int value, size_t size, stream_t stream) {
  note("set %zu%s\n", size, captured());
  memset(address, value, size);
  return SUCCESS;
}

// Kernels

static status_t launch(void) {
  note("launch%s\n", captured());
  return SUCCESS;
}
status_t cudaLaunchKernel(const void *kernel, dim3_t grid, dim3_t block, void **arguments, size_t shared, stream_t s) {
  return launch();
}
status_t __cudaLaunchKernel(void *kernel, dim3_t grid, dim3_t block, void **arguments, size_t shared, stream_t s) {
  return launch();
}
status_t cudaLaunchKernelExC(const void *config, const void *kernel, void **arguments) { return launch(); }
status_t cudaLaunchHostFunc(stream_t stream, void (*function)(void *), void *data) {
  note("host function%s\n", captured());
  function(data);
  return SUCCESS;
}
static char handle[64];
status_t cudaFuncGetAttributes(function_attributes *attributes, const void *kernel) {
  memset(attributes, 0, sizeof *attributes);
  attributes->maxThreadsPerBlock = 1024;
  attributes->numRegs = 32;
  attributes->ptxVersion = attributes->binaryVersion = 10 * COMPUTE_MAJOR + COMPUTE_MINOR;
  return SUCCESS;
}
status_t cudaFuncSetAttribute(const void *kernel, int attribute, int value) { return SUCCESS; }
status_t cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *count, const void *kernel, int block,
                                                                size_t shared, unsigned flags) {
  *count = 2;
  return SUCCESS;
}
status_t cudaLibraryLoadData(void **library, const void *code, void *a, void **b, unsigned c, void *d, void **e,
                             unsigned f) {
  *library = handle;
  return SUCCESS;
}
status_t cudaLibraryUnload(void *library) { return SUCCESS; }
status_t cudaLibraryGetKernel(void **kernel, void *library, const char *name) {
  *kernel = handle;
  return SUCCESS;
}
status_t cudaKernelSetAttributeForDevice(void *kernel, int attribute, int value, int device) { return SUCCESS; }
status_t __cudaGetKernel(void **kernel, const void *function) {
  *kernel = handle;
  return SUCCESS;
}
void **__cudaRegisterFatBinary(void *code) { return (void **)handle; }
void __cudaRegisterFatBinaryEnd(void **code) {}
void __cudaUnregisterFatBinary(void **code) {}
void __cudaRegisterFunction(void **code, const char *host, char *device, const char *name, int threads, void *a,
                            void *b, void *c, void *d, int *e) {}
void __cudaRegisterVar(void **code, char *host, char *device, const char *name, int ext, size_t size, int constant,
                       int global) {}
unsigned __cudaPushCallConfiguration(dim3_t grid, dim3_t block, size_t shared, stream_t stream) { return 0; }
status_t __cudaPopCallConfiguration(dim3_t *grid, dim3_t *block, size_t *shared, void *stream) {
  memset(grid, 0, sizeof *grid);
  memset(block, 0, sizeof *block);
  *shared = 0;
  *(void **)stream = NULL;
  return SUCCESS;
}

// Streams, events, graphs

status_t cudaStreamCreateWithFlags(stream_t *stream, unsigned flags) {
  *stream = malloc(8);
  return SUCCESS;
}
status_t cudaStreamCreate(stream_t *stream) { return cudaStreamCreateWithFlags(stream, 0); }
status_t cudaStreamDestroy(stream_t stream) {
  free(stream);
  return SUCCESS;
}
status_t cudaStreamSynchronize(stream_t stream) {
  if (refused_in_capture("cudaStreamSynchronize")) return CAPTURE_UNSUPPORTED;
  note("wait stream\n");
  return SUCCESS;
}
status_t cudaDeviceSynchronize(void) {
  if (refused_in_capture("cudaDeviceSynchronize")) return CAPTURE_UNSUPPORTED;
  note("wait device\n");
  return SUCCESS;
}
status_t cudaStreamWaitEvent(stream_t stream, event_t event, unsigned flags) { return SUCCESS; }
status_t cudaEventCreateWithFlags(event_t *event, unsigned flags) {
  *event = malloc(8);
  return SUCCESS;
}
status_t cudaEventCreate(event_t *event) { return cudaEventCreateWithFlags(event, 0); }
status_t cudaEventDestroy(event_t event) {
  free(event);
  return SUCCESS;
}
status_t cudaEventRecord(event_t event, stream_t stream) { return SUCCESS; }
status_t cudaEventSynchronize(event_t event) { return refused_in_capture("cudaEventSynchronize"); }
status_t cudaEventElapsedTime(float *milliseconds, event_t start, event_t end) {
  *milliseconds = 1;
  return SUCCESS;
}
status_t cudaStreamBeginCapture(stream_t stream, int mode) {
  capturing = 1;
  note("capture begin\n");
  return SUCCESS;
}
status_t cudaStreamEndCapture(stream_t stream, graph_t *graph) {
  capturing = 0;
  *graph = handle;
  note("capture end\n");
  return SUCCESS;
}
status_t cudaStreamIsCapturing(stream_t stream, int *state) {
  *state = capturing;
  return SUCCESS;
}
status_t cudaGraphInstantiate(graph_t *executable, graph_t graph, unsigned long long flags) {
  *executable = malloc(8);
  note("graph made\n");
  return SUCCESS;
}
status_t cudaGraphLaunch(graph_t executable, stream_t stream) {
  note("graph launch\n");
  return SUCCESS;
}
status_t cudaGraphDestroy(graph_t graph) { return SUCCESS; }
status_t cudaGraphExecDestroy(graph_t executable) {
  note("graph freed\n");
  free(executable);
  return SUCCESS;
}

// The device. CUDA_EMULATOR_FAULT says what is wrong with it.

static status_t fault(void) {
  const char *text = getenv("CUDA_EMULATOR_FAULT");
  if (text == NULL) return SUCCESS;
  if (strcmp(text, "no-device") == 0) return NO_DEVICE;
  return strcmp(text, "old-driver") == 0 ? OLD_DRIVER : SUCCESS;
}
status_t cudaGetDeviceCount(int *count) {
  *count = fault() == SUCCESS ? 1 : 0;
  return fault();
}
status_t cudaGetDevice(int *device) {
  *device = 0;
  return fault();
}
status_t cudaSetDevice(int device) { return fault(); }
status_t cudaGetDeviceProperties(device_properties *p, int device) {
  memset(p, 0, sizeof *p);
  strcpy(p->name, DEVICE_NAME);
  p->major = COMPUTE_MAJOR;
  p->minor = COMPUTE_MINOR;
  p->totalGlobalMem = MEMORY_BYTES;
  p->multiProcessorCount = MULTIPROCESSORS;
  p->warpSize = 32;
  p->maxThreadsPerBlock = p->maxThreadsDim[0] = p->maxThreadsDim[1] = 1024;
  p->maxThreadsDim[2] = 64;
  p->maxGridSize[0] = 2147483647;
  p->maxGridSize[1] = p->maxGridSize[2] = 65535;
  p->maxThreadsPerMultiProcessor = 1536;
  p->maxBlocksPerMultiProcessor = 24;
  p->sharedMemPerBlock = 48 << 10;
  p->sharedMemPerBlockOptin = 99 << 10;
  p->sharedMemPerMultiprocessor = 100 << 10;
  p->regsPerBlock = p->regsPerMultiprocessor = 65536;
  p->l2CacheSize = 4 << 20;
  return fault();
}
status_t cudaDeviceGetAttribute(int *value, int attribute, int device) {
  switch (attribute) {
    case 1: *value = 1024; break;              // threads per block
    case 10: *value = 32; break;               // threads per warp
    case 16: *value = MULTIPROCESSORS; break;  // multiprocessors
    case 75: *value = COMPUTE_MAJOR; break;
    case 76: *value = COMPUTE_MINOR; break;
    case 97: *value = 99 << 10; break;  // shared memory per block, where asked for
    default: *value = 1;
  }
  return fault();
}
status_t cudaDriverGetVersion(int *version) {
  *version = CUDA_VERSION;
  return SUCCESS;
}
status_t cudaRuntimeGetVersion(int *version) {
  *version = CUDA_VERSION;
  return SUCCESS;
}
status_t cudaGetDriverEntryPointByVersion(const char *name, void **function, unsigned version, unsigned long long flags,
                                          int *found) {
  *function = NULL;
  if (found != NULL) *found = 1;
  return SUCCESS;
}
status_t cudaGetLastError(void) { return SUCCESS; }
status_t cudaPeekAtLastError(void) { return SUCCESS; }
const char *cudaGetErrorName(status_t status) { return "emulated"; }
const char *cudaGetErrorString(status_t status) {
  return status == CAPTURE_UNSUPPORTED ? "operation not permitted when stream is capturing" : "emulated error";
}

// Memory pools

status_t cudaMemPoolCreate(void **pool, const void *properties) {
  *pool = handle;
  return SUCCESS;
}
status_t cudaMemPoolDestroy(void *pool) { return SUCCESS; }
status_t cudaMemPoolTrimTo(void *pool, size_t size) { return SUCCESS; }
status_t cudaMemPoolSetAttribute(void *pool, int attribute, void *value) { return SUCCESS; }
status_t cudaMemPoolGetAttribute(void *pool, int attribute, void *value) {
  *(uint64_t *)value = 0;
  return SUCCESS;
}

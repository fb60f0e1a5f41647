// The few declarations of CUDA 13's interface that the emulator needs: names, argument lists and the layout of two
// structs are those of the real libraries, which callers are linked to.
#pragma once
#include <stddef.h>
#include <stdint.h>

typedef int status_t;
typedef void *stream_t;
typedef void *event_t;
typedef void *graph_t;
typedef struct {
  unsigned x, y, z;
} dim3_t;

enum { SUCCESS = 0, OUT_OF_MEMORY = 2, OLD_DRIVER = 35, NO_DEVICE = 100, CAPTURE_UNSUPPORTED = 900 };
enum { HOST_TO_HOST, HOST_TO_DEVICE, DEVICE_TO_HOST, DEVICE_TO_DEVICE, BY_ADDRESS };

#define MEMORY_BYTES ((size_t)8 << 30)
#define COMPUTE_MAJOR 8
#define COMPUTE_MINOR 9
#define MULTIPROCESSORS 16
#define CUDA_VERSION 13000
#define DEVICE_NAME "Emulated GPU"

// cudaDeviceProp: what is named is filled in, the rest is zero.
typedef struct {
  char name[256];
  char ids[32];
  size_t totalGlobalMem, sharedMemPerBlock;
  int regsPerBlock, warpSize;
  size_t memPitch;
  int maxThreadsPerBlock, maxThreadsDim[3], maxGridSize[3];
  size_t totalConstMem;
  int major, minor;
  char gap1[16];
  int multiProcessorCount;
  char gap2[208];
  int l2CacheSize;
  int persistingL2CacheMaxSize;
  int maxThreadsPerMultiProcessor;
  char gap3[16];
  size_t sharedMemPerMultiprocessor;
  int regsPerMultiprocessor;
  char gap4[36];
  size_t sharedMemPerBlockOptin;
  char gap5[8];
  int maxBlocksPerMultiProcessor;
  char rest[316];
} device_properties;

// cudaFuncAttributes.
typedef struct {
  size_t sharedSizeBytes, constSizeBytes, localSizeBytes;
  int maxThreadsPerBlock, numRegs, ptxVersion, binaryVersion;
  char rest[104];
} function_attributes;

_Static_assert(offsetof(device_properties, multiProcessorCount) == 384, "layout of cudaDeviceProp");
_Static_assert(offsetof(device_properties, l2CacheSize) == 596, "layout of cudaDeviceProp");
_Static_assert(offsetof(device_properties, sharedMemPerMultiprocessor) == 624, "layout of cudaDeviceProp");
_Static_assert(offsetof(device_properties, sharedMemPerBlockOptin) == 672, "layout of cudaDeviceProp");
_Static_assert(offsetof(device_properties, maxBlocksPerMultiProcessor) == 688, "layout of cudaDeviceProp");
_Static_assert(sizeof(device_properties) == 1008, "size of cudaDeviceProp");
_Static_assert(sizeof(function_attributes) == 144, "size of cudaFuncAttributes");

// An emulated cuBLASLt: products do nothing, and take their launch in the runtime's log.
#include "emulator.h"
#include <string.h>

status_t cudaLaunchKernel(const void *kernel, dim3_t grid, dim3_t block, void **arguments, size_t shared, stream_t s);
static status_t product(void) { return cudaLaunchKernel(0, (dim3_t){1, 1, 1}, (dim3_t){1, 1, 1}, 0, 0, 0); }

// cublasLtMatmulHeuristicResult_t: an algorithm, and what it takes.
typedef struct {
  uint64_t algorithm[8];
  size_t workspaceSize;
  int status;
  float wavesCount;
  int reserved[4];
} heuristic;

status_t cublasLtMatmulAlgoGetHeuristic(void *handle, void *product, void *a, void *b, void *c, void *d, void *wish,
                                        int wanted, heuristic *found, int *count) {
  memset(found, 0, sizeof *found);
  *count = 1;
  return SUCCESS;
}
status_t cublasLtMatmul() { return product(); }
status_t cublasLtMatrixTransform() { return product(); }

#define MAKE(name) \
  status_t name(void **place) { \
    static char it[64]; \
    *place = it; \
    return SUCCESS; \
  }
MAKE(cublasLtCreate)
MAKE(cublasLtMatmulDescCreate)
MAKE(cublasLtMatmulPreferenceCreate)
MAKE(cublasLtMatrixLayoutCreate)
MAKE(cublasLtMatrixTransformDescCreate)

#define NOTHING(name) \
  status_t name() { return SUCCESS; }
NOTHING(cublasLtDestroy)
NOTHING(cublasLtMatmulDescDestroy)
NOTHING(cublasLtMatmulDescSetAttribute)
NOTHING(cublasLtMatmulPreferenceDestroy)
NOTHING(cublasLtMatmulPreferenceSetAttribute)
NOTHING(cublasLtMatrixLayoutDestroy)
NOTHING(cublasLtMatrixLayoutSetAttribute)
NOTHING(cublasLtMatrixTransformDescDestroy)
NOTHING(cublasLtMatmulAlgoInit)
NOTHING(cublasLtMatmulAlgoConfigSetAttribute)

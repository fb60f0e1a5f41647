// An emulated cuBLAS: products do nothing, and take their launch in the runtime's log.
#include "emulator.h"

status_t cudaLaunchKernel(const void *kernel, dim3_t grid, dim3_t block, void **arguments, size_t shared, stream_t s);
static status_t product(void) { return cudaLaunchKernel(0, (dim3_t){1, 1, 1}, (dim3_t){1, 1, 1}, 0, 0, 0); }

status_t cublasCreate_v2(void **handle) {
  static char it[64];
  *handle = it;
  return SUCCESS;
}
status_t cublasDestroy_v2(void *handle) { return SUCCESS; }
status_t cublasSetStream_v2(void *handle, stream_t stream) { return SUCCESS; }
status_t cublasSetMathMode(void *handle, int mode) { return SUCCESS; }
status_t cublasGetMathMode(void *handle, int *mode) {
  *mode = 0;
  return SUCCESS;
}
const char *cublasGetStatusName(status_t status) { return "emulated"; }
const char *cublasGetStatusString(status_t status) { return "emulated"; }

#define PRODUCT(name) \
  status_t name() { return product(); }
PRODUCT(cublasGemmEx)
PRODUCT(cublasGemmBatchedEx)
PRODUCT(cublasGemmStridedBatchedEx)
PRODUCT(cublasSgemm_v2)
PRODUCT(cublasSgemmBatched)
PRODUCT(cublasSgemmStridedBatched)
PRODUCT(cublasSgeam)
PRODUCT(cublasScopy_v2)
PRODUCT(cublasSscal_v2)
PRODUCT(cublasSgetrfBatched)
PRODUCT(cublasSgetriBatched)
PRODUCT(cublasDgemm_v2)
PRODUCT(cublasDgemmBatched)
PRODUCT(cublasDgemmStridedBatched)
PRODUCT(cublasDgeam)
PRODUCT(cublasDcopy_v2)
PRODUCT(cublasDgetrfBatched)
PRODUCT(cublasDgetriBatched)

#include "framemill/infer/memory_error.h"

#include <gtest/gtest.h>

namespace framemill {
namespace {

TEST(MemoryError, IsKnownByTheWordsOfEachRuntime) {
  for (const char* const message : {
           "CUDA failure 2: out of memory ; GPU=0",
           "Failed to allocate memory for requested buffer of size 1048576",
           "std::bad_alloc",
           "Exception from src/inference/src/cpp/infer_request.cpp:223:\nCheck "
           "'!exceed_allocatable_mem_size' failed at src/plugins/intel_gpu/src/runtime/ocl/"
           "ocl_engine.cpp:115:\n[GPU] Exceeded max size of memory object allocation: requested "
           "2305843008 bytes, but max alloc size supported by device is 4294959104 bytes.",
           "[GPU] Exceeded max size of memory allocation: Required 5 bytes, already occupied 4",
           "[GPU] CL_OUT_OF_RESOURCES exception.\n\tDue to a driver bug, any subsequent OpenCL API "
           "call may cause the application to hang",
           "[GPU] clEnqueueNDRangeKernel, error code: -4 CL_MEM_OBJECT_ALLOCATION_FAILURE",
           "L0 zeMemAllocHost result: ZE_RESULT_ERROR_OUT_OF_HOST_MEMORY, code 0x70000002",
       })
    EXPECT_TRUE(is_out_of_memory(message)) << message;
  for (const char* const message :
       {"", "CUDA failure 700: an illegal memory access", "CL_INVALID_KERNEL_ARGS",
        "[GPU] ProgramBuilder build failed", "the input does not fit the model's memory layout"})
    EXPECT_FALSE(is_out_of_memory(message)) << message;
}

}  // namespace
}  // namespace framemill

#include "framemill/metrics/gpu_libraries.h"

#include <dlfcn.h>
#include <gtest/gtest.h>

namespace framemill {
namespace {

TEST(GpuLibraries, TellTheVersionsOfThoseThatAreLoaded) {
  EXPECT_FALSE(loaded_gpu_libraries().contains("tensorrt"));
  void* const tensorrt = dlopen(FRAMEMILL_FAKE_NVINFER, RTLD_NOW | RTLD_LOCAL);
  ASSERT_NE(tensorrt, nullptr) << dlerror();
  EXPECT_EQ(loaded_gpu_libraries()["tensorrt"], "10.7.1");
  dlclose(tensorrt);
}

}  // namespace
}  // namespace framemill

// Promises, on the emulated device (tests/cuda_emulator), where asynchronous work happens as late
// as it may: a batch on the device holds what write_letterbox() writes on the host, whatever was
// set in which order; errors come out with their code, and leave nothing behind.

#include "framemill/infer/cuda/cuda_batch.h"

#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framemill/infer/cuda/emulator_for_test.h"
#include "framemill/infer/half.h"

namespace framemill {
namespace {

using testing::HasSubstr;

constexpr Size kModel{64, 32};

struct OwnedPicture {
  std::vector<std::uint8_t> bytes;
  Picture picture;
};

OwnedPicture noise(PixelFormat format, Size size, unsigned seed) {
  OwnedPicture made;
  std::mt19937 rng(seed);
  const std::size_t stride = static_cast<std::size_t>(size.width) + 1;
  const std::size_t plane = stride * static_cast<std::size_t>(size.height);
  made.bytes.resize(3 * plane);
  for (std::uint8_t& byte : made.bytes) byte = static_cast<std::uint8_t>(rng());
  made.picture.format = format;
  made.picture.size = size;
  for (std::size_t i = 0; i < 3; ++i)
    made.picture.planes[i] = {made.bytes.data() + i * plane, static_cast<int>(stride)};
  return made;
}

class CudaBatchTest : public testing::Test {
 protected:
  void SetUp() override {
    auto opened = CudaLetterbox::open(CudaEmulatorForTest::options(), gate_);
    ASSERT_TRUE(opened) << opened.error().message();
    letterbox_ = *opened;
    leaks_before_ = emulator_.leaks();
  }

  std::unique_ptr<CudaBatch> make(CudaBatch::Shape shape,
                                  CudaBatch::Memory memory = CudaBatch::Memory::kDevice) {
    auto made = CudaBatch::create(letterbox_, shape, memory);
    EXPECT_TRUE(made) << made.error().message();
    return *std::move(made);
  }

  static Letterbox plan(const Picture& picture) {
    return *plan_letterbox(picture.size, kModel, LetterboxPlace::kCenter);
  }

  static std::vector<float> on_host(const Picture& picture) {
    std::vector<float> tensor(static_cast<std::size_t>(3 * kModel.width * kModel.height));
    write_letterbox(picture, plan(picture), kModel, {}, tensor);
    return tensor;
  }

  static std::vector<float> item_of(CudaBatch& batch, std::size_t item) {
    const auto bytes = batch.fetch(batch.tensor(), batch.tensor_bytes());
    EXPECT_TRUE(bytes);
    std::vector<float> values(batch.item_bytes() / sizeof(float));
    std::memcpy(values.data(), bytes->data() + item * batch.item_bytes(), batch.item_bytes());
    return values;
  }

  static void expect_item(CudaBatch& batch, std::size_t item, const std::vector<float>& wanted) {
    const std::vector<float> values = item_of(batch, item);
    for (std::size_t i = 0; i < wanted.size(); ++i)
      ASSERT_NEAR(values[i], wanted[i], 2e-6F) << "item " << item << " value " << i;
  }

  CudaEmulatorForTest emulator_;
  CaptureGate gate_;
  std::shared_ptr<const CudaLetterbox> letterbox_;
  long leaks_before_ = 0;
};

TEST_F(CudaBatchTest, HoldsWhatTheHostWrites) {
  const auto batch = make({.batch = 3, .size = kModel});
  const OwnedPicture a = noise(PixelFormat::kNv12, {131, 75}, 1);
  const OwnedPicture b = noise(PixelFormat::kI420, {64, 32}, 2);
  ASSERT_TRUE(batch->set_picture(2, a.picture, plan(a.picture), {}));
  ASSERT_TRUE(batch->set_picture(0, b.picture, plan(b.picture), {}));
  ASSERT_TRUE(batch->start());
  ASSERT_TRUE(batch->wait());
  expect_item(*batch, 0, on_host(b.picture));
  expect_item(*batch, 1, std::vector<float>(on_host(a.picture).size(), 0.0F));
  expect_item(*batch, 2, on_host(a.picture));
}

TEST_F(CudaBatchTest, EachRoundHoldsItsOwnPictures) {
  const auto batch = make({.batch = 2, .size = kModel});
  // Layouts come, grow, shrink and come back; the second item is left alone in every third round.
  constexpr Size kSizes[] = {{40, 30}, {40, 30},   {320, 180}, {40, 30},
                             {33, 65}, {320, 180}, {40, 30}};
  std::vector<float> second(static_cast<std::size_t>(3 * kModel.width * kModel.height), 0.0F);
  unsigned seed = 10;
  for (std::size_t round = 0; round < std::size(kSizes); ++round) {
    const PixelFormat format = round % 2 == 0 ? PixelFormat::kI420 : PixelFormat::kGray;
    const OwnedPicture a = noise(format, kSizes[round], seed++);
    ASSERT_TRUE(batch->set_picture(0, a.picture, plan(a.picture), {}));
    if (round % 3 != 0) {
      const OwnedPicture b =
          noise(PixelFormat::kI444, kSizes[(round + 2) % std::size(kSizes)], seed++);
      ASSERT_TRUE(batch->set_picture(1, b.picture, plan(b.picture), {}));
      second = on_host(b.picture);
    }
    ASSERT_TRUE(batch->start());
    ASSERT_TRUE(batch->wait());
    expect_item(*batch, 0, on_host(a.picture));
    expect_item(*batch, 1, second);
  }
}

TEST_F(CudaBatchTest, ThePictureIsNotNeededOnceItIsSet) {
  const auto batch = make({.batch = 1, .size = kModel});
  std::vector<float> wanted;
  {
    OwnedPicture a = noise(PixelFormat::kNv12, {50, 20}, 3);
    wanted = on_host(a.picture);
    ASSERT_TRUE(batch->set_picture(0, a.picture, plan(a.picture), {}));
    std::ranges::fill(a.bytes, 0);
  }
  ASSERT_TRUE(batch->start());
  ASSERT_TRUE(batch->wait());
  expect_item(*batch, 0, wanted);
}

TEST_F(CudaBatchTest, WritesHalvesWithChannelsLastIntoMappedMemory) {
  const auto batch = make({.batch = 2, .size = kModel, .is_channels_last = true, .is_half = true},
                          CudaBatch::Memory::kHostMapped);
  const OwnedPicture a = noise(PixelFormat::kNv12, {131, 75}, 4);
  ASSERT_TRUE(batch->set_picture(1, a.picture, plan(a.picture), {}));
  ASSERT_TRUE(batch->start());
  ASSERT_TRUE(batch->wait());
  const std::vector<float> wanted = on_host(a.picture);
  std::vector<float> got(wanted.size());
  to_float({static_cast<const std::uint16_t*>(batch->tensor()) + wanted.size(), wanted.size()},
           got);
  const std::size_t plane = wanted.size() / 3;
  for (std::size_t i = 0; i < plane; ++i)
    for (std::size_t c = 0; c < 3; ++c) ASSERT_NEAR(got[3 * i + c], wanted[c * plane + i], 1e-3F);
}

TEST_F(CudaBatchTest, TakesFinishedValuesBesidePictures) {
  const auto batch = make({.batch = 2, .size = kModel});
  const std::vector<float> values(batch->item_bytes() / sizeof(float), .25F);
  const OwnedPicture a = noise(PixelFormat::kNv12, {64, 64}, 5);
  ASSERT_TRUE(batch->set_picture(0, a.picture, plan(a.picture), {}));
  ASSERT_TRUE(batch->start());
  ASSERT_TRUE(batch->put(1, values.data()));
  ASSERT_TRUE(batch->wait());
  expect_item(*batch, 0, on_host(a.picture));
  expect_item(*batch, 1, values);
}

TEST_F(CudaBatchTest, GivesEverythingBack) {
  {
    const auto batch = make({.batch = 4, .size = kModel});
    const OwnedPicture a = noise(PixelFormat::kNv12, {64, 64}, 6);
    ASSERT_TRUE(batch->set_picture(0, a.picture, plan(a.picture), {}));
    ASSERT_TRUE(batch->start());  // and never waits
    EXPECT_GT(emulator_.leaks(), leaks_before_);
  }
  EXPECT_EQ(leaks_before_, emulator_.leaks());
}

TEST_F(CudaBatchTest, SaysWhatFailedAndRecovers) {
  struct Case {
    const char* function;
    int status;
    ErrorCode code;
  };
  for (const Case& c : {Case{"cuMemAlloc_v2", 2, ErrorCode::kResourceExhausted},
                        Case{"cuMemHostAlloc", 2, ErrorCode::kResourceExhausted},
                        Case{"cuStreamCreate", 46, ErrorCode::kUnavailable},
                        Case{"cuStreamSynchronize", 700, ErrorCode::kUnavailable},
                        Case{"cuMemsetD8Async", 1, ErrorCode::kInternal}}) {
    SCOPED_TRACE(c.function);
    emulator_.fail(c.function, c.status, 0);
    const auto made =
        CudaBatch::create(letterbox_, {.batch = 1, .size = kModel}, CudaBatch::Memory::kDevice);
    ASSERT_FALSE(made);
    EXPECT_EQ(c.code, made.error().code());
    EXPECT_THAT(made.error().message(), HasSubstr("CUDA error"));
    emulator_.fail("", 0, 0);
    EXPECT_EQ(leaks_before_, emulator_.leaks());
  }
  const auto batch = make({.batch = 1, .size = kModel});
  const OwnedPicture a = noise(PixelFormat::kNv12, {64, 64}, 7);
  const OwnedPicture larger = noise(PixelFormat::kNv12, {128, 64}, 8);
  for (const char* const function : {"cuMemcpyAsync", "cuLaunchKernel"}) {
    for (const OwnedPicture* const p : {&a, &larger, &a}) {
      SCOPED_TRACE(function);
      ASSERT_TRUE(batch->set_picture(0, p->picture, plan(p->picture), {}));
      emulator_.fail(function, 719, 0);
      const Result<void> started = batch->start();
      ASSERT_FALSE(started);
      EXPECT_EQ(ErrorCode::kUnavailable, started.error().code());
      emulator_.fail("", 0, 0);
      ASSERT_TRUE(batch->set_picture(0, p->picture, plan(p->picture), {}));
      ASSERT_TRUE(batch->start());
      ASSERT_TRUE(batch->wait());
      expect_item(*batch, 0, on_host(p->picture));
    }
  }
  // Memory that runs out while a picture grows.
  int width = 640;
  for (const char* const function : {"cuMemAlloc_v2", "cuMemHostAlloc"}) {
    const OwnedPicture huge = noise(PixelFormat::kNv12, {width *= 2, 480}, 9);
    emulator_.fail(function, 2, 0);
    EXPECT_FALSE(batch->set_picture(0, huge.picture, plan(huge.picture), {}));
    emulator_.fail("", 0, 0);
    ASSERT_TRUE(batch->set_picture(0, huge.picture, plan(huge.picture), {}));
    ASSERT_TRUE(batch->start());
    ASSERT_TRUE(batch->wait());
    expect_item(*batch, 0, on_host(huge.picture));
    ASSERT_TRUE(batch->set_picture(0, a.picture, plan(a.picture), {}));
    ASSERT_TRUE(batch->start());
    ASSERT_TRUE(batch->wait());
    expect_item(*batch, 0, on_host(a.picture));
  }
}

TEST_F(CudaBatchTest, ADeviceThatComputesSomethingElseIsRefused) {
  emulator_.be_wrong(true);
  const auto opened = CudaLetterbox::open(CudaEmulatorForTest::options(), gate_);
  ASSERT_FALSE(opened);
  EXPECT_EQ(ErrorCode::kInternal, opened.error().code());
  EXPECT_THAT(opened.error().message(), HasSubstr("is not the host's"));
}

// Drivers differ in whether they take the wish of how threads wait once the context is in use, as
// it is by a second model.
TEST_F(CudaBatchTest, AContextInUseStaysAsItIs) {
  emulator_.fail("cuDevicePrimaryCtxSetFlags_v2", 708, 0);
  EXPECT_TRUE(CudaLetterbox::open(CudaEmulatorForTest::options(), gate_));
  emulator_.fail("cuDevicePrimaryCtxSetFlags_v2", 101, 0);
  EXPECT_THAT(CudaLetterbox::open(CudaEmulatorForTest::options(), gate_).error().message(),
              HasSubstr("how threads wait"));
}

TEST_F(CudaBatchTest, WhatIsMissingIsNamed) {
  CudaLetterboxOptions no_driver = CudaEmulatorForTest::options();
  no_driver.driver = "/nowhere/libcuda.so.1";
  EXPECT_THAT(CudaLetterbox::open(no_driver, gate_).error().message(),
              HasSubstr("NVIDIA's driver is not there"));
  CudaLetterboxOptions no_compiler = CudaEmulatorForTest::options();
  no_compiler.nvrtc_libraries = {"/nowhere/libnvrtc.so.13"};
  EXPECT_THAT(CudaLetterbox::open(no_compiler, gate_).error().message(),
              HasSubstr("libnvrtc does not load"));
  CudaLetterboxOptions no_device = CudaEmulatorForTest::options();
  no_device.device = 1;
  EXPECT_THAT(CudaLetterbox::open(no_device, gate_).error().message(),
              HasSubstr("knows no CUDA device 1"));
  CudaLetterboxOptions another_library = CudaEmulatorForTest::options();
  another_library.driver = CudaEmulatorForTest::folder() + "/libnvrtc.so.13";
  EXPECT_THAT(CudaLetterbox::open(another_library, gate_).error().message(),
              HasSubstr("is not NVIDIA's driver"));
  emulator_.fail("cuModuleLoadData", 222, 0);
  EXPECT_THAT(CudaLetterbox::open(CudaEmulatorForTest::options(), gate_).error().message(),
              HasSubstr("loading the letterbox kernel"));
}

}  // namespace
}  // namespace framemill

// Promise: a model whose pictures a device letterboxes (the emulated one of tests/cuda_emulator,
// with ONNX Runtime's CPU provider in the GPU's place) gives the outputs that it gives with the
// host's letterbox; what is missing ends on the host, with the reason.

#include <array>
#include <cmath>
#include <cstdlib>
#include <future>
#include <random>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framemill/infer/backend.h"
#include "framemill/infer/cuda/emulator_for_test.h"
#include "framemill/infer/onnxruntime/device_run.h"
#include "framemill/infer/onnxruntime/letterbox_choice.h"
#include "framemill/infer/onnxruntime/ort_library.h"

namespace framemill {
namespace {

using testing::HasSubstr;

std::string tiny(const std::string& name) {
  return std::string(FRAMEMILL_SOURCE_DIR) + "/src/framemill/infer/testdata/" + name + ".onnx";
}

/// Sets FRAMEMILL_CUDA for a scope.
class CudaFolder {
 public:
  explicit CudaFolder(const std::string& folder) { setenv(kCudaVariable, folder.c_str(), 1); }
  ~CudaFolder() { unsetenv(kCudaVariable); }
  CudaFolder(const CudaFolder&) = delete;
  CudaFolder& operator=(const CudaFolder&) = delete;
};

Result<std::unique_ptr<Backend>> load(const std::string& name, LetterboxOn letterbox_on,
                                      std::size_t streams = 1) {
  return load_backend({.path = tiny(name),
                       .runtime = RuntimeKind::kOnnxRuntime,
                       .device = "CPU",
                       .letterbox_on = letterbox_on,
                       .streams = streams,
                       .threads = streams});
}

struct OwnedPicture {
  std::vector<std::uint8_t> bytes;
  Picture picture;
};

OwnedPicture noise(PixelFormat format, Size size, unsigned seed) {
  OwnedPicture made;
  std::mt19937 rng(seed);
  const std::size_t plane =
      static_cast<std::size_t>(size.width + 1) * static_cast<std::size_t>(size.height);
  made.bytes.resize(3 * plane);
  for (std::uint8_t& byte : made.bytes) byte = static_cast<std::uint8_t>(rng());
  made.picture.format = format;
  made.picture.size = size;
  for (std::size_t i = 0; i < 3; ++i)
    made.picture.planes[i] = {made.bytes.data() + i * plane, size.width + 1};
  return made;
}

void give(InferRequest& request, std::size_t item, const Picture& picture) {
  const Size input = request.input_size();
  const InputStyle style;
  const Letterbox plan = *plan_letterbox(picture.size, input, style.place);
  if (request.takes_pictures())
    ASSERT_TRUE(request.set_picture(item, picture, plan, style));
  else
    write_letterbox(picture, plan, input, style, request.input(item));
}

std::future<Result<void>> start(InferRequest& request) {
  auto done = std::make_shared<std::promise<Result<void>>>();
  request.start([done](Result<void> result) { done->set_value(std::move(result)); });
  return done->get_future();
}

std::vector<float> output_of(InferRequest& request, std::size_t item) {
  const std::span<const float> output = request.output(item);
  return {output.begin(), output.end()};
}

void expect_same(const std::vector<float>& a, const std::vector<float>& b, float tolerance) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], tolerance) << "value " << i;
}

TEST(DeviceLetterbox, GivesTheOutputsOfTheHostsLetterbox) {
  const CudaEmulatorForTest emulator;
  const CudaFolder folder(CudaEmulatorForTest::folder());
  for (const char* const name : {"plain", "half", "channels_last", "any_size", "single"}) {
    SCOPED_TRACE(name);
    const auto host = load(name, LetterboxOn::kHost);
    const auto device = load(name, LetterboxOn::kDevice);
    ASSERT_TRUE(host) << host.error().message();
    ASSERT_TRUE(device) << device.error().message();
    EXPECT_EQ("host", (*host)->facts().letterbox);
    EXPECT_EQ("cuda:0", (*device)->facts().letterbox);
    EXPECT_EQ("", (*device)->facts().letterbox_note);
    const Size input = (*host)->facts().input.value_or(Size{96, 64});
    const std::size_t batch = (*host)->facts().batch_max > 1 ? 3 : 1;
    const auto on_host = (*host)->create_request(batch, input);
    const auto on_device = (*device)->create_request(batch, input);
    ASSERT_TRUE(on_host && on_device);
    EXPECT_FALSE((*on_host)->takes_pictures());
    ASSERT_TRUE((*on_device)->takes_pictures());
    for (unsigned round = 0; round < 4; ++round) {
      // The last rounds leave items of a batch as they were.
      const std::size_t count = round < 2 ? batch : 1;
      for (std::size_t item = 0; item < count; ++item) {
        const OwnedPicture p = noise(round % 2 == 0 ? PixelFormat::kNv12 : PixelFormat::kI420,
                                     {91 + static_cast<int>(30 * round), 77},
                                     10 * round + static_cast<unsigned>(item));
        give(**on_host, item, p.picture);
        give(**on_device, item, p.picture);
      }
      ASSERT_TRUE(start(**on_host).get());
      ASSERT_TRUE(start(**on_device).get());
      for (std::size_t item = 0; item < batch; ++item)
        expect_same(output_of(**on_host, item), output_of(**on_device, item), 2e-3F);
    }
  }
}

TEST(DeviceLetterbox, TwoBatchesInFlightStayApart) {
  const CudaEmulatorForTest emulator;
  const CudaFolder folder(CudaEmulatorForTest::folder());
  const auto host = load("plain", LetterboxOn::kHost);
  const auto device = load("plain", LetterboxOn::kDevice, 2);
  ASSERT_TRUE(host && device);
  const Size input = *(*host)->facts().input;
  const auto reference = (*host)->create_request(1, input);
  std::array requests{(*device)->create_request(2, input), (*device)->create_request(2, input)};
  ASSERT_TRUE(reference && requests[0] && requests[1]);
  for (unsigned round = 0; round < 20; ++round) {
    std::array<std::future<Result<void>>, 2> done;
    for (unsigned r = 0; r < 2; ++r) {
      for (unsigned item = 0; item < 2; ++item)
        give(**requests[r], item,
             noise(PixelFormat::kNv12, {80, 60}, 4 * round + 2 * r + item).picture);
      done[r] = start(**requests[r]);
    }
    for (unsigned r = 0; r < 2; ++r) {
      ASSERT_TRUE(done[r].get());
      for (unsigned item = 0; item < 2; ++item) {
        give(**reference, 0, noise(PixelFormat::kNv12, {80, 60}, 4 * round + 2 * r + item).picture);
        ASSERT_TRUE(start(**reference).get());
        expect_same(output_of(**reference, 0), output_of(**requests[r], item), 1e-3F);
      }
    }
  }
}

TEST(DeviceLetterbox, ValuesWrittenIntoTheInputStillCount) {
  const CudaEmulatorForTest emulator;
  const CudaFolder folder(CudaEmulatorForTest::folder());
  for (const char* const name : {"plain", "half", "channels_last"}) {
    SCOPED_TRACE(name);
    const auto host = load(name, LetterboxOn::kHost);
    const auto device = load(name, LetterboxOn::kDevice);
    ASSERT_TRUE(host && device);
    const Size input = (*host)->facts().input.value_or(Size{96, 64});
    const std::size_t batch = (*host)->facts().batch_max > 1 ? 2 : 1;
    const auto on_host = (*host)->create_request(batch, input);
    const auto on_device = (*device)->create_request(batch, input);
    ASSERT_TRUE(on_host && on_device);
    std::mt19937 rng(3);
    for (std::size_t item = 0; item < batch; ++item)
      for (std::size_t i = 0; i < (*on_host)->input(item).size(); ++i)
        (*on_device)->input(item)[i] = (*on_host)->input(item)[i] =
            static_cast<float>(rng() % 256) / 256;
    ASSERT_TRUE(start(**on_host).get());
    ASSERT_TRUE(start(**on_device).get());
    for (std::size_t item = 0; item < batch; ++item)
      expect_same(output_of(**on_host, item), output_of(**on_device, item), 0);
  }
}

TEST(DeviceLetterbox, ErrorsOfTheDeviceEndTheBatchAndTheNextOneIsRight) {
  CudaEmulatorForTest emulator;
  const CudaFolder folder(CudaEmulatorForTest::folder());
  const auto device = load("plain", LetterboxOn::kDevice);
  ASSERT_TRUE(device);
  const Size input = *(*device)->facts().input;
  emulator.fail("cuMemAlloc_v2", 2, 0);
  const auto none = (*device)->create_request(1, input);
  ASSERT_FALSE(none);
  EXPECT_EQ(ErrorCode::kResourceExhausted, none.error().code());
  emulator.fail("", 0, 0);
  const auto request = (*device)->create_request(1, input);
  ASSERT_TRUE(request);
  const OwnedPicture p = noise(PixelFormat::kNv12, {80, 60}, 1);
  give(**request, 0, p.picture);
  ASSERT_TRUE(start(**request).get());
  const std::vector<float> wanted = output_of(**request, 0);
  for (const char* const function : {"cuLaunchKernel", "cuMemcpyAsync", "cuStreamSynchronize"}) {
    give(**request, 0, noise(PixelFormat::kNv12, {80, 60}, 2).picture);
    emulator.fail(function, 719, 0);
    const Result<void> failed = start(**request).get();
    ASSERT_FALSE(failed) << function;
    EXPECT_EQ(ErrorCode::kUnavailable, failed.error().code());
    emulator.fail("", 0, 0);
    give(**request, 0, p.picture);
    ASSERT_TRUE(start(**request).get());
    expect_same(wanted, output_of(**request, 0), 0);
  }
}

TEST(DeviceLetterbox, WhatIsMissingEndsOnTheHostWithTheReason) {
  const CudaFolder folder("/nowhere");
  const auto backend = load("plain", LetterboxOn::kDevice);
  ASSERT_TRUE(backend) << backend.error().message();
  EXPECT_EQ("host", (*backend)->facts().letterbox);
  EXPECT_THAT((*backend)->facts().letterbox_note, HasSubstr("NVIDIA's driver is not there"));
  EXPECT_FALSE((*(*backend)->create_request(1, *(*backend)->facts().input))->takes_pictures());
  // Nobody asked for a device: nothing to say.
  const auto by_itself = load("plain", LetterboxOn::kAuto);
  ASSERT_TRUE(by_itself);
  EXPECT_EQ("host", (*by_itself)->facts().letterbox);
  EXPECT_EQ("", (*by_itself)->facts().letterbox_note);
}

// The CPU's provider captures no graph, but takes the same calls: what is checked is that a graph
// is used after one run that agreed, and that every run gives the output of its own input.
TEST(DeviceLetterbox, ACapturedRunGivesWhatAPlainOneGives) {
  const CudaEmulatorForTest emulator;
  CaptureGate gate;
  const auto letterbox = CudaLetterbox::open(CudaEmulatorForTest::options(), gate);
  ASSERT_TRUE(letterbox) << letterbox.error().message();
  const Result<OnnxRuntimeLibrary*> library = load_onnxruntime();
  ASSERT_TRUE(library);
  OrtSession session;
  session.session = Ort::Session((*library)->env, tiny("plain").c_str(), Ort::SessionOptions());
  const Result<ModelPorts> ports = read_model_ports(session.session);
  ASSERT_TRUE(ports);
  session.ports = std::make_shared<const ModelPorts>(*ports);
  session.gate = &gate;
  session.has_cuda_graphs = true;
  const Size input = *ports->input;
  const auto batch =
      CudaBatch::create(*letterbox, {.batch = 1, .size = input}, CudaBatch::Memory::kHostMapped);
  ASSERT_TRUE(batch);
  DeviceRun with_graph(session, **batch, ports->tensor_shape(1, input), 1);
  OrtSession without;
  without.session = Ort::Session((*library)->env, tiny("plain").c_str(), Ort::SessionOptions());
  without.ports = session.ports;
  without.gate = &gate;
  DeviceRun plain(without, **batch, ports->tensor_shape(1, input), 1);
  Ort::RunOptions options;
  // Another session is being built, or hangs: the capture does not wait for it, and comes later.
  {
    const CaptureGate::Use stays(gate);
    const CaptureGate::Capture given_up(gate, Duration(1));
    ASSERT_TRUE((*batch)->wait());
    ASSERT_TRUE(with_graph.run(options));
    EXPECT_FALSE(with_graph.has_graph());
    EXPECT_TRUE(with_graph.wants_graph());
  }
  gate.wait_for_quiet();
  for (unsigned round = 0; round < 4; ++round) {
    const OwnedPicture p = noise(PixelFormat::kNv12, {80, 60}, round);
    const InputStyle style;
    ASSERT_TRUE(
        (*batch)->set_picture(0, p.picture, *plan_letterbox({80, 60}, input, style.place), style));
    ASSERT_TRUE((*batch)->start());
    ASSERT_TRUE((*batch)->wait());
    EXPECT_EQ(round > 0, with_graph.has_graph());
    const auto got = with_graph.run(options);
    ASSERT_TRUE(got);
    const std::vector<std::uint8_t> bytes(got->begin(), got->end());
    const auto wanted = plain.run(options);
    ASSERT_TRUE(wanted);
    EXPECT_EQ(bytes, std::vector<std::uint8_t>(wanted->begin(), wanted->end())) << round;
    EXPECT_FALSE(plain.has_graph());
  }
}

TEST(DeviceLetterbox, OutputsThatDifferAreNotTheSame) {
  const auto bytes = [](const std::vector<float>& values) {
    const auto* const first = reinterpret_cast<const std::uint8_t*>(values.data());
    return std::vector<std::uint8_t>(first, first + values.size() * sizeof(float));
  };
  std::vector<float> values(2000, 3.0F);
  const std::vector<std::uint8_t> base = bytes(values);
  EXPECT_TRUE(is_same_output(base, base, false));
  values[5] = values[6] = 100;
  EXPECT_TRUE(is_same_output(base, bytes(values), false));
  values[7] = 100;
  EXPECT_FALSE(is_same_output(base, bytes(values), false));
  EXPECT_FALSE(is_same_output(base, std::vector<std::uint8_t>(base.size(), 0xFF), false));
  EXPECT_FALSE(is_same_output(base, std::vector<std::uint8_t>(base.size(), 0xFF), true));
  EXPECT_FALSE(is_same_output(base, std::span(base).first(400), false));
}

}  // namespace
}  // namespace framemill

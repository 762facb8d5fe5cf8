#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <iterator>
#include <map>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "framemill/base/temp_folder_for_test.h"
#include "framemill/infer/backend.h"
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#endif

namespace framemill {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

std::string tiny(const std::string& name) {
  return std::string(FRAMEMILL_SOURCE_DIR) + "/src/framemill/infer/testdata/" + name + ".onnx";
}

Result<std::unique_ptr<Backend>> load_with(RuntimeKind runtime, const std::string& path,
                                           const std::string& cache = "") {
  return load_backend({.path = path, .runtime = runtime, .device = "CPU", .cache_dir = cache});
}

bool has_runtime(RuntimeKind runtime) {
  const auto backend = load_with(runtime, tiny("single"));
  return backend || backend.error().message().find("-DFRAMEMILL_") == std::string::npos;
}

/// What every runtime promises. Skips those that the build has not.
class EachRuntime : public testing::TestWithParam<RuntimeKind> {
 protected:
  void SetUp() override {
    if (!has_runtime(GetParam())) GTEST_SKIP() << "the build has no such runtime";
  }
  static Result<std::unique_ptr<Backend>> load(const std::string& path) {
    return load_with(GetParam(), path);
  }
  static bool is_openvino() { return GetParam() == RuntimeKind::kOpenVino; }
};
INSTANTIATE_TEST_SUITE_P(All, EachRuntime,
                         testing::Values(RuntimeKind::kOpenVino, RuntimeKind::kOnnxRuntime),
                         [](const testing::TestParamInfo<RuntimeKind>& tested) {
                           return tested.param == RuntimeKind::kOpenVino ? "OpenVino"
                                                                         : "OnnxRuntime";
                         });

class OpenVino : public testing::Test {
 protected:
  void SetUp() override {
    if (!has_runtime(RuntimeKind::kOpenVino)) GTEST_SKIP() << "built without OpenVINO";
  }
};

TEST(LoadBackend, RefusesWhatIsNoModelFileAndSaysWhatToDo) {
  const TempFolder folder;
  const struct {
    std::string path;
    ErrorCode code;
    const char* says;
  } cases[] = {
      {"", ErrorCode::kInvalidArgument, "name an .onnx"},
      {folder / "gone.onnx", ErrorCode::kNotFound, "no such file"},
      {folder.path(), ErrorCode::kInvalidArgument, "directory"},
      {folder.write("empty.onnx", ""), ErrorCode::kInvalidArgument, "is empty"},
      {folder.write("m.pt", "x"), ErrorCode::kInvalidArgument, "yolo export"},
      {folder.write("m.engine", "x"), ErrorCode::kInvalidArgument, "TensorRT"},
      {folder.write("m.bin", "x"), ErrorCode::kInvalidArgument, "give the .xml"},
      {folder.write("m.txt", "x"), ErrorCode::kInvalidArgument, "not a model by its name"},
      {folder.write("alone.xml", "<net/>"), ErrorCode::kNotFound, "alone.bin"},
      {folder.write("lfs.onnx", "version https://git-lfs.github.com/spec/v1\n"),
       ErrorCode::kInvalidArgument, "git lfs pull"},
  };
  for (const auto& [path, code, says] : cases) {
    const auto backend = load_backend({.path = path, .device = "CPU"});
    ASSERT_FALSE(backend) << path;
    EXPECT_EQ(backend.error().code(), code) << backend.error().message();
    EXPECT_THAT(backend.error().message(), HasSubstr(says));
  }
}

TEST_P(EachRuntime, RefusesContentThatIsNoModel) {
#ifdef __SANITIZE_ADDRESS__
  // OpenVINO tries all its front ends, unloads them, and one leaves 8 bytes that no suppression can
  // name.
  const __lsan::ScopedDisabler theirs_not_ours;
#endif
  const TempFolder folder;
  std::ifstream whole(tiny("plain"), std::ios::binary);
  std::string content((std::istreambuf_iterator<char>(whole)), {});
  folder.write("m.bin", "x");
  std::vector<std::string> paths{folder.write("noise.onnx", "this is not a model"),
                                 folder.write("bytes.onnx", "\x08\xff\x12\x80"),
                                 folder.write("cut.onnx", content.substr(0, content.size() / 2))};
  if (is_openvino()) paths.push_back(folder.write("m.xml", "<net>"));
  for (const std::string& path : paths) {
    const auto backend = load(path);
    ASSERT_FALSE(backend) << path;
    EXPECT_EQ(backend.error().code(), ErrorCode::kInvalidArgument) << backend.error().message();
    EXPECT_THAT(backend.error().message(), HasSubstr(path));
  }
}

TEST_P(EachRuntime, RefusesInputsThatAreNoPictureOfFloats) {
  const std::pair<const char*, const char*> cases[] = {
      {"two_inputs", "has 2 inputs"}, {"bytes", "u8"}, {"batch_of_4", "fixed batch of 4"}};
  for (const auto& [name, says] : cases) {
    const auto backend = load(tiny(name));
    ASSERT_FALSE(backend) << name;
    EXPECT_EQ(backend.error().code(), ErrorCode::kUnsupported) << name;
    EXPECT_THAT(backend.error().message(), HasSubstr(says));
    EXPECT_THAT(backend.error().message(), HasSubstr(tiny(name)));
  }
}

TEST_P(EachRuntime, NamesTheDevicesThereAreIfTheWantedOneIsMissing) {
  const auto backend =
      load_backend({.path = tiny("plain"), .runtime = GetParam(), .device = "NPU.7"});
  ASSERT_FALSE(backend);
  EXPECT_EQ(backend.error().code(), ErrorCode::kUnsupported);
  EXPECT_THAT(backend.error().message(), HasSubstr("CPU"));
  EXPECT_THAT(backend.error().message(), HasSubstr("NPU.7"));
}

TEST_P(EachRuntime, ReportsFacts) {
  const auto backend = load_backend(
      {.path = tiny("plain"), .runtime = GetParam(), .device = "cpu", .streams = 2, .threads = 2});
  ASSERT_TRUE(backend) << backend.error().message();
  const ModelFacts& facts = (*backend)->facts();
  EXPECT_EQ(facts.name, "plain");
  EXPECT_EQ(facts.device, "CPU");
  EXPECT_THAT(facts.runtime,
              testing::StartsWith(is_openvino() ? "OpenVINO 20" : "ONNX Runtime 1."));
  EXPECT_EQ(facts.precision, "fp32");
  EXPECT_FALSE(facts.device_name.empty());
  EXPECT_EQ(facts.hash.size(), 64U);
  EXPECT_EQ(facts.input, (Size{64, 64}));
  EXPECT_EQ(facts.batch_max, 32U);
  EXPECT_EQ(facts.parallel_requests, 2U);
  EXPECT_EQ(facts.metadata.at("names"), "{0: 'mill'}");
  ASSERT_EQ(facts.outputs.size(), 1U);
  EXPECT_EQ(facts.outputs[0].name, "output0");
  EXPECT_EQ(facts.outputs[0].dims, (std::vector<std::int64_t>{-1, 5, 84}));

  EXPECT_EQ((*load(tiny("single")))->facts().batch_max, 1U);
  EXPECT_EQ((*load(tiny("any_size")))->facts().input, std::nullopt);
}

TEST_P(EachRuntime, RefusesShapesTheModelCannotHave) {
  const auto single = load(tiny("single"));
  ASSERT_TRUE(single) << single.error().message();
  const auto any_size = load(tiny("any_size"));
  ASSERT_TRUE(any_size) << any_size.error().message();
  const struct {
    Backend& backend;
    std::size_t batch;
    Size input;
  } cases[] = {{**single, 2, {64, 64}},    {**single, 0, {64, 64}},   {**single, 1, {96, 64}},
               {**any_size, 33, {64, 64}}, {**any_size, 1, {65, 64}}, {**any_size, 1, {0, 64}}};
  for (const auto& [backend, batch, input] : cases) {
    const auto request = backend.create_request(batch, input);
    ASSERT_FALSE(request) << batch << " " << input.width;
    EXPECT_EQ(request.error().code(), ErrorCode::kInvalidArgument);
  }
}

/// Runs `batch` pictures, each of one colour (of its number), and returns the best scores.
std::vector<float> scores_of(Backend& backend, std::size_t batch, Size input) {
  const auto request = backend.create_request(batch, input);
  EXPECT_TRUE(request) << request.error().message();
  if (!request) return {};
  for (std::size_t i = 0; i < batch; ++i)
    std::ranges::fill((*request)->input(i), 0.1F + 0.2F * static_cast<float>(i));
  std::promise<Result<void>> done;
  (*request)->start([&done](Result<void> result) { done.set_value(std::move(result)); });
  const Result<void> result = done.get_future().get();
  EXPECT_TRUE(result);
  std::vector<float> scores;
  for (std::size_t i = 0; i < batch; ++i) scores.push_back((*request)->output(i).back());
  return scores;
}

TEST_P(EachRuntime, ComputesAnyLayoutBatchAndSize) {
  const struct {
    const char* name;
    std::size_t batch;
    Size input;
  } cases[] = {{"plain", 1, {64, 64}},    {"plain", 3, {64, 64}},
               {"half", 2, {64, 64}},     {"channels_last", 2, {64, 64}},
               {"any_size", 2, {96, 64}}, {"any_size", 1, {320, 192}}};
  for (const auto& [name, batch, input] : cases) {
    const auto backend = load(tiny(name));
    ASSERT_TRUE(backend) << backend.error().message();
    const std::vector<float> scores = scores_of(**backend, batch, input);
    ASSERT_EQ(scores.size(), batch) << name;
    for (std::size_t i = 0; i < batch; ++i) {
      const float blue = 0.1F + 0.2F * static_cast<float>(i);
      EXPECT_NEAR(scores[i], 1 / (1 + std::exp(2 - 4 * blue)), 2e-3) << name << " item " << i;
    }
  }
}

TEST(Backends, AModelInQdqFormIsComputedAlikeByBothRuntimes) {
  constexpr RuntimeKind kBoth[] = {RuntimeKind::kOpenVino, RuntimeKind::kOnnxRuntime};
  std::array<std::vector<float>, 2> outputs;
  for (std::size_t i = 0; i < 2; ++i) {
    if (!has_runtime(kBoth[i])) GTEST_SKIP() << "the build has one runtime only";
    auto backend = load_with(kBoth[i], tiny("quantised"));
    ASSERT_TRUE(backend) << backend.error().message();
    auto request = (*backend)->create_request(2, {64, 64});
    ASSERT_TRUE(request) << request.error().message();
    for (std::size_t picture = 0; picture < 2; ++picture) {
      float step = .1F * static_cast<float>(picture + 1);
      for (float& value : (*request)->input(picture)) value = .5F + .5F * std::sin(step += 2.7F);
    }
    std::promise<Result<void>> done;
    (*request)->start([&done](Result<void> status) { done.set_value(std::move(status)); });
    ASSERT_TRUE(done.get_future().get());
    for (std::size_t picture = 0; picture < 2; ++picture)
      std::ranges::copy((*request)->output(picture), std::back_inserter(outputs[i]));
  }
  ASSERT_EQ(outputs[0].size(), 2U * 5 * 84);
  ASSERT_EQ(outputs[0].size(), outputs[1].size());
  double wrong = 0, sides = 0;
  for (std::size_t j = 0; j < outputs[0].size(); ++j) {
    wrong += std::abs(outputs[0][j] - outputs[1][j]);
    sides += std::abs(outputs[1][j] - 20);
  }
  EXPECT_LT(wrong, .05 * sides) << "one step of INT8 here and there, not another picture";
}

TEST_P(EachRuntime, ForgettingLeavesWhatIsInUseAndMakesTheRestAnew) {
  const auto backend = load(tiny("any_size"));
  ASSERT_TRUE(backend) << backend.error().message();
  const auto kept = (*backend)->create_request(1, {64, 64});
  ASSERT_TRUE(kept) << kept.error().message();
  const std::vector<float> pair = scores_of(**backend, 2, {64, 64});
  (*backend)->forget_unused();
  std::promise<bool> ran;
  (*kept)->start([&ran](const Result<void>& status) { ran.set_value(status.has_value()); });
  EXPECT_TRUE(ran.get_future().get());
  EXPECT_EQ(scores_of(**backend, 2, {64, 64}), pair);
}

TEST_P(EachRuntime, ARequestMayBeStartedAgainWhileItsCallbackReturns) {
  const auto backend = load(tiny("plain"));
  ASSERT_TRUE(backend);
  const auto request = (*backend)->create_request(1, {64, 64});
  ASSERT_TRUE(request);
  std::ranges::fill((*request)->input(0), 0.5F);
  for (int round = 0; round < 2'000; ++round) {
    std::promise<void> done;
    (*request)->start([&done](const Result<void>& result) {
      EXPECT_TRUE(result);
      done.set_value();
    });
    done.get_future().get();  // the callback's own return is not waited for
  }
}

TEST_P(EachRuntime, ServesSeveralThreadsAndOutlivesTheBackend) {
  auto backend = load(tiny("any_size"));
  ASSERT_TRUE(backend);
  std::vector<std::unique_ptr<InferRequest>> requests(4);
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < requests.size(); ++i)
      threads.emplace_back([&, i] {
        auto request =
            (*backend)->create_request(1 + i % 2, {64 * (1 + static_cast<int>(i) / 2), 64});
        if (request) requests[i] = *std::move(request);
      });
  }
  *backend = nullptr;
  for (const auto& request : requests) {
    ASSERT_NE(request, nullptr);
    std::promise<Result<void>> done;
    request->start([&done](Result<void> result) { done.set_value(std::move(result)); });
    EXPECT_TRUE(done.get_future().get());
  }
}

/// What is kept of a model, its facts and graphs, and which file each is: one that is made anew is
/// another. When it was written says nothing, since each use sets that.
std::map<std::string, std::uint64_t> files_of(const TempFolder& cache) {
  std::map<std::string, std::uint64_t> files;
  for (const auto& entry : fs::recursive_directory_iterator(cache.path())) {
    struct stat facts {};
    if (entry.is_regular_file() && ::stat(entry.path().c_str(), &facts) == 0)
      files[entry.path()] = facts.st_ino;
  }
  return files;
}

/// A file of 3 GiB that takes no place on the disk, as if it was used so long ago.
std::string put_old_file(const TempFolder& cache, const std::string& name,
                         std::chrono::hours ago = std::chrono::hours(24)) {
  std::string path = cache.write(name);
  fs::resize_file(path, std::uintmax_t{3} << 30);
  fs::last_write_time(path, fs::file_time_type::clock::now() - ago);
  return path;
}

TEST_F(OpenVino, AVirtualDeviceOfTheProcessorIsTheProcessor) {
  const auto plain = load_with(RuntimeKind::kOpenVino, tiny("plain"));
  ASSERT_TRUE(plain) << plain.error().message();
  for (const char* const device : {"AUTO:CPU", "MULTI:CPU", "hetero:cpu"}) {
    const auto backend = load_backend({.path = tiny("plain"), .device = device});
    ASSERT_TRUE(backend) << backend.error().message();
    EXPECT_EQ((*backend)->facts().device, "CPU") << device;
    EXPECT_EQ((*backend)->facts().device_name, (*plain)->facts().device_name) << device;
    EXPECT_EQ(scores_of(**backend, 2, {64, 64}), scores_of(**plain, 2, {64, 64})) << device;
  }
}

// A processor is its own partner here: what counts is that OpenVINO tells nothing of the virtual
// device, and that it keeps the graph itself.
TEST_F(OpenVino, OneGraphOverTwoDevicesComputesWhatEachOfThemDoes) {
  const TempFolder cache;
  const auto plain = load_with(RuntimeKind::kOpenVino, tiny("plain"));
  ASSERT_TRUE(plain) << plain.error().message();
  const std::vector<float> want = scores_of(**plain, 2, {64, 64});
  const std::string& processor = (*plain)->facts().device_name;
  const std::string kept = cache.path();
  for (const std::string& folder : {std::string(), kept, kept}) {
    const auto backend = load_backend({.path = tiny("plain"),
                                       .runtime = RuntimeKind::kOpenVino,
                                       .device = "HETERO:CPU,CPU",
                                       .cache_dir = folder});
    ASSERT_TRUE(backend) << backend.error().message();
    EXPECT_EQ((*backend)->facts().device, "HETERO:CPU,CPU");
    EXPECT_EQ((*backend)->facts().device_name, processor + " + " + processor);
    EXPECT_EQ(scores_of(**backend, 2, {64, 64}), want);
  }
  const auto half = load_backend(
      {.path = tiny("plain"), .device = "HETERO:CPU,CPU", .precision = Precision::kFp16});
  if (!half) {  // else the processor can
    EXPECT_THAT(half.error().message(), HasSubstr("HETERO:CPU,CPU cannot compute in fp16"));
  }
}

TEST_F(OpenVino, ASecondStartTakesAllFromTheCache) {
  const TempFolder cache;
  std::size_t models = 0;
  for (const char* const name : {"plain", "any_size", "single", "channels_last", "half"}) {
    const auto first = load_with(RuntimeKind::kOpenVino, tiny(name), cache.path());
    ASSERT_TRUE(first) << name;
    const std::vector<float> want = scores_of(**first, 1, {64, 64});
    const auto kept = files_of(cache);
    ASSERT_EQ(kept.size(), 2 * ++models) << name << ": facts and a graph are kept";
    const auto second = load_with(RuntimeKind::kOpenVino, tiny(name), cache.path());
    ASSERT_TRUE(second) << name;
    EXPECT_EQ(scores_of(**second, 1, {64, 64}), want) << name;
    EXPECT_EQ(files_of(cache), kept) << name << ": something was made anew";

    const ModelFacts &a = (*first)->facts(), &b = (*second)->facts();
    EXPECT_EQ(a.hash, b.hash);
    EXPECT_EQ(a.runtime, b.runtime);
    EXPECT_EQ(a.device_name, b.device_name);
    EXPECT_EQ(a.precision, b.precision);
    EXPECT_EQ(a.input, b.input);
    EXPECT_EQ(a.input_multiple, b.input_multiple);
    EXPECT_EQ(a.batch_max, b.batch_max);
    EXPECT_EQ(a.metadata, b.metadata);
    EXPECT_EQ(a.parallel_requests, b.parallel_requests);
    ASSERT_EQ(a.outputs.size(), b.outputs.size());
    EXPECT_EQ(a.outputs[0].name, b.outputs[0].name);
    EXPECT_EQ(a.outputs[0].dims, b.outputs[0].dims);
  }
}

TEST_F(OpenVino, WhatIsWrittenMakesRoomAndAStartThatWritesNothingDoesNot) {
  const TempFolder cache;
  const std::string old = put_old_file(cache, "openvino/old");
  const std::string packages = put_old_file(cache, "prepare/packages");
  ASSERT_TRUE(load_with(RuntimeKind::kOpenVino, tiny("plain"), cache.path()));
  EXPECT_FALSE(fs::exists(old));
  EXPECT_TRUE(fs::exists(packages)) << "no compiled model";
  const std::string later = put_old_file(cache, "openvino/later");
  const auto second = load_with(RuntimeKind::kOpenVino, tiny("plain"), cache.path());
  ASSERT_TRUE(second);
  EXPECT_TRUE(fs::exists(later)) << "nothing was written";
  ASSERT_EQ(scores_of(**second, 1, {64, 64}).size(), 1U);
  EXPECT_FALSE(fs::exists(later)) << "a graph was";
}

TEST_F(OpenVino, AStartNotesThatItUsesWhatIsKept) {
  const TempFolder cache;
  ASSERT_EQ(scores_of(**load_with(RuntimeKind::kOpenVino, tiny("plain"), cache.path()), 1, {64, 64})
                .size(),
            1U);
  const auto kept = files_of(cache);
  ASSERT_EQ(kept.size(), 2U);
  const auto long_ago = fs::file_time_type::clock::now() - std::chrono::hours(48);
  for (const auto& [path, number] : kept) fs::last_write_time(path, long_ago);
  const auto second = load_with(RuntimeKind::kOpenVino, tiny("plain"), cache.path());
  ASSERT_TRUE(second);
  EXPECT_EQ(scores_of(**second, 1, {64, 64}).size(), 1U);
  for (const auto& [path, number] : kept)
    EXPECT_GT(fs::last_write_time(path), long_ago + std::chrono::hours(47)) << path;
}

TEST_F(OpenVino, WhatWasForgottenIsMadeAnewAndWhatIsInUseIsNot) {
  const TempFolder cache;
  const auto backend = load_with(RuntimeKind::kOpenVino, tiny("plain"), cache.path());
  ASSERT_TRUE(backend);
  const auto in_use = (*backend)->create_request(1, {64, 64});
  ASSERT_TRUE(in_use);
  ASSERT_EQ(scores_of(**backend, 2, {64, 64}).size(), 2U);
  const auto made_anew = [&](std::size_t batch) {  // with nothing kept on disk either
    for (const auto& [path, number] : files_of(cache)) fs::remove(path);
    scores_of(**backend, batch, {64, 64});
    return !files_of(cache).empty();
  };
  EXPECT_FALSE(made_anew(2)) << "it is still in memory";
  (*backend)->forget_unused();
  EXPECT_FALSE(made_anew(1)) << "is in use";
  EXPECT_TRUE(made_anew(2));
}

TEST_F(OpenVino, ADamagedCacheCostsTimeOnly) {
  const TempFolder cache;
  const auto first = load_with(RuntimeKind::kOpenVino, tiny("plain"), cache.path());
  ASSERT_TRUE(first);
  const std::vector<float> want = scores_of(**first, 2, {64, 64});
  const auto kept = files_of(cache);
  ASSERT_GE(kept.size(), 2U);  // facts and a graph
  const auto content_of = [](const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), {});
  };
  const std::pair<const char*, std::function<void(std::string&)>> damages[] = {
      {"cut off", [](std::string& bytes) { bytes.resize(bytes.size() / 2); }},
      {"empty", [](std::string& bytes) { bytes.clear(); }},
      {"check sum alone", [](std::string& bytes) { bytes.resize(65); }},
      {"one bit", [](std::string& bytes) { bytes[bytes.size() / 2] ^= 4; }},
      {"another file's", [&](std::string& bytes) {
         for (const auto& [path, number] : kept)
           if (std::string other = content_of(path); other != bytes) return bytes.swap(other);
       }}};
  for (const auto& [what, damage] : damages) {
    for (const auto& [path, number] : kept) {
      const std::string whole = content_of(path);
      std::string bytes = whole;
      damage(bytes);
      ASSERT_NE(bytes, whole) << what;
      std::ofstream(path, std::ios::binary) << bytes;
      const auto second = load_with(RuntimeKind::kOpenVino, tiny("plain"), cache.path());
      ASSERT_TRUE(second) << what;
      EXPECT_EQ(scores_of(**second, 2, {64, 64}), want) << what;
      EXPECT_NE(content_of(path), bytes) << what << ": was not made anew";
    }
  }
}

TEST_F(OpenVino, ACacheThatCannotBeWrittenIsNone) {
  const TempFolder folder;
  const std::string place = folder.write("file", "no folder");
  for (int start = 0; start < 2; ++start) {
    const auto backend = load_with(RuntimeKind::kOpenVino, tiny("plain"), place);
    ASSERT_TRUE(backend) << backend.error().message();
    EXPECT_EQ(scores_of(**backend, 1, {64, 64}).size(), 1U);
  }
}

TEST_F(OpenVino, AModelThatWasReplacedMeanwhileIsNotTakenForTheOldOne) {
  const TempFolder folder;
  const std::string path = folder / "model.onnx";
  fs::copy_file(tiny("plain"), path);
  const std::string cache = folder / "cache";
  ASSERT_EQ(scores_of(**load_with(RuntimeKind::kOpenVino, path, cache), 1, {64, 64}).size(), 1U);
  const auto backend = load_with(RuntimeKind::kOpenVino, path, cache);
  ASSERT_TRUE(backend);
  fs::copy_file(tiny("any_size"), path, fs::copy_options::overwrite_existing);
  EXPECT_EQ(scores_of(**backend, 1, {64, 64}).size(), 1U);  // kept, so the file is not needed
  const auto other_shape = (*backend)->create_request(2, {64, 64});
  ASSERT_FALSE(other_shape);
  EXPECT_EQ(other_shape.error().code(), ErrorCode::kFailedPrecondition);
  EXPECT_THAT(other_shape.error().message(), HasSubstr("was replaced"));
}

}  // namespace
}  // namespace framemill

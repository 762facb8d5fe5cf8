// What only ONNX Runtime's backend promises; what all backends do is in backends_test.cc.
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <future>
#include <random>
#include <set>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framemill/base/temp_folder_for_test.h"
#include "framemill/infer/backend.h"
#include "framemill/infer/onnxruntime/run_threads.h"

namespace framemill {
namespace {

using testing::HasSubstr;

std::string tiny(const std::string& name) {
  return std::string(FRAMEMILL_SOURCE_DIR) + "/src/framemill/infer/testdata/" + name + ".onnx";
}

Result<std::unique_ptr<Backend>> load(const std::string& path, const std::string& device = "CPU",
                                      std::size_t streams = 1) {
  return load_backend({.path = path,
                       .runtime = RuntimeKind::kOnnxRuntime,
                       .device = device,
                       .streams = streams,
                       .threads = streams});
}

// Promise: what nobody uses can be let go on a CPU as well, and comes back as the same model.
TEST(OnnxRuntime, AForgottenModelComesBackAndOneThatWasReplacedDoesNot) {
  const TempFolder folder;
  const auto path = folder / "model.onnx";
  std::filesystem::copy_file(tiny("plain"), path);
  const auto backend = load(path.string());
  ASSERT_TRUE(backend);
  const Size input = (*backend)->facts().input.value_or(Size{64, 64});
  {
    const auto in_use = (*backend)->create_request(1, input);
    ASSERT_TRUE(in_use);
    (*backend)->forget_unused();
    EXPECT_TRUE((*backend)->create_request(1, input));
  }
  (*backend)->forget_unused();
  EXPECT_TRUE((*backend)->create_request(1, input));
  (*backend)->forget_unused();
  std::filesystem::copy_file(tiny("half"), path, std::filesystem::copy_options::overwrite_existing);
  const auto refused = (*backend)->create_request(1, input);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::kFailedPrecondition);
  EXPECT_THAT(refused.error().message(), HasSubstr("was replaced by another model"));
}

TEST(OnnxRuntime, DamagedModelsAreRefusedOrRunAndNothingElse) {
  std::ifstream file(tiny("plain"), std::ios::binary);
  const std::string whole((std::istreambuf_iterator<char>(file)), {});
  ASSERT_FALSE(whole.empty());
  const TempFolder folder;
  std::mt19937 random(7);
  int refused = 0;
  for (int round = 0; round < 240; ++round) {
    std::string damaged = whole;
    if (round < 40) {
      damaged.resize(whole.size() * static_cast<std::size_t>(round) / 40);
    } else {
      const std::size_t first = round % 2 == 0 ? 0 : 2;  // the others keep what makes it ONNX
      for (int i = 0; i < 1 + round % 5; ++i)
        damaged[first + random() % (damaged.size() - first)] = static_cast<char>(random());
    }
    const std::string path = folder.write("damaged.onnx", damaged);
    const auto backend = load(path);
    if (!backend) {
      ++refused;
      EXPECT_NE(backend.error().code(), ErrorCode::kInternal) << backend.error().message();
      EXPECT_THAT(backend.error().message(), HasSubstr(path));
      continue;
    }
    const ModelFacts& facts = (*backend)->facts();
    const Size input = facts.input.value_or(Size{64, 64});
    if (static_cast<std::int64_t>(input.width) * input.height > 1'000'000) continue;
    const auto request = (*backend)->create_request(1, input);
    if (!request) continue;
    std::promise<Result<void>> done;
    (*request)->start([&done](Result<void> result) { done.set_value(std::move(result)); });
    static_cast<void>(done.get_future().get());
  }
  EXPECT_GT(refused, 40);
}

TEST(OnnxRuntime, DevicesThatAreNotThereAreNamedWithTheRemedy) {
  for (const char* const device : {"cuda:0", "tensorrt:0", "rtx:0", "cuda:63"}) {
    const auto backend = load(tiny("plain"), device);
    if (backend) GTEST_SKIP() << "there is such a device";
    EXPECT_EQ(backend.error().code(), ErrorCode::kUnsupported);
    EXPECT_THAT(backend.error().message(), HasSubstr(tiny("plain")));
    EXPECT_THAT(backend.error().message(), HasSubstr(device));
    EXPECT_THAT(backend.error().message(),
                testing::AnyOf(HasSubstr("scripts/setup.sh gpu"), HasSubstr("no CUDA device"),
                               HasSubstr("CUDA finds")));
  }
}

TEST(OnnxRuntime, ThePrecisionOfTheCpuIsThatOfTheWeights) {
  const auto backend = load_backend({.path = tiny("plain"),
                                     .runtime = RuntimeKind::kOnnxRuntime,
                                     .device = "CPU",
                                     .precision = Precision::kBf16});
  ASSERT_FALSE(backend);
  EXPECT_EQ(backend.error().code(), ErrorCode::kUnsupported);
  EXPECT_THAT(backend.error().message(), HasSubstr("precision: auto"));
}

TEST(OnnxRuntime, ARequestThatIsEndedIsCancelled) {
  const auto backend = load(tiny("any_size"), "CPU", 1);
  ASSERT_TRUE(backend) << backend.error().message();
  auto large = (*backend)->create_request(8, {2048, 2048});  // far above 50 ms
  ASSERT_TRUE(large) << large.error().message();
  auto waiting = (*backend)->create_request(1, {64, 64});
  ASSERT_TRUE(waiting);
  std::promise<Result<void>> large_done, waiting_done;
  (*large)->start([&](Result<void> result) { large_done.set_value(std::move(result)); });
  (*waiting)->start([&](Result<void> result) { waiting_done.set_value(std::move(result)); });
  (*waiting).reset();  // the only thread is busy, so it has not begun
  const Result<void> of_waiting = waiting_done.get_future().get();
  ASSERT_FALSE(of_waiting);
  EXPECT_EQ(of_waiting.error().code(), ErrorCode::kCancelled);
  const auto begin = std::chrono::steady_clock::now();
  (*large).reset();
  const Result<void> of_large = large_done.get_future().get();
  if (!of_large) {
    EXPECT_EQ(of_large.error().code(), ErrorCode::kCancelled);
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20));

  const auto next = (*backend)->create_request(1, {64, 64});  // the others go on
  ASSERT_TRUE(next);
  std::promise<Result<void>> next_done;
  (*next)->start([&](Result<void> result) { next_done.set_value(std::move(result)); });
  EXPECT_TRUE(next_done.get_future().get());
}

TEST(OnnxRuntime, TheInputIsReadAnewEveryTime) {  // bound once, written into for ever
  const auto backend = load(tiny("plain"));
  ASSERT_TRUE(backend);
  const auto request = (*backend)->create_request(2, {64, 64});
  ASSERT_TRUE(request);
  std::vector<float> last;
  for (int round = 0; round < 4; ++round) {
    for (std::size_t item = 0; item < 2; ++item)
      std::ranges::fill((*request)->input(item), 0.1F + 0.2F * static_cast<float>(round + item));
    std::promise<Result<void>> done;
    (*request)->start([&](Result<void> result) { done.set_value(std::move(result)); });
    ASSERT_TRUE(done.get_future().get());
    last.push_back((*request)->output(0).back());
    EXPECT_GT((*request)->output(1).back(), last.back());
  }
  EXPECT_TRUE(std::ranges::is_sorted(last, std::less_equal<>()));
}

TEST(RunThreads, GiveAJobToTheThreadItAsksFor) {
  RunThreads threads(3);
  for (std::size_t wanted = 0; wanted < 3; ++wanted) {
    std::set<std::thread::id> ids;
    for (int round = 0; round < 50; ++round) {
      std::promise<std::thread::id> ran;
      threads.submit(&ran, wanted, [&ran] { ran.set_value(std::this_thread::get_id()); });
      ids.insert(ran.get_future().get());
    }
    EXPECT_EQ(ids.size(), 1U);
  }
}

TEST(RunThreads, AJobIsTakenBackOnlyBeforeItBegins) {
  RunThreads threads(1);
  std::promise<void> begun, gate;
  int first = 0, second = 0;
  threads.submit(&first, RunThreads::kAnyThread, [&] {
    begun.set_value();
    gate.get_future().get();
    first = 1;
  });
  begun.get_future().get();
  threads.submit(&second, RunThreads::kAnyThread, [&] { second = 1; });
  EXPECT_FALSE(threads.remove(&first));
  EXPECT_TRUE(threads.remove(&second));
  EXPECT_FALSE(threads.remove(&second));
  gate.set_value();
  std::promise<void> after;
  threads.submit(&after, RunThreads::kAnyThread, [&] { after.set_value(); });
  after.get_future().get();
  EXPECT_EQ(first, 1);
  EXPECT_EQ(second, 0);
}

}  // namespace
}  // namespace framemill

// A pool of devices below the schedulers: each batch ends once, whatever its device does, and a
// device is taken out, loaded anew and taken back.
#include "framemill/engine/device_pool.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <functional>
#include <mutex>
#include <sstream>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include "framemill/core/grey_picture.h"
#include "framemill/infer/fake_backend.h"

namespace framemill {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

constexpr Size kSize{64, 64};

class DevicePoolTest : public testing::Test {
 protected:
  static std::shared_ptr<const Detector> load(const std::shared_ptr<FakeBackendControl>& control) {
    Result<std::unique_ptr<Detector>> detector = Detector::create(
        create_fake_backend({.input = kSize, .parallel_requests = 2, .fixed = 1ms}, control), {});
    CHECK(detector.has_value());
    return std::move(*detector);
  }
  DevicePoolTest() {
    DevicePool::Options options;
    options.load_every = 100ms;
    options.load = [this](DeviceIndex device,
                          std::size_t model) -> Result<std::shared_ptr<const Detector>> {
      ++loads_;
      if (controls_[device]->gone) return fail(ErrorCode::kUnavailable, "no such device");
      while (is_loading_slow_) std::this_thread::sleep_for(1ms);
      if (file_error_ && model == 0) return fail(*file_error_, "its file is another one");
      std::shared_ptr<const Detector> loaded = load(controls_[device]);
      const std::lock_guard lock(loaded_mu_);
      loaded_.push_back(loaded);
      return loaded;
    };
    std::vector<PooledDevice> devices;
    for (std::size_t i = 0; i < 2; ++i) {
      controls_.push_back(std::make_shared<FakeBackendControl>());
      devices.push_back({"FAKE." + std::to_string(i), {load(controls_.back())}});
    }
    devices[0].detectors.push_back(load(controls_[0]));  // a second model, on the first alone
    devices[1].detectors.push_back(nullptr);
    pool_ = std::make_unique<DevicePool>(std::move(devices), clock_, std::move(options));
    lane_ = pool_->lane_for(0, kSize);
  }
  ~DevicePoolTest() override {
    is_loading_slow_ = false;
    for (const auto& control : controls_) control->hang = false;
    pool_.reset();
  }

  /// Counts what came back: well, or with an error.
  void submit(DeviceIndex device, std::size_t frames = 1) {
    std::vector<InferenceJob> jobs(frames, {.picture = picture_});
    ++sent_;
    pool_->submit(device, lane_, std::move(jobs), [this](BatchOutcome&& outcome) {
      ++(outcome.detections ? well_ : failed_);
      ASSERT_FALSE(outcome.jobs.empty());
      EXPECT_NE(outcome.jobs.front().picture, nullptr) << "they can be sent elsewhere";
    });
  }
  bool wait_for(const std::function<bool()>& condition) {
    const auto give_up_at = std::chrono::steady_clock::now() + 30s;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > give_up_at) return false;
      std::this_thread::sleep_for(1ms);
    }
    return true;
  }
  bool wait_until_all_are_back() {
    return wait_for([this] { return well_ + failed_ == sent_; });
  }
  /// Models that were loaded anew and are still in memory.
  std::ptrdiff_t loaded_alive() {
    const std::lock_guard lock(loaded_mu_);
    return std::ranges::count_if(loaded_, [](const auto& model) { return !model.expired(); });
  }
  void run_well(DeviceIndex device) {
    const int before = well_;
    submit(device);
    ASSERT_TRUE(wait_for([&] { return well_ == before + 1; }));
  }

  const SystemClock clock_;
  const std::shared_ptr<const Picture> picture_ = make_grey_picture(kSize, 200);
  std::vector<std::shared_ptr<FakeBackendControl>> controls_;
  std::atomic<int> sent_{0}, well_{0}, failed_{0}, loads_{0};
  std::atomic<bool> is_loading_slow_{false};
  std::optional<ErrorCode> file_error_;  ///< of the first model, where it is loaded anew
  std::mutex loaded_mu_;
  std::vector<std::weak_ptr<const Detector>> loaded_;
  LaneIndex lane_ = 0;
  std::unique_ptr<DevicePool> pool_;  // last: its threads count
};

TEST_F(DevicePoolTest, KnowsWhichDeviceHasWhichModel) {
  EXPECT_EQ(pool_->hosts(0), 3U);
  EXPECT_EQ(pool_->hosts(1), 1U);
  EXPECT_EQ(pool_->hosts_of_lane(pool_->lane_for(1, kSize)), 1U);
  EXPECT_EQ(pool_->batches_max(), 4U);
  EXPECT_EQ(pool_->detectors_by_model().size(), 3U);
  EXPECT_TRUE(pool_->reports()[0].hosted[1][0].is_hosted);
  EXPECT_FALSE(pool_->reports()[1].hosted[1][0].is_hosted);
}

TEST_F(DevicePoolTest, AHungBatchEndsOnceWithItsPicturesAndItsLateResultIsIgnored) {
  run_well(0);
  const std::uint64_t version = pool_->version();
  controls_[0]->hang = true;
  submit(0);
  submit(0);
  ASSERT_TRUE(wait_until_all_are_back());
  EXPECT_EQ(failed_, 2);
  EXPECT_GT(pool_->version(), version);
  EXPECT_FALSE(pool_->states()[0].is_serving);
  EXPECT_TRUE(pool_->states()[1].is_serving);
  run_well(1);
  submit(0);  // a scheduler that has not looked yet
  EXPECT_EQ(failed_, 3) << "at once";
  controls_[0]->hang = false;
  ASSERT_TRUE(wait_for([this] { return pool_->states()[0].is_serving; }));
  EXPECT_TRUE(wait_until_all_are_back());
  EXPECT_EQ(well_, 2) << "what came late was counted twice";
  run_well(0);
  EXPECT_EQ(pool_->reports()[0].outages, 1);
  EXPECT_EQ(loads_, 0) << "a picture was enough";
}

// Other work may keep a processor from a batch for seconds; what is given up then is lost for
// nothing.
TEST_F(DevicePoolTest, SaysWhichModelsNoDeviceServesAnyMore) {
  std::ostringstream log;
  const auto before = spdlog::default_logger();
  spdlog::set_default_logger(std::make_shared<spdlog::logger>(
      "test", std::make_shared<spdlog::sinks::ostream_sink_mt>(log)));
  for (const DeviceIndex device : {1, 0}) {
    run_well(device);  // what is usual is known
    controls_[device]->hang = true;
    submit(device);
    EXPECT_TRUE(wait_until_all_are_back());
    if (device == 0) break;
    controls_[device]->hang = false;
    EXPECT_TRUE(wait_for([&] { return pool_->states()[device].is_serving; }));
  }
  pool_->stop(0ms);  // nothing is logged from here on
  spdlog::set_default_logger(before);
  const std::string model = pool_->detector(1).facts().name;
  EXPECT_THAT(log.str(), HasSubstr("device FAKE.1 is taken out: a batch has not come back from it; "
                                   "1 of 2 devices serve on\n"));
  EXPECT_THAT(log.str(), HasSubstr("1 of 2 devices serve on, none of them with " + model +
                                   ": its answers carry on what was last seen\n"));
}

TEST_F(DevicePoolTest, AProcessorThatIsStarvedIsNotTakenOut) {
  std::vector<PooledDevice> devices;
  devices.push_back({"CPU#2", {load(controls_[0]), load(controls_[0])}});
  pool_ = std::make_unique<DevicePool>(std::move(devices), clock_, DevicePool::Options{});
  lane_ = pool_->lane_for(0, kSize);
  run_well(0);
  controls_[0]->hang = true;
  submit(0);
  std::this_thread::sleep_for(1200ms);  // a device of another kind is out after 500 ms
  EXPECT_TRUE(pool_->states()[0].is_serving);
  controls_[0]->hang = false;
  ASSERT_TRUE(wait_until_all_are_back());
  EXPECT_EQ(well_, 2);
  EXPECT_EQ(pool_->reports()[0].outages, 0);
}

// Promise: what a batch of a size that was never run may take is told from the other sizes, and
// only one that may have to compile has a minute.
TEST_F(DevicePoolTest, AHungBatchOfANewSizeIsNoticedByTheTimesOfTheOthers) {
  const FakeBackendOptions backend{.input = kSize, .batch_max = 8, .fixed = 1ms};
  Result<std::unique_ptr<Detector>> detector =
      Detector::create(create_fake_backend(backend, controls_[0]), {});
  ASSERT_TRUE(detector);
  std::vector<PooledDevice> devices;
  devices.push_back({"FAKE.0", {std::move(*detector)}});
  pool_ = std::make_unique<DevicePool>(std::move(devices), clock_, DevicePool::Options{});
  lane_ = pool_->lane_for(0, kSize);
  run_well(0);
  ASSERT_TRUE(pool_->warm_up(0, lane_, 8, 1));
  controls_[0]->hang = true;
  submit(0, 8);
  EXPECT_TRUE(wait_until_all_are_back()) << "within 30 s";
  EXPECT_EQ(pool_->reports()[0].reason, OutReason::kHung);
}

// Promise: a model that has to be loaded once more, since memory was short or its request failed,
// has the time that takes: its device does not hang.
TEST_F(DevicePoolTest, AModelThatHasToBeLoadedOnceMoreDoesNotTakeItsDeviceOut) {
  run_well(0);
  controls_[0]->fail_all = true;
  submit(0);  // one error is none; the request that failed is let go
  ASSERT_TRUE(wait_until_all_are_back());
  controls_[0]->fail_all = false;
  controls_[0]->load_ms = 1200;
  submit(0);
  ASSERT_TRUE(wait_until_all_are_back());
  EXPECT_EQ(well_, 2);
  EXPECT_EQ(pool_->reports()[0].outages, 0);
}

TEST_F(DevicePoolTest, ADeviceThatComesBackAsANewOneIsLoadedAnew) {
  run_well(0);
  const LaneIndex second = pool_->lane_for(1, kSize);
  controls_[0]->gone = true;
  submit(0);
  ASSERT_TRUE(wait_until_all_are_back());
  EXPECT_EQ(pool_->reports()[0].reason, OutReason::kGone);
  ++controls_[0]->lives;  // what was loaded stays lost
  ASSERT_TRUE(wait_for([this] { return loads_ > 0; }));
  EXPECT_THAT(pool_->reports()[0].last_error,
              testing::AnyOf(HasSubstr("gone"), HasSubstr("no such")));
  controls_[0]->gone = false;
  ASSERT_TRUE(wait_for([this] { return pool_->states()[0].is_serving; }));
  controls_[0]->hang = true;  // at once: what a batch takes on it is known by the probe
  submit(0);
  ASSERT_TRUE(wait_until_all_are_back());
  EXPECT_EQ(pool_->reports()[0].reason, OutReason::kHung);
  controls_[0]->hang = false;
  ASSERT_TRUE(wait_for([this] { return pool_->states()[0].is_serving; }));
  run_well(0);
  std::atomic<bool> is_done = false;
  pool_->submit(0, second, {{.picture = picture_}}, [&](BatchOutcome&& outcome) {
    EXPECT_TRUE(outcome.detections.has_value());
    is_done = true;
  });
  EXPECT_TRUE(wait_for([&] { return is_done.load(); })) << "its other model, too";
  EXPECT_EQ(pool_->reports()[0].inferences[0][0][0], 2);
  EXPECT_EQ(pool_->reports()[0].inferences[1][0][0], 1);
}

// Promise: where the machine's memory is short, what nobody has used for long is unloaded from its
// processors, the least recently used first, and nothing while there is memory.
TEST(DevicePoolMemory, ShortHostMemoryUnloadsWhatIsIdleFromProcessors) {
  ManualClock clock;
  std::atomic<int> looks = 0, short_looks = 0;
  std::vector<std::shared_ptr<FakeBackendControl>> controls;
  std::vector<PooledDevice> devices;
  for (const char* const name : {"CPU", "CPU#2", "FAKE"}) {
    controls.push_back(std::make_shared<FakeBackendControl>());
    Result<std::unique_ptr<Detector>> detector =
        Detector::create(create_fake_backend({.input = kSize}, controls.back()), {});
    ASSERT_TRUE(detector);
    devices.push_back({name, {std::move(*detector)}});
  }
  DevicePool::Options options;
  options.is_memory_short = [&] {
    ++looks;
    return short_looks > 0 && short_looks-- > 0;
  };
  options.look_at_memory_every = 1ms;
  DevicePool pool(std::move(devices), clock, std::move(options));
  const LaneIndex lane = pool.lane_for(0, kSize);
  for (const DeviceIndex device : {1, 0, 2}) {
    ASSERT_TRUE(pool.warm_up(device, lane, 1, 1));
    clock.advance(1s);
  }
  const auto held = [&] {
    return std::array<std::size_t, 3>{controls[0]->pictures_held, controls[1]->pictures_held,
                                      controls[2]->pictures_held};
  };
  const auto look = [&](int times) {
    for (const int until = looks + times; looks < until;) {
      clock.advance(1ms);
      std::this_thread::sleep_for(1ms);
    }
  };
  using Held = std::array<std::size_t, 3>;
  clock.advance(60s);
  look(3);
  EXPECT_EQ(held(), (Held{1, 1, 1})) << "there is memory";
  short_looks = 1;
  look(3);
  EXPECT_EQ(held(), (Held{1, 0, 1})) << "the least recently used first";
  short_looks = 2;
  look(4);
  EXPECT_EQ(held(), (Held{0, 0, 1})) << "a card has memory of its own";
  ASSERT_TRUE(pool.warm_up(0, lane, 1, 1));
  short_looks = 2;
  look(4);
  EXPECT_EQ(held(), (Held{1, 0, 1})) << "it is in use";
}

// Promise: a device that is loaded anew again and again holds its models once. What is replaced
// would keep its threads and the device's memory for the rest of the run.
TEST_F(DevicePoolTest, WhatALoadAnewReplacesIsLetGo) {
  run_well(0);
  constexpr std::ptrdiff_t kModels = 2;
  for (int outage = 1; outage <= 3; ++outage) {
    controls_[0]->gone = true;
    submit(0);
    ASSERT_TRUE(wait_until_all_are_back());
    ++controls_[0]->lives;
    controls_[0]->gone = false;
    ASSERT_TRUE(wait_for([this] { return pool_->states()[0].is_serving; }));
    run_well(0);
    EXPECT_TRUE(wait_for([this] { return loaded_alive() == kModels; })) << loaded_alive();
    EXPECT_EQ(pool_->reports()[0].batches, 1 + 2 * outage) << "what they did is still counted";
  }
}

// Promise: a device that answers again while its models are being loaded anew goes on as it is.
TEST_F(DevicePoolTest, AModelThatComesTooLateDoesNotReplaceTheOneThatWorksAgain) {
  run_well(0);
  controls_[0]->fail_all = true;
  submit(0);
  submit(0);
  ASSERT_TRUE(wait_until_all_are_back());
  is_loading_slow_ = true;
  ASSERT_TRUE(wait_for([this] { return loads_ > 0; }));
  controls_[0]->fail_all = false;
  ASSERT_TRUE(wait_for([this] { return pool_->states()[0].is_serving; }));
  is_loading_slow_ = false;
  ASSERT_TRUE(wait_for([this] { return loads_ == 2 && loaded_alive() == 0; }));
  controls_[0]->hang = true;  // what a batch takes is still known
  submit(0);
  EXPECT_TRUE(wait_until_all_are_back()) << "within 30 s";
  EXPECT_EQ(pool_->reports()[0].reason, OutReason::kHung);
}

// Promise: a model whose file was replaced meanwhile does not keep the device from the others.
TEST_F(DevicePoolTest, AModelThatIsNotTheSameAnyMoreStaysAsItIsAndTheOthersComeBack) {
  const LaneIndex second = pool_->lane_for(1, kSize);
  std::atomic<int> outcome = 0;
  const auto run_second = [&] {
    outcome = 0;
    pool_->submit(0, second, {{.picture = picture_}},
                  [&](BatchOutcome&& done) { outcome = done.detections ? 1 : -1; });
    return wait_for([&] { return outcome != 0; }) && outcome == 1;
  };
  run_well(0);
  ASSERT_TRUE(run_second());
  file_error_ = ErrorCode::kFailedPrecondition;
  controls_[0]->gone = true;
  submit(0);
  ASSERT_TRUE(wait_until_all_are_back());
  ++controls_[0]->lives;  // what was loaded stays lost
  controls_[0]->gone = false;
  EXPECT_TRUE(wait_for([&] { return run_second(); }));
}

// Promise: batches beyond the knee, once unloaded, cost no memory after a device's return either.
TEST_F(DevicePoolTest, WhatWasUnloadedIsNotMadeReadyWhereItsDeviceIsLoadedAnew) {
  const auto load_large = [this](DeviceIndex,
                                 std::size_t) -> Result<std::shared_ptr<const Detector>> {
    if (controls_[0]->gone) return fail(ErrorCode::kUnavailable, "no such device");
    const FakeBackendOptions backend{.input = kSize, .batch_max = 8, .parallel_requests = 2};
    return std::shared_ptr<const Detector>(
        *Detector::create(create_fake_backend(backend, controls_[0]), {}));
  };
  DevicePool::Options options;
  options.load_every = 10ms;
  options.load = load_large;
  pool_ = std::make_unique<DevicePool>(std::vector<PooledDevice>{{"FAKE.0", {*load_large(0, 0)}}},
                                       clock_, std::move(options));
  lane_ = pool_->lane_for(0, kSize);
  for (const std::size_t frames : {1, 2, 8}) submit(0, frames);
  ASSERT_TRUE(wait_until_all_are_back());
  ASSERT_EQ(well_, 3);
  pool_->unload_larger(0, lane_, 2);
  controls_[0]->gone = true;
  submit(0);
  ASSERT_TRUE(wait_until_all_are_back());
  ++controls_[0]->lives;
  const std::size_t held = controls_[0]->pictures_held;
  controls_[0]->gone = false;
  ASSERT_TRUE(wait_for([this] { return pool_->states()[0].is_serving; }));
  EXPECT_LE(controls_[0]->pictures_held - held, 2U * (1 + 2)) << "two of each size that is kept";
  EXPECT_GE(controls_[0]->pictures_held - held, 1U + 2U);
}

/// Two models with devices of their own behaviour: `controls[device][model]`.
class TwoModelsTest : public DevicePoolTest {
 protected:
  explicit TwoModelsTest(std::size_t device_count = 2) {
    std::vector<PooledDevice> devices;
    for (std::size_t i = 0; i < device_count; ++i) {
      of_.emplace_back();
      devices.push_back({"FAKE." + std::to_string(i), {}});
      for (int model = 0; model < 2; ++model) {
        of_.back().push_back(std::make_shared<FakeBackendControl>());
        devices.back().detectors.push_back(load(of_.back().back()));
      }
    }
    pool_ = std::make_unique<DevicePool>(std::move(devices), clock_, DevicePool::Options{});
    for (const std::size_t model : {0, 1}) lanes_.push_back(pool_->lane_for(model, kSize));
  }
  /// Whether a batch of the model came back well.
  bool run(std::size_t model) {
    const int before = well_;
    lane_ = lanes_[model];
    submit(0);
    EXPECT_TRUE(wait_until_all_are_back());
    return well_ > before;
  }
  std::vector<std::vector<std::shared_ptr<FakeBackendControl>>> of_;
  std::vector<LaneIndex> lanes_;
};
class TwoModelsOnOneDevice : public TwoModelsTest {
 protected:
  TwoModelsOnOneDevice() : TwoModelsTest(1) {}
};

TEST_F(TwoModelsOnOneDevice, TheOneThatFailsDoesNotTakeTheDeviceFromTheOther) {
  EXPECT_TRUE(run(0) && run(1));
  of_[0][1]->fail_all = true;
  for (int i = 0; i < 6; ++i) {
    EXPECT_FALSE(run(1));
    EXPECT_TRUE(run(0)) << i;
  }
  EXPECT_TRUE(pool_->states()[0].is_serving);
  EXPECT_EQ(pool_->reports()[0].outages, 0);
  EXPECT_TRUE(pool_->is_lane_out(lanes_[1]));
  EXPECT_FALSE(pool_->is_lane_out(lanes_[0]));
  const DeviceReport report = pool_->reports()[0];
  ASSERT_EQ(report.lanes_out.size(), 1U);
  EXPECT_EQ(report.lanes_out[0].model, 1U);
  EXPECT_EQ(report.lanes_out[0].variant, pool_->variant(lanes_[1]));
  EXPECT_FALSE(report.lanes_out[0].last_error.empty());
  EXPECT_FALSE(report.lanes_out[0].is_elsewhere);
  EXPECT_TRUE(report.hosted[0][0].is_serving);
  EXPECT_FALSE(report.hosted[1][0].is_serving);
  EXPECT_EQ(report.model_outages(), 1);
  const std::int64_t probes = of_[0][1]->started;
  EXPECT_TRUE(wait_for([&] { return of_[0][1]->started > probes; })) << "it is what is probed";
  of_[0][1]->fail_all = false;
  EXPECT_TRUE(wait_for([&] { return run(0) && !pool_->is_lane_out(lanes_[1]); }));
  EXPECT_TRUE(run(1));
  EXPECT_THAT(pool_->reports()[0].lanes_out, testing::IsEmpty());
  EXPECT_TRUE(pool_->reports()[0].hosted[1][0].is_serving);
  EXPECT_EQ(pool_->reports()[0].hosted[1][0].outages, 1) << "it is still told at the end";
}

TEST_F(TwoModelsOnOneDevice, WhereBothFailTheDeviceIsOut) {
  EXPECT_TRUE(run(0) && run(1));
  for (const auto& control : of_[0]) control->fail_all = true;
  EXPECT_TRUE(wait_for([&] { return !run(0) && !run(1) && !pool_->states()[0].is_serving; }));
  EXPECT_EQ(pool_->reports()[0].reason, OutReason::kErrors);
  EXPECT_THAT(pool_->reports()[0].lanes_out, testing::IsEmpty()) << "the device is told";
  EXPECT_FALSE(pool_->reports()[0].hosted[0][0].is_serving);
  for (const auto& control : of_[0]) control->fail_all = false;
  EXPECT_TRUE(wait_for([&] { return run(0) && run(1); }));
}

TEST_F(TwoModelsTest, AnotherDeviceStandsInForTheModelThatFails) {
  EXPECT_TRUE(run(0) && run(1));
  of_[0][1]->fail_all = true;
  EXPECT_FALSE(run(1) || run(1));
  EXPECT_TRUE(pool_->states()[0].is_serving);
  EXPECT_FALSE(pool_->is_lane_out(lanes_[1])) << "device 1 has it";
  EXPECT_TRUE(pool_->reports()[0].lanes_out.at(0).is_elsewhere);
  EXPECT_THAT(pool_->reports()[1].lanes_out, testing::IsEmpty());
  const std::int64_t before = of_[1][1]->finished;
  EXPECT_TRUE(run(1)) << "though device 0 was asked";
  EXPECT_EQ(of_[1][1]->finished, before + 1);
  EXPECT_TRUE(run(0));
  of_[1][1]->fail_all = true;
  EXPECT_TRUE(wait_for([&] { return !run(1) && pool_->is_lane_out(lanes_[1]); }));
}

TEST_F(DevicePoolTest, StopSaysWhetherADeviceStillOwesABatch) {
  run_well(0);
  controls_[0]->hang = true;
  submit(0);
  EXPECT_FALSE(pool_->stop(20ms));
  controls_[0]->hang = false;
  EXPECT_TRUE(pool_->stop(10s));
  EXPECT_TRUE(wait_until_all_are_back());
}

TEST_F(DevicePoolTest, ManyThreadsManyFaultsAndEachBatchEndsOnce) {
  std::atomic<bool> is_over = false;
  std::thread faults([&] {
    for (int i = 0; i < 40; ++i) {
      controls_[0]->fail_all = i % 4 == 1;
      controls_[1]->gone = i % 5 == 2;
      std::this_thread::sleep_for(15ms);
    }
    controls_[0]->fail_all = false;
    controls_[1]->gone = false;
    is_over = true;
  });
  std::vector<std::thread> senders;
  for (DeviceIndex device = 0; device < 2; ++device) {
    senders.emplace_back([&, device] {
      while (!is_over) {
        submit(device);
        if (sent_ - well_ - failed_ > 20) std::this_thread::sleep_for(2ms);
        std::this_thread::sleep_for(200us);
      }
    });
  }
  for (std::thread& sender : senders) sender.join();
  faults.join();
  EXPECT_TRUE(wait_until_all_are_back());
  EXPECT_GT(well_, 0);
  EXPECT_GT(failed_, 0);
  ASSERT_TRUE(
      wait_for([this] { return pool_->states()[0].is_serving && pool_->states()[1].is_serving; }));
}

}  // namespace
}  // namespace framemill

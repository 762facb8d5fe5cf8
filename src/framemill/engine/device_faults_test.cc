// Eight cameras on two devices, of which one fails in each way that devices have: every sampled
// frame gets exactly one line, counts are conserved, the other device takes over, and the one that
// failed is back within 3 s of being well.
#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framemill/engine/engine.h"
#include "framemill/engine/run_summary.h"
#include "framemill/infer/fake_backend.h"

namespace framemill {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

constexpr std::size_t kCameras = 8;
constexpr Duration kRecovery = 3s;
/// Of waits that are no promise.
constexpr Duration kPatience = 30s;
/// One device carries the eight cameras, whose frames come some 9 to 15 ms apart; so both are used.
constexpr Duration kInference = 10ms;

class Site {
 public:
  /// With `models`, each has controls of its own on each device, and every second camera.
  explicit Site(PolicyKind policy, std::size_t devices = 2,
                FakeBackendOptions backend = {.fixed = kInference}, double rate_hz = 10,
                std::size_t models = 1) {
    RunSettings settings;
    EngineHooks hooks;
    backend.input = {64, 64};
    for (std::size_t model = 0; model < models; ++model) {
      const std::string name = "model-" + std::to_string(model);
      settings.models.push_back({.name = name, .path = "fake.onnx"});
      for (std::size_t i = 0; i < devices; ++i) {
        backend.device = "FAKE." + std::to_string(i);
        controls_.push_back(std::make_shared<FakeBackendControl>());
        Result<std::unique_ptr<Detector>> detector = Detector::create(
            create_fake_backend(backend, controls_.back()), {.labels = {{"thing"}}});
        CHECK(detector.has_value());
        hooks.models.push_back(std::move(*detector));
        settings.models.back().device_list.push_back(backend.device);
      }
    }
    for (std::size_t i = 0; i < kCameras; ++i) {
      CameraSettings& camera = settings.cameras.emplace_back();
      camera.id = "camera-" + std::to_string(i);
      camera.url = "synthetic://?size=64x64&rate=50&objects=1&seed=" + std::to_string(i);
      camera.rate_hz = rate_hz;
      camera.slo = 200ms;
      camera.model = "model-" + std::to_string(i % models);
    }
    settings.engine.policy = policy;
    settings.engine.pace = Pace::kLive;
    settings.engine.batch = std::to_string(backend.batch_max);
    hooks.on_answer = [this](const Answer& answer) {
      const std::lock_guard lock(mu_);
      answers_.push_back({answer, clock_.now()});
    };
    Result<std::unique_ptr<Engine>> engine = Engine::create(settings, clock_, std::move(hooks));
    CHECK(engine.has_value());
    engine_ = std::move(*engine);
    engine_->start();
  }
  ~Site() {
    for (const auto& control : controls_) control->hang = false;
  }

  FakeBackendControl& control(std::size_t device) { return *controls_[device]; }
  RunReport report() { return engine_->report(); }
  DeviceReport device(std::size_t device) { return engine_->report().devices[device]; }

  /// How long it took until `condition`; more than `patience` where it never did.
  Duration time_until(const std::function<bool()>& condition, Duration patience = kPatience) {
    const TimePoint begin = clock_.now();
    while (clock_.now() - begin <= patience) {
      if (condition()) return clock_.now() - begin;
      std::this_thread::sleep_for(2ms);
    }
    return clock_.now() - begin;
  }
  /// Until each camera has had `frames` more lines of `origin`.
  Duration time_until_all_have(std::size_t frames, Origin origin, Duration patience = kPatience) {
    std::size_t from = 0;
    {
      const std::lock_guard lock(mu_);
      from = answers_.size();
    }
    return time_until(
        [&] {
          std::map<CameraIndex, std::size_t> counts;
          const std::lock_guard lock(mu_);
          for (std::size_t i = from; i < answers_.size(); ++i)
            if (answers_[i].answer.origin == origin) ++counts[answers_[i].answer.camera];
          return counts.size() == kCameras &&
                 std::ranges::all_of(counts, [&](const auto& c) { return c.second >= frames; });
        },
        patience);
  }
  /// Until the device has finished `batches` more.
  Duration time_until_works(std::size_t index, Duration patience = kPatience) {
    const std::int64_t before = control(index).finished;
    return time_until(
        [&] { return device(index).is_serving && control(index).finished >= before + 5; },
        patience);
  }

  /// Ends the run, and checks what holds for every run.
  RunReport finish() {
    for (const auto& control : controls_) control->hang = false;
    engine_->request_stop();
    RunReport report = engine_->finish();
    EXPECT_TRUE(report.is_conserved());
    EXPECT_EQ(report.total.in_flight, 0);
    std::map<CameraIndex, std::int64_t> lines;
    const std::lock_guard lock(mu_);
    for (const Line& line : answers_)
      EXPECT_EQ(line.answer.stamp.seq, lines[line.answer.camera]++) << "one line a frame, in order";
    std::int64_t sum = 0;
    for (const auto& [camera, count] : lines) sum += count;
    EXPECT_EQ(report.total.sampled(), sum);
    return report;
  }
  static std::int64_t of(const RunReport& report, Outcome outcome) {
    return report.total.outcomes[static_cast<std::size_t>(outcome)];
  }

 private:
  struct Line {
    Answer answer;
    TimePoint at;
  };
  const SystemClock clock_;
  std::vector<std::shared_ptr<FakeBackendControl>> controls_;
  std::mutex mu_;
  std::vector<Line> answers_;
  std::unique_ptr<Engine> engine_;
};

/// A way to fail that takes a device out.
struct Fault {
  const char* name;
  std::function<void(FakeBackendControl&, bool is_on)> set;
  OutReason reason;
  const char* error;  ///< in the report
};
void PrintTo(const Fault& fault, std::ostream* out) { *out << fault.name; }

const Fault kFaults[] = {
    {"Error", [](auto& c, bool on) { c.fail_all = on; }, OutReason::kErrors, "told to fail"},
    {"Hang", [](auto& c, bool on) { c.hang = on; }, OutReason::kHung, ""},
    {"Gone", [](auto& c, bool on) { c.gone = on; }, OutReason::kGone, "gone"},
};

using FaultAndPolicy = std::tuple<Fault, PolicyKind>;
class DeviceFaults : public testing::TestWithParam<FaultAndPolicy> {};

TEST_P(DeviceFaults, TheOtherDeviceTakesOverAndTheFirstComesBack) {
  const auto& [fault, policy] = GetParam();
  Site site(policy);
  ASSERT_LT(site.time_until_all_have(3, Origin::kInferred), kPatience);
  ASSERT_LT(site.time_until_works(0), kPatience) << "both work before";
  ASSERT_LT(site.time_until_works(1), kPatience);

  fault.set(site.control(0), true);
  EXPECT_LT(site.time_until([&] { return !site.device(0).is_serving; }), kRecovery);
  EXPECT_LT(site.time_until_all_have(3, Origin::kInferred), kRecovery) << "by the other one";
  const DeviceReport out = site.device(0);
  EXPECT_FALSE(out.is_serving);
  EXPECT_EQ(out.reason, fault.reason);
  EXPECT_THAT(out.last_error, HasSubstr(fault.error));
  EXPECT_GT(out.out_for, Duration::zero());
  EXPECT_TRUE(site.device(1).is_serving);
  std::this_thread::sleep_for(500ms);

  fault.set(site.control(0), false);
  EXPECT_LT(site.time_until_works(0), kRecovery) << "taken back, and used";
  const RunReport report = site.finish();
  EXPECT_EQ(report.devices[0].outages, 1) << "no flapping";
  EXPECT_EQ(report.devices[1].outages, 0);
  EXPECT_FALSE(report.is_device_hung);
  EXPECT_EQ(report.failures(), std::vector<std::string>{});
  // What the device held when it failed, and what waited behind that.
  const std::int64_t sampled = report.total.sampled();
  EXPECT_GE(Site::of(report, Outcome::kInferred), sampled * 3 / 4);
  if (policy == PolicyKind::kFull) {
    EXPECT_LE(Site::of(report, Outcome::kFailed), 2);
    EXPECT_EQ(Site::of(report, Outcome::kPropagated), 0);
  } else {
    EXPECT_EQ(Site::of(report, Outcome::kFailed), 0);
    EXPECT_EQ(Site::of(report, Outcome::kSuperseded), 0);
    EXPECT_LE(Site::of(report, Outcome::kLate), 1) << "none but a first frame lacks boxes to carry";
  }
}

INSTANTIATE_TEST_SUITE_P(, DeviceFaults,
                         testing::Combine(testing::ValuesIn(kFaults),
                                          testing::Values(PolicyKind::kFull,
                                                          PolicyKind::kAdaptive)),
                         [](const auto& test) {
                           const bool is_full = std::get<1>(test.param) == PolicyKind::kFull;
                           return std::string(std::get<0>(test.param).name) +
                                  (is_full ? "Full" : "Adaptive");
                         });

/// Inferred since the run began, by the parity of the camera: that is its model.
std::int64_t inferred_of(const RunReport& report, std::size_t model) {
  std::int64_t sum = 0;
  for (const CameraReport& camera : report.cameras)
    if (camera.index % 2 == model)
      sum += camera.counts.outcomes[static_cast<std::size_t>(Outcome::kInferred)];
  return sum;
}

class ModelFaults : public testing::TestWithParam<PolicyKind> {};

// Promise: one model that fails costs its own cameras their inferences, and the others nothing.
TEST_P(ModelFaults, TheCamerasOfTheOtherModelGoOnAndItsOwnFollowOnceItIsWell) {
  constexpr std::size_t kModels = 2;
  Site site(GetParam(), 1, {.fixed = 3ms}, 10, kModels);
  ASSERT_LT(site.time_until_all_have(3, Origin::kInferred), kPatience);
  site.control(1).fail_all = true;
  std::this_thread::sleep_for(500ms);  // the lane is out by then
  const RunReport before = site.report();
  std::this_thread::sleep_for(1500ms);
  const RunReport after = site.report();
  EXPECT_TRUE(after.devices[0].is_serving);
  ASSERT_EQ(after.devices[0].lanes_out.size(), 1U);
  EXPECT_EQ(after.devices[0].lanes_out[0].model, 1U);
  EXPECT_GT(after.devices[0].lanes_out[0].out_for, 1s);
  EXPECT_TRUE(after.devices[0].hosted[0][0].is_serving);
  EXPECT_FALSE(after.devices[0].hosted[1][0].is_serving);
  EXPECT_THAT(to_summary_json(after), HasSubstr(R"("models_out": [)"));
  // 4 cameras of 10/s, 1.5 s.
  EXPECT_GE(inferred_of(after, 0) - inferred_of(before, 0), 45);
  EXPECT_EQ(inferred_of(after, 1), inferred_of(before, 1));
  site.control(1).fail_all = false;
  EXPECT_LT(site.time_until_all_have(3, Origin::kInferred), kRecovery);
  const RunReport report = site.finish();
  EXPECT_EQ(report.devices[0].outages, 0);
  EXPECT_EQ(report.devices[0].model_outages(), 1);
  EXPECT_THAT(to_summary_json(report), HasSubstr(R"("model_outages": 1)"));
  if (GetParam() == PolicyKind::kFull) {
    EXPECT_GE(Site::of(report, Outcome::kFailed), 40);
  }
}

INSTANTIATE_TEST_SUITE_P(, ModelFaults, testing::Values(PolicyKind::kFull, PolicyKind::kAdaptive),
                         [](const auto& test) {
                           return test.param == PolicyKind::kFull ? "Full" : "Adaptive";
                         });

class LoneDeviceFaults : public testing::TestWithParam<FaultAndPolicy> {};

TEST_P(LoneDeviceFaults, AnswersSayWhyAndGoOnOnceItIsBack) {
  const auto& [fault, policy] = GetParam();
  Site site(policy, 1, {.fixed = 3ms});
  ASSERT_LT(site.time_until_all_have(3, Origin::kInferred), kPatience);
  fault.set(site.control(0), true);
  ASSERT_LT(site.time_until([&] { return !site.device(0).is_serving; }), kRecovery);
  const Origin without = policy == PolicyKind::kFull ? Origin::kNone : Origin::kPropagated;
  EXPECT_LT(site.time_until_all_have(5, without), kRecovery) << "nobody waits for the device";
  fault.set(site.control(0), false);
  EXPECT_LT(site.time_until_all_have(3, Origin::kInferred), kRecovery);
  const RunReport report = site.finish();
  if (policy == PolicyKind::kFull) {
    EXPECT_GE(Site::of(report, Outcome::kFailed), 5 * 8)
        << "not superseded: no newer one was better";
  } else {
    EXPECT_EQ(Site::of(report, Outcome::kFailed), 0);
    EXPECT_GE(Site::of(report, Outcome::kPropagated), 5 * 8);
  }
}

INSTANTIATE_TEST_SUITE_P(, LoneDeviceFaults,
                         testing::Combine(testing::ValuesIn(kFaults),
                                          testing::Values(PolicyKind::kFull,
                                                          PolicyKind::kAdaptive)),
                         [](const auto& test) {
                           const bool is_full = std::get<1>(test.param) == PolicyKind::kFull;
                           return std::string(std::get<0>(test.param).name) +
                                  (is_full ? "Full" : "Adaptive");
                         });

TEST(DeviceSlowdown, ASlowDeviceGetsLessToDoAndItsShareAgain) {
  // 80/s are wanted, which takes both: a well device gives some 60/s, one that takes 80 ms 12/s.
  Site site(PolicyKind::kFull, 2, {.fixed = 16ms});
  ASSERT_LT(site.time_until_works(0), kPatience);
  const auto share_of_first = [&](Duration window) {
    const std::int64_t first = site.control(0).finished;
    const std::int64_t second = site.control(1).finished;
    std::this_thread::sleep_for(window);
    const auto of_first = static_cast<double>(site.control(0).finished - first);
    return of_first / (of_first + static_cast<double>(site.control(1).finished - second));
  };
  site.control(0).slowdown = 5;
  std::this_thread::sleep_for(500ms);  // to learn it
  EXPECT_LT(share_of_first(1s), .25);
  site.control(0).slowdown = 1;
  EXPECT_LT(site.time_until([&] { return share_of_first(500ms) > .4; }), kRecovery);
  const RunReport report = site.finish();
  EXPECT_TRUE(report.devices[0].is_serving) << "slow is not broken";
  EXPECT_EQ(report.devices[0].outages, 0);
  EXPECT_EQ(Site::of(report, Outcome::kFailed), 0);
  EXPECT_GE(Site::of(report, Outcome::kInferred), report.total.sampled() * 9 / 10);
  EXPECT_LE(report.total.overdue, report.total.sampled() / 50);
}

TEST(DeviceSlowdown, OneThatIsTooSlowForTheDeadlineIsPassedOverAndTriedAgain) {
  Site site(PolicyKind::kAdaptive, 2, {.fixed = 8ms});
  ASSERT_LT(site.time_until_works(0), kPatience);
  site.control(0).slowdown = 40;  // 320 ms, of 200 ms that an answer may take; 500 ms would hang
  std::this_thread::sleep_for(1500ms);
  const std::int64_t begin = site.control(0).started;
  std::this_thread::sleep_for(1s);
  EXPECT_LE(site.control(0).started - begin, 3) << "tries alone";
  site.control(0).slowdown = 1;
  EXPECT_LT(site.time_until_works(0), kRecovery) << "learned by a try, and those that follow";
  const RunReport report = site.finish();
  EXPECT_EQ(report.devices[0].outages, 0);
  EXPECT_LE(report.total.overdue, 2);
}

TEST(DeviceMemory, BatchesAreHalvedUntilTheyFitAndStaySo) {
  // 320/s on two devices of 40 ms a batch: they need batches of more than 6.
  Site site(PolicyKind::kFull, 2, {.batch_max = 8, .fixed = 30ms, .per_item = 1ms}, 40);
  ASSERT_LT(site.time_until([&] { return site.device(0).batch_mean > 2; }), kPatience);
  site.control(0).memory_frames = 3;
  EXPECT_LT(site.time_until([&] { return site.device(0).batch_max == 2; }), kRecovery);
  EXPECT_LT(site.time_until_works(0), kRecovery) << "with smaller ones";
  site.control(0).memory_frames = 0;
  EXPECT_LT(site.time_until_all_have(3, Origin::kInferred), kRecovery);
  const RunReport report = site.finish();
  EXPECT_EQ(report.devices[0].batch_max, 2U) << "remembered";
  EXPECT_EQ(report.devices[1].batch_max, 32U);
  EXPECT_EQ(report.devices[0].outages, 0) << "a batch too large is no outage";
  EXPECT_LE(Site::of(report, Outcome::kFailed), 16) << "the others were sent once more";
}

}  // namespace
}  // namespace framemill

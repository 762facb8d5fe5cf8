// Cameras that come, change and go while a run goes on: counts stay whole, lines stay in order, and
// no other camera notices.
#include <algorithm>
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <numeric>
#include <set>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framemill/engine/engine.h"
#include "framemill/infer/fake_backend.h"

namespace framemill {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;

CameraSettings synthetic(const std::string& id, double rate_hz = 50) {
  CameraSettings camera;
  camera.id = id;
  camera.url = "synthetic://?size=64x64&rate=50&objects=1";
  camera.rate_hz = rate_hz;
  camera.slo = 1s;
  return camera;
}

/// A run of synthetic cameras at a fake model.
class LiveEngine {
 public:
  explicit LiveEngine(std::vector<CameraSettings> cameras, PolicyKind policy = PolicyKind::kFull,
                      const std::vector<std::string>& models = {"objects"},
                      Duration service_time = {},
                      const std::function<void(EngineSettings&)>& change = nullptr) {
    for (const std::string& model : models)
      settings_.models.push_back({.name = model, .path = "fake.onnx"});
    settings_.cameras = std::move(cameras);
    settings_.engine.policy = policy;
    settings_.engine.pace = Pace::kLive;
    settings_.engine.batch = "1";
    if (change) change(settings_.engine);
    EngineHooks hooks;
    for (std::size_t i = 0; i < models.size(); ++i) {
      Result<std::unique_ptr<Detector>> detector = Detector::create(
          create_fake_backend({.input = {64, 64}, .parallel_requests = 2, .fixed = service_time},
                              control_),
          {.labels = {{"thing"}}});
      CHECK(detector.has_value());
      hooks.models.push_back(std::move(*detector));
    }
    hooks.on_answer = [this](const Answer& answer) {
      const std::lock_guard lock(mu_);
      answers_.push_back(answer);
    };
    Result<std::unique_ptr<Engine>> engine = Engine::create(settings_, clock_, std::move(hooks));
    CHECK(engine.has_value());
    engine_ = std::move(*engine);
    engine_->start();
  }
  ~LiveEngine() { control_->hang = false; }

  Engine& operator*() { return *engine_; }
  Engine* operator->() { return engine_.get(); }

  [[nodiscard]] std::int64_t answers_of(const std::string& id) {
    const std::lock_guard lock(mu_);
    return std::ranges::count_if(answers_, [&](const Answer& answer) {
      return engine_->camera_directory()[answer.camera].id == id;
    });
  }
  void wait_for(const std::function<bool()>& condition) {
    const auto give_up_at = std::chrono::steady_clock::now() + 60s;
    while (!condition()) {
      ASSERT_LT(std::chrono::steady_clock::now(), give_up_at);
      std::this_thread::sleep_for(2ms);
    }
  }
  void wait_for_answers(const std::string& id, std::int64_t more) {
    const std::int64_t wanted = answers_of(id) + more;
    wait_for([&] { return answers_of(id) >= wanted; });
  }
  /// By camera id, the lines in the order in which they came.
  [[nodiscard]] std::map<std::string, std::vector<Answer>> lines() {
    std::map<std::string, std::vector<Answer>> lines;
    const std::lock_guard lock(mu_);
    for (const Answer& answer : answers_)
      lines[engine_->camera_directory()[answer.camera].id].push_back(answer);
    return lines;
  }
  /// Ends the run and checks what holds for every run.
  RunReport finish() {
    control_->hang = false;
    engine_->request_stop();
    RunReport report = engine_->finish();
    EXPECT_TRUE(report.is_conserved());
    EXPECT_EQ(report.total.in_flight, 0);
    std::int64_t sampled = 0;
    for (const auto& [id, answers] : lines()) {
      sampled += static_cast<std::int64_t>(answers.size());
      for (std::size_t i = 0; i < answers.size(); ++i) {
        // One line a frame, in order, whatever happened to the camera.
        EXPECT_EQ(answers[i].stamp.seq, static_cast<std::int64_t>(i)) << id;
        if (i == 0) continue;
        EXPECT_LT(answers[i - 1].stamp.frame_index, answers[i].stamp.frame_index) << id;
        EXPECT_LE(answers[i - 1].stamp.epoch, answers[i].stamp.epoch) << id;
      }
    }
    EXPECT_EQ(report.total.sampled(), sampled);
    return report;
  }

  const SystemClock clock_;
  RunSettings settings_;
  std::shared_ptr<FakeBackendControl> control_ = std::make_shared<FakeBackendControl>();
  std::mutex mu_;
  std::vector<Answer> answers_;  // guarded by mu_
  std::unique_ptr<Engine> engine_;
};

TEST(LiveCameras, OneComesAndGoesAndItsCountsStay) {
  LiveEngine run({synthetic("first")});
  run.wait_for_answers("first", 3);
  ASSERT_TRUE(run->add_camera(synthetic("second")));
  run.wait_for_answers("second", 5);
  RunReport report = run->report();
  ASSERT_EQ(report.cameras.size(), 2U);
  EXPECT_EQ(report.cameras[1].id, "second");
  EXPECT_EQ(report.cameras[1].status.state, CameraState::kUp);
  ASSERT_TRUE(run->remove_camera("second"));
  run.wait_for_answers("first", 3);
  report = run->report();
  EXPECT_EQ(report.cameras.size(), 1U);
  EXPECT_EQ(report.removed_cameras, 1);
  EXPECT_GE(report.removed.answered(), 5);
  EXPECT_TRUE(report.is_conserved());
  report = run.finish();
  EXPECT_EQ(report.removed.sampled(), run.answers_of("second"));
}

TEST(LiveCameras, AnotherOneLeavesAFidelityTheShareThatItHas) {
  CameraSettings first = synthetic("first");
  first.url = "synthetic://?size=64x64&rate=5&objects=1";
  first.every = 1;  // 25/s by the guess
  LiveEngine run({first}, PolicyKind::kAdaptive, {"objects"}, {}, [](EngineSettings& engine) {
    engine.fidelity = .998;
    engine.budget.per_second = 4;
  });
  run.wait_for_answers("first", 4);
  RunReport report = run->report();
  EXPECT_GT(report.inference_share, .6) << "4 of the 5 that come, not of 25";
  EXPECT_GT(report.fidelity_target->share, .6) << "and at once";
  CameraSettings second = synthetic("second", .1);
  second.policy = PolicyKind::kFull;
  ASSERT_TRUE(run->add_camera(second));
  report = run->report();
  EXPECT_GT(report.inference_share, .6);
  EXPECT_GT(report.fidelity_target->share, .6);
  ASSERT_TRUE(run->remove_camera("second"));
  EXPECT_GT(run->report().fidelity_target->share, .6);
  run.finish();
}

// Promise: a filter holds for the address it was given with, whatever else changes.
TEST(LiveCameras, WhereOneMayConnectToGoesWithItsAddress) {
  CameraSettings trusted = synthetic("trusted");
  trusted.url = "rtsp://127.0.0.1:9/1";
  LiveEngine run({trusted});
  const auto nowhere = [](std::string_view address) -> Result<void> {
    return fail(ErrorCode::kInvalidArgument, std::string(address));
  };
  CameraSettings added = trusted;
  added.id = "added";
  ASSERT_TRUE(run->add_camera(added, nowhere));
  const auto wait_for_error = [&run](std::size_t camera, std::string_view part) {
    run.wait_for([&] {
      const CameraStatus status = run->report().cameras[camera].status;
      return status.last_error.find(part) != std::string::npos;
    });
  };
  wait_for_error(0, "refused");  // by the network: nobody listens there
  wait_for_error(1, "leads to 127.0.0.1");
  for (CameraSettings* camera : {&trusted, &added}) {
    camera->transport = Transport::kTcp;
    ASSERT_TRUE(run->change_camera(*camera, nowhere));
  }
  wait_for_error(0, "refused");
  wait_for_error(1, "leads to 127.0.0.1");
  trusted.url = added.url = "rtsp://127.0.0.1:9/2";
  ASSERT_TRUE(run->change_camera(trusted, nowhere));
  ASSERT_TRUE(run->change_camera(added));
  wait_for_error(0, "leads to 127.0.0.1");
  wait_for_error(1, "refused");
  run.finish();
}

TEST(LiveCameras, AChangeGoesOnUnderTheSameId) {
  LiveEngine run({synthetic("first"), synthetic("other")});
  run.wait_for_answers("first", 5);
  const CameraIndex index = run->report().cameras[0].index;
  CameraSettings changed = synthetic("first", 25);
  changed.priority = Priority::kCritical;
  changed.score = .5;
  ASSERT_TRUE(run->change_camera(changed));
  run.wait_for_answers("first", 5);
  RunReport report = run->report();
  ASSERT_EQ(report.cameras.size(), 2U);
  EXPECT_EQ(report.cameras[0].id, "first");
  EXPECT_NE(report.cameras[0].index, index);
  EXPECT_EQ(report.cameras[0].priority, Priority::kCritical);
  EXPECT_EQ(run->camera_settings()[0], changed);
  report = run.finish();
  EXPECT_EQ(report.cameras[0].counts.sampled(), run.answers_of("first"));
  EXPECT_EQ(report.removed_cameras, 0);
  EXPECT_GE(run.lines()["first"].back().stamp.epoch, 1);
}

TEST(LiveCameras, SumsByModelAndPriorityNeverFall) {
  LiveEngine run({synthetic("first"), synthetic("other")}, PolicyKind::kFull, {"one", "two"});
  const auto inferences = [](const RunReport& report, std::size_t model) {
    return std::accumulate(report.parted.inferences[model].begin(),
                           report.parted.inferences[model].end(), std::int64_t{0});
  };
  const auto answers = [](const RunReport& report, Priority priority) {
    return report.parted.latency[static_cast<std::size_t>(priority)][0].count();
  };
  run.wait_for_answers("first", 20);
  CameraSettings changed = synthetic("first");
  changed.model = "two";
  changed.priority = Priority::kCritical;
  const RunReport before = run->report();
  ASSERT_TRUE(run->change_camera(changed));
  run.wait_for_answers("first", 5);
  ASSERT_TRUE(run->remove_camera("first"));
  const RunReport after = run.finish();
  EXPECT_GE(inferences(after, 0), inferences(before, 0));
  EXPECT_GE(answers(after, Priority::kNormal), answers(before, Priority::kNormal));
  EXPECT_GE(answers(after, Priority::kCritical), 5);
  const std::int64_t later = run.answers_of("first") - 20;  // as such at most
  EXPECT_LE(static_cast<std::int64_t>(answers(after, Priority::kCritical)), later);
  EXPECT_LE(inferences(after, 1), later);
}

TEST(LiveCameras, ARunWithOneCameraOutlivesItsChanges) {
  LiveEngine run({synthetic("only")});
  std::atomic<bool> is_over{false};
  std::thread waiter([&] {
    run->wait();
    is_over = true;
  });
  run.wait_for_answers("only", 1);
  for (int i = 0; i < 200 && !is_over; ++i) {
    ASSERT_TRUE(run->change_camera(synthetic("only", i % 2 == 0 ? 25 : 50)));
  }
  run.wait_for_answers("only", 1);
  EXPECT_FALSE(is_over);
  run->request_stop();
  waiter.join();
  run.finish();
}

TEST(LiveCameras, OneThatComesBackGoesOnCounting) {
  LiveEngine run({synthetic("first"), synthetic("other")});
  run.wait_for_answers("first", 4);
  ASSERT_TRUE(run->remove_camera("first"));
  ASSERT_TRUE(run->add_camera(synthetic("first")));
  run.wait_for_answers("first", 4);
  run.finish();  // (camera, seq) is unique
}

TEST(LiveCameras, TheLastOneMayGoAndTheRunWaitsForOthers) {
  LiveEngine run({synthetic("first")});
  run.wait_for_answers("first", 1);
  ASSERT_TRUE(run->remove_camera("first"));
  EXPECT_TRUE(run->report().cameras.empty());
  ASSERT_TRUE(run->add_camera(synthetic("second")));
  run.wait_for_answers("second", 2);
  run.finish();
}

TEST(LiveCameras, PausedOnesAreSilentUntilTheyAreResumed) {
  LiveEngine run({synthetic("first"), synthetic("other")});
  run.wait_for_answers("first", 2);
  const auto state = [&] { return run->report().cameras[0].status.state; };
  ASSERT_TRUE(run->pause_camera("first"));
  run.wait_for([&] { return state() == CameraState::kPaused; });
  const std::int64_t answers = run.answers_of("first");
  run.wait_for_answers("other", 10);
  EXPECT_EQ(run.answers_of("first"), answers);
  ASSERT_TRUE(run->pause_camera("first"));  // again: no effect
  ASSERT_TRUE(run->resume_camera("first"));
  run.wait_for_answers("first", 2);
  EXPECT_EQ(state(), CameraState::kUp);
  ASSERT_TRUE(run->restart_camera("first"));
  run.wait_for([&] { return run.lines()["first"].back().stamp.epoch >= 2; });
  ASSERT_TRUE(run->pause_camera("first"));
  ASSERT_TRUE(run->resume_camera("first"));  // at once: the pause may not have been seen yet
  run.wait_for_answers("first", 5);
  run.finish();
}

TEST(LiveCameras, APausedOneStaysPausedOverAChange) {
  LiveEngine run({synthetic("first"), synthetic("other")});
  run.wait_for_answers("first", 2);
  ASSERT_TRUE(run->pause_camera("first"));
  const auto state = [&] { return run->report().cameras[0].status.state; };
  run.wait_for([&] { return state() == CameraState::kPaused; });
  ASSERT_TRUE(run->change_camera(synthetic("first", 25)));
  const std::int64_t answers = run.answers_of("first");
  run.wait_for_answers("other", 10);
  EXPECT_EQ(state(), CameraState::kPaused);
  EXPECT_EQ(run.answers_of("first"), answers);
  ASSERT_TRUE(run->resume_camera("first"));
  run.wait_for_answers("first", 2);
  run.finish();
}

TEST(LiveCameras, OneThatHasEndedIsStartedAnew) {
  CameraSettings ends = synthetic("ends");
  ends.url = "synthetic://?size=64x64&rate=50&objects=1&frames=5";
  LiveEngine run({ends, synthetic("other")});
  const auto state = [&] { return run->report().cameras[0].status.state; };
  run.wait_for([&] { return run.answers_of("ends") >= 5; });
  const std::int64_t answers = run.answers_of("ends");
  ASSERT_TRUE(run->restart_camera("ends") || state() != CameraState::kUp);
  run.wait_for([&] { return run.answers_of("ends") >= answers + 5; });
  run.finish();
}

TEST(LiveCameras, WhatIsWrongIsRefusedAndNothingChanges) {
  LiveEngine run({synthetic("first")});
  run.wait_for_answers("first", 1);
  const std::vector<CameraSettings> before = run->camera_settings();
  const auto refuses = [&](const Result<void>& result, ErrorCode code, const char* text) {
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code(), code);
    EXPECT_THAT(result.error().message(), HasSubstr(text));
    EXPECT_EQ(run->camera_settings(), before);
  };
  refuses(run->add_camera(synthetic("first")), ErrorCode::kFailedPrecondition, "another camera");
  CameraSettings bad = synthetic("second");
  bad.classes = {"unicorn"};
  refuses(run->add_camera(bad), ErrorCode::kInvalidArgument, "cameras[second].classes");
  bad = synthetic("second");
  bad.slo = 0s;
  refuses(run->add_camera(bad), ErrorCode::kInvalidArgument, "cameras[second].slo");
  bad = synthetic("second");
  bad.model = "other";
  refuses(run->add_camera(bad), ErrorCode::kInvalidArgument, "cameras[second].model");
  bad = synthetic("first");
  bad.url.clear();
  refuses(run->change_camera(bad), ErrorCode::kInvalidArgument, "url");
  refuses(run->change_camera(synthetic("nobody")), ErrorCode::kNotFound, "nobody");
  refuses(run->remove_camera("nobody"), ErrorCode::kNotFound, "nobody");
  refuses(run->pause_camera("nobody"), ErrorCode::kNotFound, "nobody");
  run.wait_for_answers("first", 3);
  const RunReport report = run.finish();
  EXPECT_EQ(report.cameras[0].counts.captured, report.total.captured);
}

TEST(LiveCameras, AfterTheEndNothingMayChange) {
  LiveEngine run({synthetic("first")});
  run.finish();
  EXPECT_EQ(run->add_camera(synthetic("second")).error().code(), ErrorCode::kUnavailable);
}

TEST(LiveCameras, FramesAtAHangingModelAreStillCounted) {
  LiveEngine run({synthetic("first")});  // alone, so that both frames at the model are its own
  run.wait_for_answers("first", 1);
  run.control_->hang = true;
  run.wait_for([&] { return run.control_->in_flight == 2; });
  ASSERT_TRUE(run->add_camera(synthetic("other")));
  ASSERT_TRUE(run->remove_camera("first"));
  RunReport report = run->report();
  EXPECT_EQ(report.removed.in_flight, 2);
  EXPECT_TRUE(report.is_conserved());
  run.control_->hang = false;
  run.wait_for([&] { return run->report().removed.in_flight == 0; });
  run.finish();
}

class ManyCycles : public testing::TestWithParam<PolicyKind> {};

TEST_P(ManyCycles, LoseNoFrameOfAnotherCamera) {
  LiveEngine run({synthetic("steady")}, GetParam());
  run.wait_for_answers("steady", 3);
  for (int i = 0; i < 200; ++i) {
    ASSERT_TRUE(run->add_camera(synthetic("guest")));
    if (i % 20 == 0) run.wait_for_answers("guest", 1);
    if (i % 3 == 0) {
      ASSERT_TRUE(run->change_camera(synthetic("guest", 20)));
    }
    ASSERT_TRUE(run->remove_camera("guest"));
  }
  run.wait_for_answers("steady", 3);
  EXPECT_EQ(run->report().cameras.size(), 1U);
  const RunReport report = run.finish();
  EXPECT_EQ(report.removed_cameras, 200);
  const std::vector<Answer> steady = run.lines()["steady"];
  for (const Answer& answer : steady) {
    EXPECT_EQ(answer.stamp.epoch, 0);
    // Frame after frame: none was skipped.
    EXPECT_EQ(answer.stamp.frame_index, answer.stamp.seq);
  }
}

INSTANTIATE_TEST_SUITE_P(Policies, ManyCycles,
                         testing::Values(PolicyKind::kFull, PolicyKind::kAdaptive));

TEST(LiveCameras, AtPaceFastTheyStayAsTheyAre) {
  RunSettings settings;
  settings.models.push_back({.name = "objects", .path = "fake.onnx"});
  settings.cameras.push_back(synthetic("first"));
  settings.cameras[0].url += "&frames=3";
  settings.engine.pace = Pace::kFast;
  const SystemClock clock;
  EngineHooks hooks;
  Result<std::unique_ptr<Detector>> detector = Detector::create(
      create_fake_backend({.input = {64, 64}}, std::make_shared<FakeBackendControl>()), {});
  ASSERT_TRUE(detector);
  hooks.models.push_back(std::move(*detector));
  Result<std::unique_ptr<Engine>> engine = Engine::create(settings, clock, std::move(hooks));
  ASSERT_TRUE(engine) << engine.error().message();
  (*engine)->start();
  const Result<void> added = (*engine)->add_camera(synthetic("second"));
  ASSERT_FALSE(added);
  EXPECT_EQ(added.error().code(), ErrorCode::kFailedPrecondition);
  EXPECT_THAT(added.error().message(), HasSubstr("pace fast"));
}

TEST(Reconfigure, ChangesOnlyWhatDiffersBetweenTheTwoConfigurations) {
  LiveEngine run({synthetic("stays"), synthetic("goes"), synthetic("changes")});
  ASSERT_TRUE(run->add_camera(synthetic("by-hand")));
  RunSettings after = run.settings_;
  after.cameras = {synthetic("stays"), synthetic("changes", 10), synthetic("comes")};
  const Result<CameraChanges> changes = run->reconfigure(run.settings_, after);
  ASSERT_TRUE(changes) << changes.error().message();
  EXPECT_THAT(changes->added, ElementsAre("comes"));
  EXPECT_THAT(changes->changed, ElementsAre("changes"));
  EXPECT_THAT(changes->removed, ElementsAre("goes"));
  EXPECT_EQ(changes->unchanged, 1U);
  std::vector<std::string> ids;
  for (const CameraSettings& camera : run->camera_settings()) ids.push_back(camera.id);
  EXPECT_THAT(ids, ElementsAre("stays", "changes", "by-hand", "comes"));
  run.wait_for_answers("comes", 1);
  run.finish();
  const auto lines = run.lines();
  for (const Answer& answer : lines.at("stays")) EXPECT_EQ(answer.stamp.epoch, 0);
}

TEST(Reconfigure, IsRefusedAsAWhole) {
  LiveEngine run({synthetic("first")});
  const std::vector<CameraSettings> before = run->camera_settings();
  RunSettings after = run.settings_;
  after.cameras.push_back(synthetic("second"));
  after.models[0].score = .5;
  after.engine.audit = .2;
  Result<CameraChanges> changes = run->reconfigure(run.settings_, after);
  ASSERT_FALSE(changes);
  EXPECT_THAT(changes.error().message(), HasSubstr("models: cannot change"));
  EXPECT_THAT(changes.error().message(), HasSubstr("engine: cannot change"));
  after = run.settings_;
  after.cameras.push_back(synthetic("second"));
  after.cameras.push_back(synthetic("third"));
  after.cameras.back().classes = {"unicorn"};
  changes = run->reconfigure(run.settings_, after);
  ASSERT_FALSE(changes);
  EXPECT_THAT(changes.error().message(), HasSubstr("cameras[third].classes"));
  EXPECT_EQ(run->camera_settings(), before);
  run.finish();
}

TEST(LiveCameras, AModelThatTakesManyFramesStillGivesAnswers) {
  CameraSettings camera = synthetic("fast", 30);
  camera.slo = 200ms;
  LiveEngine run({camera}, PolicyKind::kAdaptive, {"objects"}, 300ms);
  run.wait_for([&] {
    return run->report().total.outcomes[static_cast<std::size_t>(Outcome::kPropagated)] >= 10;
  });
  const RunReport report = run.finish();
  const InferenceCounts& inferences = report.total.inferences;
  EXPECT_EQ(inferences[static_cast<std::size_t>(InferencePurpose::kDiscarded)], 0);
}

}  // namespace
}  // namespace framemill

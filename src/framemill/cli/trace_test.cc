// A run of the real engine, recorded by `--trace`, is decided the same again when it is replayed,
// and what is written is what is read.

#include <atomic>
#include <fstream>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framemill/base/temp_folder_for_test.h"
#include "framemill/engine/engine.h"
#include "framemill/engine/trace_json.h"
#include "framemill/infer/fake_backend.h"
#include "framemill/plan/read_scenes.h"
#include "framemill/plan/simulated_device.h"
#include "framemill/plan/trace_reader.h"

namespace framemill {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

class TraceTest : public testing::Test {
 protected:
  /// Two at a time, `service_time` each.
  std::shared_ptr<const Detector> detector(Duration service_time) const {
    const FakeBackendOptions backend{
        .input = {160, 96}, .batch_max = 4, .parallel_requests = 2, .fixed = service_time};
    DetectorOptions options;
    options.batch_max = 4;
    Result<std::unique_ptr<Detector>> made =
        Detector::create(create_fake_backend(backend, control_), options);
    CHECK(made.has_value());
    return *std::move(made);
  }
  /// `cameras` synthetic cameras of 25 frames/s and one model, until `answers` of each were given.
  RunSettings site(PolicyKind policy, int cameras, int answers) const {
    RunSettings settings;
    settings.models.push_back({.name = "m", .path = "fake"});
    for (int i = 0; i < cameras; ++i) {
      CameraSettings camera;
      camera.id = fmt::format("gate-{}", i + 1);
      camera.url = fmt::format("synthetic://?size=160x96&rate=25&seed={}", i + 1);
      camera.rate_hz = 25;
      camera.priority = i == 0 ? Priority::kCritical : Priority::kNormal;
      settings.cameras.push_back(std::move(camera));
    }
    settings.engine.policy = policy;
    settings.engine.pace = Pace::kLive;
    settings.engine.max_answers = answers;
    settings.engine.batch = "1";
    settings.output.trace = folder_ / "trace.jsonl";
    return settings;
  }
  /// Runs the engine; returns the trace.
  std::string record(const RunSettings& settings,
                     std::vector<std::shared_ptr<const Detector>> models) {
    EngineHooks hooks;
    hooks.models = std::move(models);
    Result<std::unique_ptr<Engine>> engine = Engine::create(settings, clock_, std::move(hooks));
    EXPECT_TRUE(engine.has_value()) << engine.error().message();
    (*engine)->start();
    (*engine)->wait();
    report_ = (*engine)->finish();
    EXPECT_TRUE(report_.is_conserved());
    EXPECT_TRUE(report_.trace.has_value());
    EXPECT_EQ(report_.trace->lost, 0);
    return settings.output.trace;
  }
  std::int64_t count(Outcome outcome) const {
    return report_.total.outcomes[static_cast<std::size_t>(outcome)];
  }

  static std::vector<std::string> lines_of(const std::string& path) {
    std::ifstream file(path);
    std::vector<std::string> lines;
    for (std::string line; std::getline(file, line);) lines.push_back(line);
    return lines;
  }
  std::string write(const std::vector<std::string>& lines) const {
    const std::string path = folder_ / "changed.jsonl";
    std::ofstream file(path);
    for (const std::string& line : lines) file << line << '\n';
    return path;
  }

  const TempFolder folder_;
  const SystemClock clock_;
  std::shared_ptr<FakeBackendControl> control_ = std::make_shared<FakeBackendControl>();
  RunReport report_;
};

TEST_F(TraceTest, AnOverloadedRunOfPolicyFullReplays) {
  const std::string path = record(site(PolicyKind::kFull, 6, 30), {detector(30ms)});
  EXPECT_GT(count(Outcome::kSuperseded), 20) << "150/s of 66/s";
  const Result<RecordedScenes> recorded = read_scenes(path);
  ASSERT_TRUE(recorded.has_value()) << recorded.error().message();
  EXPECT_EQ(recorded->difference, "");
  EXPECT_EQ(recorded->replayed, recorded->records);
  EXPECT_EQ(recorded->records, report_.trace->written);
  EXPECT_EQ(recorded->run, report_.run_id);
  EXPECT_EQ(recorded->scenes->cameras.size(), 6U);
  EXPECT_FALSE(recorded->scenes->has_motion()) << "policy full looks at no motion";
}

TEST_F(TraceTest, AnOverloadedRunOfPolicyAdaptiveReplays) {
  const std::string path = record(site(PolicyKind::kAdaptive, 8, 40), {detector(40ms)});
  EXPECT_GT(count(Outcome::kPropagated), 20) << "200/s of 50/s";
  const Result<RecordedScenes> recorded = read_scenes(path);
  ASSERT_TRUE(recorded.has_value()) << recorded.error().message();
  EXPECT_EQ(recorded->difference, "");
  ASSERT_EQ(recorded->scenes->cameras.size(), 8U);
  std::size_t frames = 0;
  for (const TracedCamera& camera : recorded->scenes->cameras) {
    EXPECT_TRUE(camera.has_motion);
    frames += camera.frames.size();
  }
  EXPECT_EQ(frames, 8U * 40U) << "each sampled frame is in it";
}

TEST_F(TraceTest, ARunWithABudgetReplays) {
  RunSettings settings = site(PolicyKind::kAdaptive, 4, 40);
  settings.engine.budget.share = .3;
  const Result<RecordedScenes> recorded = read_scenes(record(settings, {detector(5ms)}));
  ASSERT_TRUE(recorded.has_value()) << recorded.error().message();
  EXPECT_EQ(recorded->difference, "");
}

TEST_F(TraceTest, ABudgetASecondIsKeptWhileItIsTracedAndReplays) {
  RunSettings settings = site(PolicyKind::kHold, 2, 60);
  settings.engine.budget.per_second = 10;
  for (CameraSettings& camera : settings.cameras) {
    camera.url = fmt::format("synthetic://?size=160x96&rate=50&seed={}", camera.id.back());
    camera.every = 2;  // 25 a second each, and 12.5 by the guess
    camera.priority = Priority::kNormal;
  }
  const std::string path = record(settings, {detector(2ms)});
  const double allowed = 10 * to_seconds(report_.wall);
  EXPECT_LT(count(Outcome::kInferred), 1.2 * allowed + 4) << "not twice as many, as by the guess";
  const Result<RecordedScenes> recorded = read_scenes(path);
  ASSERT_TRUE(recorded.has_value()) << recorded.error().message();
  EXPECT_EQ(recorded->difference, "");
  EXPECT_EQ(recorded->replayed, recorded->records);
}

TEST_F(TraceTest, ARunWithALadderAuditsAndAFidelityReplays) {
  RunSettings settings = site(PolicyKind::kAdaptive, 8, 75);
  settings.models.front().ladder = {"cheaper"};
  settings.cameras.front().priority = Priority::kNormal;  // else nothing is left for audits
  settings.engine.fidelity = .9;
  settings.engine.audit = .3;
  settings.engine.batch = "utilisation";
  settings.cameras[2].policy = PolicyKind::kHold;
  settings.cameras[3].policy = PolicyKind::kSimilarity;
  const std::string path = record(settings, {detector(60ms), detector(15ms)});
  const Result<RecordedScenes> recorded = read_scenes(path);
  ASSERT_TRUE(recorded.has_value()) << recorded.error().message();
  EXPECT_EQ(recorded->difference, "");
  std::string text;
  for (const std::string& line : lines_of(path)) text += line;
  for (const char* event : {"rungs", "period", "share", "audit", "look", "done", "learn"})
    EXPECT_TRUE(text.find(fmt::format("\"e\":\"{}\"", event)) != std::string::npos) << event;
}

TEST_F(TraceTest, ATamperedTraceIsFoundOut) {
  const std::vector<std::string> lines =
      lines_of(record(site(PolicyKind::kAdaptive, 6, 20), {detector(40ms)}));
  // The last look that sent something, so that all before it agrees: now it sent another frame.
  std::size_t sent = lines.size() - 1;
  while (lines[sent].find("\"send\":[[") == std::string::npos) --sent;
  std::vector<std::string> changed = lines;
  const std::size_t at = changed[sent].find("\"send\":[[") + 9;
  changed[sent][at] = changed[sent][at] == '1' ? '2' : '1';
  const Result<RecordedScenes> other = read_scenes(write(changed));
  ASSERT_TRUE(other.has_value()) << other.error().message();
  EXPECT_THAT(other->difference, HasSubstr(fmt::format("changed.jsonl:{}: sent", sent + 1)));
  EXPECT_LT(other->replayed, other->records);
  // A need that is not what the frame's doubt comes to.
  std::size_t needed = 0;
  while (lines[needed].find("\"need\":") == std::string::npos) ++needed;
  changed = lines;
  changed[needed].insert(changed[needed].find("\"need\":") + 7, "1");
  const Result<RecordedScenes> needier = read_scenes(write(changed));
  ASSERT_TRUE(needier.has_value());
  EXPECT_THAT(needier->difference, HasSubstr(fmt::format(":{}: the need of", needed + 1)));
  // A line less: the end says how many there were.
  changed = lines;
  changed.erase(changed.begin() + static_cast<std::ptrdiff_t>(sent));
  const Result<RecordedScenes> fewer = read_scenes(write(changed));
  EXPECT_FALSE(fewer.has_value());
}

TEST_F(TraceTest, WhatIsWrittenIsWhatIsRead) {
  // Everything a dispatch may be told, with numbers that need all their digits.
  std::mt19937 rng(11);
  const auto number = [&rng] { return std::uniform_real_distribution<double>(0, 3)(rng); };
  const TimePoint began(Duration(123456789));
  const ObjectDoubt doubt{3, number(), number(), number()};
  const AgreementCounts counts{1, 2, 3, 4, 5, 6, number()};
  FrameArrived plain{.at = began + 17ms};
  plain.frame.captured_at = began - 3ms;
  FrameArrived full = plain;
  full.frame = {{4, true, true, number(), number(), true, doubt}, 77, began + 1ns, 2, number()};
  full.need = number() * 1e-9;
  full.returned = 76;
  Decided look{.at = began + 18ms};
  Decided busy{began + 19ms,
               InferenceCause::kAudit,
               {2, 1, {{1, 5, 2, true}, {2, 6, 0, false}}, {{3, 7}, {4, 8}}, true, began + 20ms}};
  const std::vector<DispatchRecord> records{
      LaneAdded{8},
      plain,
      full,
      FrameWithdrawn{3, 9},
      CameraEnded{2},
      look,
      busy,
      AuditSent{began + 21ms, 1, InferenceCause::kDueAudit},
      FrameClaimed{1, 5, true},
      FrameClaimed{1, 6, false},
      ErrorLearned{1, doubt, counts},
      RungLearned{1, 2, counts},
      DoubtRenewed{1, 5, doubt},
      BatchCompleted{began + 22ms, 1, 2, {1, 2}, 31ms},
      BatchCompleted{began + 22ms, 1, 1, {}, std::nullopt},
      PeriodEnded{began + 23ms, number()},
      PeriodEnded{began + 23ms, std::nullopt},
      ShareSet{number() / 3},
      BudgetShareSet{number() / 3},
      RungsUpdated{began + 24ms, {{0, 1}, {2}}, number(), {{1, 0, 1}}},
      RungsUpdated{began + 25ms, {{0, 1}, {}}, std::nullopt, {}},
      RecordsLost{5}};
  DispatchTraceHeader header{.framemill = "1.2.3", .run = "R", .began_at = began};
  header.cameras = {"gate \"1\"", "höhe"};
  header.models = {"m", "n"};
  LiveDispatchOptions& options = header.options;
  options.cameras = {{PolicyKind::kHold, Priority::kBackground, 150ms, 40ms, 1, 2.5},
                     {PolicyKind::kSimilarity, Priority::kCritical, 1s, 0ms, 0}};
  for (const DispatchCamera& camera : options.cameras)
    options.inference.cameras.push_back({camera.policy, camera.priority});
  options.inference.share = .3;
  options.inference.adaptive_share = number() / 3;
  options.batches_max = 3;
  options.knee_frames = 4;
  options.lane_knees = {1, 0, 8};
  options.is_batch_by_utilisation = true;
  options.rungs_of_model = {2, 1};
  options.is_slot_reserved = true;
  ServiceTimes times;
  for (int i = 0; i < 9; ++i) times.record(1U << (i % 3), from_seconds(number() / 50));
  options.lane_times = {ServiceTimes{}, times};
  std::string text;
  append_trace_header(text, header);
  for (const DispatchRecord& record : records) append_trace_record(text, record, began);
  append_trace_end(text, static_cast<std::int64_t>(records.size()) - 1, 5);
  const std::string path = folder_.write("made.jsonl", text);

  const Result<std::unique_ptr<TraceReader>> reader = TraceReader::open(path);
  ASSERT_TRUE(reader.has_value()) << reader.error().message();
  const DispatchTraceHeader& read = (*reader)->header();
  EXPECT_EQ(read.cameras, header.cameras);
  EXPECT_EQ(read.models, header.models);
  EXPECT_EQ(read.run, "R");
  EXPECT_EQ(read.options.cameras.front().weight, 2.5);
  EXPECT_TRUE(read.options.is_slot_reserved);
  EXPECT_EQ(read.began_at, began);
  std::string again;  // the header, member by member
  append_trace_header(again, read);
  EXPECT_EQ(again, text.substr(0, text.find('\n') + 1));
  for (const DispatchRecord& record : records) {
    const Result<std::optional<DispatchRecord>> next = (*reader)->next();
    ASSERT_TRUE(next.has_value()) << next.error().message();
    ASSERT_TRUE(next->has_value());
    EXPECT_EQ(**next, record) << "line " << (*reader)->line();
  }
  const Result<std::optional<DispatchRecord>> end = (*reader)->next();
  ASSERT_TRUE(end.has_value()) << end.error().message();
  EXPECT_FALSE(end->has_value());
}

}  // namespace
}  // namespace framemill

// A recorded run is decided the same again, whatever happened in it; a record that was changed, or
// cannot have happened, is found out.

#include "framemill/sched/dispatch_replay.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <set>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace framemill {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

constexpr TimePoint kBegan{Duration(5s)};

/// Cameras of all policies, two models, of which one has a ladder of three rungs.
LiveDispatchOptions site() {
  LiveDispatchOptions options;
  const PolicyKind policies[] = {PolicyKind::kFull, PolicyKind::kAdaptive,   PolicyKind::kAdaptive,
                                 PolicyKind::kHold, PolicyKind::kSimilarity, PolicyKind::kAdaptive};
  for (std::size_t i = 0; i < std::size(policies); ++i) {
    const Priority priority = i == 5 ? Priority::kCritical : Priority::kNormal;
    options.cameras.push_back({policies[i], priority, 200ms, 40ms, i % 2});
    options.inference.cameras.push_back({policies[i], priority});
  }
  options.inference.share = .6;
  options.batches_max = 2;
  options.rungs_of_model = {3, 1};
  ServiceTimes times;
  times.seed(1, 30ms);
  options.lane_times = {times};
  return options;
}

/// The same on two devices, of which the second one is slower and has not all of the lanes.
LiveDispatchOptions site_of_two_devices() {
  LiveDispatchOptions options = site();
  options.devices.push_back({1, {}, options.lane_times});
  options.devices.push_back({2, {2}, options.lane_times});
  options.devices.back().lane_times.front().seed(1, 50ms);
  return options;
}

/// Plays random events to a dispatch as the engine does, and keeps the records.
std::vector<DispatchRecord> record_run(const LiveDispatchOptions& options, std::uint32_t seed) {
  std::vector<DispatchRecord> records;
  TracedDispatch dispatch(options, kBegan,
                          [&](DispatchRecord&& record) { records.push_back(std::move(record)); });
  const bool has_devices = !options.devices.empty();
  for (int i = 0; i < 4; ++i) dispatch.add_lane(4, has_devices && i == 1 ? 0b01 : kAllDevices);
  struct Batch {
    DeviceIndex device = 0;
    LaneIndex lane = 0;
    std::vector<SentFrame> frames;
    bool is_audit = false;
  };
  std::mt19937 rng(seed);
  const auto chance = [&rng](double share) {
    return std::uniform_real_distribution<double>(0, 1)(rng) < share;
  };
  std::vector<std::int64_t> seqs(options.cameras.size());
  std::vector<Batch> in_flight;
  TimePoint now = kBegan;
  const auto doubt = [&] {
    return ObjectDoubt{.age = static_cast<std::int64_t>(rng() % 9),
                       .objects = static_cast<double>(rng() % 100) / 7,
                       .drift = static_cast<double>(rng() % 100) / 300,
                       .unexplained = static_cast<double>(rng() % 100) / 900};
  };
  const AgreementCounts counts{.found = 3,
                               .wanted = 5,
                               .right = 4,
                               .given = 5,
                               .sure_right = 2,
                               .sure_given = 3,
                               .overlap_sum = 2.7};
  for (int step = 0; step < 4000; ++step) {
    now += Duration(rng() % 6'000'000);
    const auto camera = static_cast<CameraIndex>(rng() % options.cameras.size());
    if (chance(.5)) {
      ArrivedFrame frame;
      frame.sampled.camera = camera;
      frame.sampled.is_stream_start = frame.sampled.is_scene_start = seqs[camera] == 0;
      frame.sampled.is_scene_start |= chance(.02);
      frame.seq = seqs[camera]++;
      frame.captured_at = now - 10ms;
      frame.lane = options.cameras[camera].model == 0 ? dispatch.rung_of(camera) : 3;
      if (chance(.5)) frame.edge_density = static_cast<double>(rng() % 100) / 800;
      if (dispatch.is_adaptive(camera)) {
        (void)dispatch.withdraw(camera);
        frame.sampled.doubt = doubt();
      } else {
        frame.sampled.similarity = static_cast<double>(rng() % 100) / 100;
        frame.sampled.complexity = chance(.5) ? 5 : 0;
      }
      (void)dispatch.arrive(frame, now);
    } else if (!in_flight.empty()) {
      const Batch batch = in_flight.front();
      in_flight.erase(in_flight.begin());
      std::vector<CameraIndex> cameras;
      const bool has_failed = chance(.1);
      for (const SentFrame& frame : batch.frames) {
        cameras.push_back(frame.camera);
        const bool is_claimed =
            dispatch.is_adaptive(frame.camera) && dispatch.claim(frame.camera, frame.seq);
        const bool is_discarded = dispatch.is_adaptive(frame.camera) && !is_claimed && chance(.3);
        if (has_failed || is_discarded) {
          if (dispatch.give_back(now, frame.camera, frame.seq)) continue;
        }
        if (!dispatch.is_adaptive(frame.camera)) continue;
        dispatch.learn(frame.camera, doubt(), counts);
        if (const auto waiting = dispatch.waiting(frame.camera))
          dispatch.renew_doubt(frame.camera, *waiting, doubt());
      }
      if (batch.is_audit) dispatch.learn_rung(0, 1, counts);
      dispatch.complete(now, batch.lane, std::max<std::size_t>(1, batch.frames.size()), cameras,
                        has_failed ? std::nullopt : std::optional(Duration(rng() % 60'000'000)),
                        batch.device);
    }
    if (has_devices && chance(.02)) {
      const auto device = static_cast<DeviceIndex>(rng() % 2);
      dispatch.set_device(now, device, chance(.6), 1 + rng() % 4);
    }
    if (step % 200 == 199) {
      const std::optional<double> share = dispatch.end_period(now);
      dispatch.set_adaptive_share(share.value_or(.5) * .5 + .2);
      dispatch.set_share(.2 + static_cast<double>(rng() % 100) / 200);
    }
    if (dispatch.is_ladder_due(now)) {
      (void)dispatch.update_rungs(now, std::vector<std::vector<LaneIndex>>{{0, 1, 2}, {3}}, .4);
    }
    std::optional<InferenceCause> audit;
    if (chance(.2)) audit = chance(.5) ? InferenceCause::kAudit : InferenceCause::kDueAudit;
    DispatchDecision decision;
    dispatch.decide(now, audit, decision);
    if (decision.is_audit_wanted) {
      in_flight.push_back({.device = dispatch.send_audit(now, 0, *audit), .is_audit = true});
    }
    if (!decision.batch.empty()) {
      in_flight.push_back({decision.device, decision.lane, decision.batch});
    }
  }
  dispatch.end_camera(2);
  return records;
}

/// Where the replay ends, and why; none: all the same.
struct End {
  std::size_t record = 0;
  std::optional<Error> error;
};
End replay(const LiveDispatchOptions& options, const std::vector<DispatchRecord>& records) {
  Result<std::unique_ptr<DispatchReplay>> replay = DispatchReplay::create(options, kBegan);
  EXPECT_TRUE(replay.has_value());
  for (std::size_t i = 0; i < records.size(); ++i) {
    if (const Result<void> same = (*replay)->feed(records[i]); !same) return {i, same.error()};
  }
  EXPECT_EQ((*replay)->records(), static_cast<std::int64_t>(records.size()));
  return {records.size(), std::nullopt};
}

TEST(DispatchReplay, ARecordedRunIsDecidedTheSameAgain) {
  std::set<std::size_t> kinds;
  for (std::uint32_t seed = 1; seed <= 10; ++seed) {
    const LiveDispatchOptions options = seed <= 5 ? site() : site_of_two_devices();
    const std::vector<DispatchRecord> records = record_run(options, seed);
    for (const DispatchRecord& record : records) kinds.insert(record.index());
    const End end = replay(options, records);
    EXPECT_FALSE(end.error) << "seed " << seed << ", record " << end.record << ": "
                            << end.error->message();
  }
  EXPECT_EQ(kinds.size(), std::variant_size_v<DispatchRecord> - 1) << "all but RecordsLost";
}

/// Changes what was decided; false where the record decides nothing.
struct ChangeDecision {
  bool operator()(FrameArrived& record) const {
    record.returned = record.returned ? std::nullopt : std::optional<std::int64_t>(0);
    return true;
  }
  bool operator()(FrameWithdrawn& record) const { return ++record.seq > 0; }
  bool operator()(Decided& record) const {
    if (record.decision.batch.empty()) {
      record.decision.batch.push_back({1, 1});
    } else {
      record.decision.batch.pop_back();
    }
    return true;
  }
  bool operator()(FrameClaimed& record) const {
    record.returned = !record.returned;
    return true;
  }
  bool operator()(PeriodEnded& record) const {
    record.returned = record.returned.value_or(0) + .01;
    return true;
  }
  bool operator()(RungsUpdated& record) const {
    record.returned.push_back({0, 0, 1});
    return true;
  }
  template <typename Other>
  bool operator()(Other&) const {
    return false;
  }
};

TEST(DispatchReplay, EveryChangedDecisionIsFoundWhereItIs) {
  const std::vector<DispatchRecord> records = record_run(site(), 7);
  std::set<std::size_t> kinds;
  for (std::size_t i = 0; i < records.size(); ++i) {
    if (kinds.contains(records[i].index()) && i % 97 != 0) continue;  // each kind, and a sample
    std::vector<DispatchRecord> changed = records;
    if (!std::visit(ChangeDecision{}, changed[i])) continue;
    kinds.insert(records[i].index());
    const End end = replay(site(), changed);
    ASSERT_TRUE(end.error) << "record " << i;
    EXPECT_EQ(end.record, i);
    EXPECT_EQ(end.error->code(), ErrorCode::kFailedPrecondition);
    EXPECT_THAT(end.error->message(), HasSubstr("recorded"));
  }
  EXPECT_EQ(kinds.size(), 6U);
}

/// Of the changes of one record of a kind each, so many show.
template <typename Record>
int count_shown(const std::vector<DispatchRecord>& records, auto is_wanted, auto change) {
  int tried = 0;
  int shown = 0;
  std::vector<DispatchRecord> changed = records;
  for (std::size_t i = 0; i < records.size() && tried < 50; ++i) {
    auto* const found = std::get_if<Record>(&changed[i]);
    if (found == nullptr || !is_wanted(*found)) continue;
    ++tried;
    change(*found);
    const End end = replay(site(), changed);
    EXPECT_FALSE(end.error && end.record < i) << "before it was changed";
    if (end.error) ++shown;
    changed[i] = records[i];
  }
  return shown;
}

TEST(DispatchReplay, AChangedInputShows) {
  const std::vector<DispatchRecord> records = record_run(site(), 7);
  const auto any = [](const auto&) { return true; };
  // A need is compared at once; what else was told shows where something hangs on it.
  EXPECT_EQ(count_shown<FrameArrived>(
                records, [](const FrameArrived& f) { return f.need > 0; },
                [](FrameArrived& f) { f.frame.sampled.doubt.drift += .5; }),
            50);
  EXPECT_GT(count_shown<FrameArrived>(records, any,
                                      [](FrameArrived& f) { f.frame.captured_at -= 150ms; }),
            5);
  EXPECT_GT(
      count_shown<BatchCompleted>(records, any, [](BatchCompleted& b) { b.service_time = 190ms; }),
      5);
  EXPECT_GT(count_shown<ErrorLearned>(
                records, [](const ErrorLearned& e) { return e.doubt.age > 0; },
                [](ErrorLearned& e) { e.counts.found = 0; }),
            40);
  // A record less.
  std::vector<DispatchRecord> fewer = records;
  const auto done = std::ranges::find_if(fewer, [](const DispatchRecord& record) {
    return std::holds_alternative<BatchCompleted>(record);
  });
  fewer.erase(done);
  EXPECT_TRUE(replay(site(), fewer).error.has_value());
  // Another site.
  LiveDispatchOptions other = site();
  other.batches_max = 3;
  EXPECT_TRUE(replay(other, records).error.has_value());
}

TEST(DispatchReplay, WhatCannotHaveHappenedIsRefused) {
  const auto arrival = [](CameraIndex camera, LaneIndex lane) {
    FrameArrived record{.at = kBegan};
    record.frame.sampled.camera = camera;
    record.frame.lane = lane;
    return record;
  };
  const std::pair<DispatchRecord, const char*> cases[] = {
      {LaneAdded{0}, "takes no frames"},
      {arrival(6, 0), "no camera 6"},
      {arrival(0, 1), "no lane 1"},
      {FrameWithdrawn{9, 1}, "no camera 9"},
      {CameraEnded{6}, "no camera 6"},
      {AuditSent{kBegan, 7, InferenceCause::kAudit}, "no lane 7"},
      {AuditSent{kBegan, 0, InferenceCause::kAudit}, "not asked for"},
      {FrameClaimed{6, 0, false}, "no camera 6"},
      {ErrorLearned{6}, "no camera 6"},
      {RungLearned{0, 3}, "no rung 3"},
      {RungLearned{6, 0}, "no camera 6"},
      {DoubtRenewed{6}, "no camera 6"},
      {BatchCompleted{kBegan, 2, 1, {}, 1ms}, "no lane 2"},
      {BatchCompleted{kBegan, 0, 0, {}, 1ms}, "batch of 0"},
      {BatchCompleted{kBegan, 0, 33, {}, 1ms}, "batch of 33"},
      {BatchCompleted{kBegan, 0, 1, {0}, 1ms}, "none was under way"},
      {ShareSet{0}, "share of 0"},
      {ShareSet{1.5}, "share of 1.5"},
      {BudgetShareSet{0}, "share of 0"},
      {BudgetShareSet{1.5}, "share of 1.5"},
      {RungsUpdated{kBegan, {{0}, {0}}}, "not due"},
      {RungsUpdated{kBegan + 1s, {{0}}}, "1 models"},
      {RungsUpdated{kBegan + 1s, {{0}, {0, 0}}}, "too many lanes"},
      {RungsUpdated{kBegan + 1s, {{0}, {5}}}, "no lane 5"},
  };
  for (const auto& [record, message] : cases) {
    const End end = replay(site(), {LaneAdded{1}, record});
    ASSERT_TRUE(end.error) << message;
    EXPECT_EQ(end.error->code(), ErrorCode::kInvalidArgument) << message;
    EXPECT_THAT(end.error->message(), HasSubstr(message));
  }
  const End lost = replay(site(), {LaneAdded{1}, RecordsLost{12}, LaneAdded{1}});
  ASSERT_TRUE(lost.error);
  EXPECT_EQ(lost.record, 1U);
  EXPECT_EQ(lost.error->code(), ErrorCode::kUnavailable);
  EXPECT_THAT(lost.error->message(), HasSubstr("12 records are missing"));
}

TEST(DispatchReplay, OptionsOfNoDispatchAreRefused) {
  const auto problem = [](auto change) {
    LiveDispatchOptions options = site();
    change(options);
    const auto replay = DispatchReplay::create(options, kBegan);
    return replay ? std::string("none") : replay.error().message();
  };
  EXPECT_EQ(problem([](LiveDispatchOptions&) {}), "none");
  EXPECT_THAT(problem([](auto& o) { o.cameras.clear(); }), HasSubstr("0 cameras"));
  EXPECT_THAT(problem([](auto& o) { o.inference.cameras.clear(); }), HasSubstr("policies"));
  EXPECT_THAT(problem([](auto& o) { o.inference.share = 0; }), HasSubstr("share"));
  EXPECT_THAT(problem([](auto& o) { o.inference.adaptive_share = 2; }), HasSubstr("share"));
  EXPECT_THAT(problem([](auto& o) { o.batches_max = 0; }), HasSubstr("0 batches"));
  EXPECT_THAT(problem([](auto& o) { o.knee_frames = 64; }), HasSubstr("1 to 32"));
  EXPECT_THAT(problem([](auto& o) { o.lane_knees = {33}; }), HasSubstr("1 to 32"));
  EXPECT_THAT(problem([](auto& o) { o.rungs_of_model = {1, 0}; }), HasSubstr("without rungs"));
  EXPECT_THAT(problem([](auto& o) { o.cameras[0].weight = 0; }), HasSubstr("weight"));
  EXPECT_THAT(problem([](auto& o) { o.cameras[0].weight = std::nan(""); }), HasSubstr("weight"));
  EXPECT_THAT(problem([](auto& o) { o.cameras[0].model = 2; }), HasSubstr("no model 2"));
  EXPECT_THAT(problem([](auto& o) { o.cameras[0].slo = -1ms; }), HasSubstr("slo"));
}

}  // namespace
}  // namespace framemill

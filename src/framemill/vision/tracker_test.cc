#include "framemill/vision/tracker.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <limits>
#include <map>
#include <random>
#include <set>
#include <string>

#include <gtest/gtest.h>

namespace framemill {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

Box box_at(double x, double y, double width, double height) {
  return {static_cast<float>(x - width / 2), static_cast<float>(y - height / 2),
          static_cast<float>(x + width / 2), static_cast<float>(y + height / 2)};
}

/// Follows whom each track id stood for, over worlds in which that is known.
class Identities {
 public:
  /// `objects`: who each detection is, -1 for nobody.
  void add(const std::vector<Detection>& detections, const std::vector<int>& objects) {
    for (std::size_t i = 0; i < detections.size(); ++i) {
      if (objects[i] < 0) continue;
      ++seen_count_;
      const std::int64_t id = detections[i].track;
      if (id < 0) {
        ++unnamed_count_;
        continue;
      }
      const auto [last, is_new] = last_id_.try_emplace(objects[i], id);
      if (!is_new && last->second != id) {
        ++switch_count_;
        last->second = id;
      }
      const auto [owner, is_first] = owner_.try_emplace(id, objects[i]);
      if (!is_first && owner->second != objects[i]) {
        ++theft_count_;
        owner->second = objects[i];
      }
    }
  }
  [[nodiscard]] int seen_count() const { return seen_count_; }
  [[nodiscard]] int unnamed_count() const { return unnamed_count_; }
  [[nodiscard]] int switch_count() const { return switch_count_; }  ///< an object changed its id
  [[nodiscard]] int theft_count() const { return theft_count_; }  ///< an id went to another object
  [[nodiscard]] std::int64_t id_of(int object) const { return last_id_.at(object); }

 private:
  std::map<int, std::int64_t> last_id_;  // by object
  std::map<std::int64_t, int> owner_;    // by id
  int seen_count_ = 0, unnamed_count_ = 0, switch_count_ = 0, theft_count_ = 0;
};

/// Detections of one frame, with noise as a detector has it.
class FrameMaker {
 public:
  explicit FrameMaker(std::uint32_t seed) : rng_(seed) {}
  void see(int object, const Box& box, float score, int class_id = 0) {
    const double noise = 0.02 * (box.x2 - box.x1);
    std::normal_distribution<double> shift(0, noise);
    const auto moved = [&](float v) { return v + static_cast<float>(shift(rng_)); };
    detections_.push_back({.class_id = class_id,
                           .score = score,
                           .box = {moved(box.x1), moved(box.y1), moved(box.x2), moved(box.y2)}});
    objects_.push_back(object);
  }
  void finish(Tracker& tracker, double time_s, Identities& identities) {
    tracker.update(time_s, detections_);
    identities.add(detections_, objects_);
    detections_.clear();
    objects_.clear();
  }
  double uniform(double least, double most) {
    return std::uniform_real_distribution<double>(least, most)(rng_);
  }

 private:
  std::mt19937 rng_;
  std::vector<Detection> detections_;
  std::vector<int> objects_;
};

TEST(Tracker, GivesAnIdAtOnceAndKeepsIt) {
  Tracker tracker({});
  std::vector<Detection> frame{{.score = 0.5F, .box = {10, 10, 50, 90}},
                               {.score = 0.49F, .box = {200, 10, 250, 90}}};
  tracker.update(0, frame);
  EXPECT_EQ(frame[0].track, 1);
  EXPECT_EQ(frame[1].track, -1) << "too unsure to start a track";
  frame[0].score = 0.1F;  // continues
  frame[1].score = 0.9F;
  tracker.update(0.1, frame);
  EXPECT_EQ(frame[0].track, 1);
  EXPECT_EQ(frame[1].track, 2);
  frame[0].score = 0.09F;
  tracker.update(0.2, frame);
  EXPECT_EQ(frame[0].track, -1);
  EXPECT_EQ(frame[1].track, 2);
}

TEST(Tracker, KeepsClassesApart) {
  Tracker tracker({});
  std::vector<Detection> frame{{.class_id = 2, .score = 0.9F, .box = {10, 10, 50, 90}}};
  tracker.update(0, frame);
  frame[0].class_id = 7;
  tracker.update(0.1, frame);
  EXPECT_EQ(frame[0].track, 2);
}

TEST(Tracker, NeverGivesAnIdTwice) {
  Tracker tracker({});
  std::set<std::int64_t> ids;
  const auto id_at = [&tracker](double time_s) {
    std::vector<Detection> frame{{.score = 0.9F, .box = {10, 10, 50, 90}}};
    tracker.update(time_s, frame);
    return frame[0].track;
  };
  EXPECT_TRUE(ids.insert(id_at(0)).second);
  EXPECT_FALSE(ids.insert(id_at(0)).second) << "the same moment";
  tracker.reset();
  EXPECT_TRUE(ids.insert(id_at(0.1)).second) << "after reset";
  EXPECT_FALSE(ids.insert(id_at(0.2)).second);
  EXPECT_FALSE(ids.insert(id_at(2.2)).second) << "lost for 2 s";
  EXPECT_TRUE(ids.insert(id_at(4.3)).second) << "for longer";
  EXPECT_TRUE(ids.insert(id_at(1.0)).second) << "time went back";
  EXPECT_FALSE(ids.insert(id_at(1.1)).second);
  EXPECT_TRUE(ids.insert(id_at(kNan)).second) << "no time at all";
  Tracker moved = std::move(tracker);
  std::vector<Detection> frame{{.score = 0.9F, .box = {500, 10, 550, 90}}};
  moved.update(1.2, frame);
  EXPECT_TRUE(ids.insert(frame[0].track).second);
}

TEST(Tracker, FollowsOverAnOcclusionAtAnyRate) {
  for (const double rate_hz : {3.0, 5.0, 10.0, 25.0}) {
    Tracker tracker({});
    FrameMaker frame(1);
    Identities identities;
    for (int n = 0; n < 6 * rate_hz; ++n) {  // a walker behind a pole for half a second
      const double t = n / rate_hz;
      if (t < 2.0 || t >= 2.5) frame.see(0, box_at(50 + 80 * t, 200, 40, 110), 0.8F);
      frame.see(1, box_at(500 - 60 * t, 420, 45, 120), 0.8F);
      frame.finish(tracker, t, identities);
    }
    EXPECT_EQ(identities.switch_count(), 0) << rate_hz;
    EXPECT_EQ(identities.unnamed_count(), 0) << rate_hz;
  }
}

TEST(Tracker, KeepsIdsApartWhenObjectsCross) {
  for (const bool is_jittered : {false, true}) {
    int failure_count = 0;
    for (std::uint32_t seed = 0; seed < 50; ++seed) {
      Tracker tracker({});
      FrameMaker frame(seed);
      Identities identities;
      double t = 0;
      while (t < 6) {
        const Box front = box_at(100 + 70 * t, 205, 42, 112);
        const Box rear = box_at(520 - 75 * t, 200, 40, 108);
        frame.see(0, front, 0.85F);
        // The one behind vanishes, score first, while the other covers it.
        const float cover = iou(front, rear);
        if (cover < 0.3F) frame.see(1, rear, cover < 0.15F ? 0.8F : 0.35F);
        frame.finish(tracker, t, identities);
        t += is_jittered ? frame.uniform(0.06, 0.2) : 0.1;
      }
      if (identities.switch_count() + identities.theft_count() > 0) ++failure_count;
    }
    EXPECT_LE(failure_count, 1) << "of 50 crossings, jittered: " << is_jittered;
  }
}

TEST(Tracker, CarriesAWaveringScore) {
  Tracker tracker({});
  FrameMaker frame(2);
  Identities identities;
  for (int n = 0; n < 300; ++n) {
    const double t = n * 0.1;
    frame.see(0, box_at(100 + 10 * t, 200, 60, 50),
              n == 0 ? 0.5F : static_cast<float>(frame.uniform(0.3, 0.7)));
    frame.finish(tracker, t, identities);
  }
  EXPECT_EQ(identities.switch_count(), 0);
  EXPECT_EQ(identities.unnamed_count(), 0);
}

TEST(Tracker, FollowsCarsThatLeaveTheirOwnBox) {
  // A motorway at 10 Hz: nine tenths of a length a frame, so predicted and seen boxes first do not
  // meet.
  Tracker tracker({});
  FrameMaker frame(3);
  Identities identities;
  for (int n = 0; n < 60; ++n) {
    const double t = n * 0.1;
    for (int car = 0; car < 4; ++car) {
      const double x = -300.0 * car + 450 * t;
      if (x > 0 && x < 1280) frame.see(car, box_at(x, 300 + 5 * car, 50, 38), 0.8F, 2);
    }
    frame.finish(tracker, t, identities);
  }
  EXPECT_EQ(identities.switch_count(), 0);
  EXPECT_EQ(identities.theft_count(), 0);
}

TEST(Tracker, HoldsACrowdedWorldTogether) {
  // 20 walkers that turn at will, miss a detection in 20, waver in score, among false alarms.
  for (const int every : {1, 3}) {
    Tracker tracker({});
    FrameMaker frame(4);
    Identities identities;
    struct Walker {
      double x, y, vx, vy;
    };
    std::vector<Walker> walkers;
    for (int i = 0; i < 20; ++i)
      walkers.push_back({frame.uniform(0, 1280), frame.uniform(0, 720), frame.uniform(-60, 60),
                         frame.uniform(-40, 40)});
    constexpr double kStep = 0.1;
    for (int n = 0; n < 600; ++n) {
      for (Walker& walker : walkers) {
        walker.vx = std::clamp(walker.vx + frame.uniform(-8, 8), -70.0, 70.0);
        walker.vy = std::clamp(walker.vy + frame.uniform(-6, 6), -50.0, 50.0);
        walker.x += walker.vx * kStep;
        walker.y += walker.vy * kStep;
        if (walker.x < 0 || walker.x > 1280) walker.vx = -walker.vx;
        if (walker.y < 0 || walker.y > 720) walker.vy = -walker.vy;
      }
      if (n % every != 0) continue;
      for (std::size_t i = 0; i < walkers.size(); ++i) {
        const Box box = box_at(walkers[i].x, walkers[i].y, 40, 100);
        // Who stands further down is in front.
        const bool is_hidden = std::ranges::any_of(walkers, [&](const Walker& other) {
          return other.y > walkers[i].y && iou(box, box_at(other.x, other.y, 40, 100)) > 0.4F;
        });
        if (!is_hidden && frame.uniform(0, 1) > 0.05)
          frame.see(static_cast<int>(i), box, static_cast<float>(frame.uniform(0.35, 0.9)));
      }
      if (frame.uniform(0, 1) < 0.05)
        frame.see(-1, box_at(frame.uniform(0, 1280), frame.uniform(0, 720), 40, 100), 0.55F);
      frame.finish(tracker, n * kStep, identities);
    }
    const double switch_share =
        static_cast<double>(identities.switch_count()) / identities.seen_count();
    const double theft_share =
        static_cast<double>(identities.theft_count()) / identities.seen_count();
    std::cout << "every " << every << ": " << identities.seen_count() << " detections, "
              << identities.switch_count() << " changes of id, " << identities.theft_count()
              << " ids that went to another object, " << identities.unnamed_count() << " without\n";
    EXPECT_LT(switch_share, every == 1 ? 0.01 : 0.03);
    EXPECT_LT(theft_share, every == 1 ? 0.01 : 0.03);
    EXPECT_LT(identities.unnamed_count(), identities.seen_count() / 50);
  }
}

TEST(Tracker, SameInputsGiveTheSameIds) {
  std::vector<std::int64_t> runs[2];
  for (auto& run : runs) {
    Tracker tracker({});
    std::mt19937 rng(9);
    for (int n = 0; n < 100; ++n) {
      std::vector<Detection> frame;
      for (int i = 0; i < 30; ++i) {
        const double x = rng() % 300, y = rng() % 300;
        frame.push_back(
            {.score = static_cast<float>(rng() % 100) / 100, .box = box_at(x, y, 40, 60)});
      }
      tracker.update(n * 0.1, frame);
      for (const Detection& detection : frame) run.push_back(detection.track);
    }
  }
  EXPECT_EQ(runs[0], runs[1]);
}

TEST(Tracker, NeverCrashesOnAnything) {
  std::mt19937 rng(12);
  const float picks[] = {0, 1, -5, 100, 1e6F, 3.3e38F, -3.3e38F, kNan, kInf, -kInf, 1e-40F};
  const auto pick = [&] {
    return rng() % 3 == 0 ? picks[rng() % std::size(picks)] : static_cast<float>(rng() % 640);
  };
  Tracker tracker({});
  double time_s = 0;
  for (int n = 0; n < 3'000; ++n) {
    std::vector<Detection> frame(rng() % 20);
    for (Detection& detection : frame)
      detection = {.class_id = static_cast<int>(rng() % 2),
                   .score = rng() % 10 == 0 ? pick() : static_cast<float>(rng() % 100) / 100,
                   .box = {pick(), pick(), pick(), pick()},
                   .track = 77'777'777};
    const std::uint32_t kind = rng() % 100;
    time_s = kind == 0   ? -1e300
             : kind == 1 ? 1e300
             : kind == 2 ? std::numeric_limits<double>::infinity()
             : kind == 3 ? 0
                         : time_s + 0.1;
    tracker.update(time_s, frame);
    std::set<std::int64_t> ids;
    for (const Detection& detection : frame) {
      EXPECT_NE(detection.track, 77'777'777);
      const bool is_named_once = detection.track < 0 || ids.insert(detection.track).second;
      EXPECT_TRUE(is_named_once) << n;
      EXPECT_TRUE(detection.track == -1 || std::isfinite(detection.box.x1)) << n;
    }
  }
}

/// Reads the detections of one line of testdata/reference.
std::vector<Detection> parse_detections(const std::string& line) {
  std::vector<Detection> detections;
  const char* place = line.c_str();
  while ((place = std::strstr(place, R"({"class":)")) != nullptr) {
    Detection d;
    const int read_count =
        std::sscanf(place, R"({"class":%d,"score":%f,"box":[%f,%f,%f,%f])", &d.class_id, &d.score,
                    &d.box.x1, &d.box.y1, &d.box.x2, &d.box.y2);
    EXPECT_EQ(read_count, 6) << line;
    if (read_count != 6) break;
    detections.push_back(d);
    ++place;
  }
  return detections;
}

TEST(Tracker, KeepsRealObjectsTogether) {
  const char* const testdata = std::getenv("FRAMEMILL_TESTDATA");
  const std::string path =
      std::string(testdata == nullptr ? "" : testdata) + "/reference/yolo11n_640_int8_10hz.jsonl";
  std::ifstream file(path);
  if (testdata == nullptr || !file)
    GTEST_SKIP() << "needs FRAMEMILL_TESTDATA, the shared test data";
  struct Clip {
    double frame_rate;
    std::size_t ids_most;
  };
  // Nobody has labelled identities here; the bounds hold what was reached (23 and 16 ids) with
  // little room.
  std::map<std::string, Clip> clips{{"parking_lot_cctv1_h8", {15.0, 25}},
                                    {"street_vehicles_ahmetozlu", {24.01, 18}}};
  std::map<std::string, Tracker> trackers;
  std::map<std::string, std::map<std::int64_t, int>> hits;
  std::map<std::string, std::size_t> sure_most;
  for (std::string line; std::getline(file, line);) {
    const std::string camera = line.substr(11, line.find('"', 11) - 11);
    const auto clip = clips.find(camera);
    if (clip == clips.end()) continue;
    const int frame_index = std::atoi(line.c_str() + line.find("frame_index\":") + 13);
    std::vector<Detection> detections = parse_detections(line);
    Tracker& tracker = trackers.try_emplace(camera, TrackerOptions{}).first->second;
    tracker.update(frame_index / clip->second.frame_rate, detections);
    std::size_t sure_count = 0;
    for (const Detection& detection : detections) {
      if (detection.track >= 0) ++hits[camera][detection.track];
      if (detection.score >= 0.5F) {
        ++sure_count;
        EXPECT_GE(detection.track, 1);
      }
    }
    sure_most[camera] = std::max(sure_most[camera], sure_count);
  }
  for (const auto& [camera, clip] : clips) {
    ASSERT_FALSE(hits[camera].empty()) << camera;
    const auto brief =
        std::ranges::count_if(hits[camera], [](const auto& id) { return id.second < 3; });
    std::cout << camera << ": " << hits[camera].size() << " ids (" << brief
              << " seen less than 3 times), at most " << sure_most[camera]
              << " sure objects at once\n";
    EXPECT_GE(hits[camera].size(), sure_most[camera]) << camera;
    EXPECT_LE(hits[camera].size(), clip.ids_most) << camera;
  }
}

}  // namespace
}  // namespace framemill

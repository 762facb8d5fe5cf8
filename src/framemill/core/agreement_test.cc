#include "framemill/core/agreement.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <map>
#include <random>
#include <regex>
#include <string>
#include <tuple>
#include <vector>

#include <fmt/format.h>
#include <fmt/ostream.h>
#include <gtest/gtest.h>

#include "framemill/base/temp_folder_for_test.h"

namespace framemill {
namespace {

using Detections = std::vector<Detection>;

/// A square of 10 pixels, `x` pixels from the left.
Detection square(float x, float score, int class_id = 0) {
  return {.class_id = class_id, .score = score, .box = {x, 0, x + 10, 10}};
}

/// found/wanted right/given sure_right/sure_given
std::string in_words(const AgreementCounts& counts) {
  return fmt::format("{}/{} {}/{} {}/{}", counts.found, counts.wanted, counts.right, counts.given,
                     counts.sure_right, counts.sure_given);
}

TEST(CountAgreement, FollowsTheTable) {
  // 10 px squares: shifted by 3 the IoU is 7/13 = .54, by 4 it is 6/14 = .43.
  const std::tuple<const char*, Detections, Detections, const char*> cases[] = {
      {"nothing on both sides", {}, {}, "0/0 0/0 0/0"},
      {"the same", {square(0, .9F)}, {square(0, .9F)}, "1/1 1/1 1/1"},
      {"missed", {square(0, .9F)}, {}, "0/1 0/0 0/0"},
      {"made up", {}, {square(0, .9F)}, "0/0 0/1 0/1"},
      {"near enough", {square(0, .9F)}, {square(3, .9F)}, "1/1 1/1 1/1"},
      {"too far", {square(0, .9F)}, {square(4, .9F)}, "0/1 0/1 0/1"},
      {"another class", {square(0, .9F, 1)}, {square(0, .9F, 2)}, "0/1 0/1 0/1"},
      {"a wavering score, given", {square(0, .51F)}, {square(0, .3F)}, "1/1 1/1 0/0"},
      {"a wavering score, reference", {square(0, .21F)}, {square(0, .6F)}, "0/0 1/1 1/1"},
      {"at a threshold is not above it",
       {square(0, .5F), square(20, .2F)},
       {square(0, .25F), square(20, .5F)},
       "0/0 0/1 0/0"},
      {"a double is wrong", {square(0, .9F)}, {square(0, .9F), square(1, .8F)}, "1/1 1/2 1/2"},
      {"one given cannot stand for two",
       {square(0, .9F), square(2, .9F)},
       {square(1, .9F)},
       "1/2 1/1 1/1"},
      {"best first: its twin takes the match which would have made two",
       {square(3, .9F), square(6, .9F)},
       {square(0, .9F), square(3, .9F)},
       "1/2 1/2 1/2"},
  };
  for (const auto& [name, reference, given, want] : cases)
    EXPECT_EQ(in_words(count_agreement(reference, given)), want) << name;
}

TEST(FindMissed, NamesTheDetectionsThatNothingStandsFor) {
  const Detections reference{square(0, .9F), square(20, .4F), square(40, .9F), square(60, .9F, 1)};
  const Detections given{square(41, .3F), square(60, .9F), square(1, .2F)};
  EXPECT_EQ(find_missed(reference, given), (std::vector<std::size_t>{0, 3}));
  EXPECT_EQ(find_missed(reference, {}), (std::vector<std::size_t>{0, 2, 3}));
  EXPECT_TRUE(find_missed({}, given).empty());
}

TEST(FindMissed, AreThoseThatCountAgreementDoesNotFind) {
  std::mt19937 rng(11);
  std::uniform_real_distribution<float> place(0, 60);
  std::uniform_real_distribution<float> score(0, 1);
  for (int round = 0; round < 2000; ++round) {
    Detections reference;
    Detections given;
    for (Detections* const side : {&reference, &given}) {
      for (std::size_t n = rng() % 8; n > 0; --n)
        side->push_back(square(place(rng), score(rng), static_cast<int>(rng() % 2)));
    }
    const AgreementCounts counts = count_agreement(reference, given);
    const std::vector<std::size_t> missed = find_missed(reference, given);
    EXPECT_EQ(static_cast<std::int64_t>(missed.size()), counts.wanted - counts.found);
    EXPECT_TRUE(std::ranges::is_sorted(missed));
    for (const std::size_t i : missed) EXPECT_GT(reference.at(i).score, .5F);
  }
}

TEST(CountAgreement, TakesOtherThresholds) {
  const Detections reference{square(0, .4F)};
  const Detections given{square(3, .15F)};
  EXPECT_EQ(
      in_words(count_agreement(reference, given, {.hi = .3F, .lo = .1F, .base = .05F, .iou = .5})),
      "1/1 1/1 0/0");
  EXPECT_EQ(
      in_words(count_agreement(reference, given, {.hi = .3F, .lo = .1F, .base = .05F, .iou = .7})),
      "0/1 0/1 0/0");
}

TEST(CountAgreement, WhatIsNotANumberMatchesNothing) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  Detection no_box = square(0, .9F);
  no_box.box.x1 = kNan;
  const Detections odd{no_box,
                       square(0, kNan),
                       {.score = .9F, .box = {5, 5, 5, 5}},
                       {.score = .9F, .box = {9, 9, 1, 1}}};
  EXPECT_EQ(in_words(count_agreement(odd, odd)), "0/3 0/3 0/3");
}

TEST(AgreementCounts, RatiosAreOneWhereThereIsNothingToCount) {
  const AgreementCounts none;
  EXPECT_EQ(none.recall(), 1);
  EXPECT_EQ(none.precision(), 1);
  EXPECT_EQ(none.sure_precision(), 1);
  EXPECT_EQ(none.mean_iou(), 1);
  const AgreementCounts some{.found = 1,
                             .wanted = 2,
                             .right = 1,
                             .given = 4,
                             .sure_right = 3,
                             .sure_given = 4,
                             .overlap_sum = .6};
  EXPECT_DOUBLE_EQ(some.recall(), .5);
  EXPECT_DOUBLE_EQ(some.precision(), .25);
  EXPECT_DOUBLE_EQ(some.sure_precision(), .75);
  EXPECT_DOUBLE_EQ(some.mean_iou(), .6);
}

// Values as result lines print them: scores in steps of .05 (often on a threshold), boxes in
// quarters of a pixel, so that text, float and double hold the same.
Detections random_detections(std::mt19937& rng) {
  const auto pick = [&rng](int from, int to) {
    return std::uniform_int_distribution<int>(from, to)(rng);
  };
  Detections detections(static_cast<std::size_t>(pick(0, 9)));
  for (Detection& each : detections) {
    const float x = static_cast<float>(pick(0, 120)) / 4;
    const float y = static_cast<float>(pick(0, 60)) / 4;
    each = {.class_id = pick(0, 1),
            .score = static_cast<float>(pick(1, 20)) / 20,
            .box = {x, y, x + static_cast<float>(pick(0, 80)) / 4,
                    y + static_cast<float>(pick(20, 60)) / 4}};
  }
  return detections;
}

/// Somewhat moved, some missing, some added.
Detections disturbed(Detections detections, std::mt19937& rng) {
  std::erase_if(detections, [&rng](const Detection&) { return rng() % 5 == 0; });
  for (Detection& each : detections) {
    const float shift = static_cast<float>(rng() % 9) / 4;
    each.box.x1 += shift;
    each.box.x2 += shift;
    if (rng() % 3 == 0) each.score = static_cast<float>(rng() % 20 + 1) / 20;
  }
  for (const Detection& added : random_detections(rng))
    if (rng() % 4 == 0) detections.push_back(added);
  return detections;
}

TEST(CountAgreement, KeepsItsBounds) {  // property
  std::mt19937 rng(3);
  for (int round = 0; round < 3000; ++round) {
    const Detections reference = random_detections(rng);
    const Detections given = disturbed(reference, rng);
    const AgreementCounts counts = count_agreement(reference, given);
    EXPECT_LE(counts.found, std::min(counts.wanted, counts.given)) << round;
    EXPECT_LE(counts.right, counts.given) << round;
    EXPECT_LE(counts.sure_right, counts.sure_given) << round;
    EXPECT_LE(counts.sure_given, counts.given) << round;
    EXPECT_LE(counts.overlap_sum, static_cast<double>(counts.found) + 1e-9) << round;
    EXPECT_GE(counts.overlap_sum, .5 * static_cast<double>(counts.found) - 1e-9) << round;
  }
}

void write_line(std::ofstream& file, const std::string& camera, int frame,
                const Detections& detections) {
  std::string listed;
  for (const Detection& each : detections)
    listed += fmt::format(R"({}{{"class":{},"score":{:.4f},"box":[{:.2f},{:.2f},{:.2f},{:.2f}]}})",
                          listed.empty() ? "" : ",", each.class_id, each.score, each.box.x1,
                          each.box.y1, each.box.x2, each.box.y2);
  fmt::print(file, "{{\"camera\":\"{}\",\"frame_index\":{},\"detections\":[{}]}}\n", camera, frame,
             listed);
}

class AgreementScript : public testing::Test {
 protected:
  void SetUp() override {
    script_ = std::filesystem::path(FRAMEMILL_SOURCE_DIR) / "../shared/tools/agreement.py";
    if (!std::filesystem::exists(script_)) GTEST_SKIP() << "no " << script_.string();
  }
  std::string run_script(const std::string& options) const {
    const std::string command =
        fmt::format("/usr/bin/python3 '{}' '{}' '{}' {}", script_.string(),
                    reference_path().string(), given_path().string(), options);
    FILE* const pipe = popen(command.c_str(), "r");
    if (pipe == nullptr) return {};
    std::string text;
    std::array<char, 4096> part;
    while (const std::size_t got = fread(part.data(), 1, part.size(), pipe))
      text.append(part.data(), got);
    EXPECT_EQ(pclose(pipe), 0) << command;
    return text;
  }
  std::filesystem::path reference_path() const { return folder_ / "reference.jsonl"; }
  std::filesystem::path given_path() const { return folder_ / "given.jsonl"; }

  std::filesystem::path script_;
  const TempFolder folder_;
};

TEST_F(AgreementScript, SaysTheSame) {
  const std::tuple<const char*, AgreementThresholds> settings[] = {
      {"", {}},
      {"--hi .6 --lo .3 --base .1 --iou .7", {.hi = .6F, .lo = .3F, .base = .1F, .iou = .7}},
  };
  for (const auto& [options, thresholds] : settings) {
    std::mt19937 rng(17);
    std::map<std::string, AgreementCounts> sums;
    {
      std::ofstream reference_file(reference_path());
      std::ofstream given_file(given_path());
      for (int frame = 0; frame < 4000; ++frame) {
        const std::string camera = fmt::format("camera-{}", frame % 4);
        const Detections reference = random_detections(rng);
        const Detections given = disturbed(reference, rng);
        write_line(reference_file, camera, frame, reference);
        const bool is_answered = frame % 50 != 7;  // no answer: nothing given
        if (is_answered) write_line(given_file, camera, frame, given);
        const AgreementCounts counts =
            count_agreement(reference, is_answered ? given : Detections{}, thresholds);
        sums[camera] += counts;
        sums["all"] += counts;
      }
    }
    const std::string text = run_script(fmt::format("--by-camera {}", options));
    const std::regex row(
        R"((\S+): recall (\S+), precision (\S+), sure (\S+), mean IoU (\S+); (\d+) wanted, (\d+) given)");
    std::size_t rows = 0;
    for (std::sregex_iterator it(text.begin(), text.end(), row), end; it != end; ++it, ++rows) {
      const std::smatch& found = *it;
      const AgreementCounts& own = sums.at(found[1]);
      EXPECT_EQ(fmt::format("{:.4f}", own.recall()), found[2]) << found[0];
      EXPECT_EQ(fmt::format("{:.4f}", own.precision()), found[3]) << found[0];
      EXPECT_EQ(fmt::format("{:.4f}", own.sure_precision()), found[4]) << found[0];
      EXPECT_EQ(fmt::format("{:.4f}", own.mean_iou()), found[5]) << found[0];
      EXPECT_EQ(std::to_string(own.wanted), found[6]) << found[0];
      EXPECT_EQ(std::to_string(own.given), found[7]) << found[0];
    }
    EXPECT_EQ(rows, 5U) << text;
  }
}

TEST(FindMatches, IsWhatTheCountsSay) {  // property, on random answers
  std::mt19937 rng(23);
  for (int round = 0; round < 500; ++round) {
    const Detections reference = random_detections(rng);
    const Detections given = disturbed(reference, rng);
    const AgreementCounts counts = count_agreement(reference, given);
    double overlap = 0;
    const std::vector<DetectionMatch> matches = find_matches(reference, given);
    for (std::size_t i = 0; i < matches.size(); ++i) {
      if (i > 0) {
        EXPECT_LT(matches[i - 1].reference, matches[i].reference);
      }
      EXPECT_EQ(reference[matches[i].reference].class_id, given[matches[i].given].class_id);
      overlap += matches[i].overlap;
    }
    EXPECT_EQ(static_cast<std::int64_t>(matches.size()), counts.found);
    EXPECT_NEAR(overlap, counts.overlap_sum, 1e-9);
    EXPECT_EQ(static_cast<std::int64_t>(find_unconfirmed(reference, given).size()),
              counts.sure_given - counts.sure_right);
    EXPECT_EQ(static_cast<std::int64_t>(find_missed(reference, given).size()),
              counts.wanted - counts.found);
  }
}

}  // namespace
}  // namespace framemill

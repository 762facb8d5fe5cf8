#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "framemill/engine/evaluation/match_table.h"

namespace framemill {

/// Points of recall at which COCO reads the precision: 0, .01, ... 1.
inline constexpr std::size_t kRecallPoints = 101;

/// Average precision and recall, 0..1, as COCO's summary has them; none where there is no object to
/// find.
struct ApFigures {
  std::optional<double> ap;      ///< mean over overlaps .50:.05:.95
  std::optional<double> ap50;    ///< at overlap .5
  std::optional<double> ap75;    ///< at overlap .75
  std::optional<double> recall;  ///< most that can be found, mean over the overlaps (COCO's AR@100)
  friend bool operator==(const ApFigures&, const ApFigures&) = default;
};

/// One class.
struct ClassAp {
  int class_id = 0;
  std::int64_t objects = 0;  ///< that count
  ApFigures figures;
};

struct ApReport {
  std::array<ApFigures, kSizeRanges> by_size;        ///< means over the classes with objects
  std::array<std::int64_t, kSizeRanges> objects{};   ///< that count
  std::vector<ClassAp> classes;                      ///< those with objects, by ascending id
  std::array<double, kRecallPoints> precision_50{};  ///< at overlap .5, mean over the classes
  std::array<double, kRecallPoints> precision_75{};
};

/// Pure; a few passes over the table.
[[nodiscard]] ApReport average_precision(const MatchTable& table);

/// AP (mean over overlaps and classes) of `range` with each picture counted `weights[picture]`
/// times; none where no object is left. Pure; one pass over the table for each overlap.
[[nodiscard]] std::optional<double> weighted_ap(const MatchTable& table, SizeRange range,
                                                std::span<const std::uint32_t> weights);

/// A 95 % interval.
struct Interval {
  double low = 0;
  double high = 0;
  friend bool operator==(const Interval&, const Interval&) = default;
};

/// weighted_ap() for `resamples` draws of as many pictures with repetition, from a fixed seed: the
/// same draws for every table of as many pictures, so that the differences of two are paired. Pure.
[[nodiscard]] std::vector<std::optional<double>> resample_ap(const MatchTable& table,
                                                             SizeRange range, std::size_t resamples,
                                                             std::uint64_t seed);

/// As many resamples as take about a second, `most` at most, 100 at least.
[[nodiscard]] std::size_t affordable_resamples(const MatchTable& table, std::size_t most);

/// The middle 95 % of `values`; none below ten values.
[[nodiscard]] std::optional<Interval> middle_95(std::vector<double> values);

/// At one overlap (.5): what is found and what is right of the detections from `score` on.
struct OperatingFigures {
  std::int64_t found = 0;                                 ///< objects
  std::int64_t wanted = 0;                                ///< objects that count
  std::int64_t given = 0;                                 ///< detections that count
  [[nodiscard]] std::optional<double> recall() const;     ///< found / wanted
  [[nodiscard]] std::optional<double> precision() const;  ///< found / given
};

struct ClassOperating {
  int class_id = 0;
  OperatingFigures figures;
};

/// What a model gives when it publishes from `score` on.
struct OperatingReport {
  double score = 0;
  std::array<OperatingFigures, kSizeRanges> by_size;
  std::vector<ClassOperating> classes;  ///< those with objects or detections, by ascending id
};
[[nodiscard]] OperatingReport operating_report(const MatchTable& table, double score);

/// The score with the best harmonic mean of recall and precision, over all classes together; none
/// without a right detection.
struct BestScore {
  double score = 0;
  double recall = 0;
  double precision = 0;
  double f1 = 0;
};
[[nodiscard]] std::optional<BestScore> best_score(const MatchTable& table);

}  // namespace framemill

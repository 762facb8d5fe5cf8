#include "framemill/engine/evaluation/average_precision.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <random>

#include "framemill/base/check.h"

// AP of one class at one overlap: walk the detections best first; after each, recall = right so
// far / objects, precision = right / all so far. The precision read at a point of recall is the
// best one at that recall or beyond, 0 where that recall is never reached, and AP is its mean over
// 101 points. Only the places where one more is right matter: between them recall stands still and
// precision falls. Values and their last digits are those of cocoeval.py.

namespace framemill {
namespace {

constexpr std::size_t kIou50 = 0, kIou75 = 5;

/// After a detection that is right.
struct CurvePoint {
  double right = 0;
  double precision = 0;
};

/// The curve of one class at one overlap, and how many objects it would take.
class PrecisionCurve {
 public:
  void begin() {
    points_.clear();
    right_ = all_ = 0;
  }
  /// The next detection, best first, counted `weight` times.
  void add(bool is_right, double weight) {
    all_ += weight;
    if (!is_right || !(weight > 0)) return;
    right_ += weight;
    points_.push_back({right_, right_ / (all_ + std::numeric_limits<double>::epsilon())});
  }
  void end() {
    for (std::size_t i = points_.size(); i > 1; --i)
      points_[i - 2].precision = std::max(points_[i - 2].precision, points_[i - 1].precision);
  }

  /// Adds the precision at each point of recall to `sums`, and returns their mean.
  double read(double objects, std::span<double, kRecallPoints> sums) const {
    double total = 0;
    std::size_t at = 0;
    for (std::size_t i = 0; i < kRecallPoints; ++i) {
      const double recall =
          i + 1 == kRecallPoints ? 1 : static_cast<double>(i) * (1.0 / (kRecallPoints - 1));
      while (at < points_.size() && points_[at].right / objects < recall) ++at;
      if (at == points_.size()) break;
      sums[i] += points_[at].precision;
      total += points_[at].precision;
    }
    return total / kRecallPoints;
  }

  [[nodiscard]] double right() const { return right_; }

 private:
  double right_ = 0;
  double all_ = 0;
  std::vector<CurvePoint> points_;
};

struct Mean {
  double sum = 0;
  std::int64_t count = 0;
  void add(double value) {
    sum += value;
    ++count;
  }
  [[nodiscard]] std::optional<double> value() const {
    return count > 0 ? std::optional(sum / static_cast<double>(count)) : std::nullopt;
  }
};

/// Of one class and size range.
struct ClassSums {
  std::array<double, kIouCount> ap{};
  double recall = 0;
  [[nodiscard]] ApFigures figures() const {
    double sum = 0;
    for (const double each : ap) sum += each;
    return {.ap = sum / kIouCount, .ap50 = ap[kIou50], .ap75 = ap[kIou75], .recall = recall};
  }
};

void trace(const ClassMatches& matches, std::size_t range, std::size_t threshold,
           PrecisionCurve& curve) {
  const auto bit = static_cast<std::uint16_t>(1U << threshold);
  curve.begin();
  for (const MatchedDetection& each : matches.detections) {
    if ((each.is_ignored[range] & bit) == 0) curve.add((each.is_right[range] & bit) != 0, 1);
  }
  curve.end();
}

/// Counts of the detections from `score` on.
OperatingFigures count_from(const ClassMatches& matches, std::size_t range, double score) {
  OperatingFigures figures{.wanted = matches.object_counts[range]};
  for (const MatchedDetection& each : matches.detections) {
    if (!(each.score >= score)) break;
    figures.found += (each.is_right[range] >> kIou50) & 1;
    figures.given += 1 - ((each.is_ignored[range] >> kIou50) & 1);
  }
  return figures;
}

std::optional<double> share(std::int64_t part, std::int64_t whole) {
  if (whole == 0) return std::nullopt;
  return static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

ApReport average_precision(const MatchTable& table) {
  ApReport report;
  PrecisionCurve curve;
  std::size_t class_count = 0;
  std::array<double, kRecallPoints> unused{};
  for (std::size_t range = 0; range < kSizeRanges; ++range) {
    Mean ap, ap50, ap75, recall;
    for (std::size_t id = 0; id < table.classes.size(); ++id) {
      const ClassMatches& matches = table.classes[id];
      const auto objects = static_cast<double>(matches.object_counts[range]);
      if (!(objects > 0)) continue;
      ClassSums sums;
      for (std::size_t i = 0; i < kIouCount; ++i) {
        trace(matches, range, i, curve);
        auto& into = range != 0    ? unused
                     : i == kIou50 ? report.precision_50
                     : i == kIou75 ? report.precision_75
                                   : unused;
        sums.ap[i] = curve.read(objects, into);
        sums.recall += curve.right() / objects / kIouCount;
      }
      const ApFigures figures = sums.figures();
      ap.add(*figures.ap);
      ap50.add(*figures.ap50);
      ap75.add(*figures.ap75);
      recall.add(*figures.recall);
      report.objects[range] += matches.object_counts[range];
      if (range != 0) continue;
      ++class_count;
      report.classes.push_back({.class_id = static_cast<int>(id),
                                .objects = matches.object_counts[range],
                                .figures = figures});
    }
    report.by_size[range] = {
        .ap = ap.value(), .ap50 = ap50.value(), .ap75 = ap75.value(), .recall = recall.value()};
  }
  for (auto* const sums : {&report.precision_50, &report.precision_75}) {
    for (double& each : *sums) each /= static_cast<double>(std::max<std::size_t>(class_count, 1));
  }
  return report;
}

namespace {

/// AP of one size range over pictures with weights, again and again. What a weight cannot change is
/// left away beforehand: ignored detections, and those behind the last right one, which is most.
class WeightedAp {
 public:
  WeightedAp(const MatchTable& table, SizeRange range) {
    const auto place = static_cast<std::size_t>(range);
    for (const ClassMatches& matches : table.classes) {
      if (matches.object_counts[place] == 0) continue;
      Class& each = classes_.emplace_back();
      each.objects = &matches.objects[place];
      for (std::size_t i = 0; i < kIouCount; ++i) {
        std::vector<Step>& steps = each.steps[i];
        std::size_t end = 0;
        const auto bit = static_cast<std::uint16_t>(1U << i);
        for (const MatchedDetection& detection : matches.detections) {
          if ((detection.is_ignored[place] & bit) != 0) continue;
          const bool is_right = (detection.is_right[place] & bit) != 0;
          steps.push_back({detection.picture, is_right});
          if (is_right) end = steps.size();
        }
        steps.resize(end);
      }
    }
  }

  std::optional<double> operator()(std::span<const std::uint32_t> weights) {
    Mean mean;
    for (const Class& each : classes_) {
      std::uint64_t objects = 0;
      for (std::size_t i = 0; i < weights.size(); ++i)
        objects += std::uint64_t{(*each.objects)[i]} * weights[i];
      if (objects == 0) continue;
      double sum = 0;
      for (const std::vector<Step>& steps : each.steps) {
        curve_.begin();
        for (const Step& step : steps) curve_.add(step.is_right, weights[step.picture]);
        curve_.end();
        sum += curve_.read(static_cast<double>(objects), unused_);
      }
      mean.add(sum / kIouCount);
    }
    return mean.value();
  }

 private:
  struct Step {
    std::uint32_t picture = 0;
    bool is_right = false;
  };
  struct Class {
    const std::vector<std::uint32_t>* objects = nullptr;  ///< of the table, by picture
    std::array<std::vector<Step>, kIouCount> steps;
  };
  std::vector<Class> classes_;
  PrecisionCurve curve_;
  std::array<double, kRecallPoints> unused_{};
};

}  // namespace

std::optional<double> weighted_ap(const MatchTable& table, SizeRange range,
                                  std::span<const std::uint32_t> weights) {
  CHECK(weights.size() == table.picture_count);
  return WeightedAp(table, range)(weights);
}

std::vector<std::optional<double>> resample_ap(const MatchTable& table, SizeRange range,
                                               std::size_t resamples, std::uint64_t seed) {
  std::vector<std::optional<double>> values;
  WeightedAp weighted(table, range);
  std::mt19937_64 random(seed);
  std::vector<std::uint32_t> weights;
  for (std::size_t i = 0; i < resamples && table.picture_count > 0; ++i) {
    weights.assign(table.picture_count, 0);
    for (std::size_t draw = 0; draw < table.picture_count; ++draw)
      ++weights[random() % table.picture_count];
    values.push_back(weighted(weights));
  }
  return values;
}

std::size_t affordable_resamples(const MatchTable& table, std::size_t most) {
  constexpr double kSteps = 4e8;
  constexpr double kStepsOfAClass = 2500;  // reading its curves
  double steps = 1;
  for (const ClassMatches& matches : table.classes) {
    if (matches.object_counts[0] > 0)
      steps += static_cast<double>(matches.detections.size()) * kIouCount / 2 + kStepsOfAClass;
  }
  return std::clamp(static_cast<std::size_t>(kSteps / steps), std::min<std::size_t>(100, most),
                    most);
}

std::optional<Interval> middle_95(std::vector<double> values) {
  if (values.size() < 10) return std::nullopt;
  std::ranges::sort(values);
  const auto at = [&](double share_below) {
    const double place = share_below * static_cast<double>(values.size() - 1);
    const auto below = static_cast<std::size_t>(place);
    const std::size_t above = std::min(below + 1, values.size() - 1);
    const double rest = place - static_cast<double>(below);
    return values[below] * (1 - rest) + values[above] * rest;
  };
  return Interval{.low = at(.025), .high = at(.975)};
}

std::optional<double> OperatingFigures::recall() const { return share(found, wanted); }
std::optional<double> OperatingFigures::precision() const { return share(found, given); }

OperatingReport operating_report(const MatchTable& table, double score) {
  OperatingReport report{.score = score};
  for (std::size_t id = 0; id < table.classes.size(); ++id) {
    for (std::size_t range = 0; range < kSizeRanges; ++range) {
      const OperatingFigures figures = count_from(table.classes[id], range, score);
      OperatingFigures& sum = report.by_size[range];
      sum.found += figures.found;
      sum.wanted += figures.wanted;
      sum.given += figures.given;
      if (range == 0 && (figures.wanted > 0 || figures.given > 0))
        report.classes.push_back({.class_id = static_cast<int>(id), .figures = figures});
    }
  }
  return report;
}

std::optional<BestScore> best_score(const MatchTable& table) {
  std::vector<std::pair<double, bool>> detections;
  std::int64_t wanted = 0;
  for (const ClassMatches& matches : table.classes) {
    wanted += matches.object_counts[0];
    for (const MatchedDetection& each : matches.detections) {
      if (((each.is_ignored[0] >> kIou50) & 1) == 0)
        detections.emplace_back(each.score, ((each.is_right[0] >> kIou50) & 1) != 0);
    }
  }
  std::ranges::stable_sort(detections, std::greater<>(), &std::pair<double, bool>::first);
  std::optional<BestScore> best;
  double right = 0;
  for (std::size_t i = 0; i < detections.size(); ++i) {
    right += detections[i].second ? 1 : 0;
    const bool is_last_of_score =
        i + 1 == detections.size() || detections[i + 1].first != detections[i].first;
    if (!is_last_of_score || right == 0) continue;
    const double f1 = 2 * right / (static_cast<double>(i + 1) + static_cast<double>(wanted));
    if (best && f1 <= best->f1) continue;
    best = BestScore{.score = detections[i].first,
                     .recall = right / static_cast<double>(wanted),
                     .precision = right / static_cast<double>(i + 1),
                     .f1 = f1};
  }
  return best;
}

}  // namespace framemill

#include "framemill/core/agreement.h"

#include <algorithm>
#include <cstddef>
#include <functional>
#include <tuple>
#include <vector>

#include "framemill/base/check.h"

namespace framemill {
namespace {

double ratio(double part, double whole) { return whole > 0 ? part / whole : 1; }

/// In double, so that a pair at the threshold falls the same way as in agreement.py.
double exact_iou(const Box& a, const Box& b) {
  const double x1a = a.x1, y1a = a.y1, x2a = a.x2, y2a = a.y2;
  const double x1b = b.x1, y1b = b.y1, x2b = b.x2, y2b = b.y2;
  const double width = std::min(x2a, x2b) - std::max(x1a, x1b);
  const double height = std::min(y2a, y2b) - std::max(y1a, y1b);
  if (!(width > 0 && height > 0)) return 0;
  const double overlap = width * height;
  return overlap / ((x2a - x1a) * (y2a - y1a) + (x2b - x1b) * (y2b - y1b) - overlap);
}

struct Pair {
  double overlap = 0;
  std::size_t left = 0;
  std::size_t right = 0;
  friend bool operator>(const Pair& a, const Pair& b) {
    return std::tie(a.overlap, a.left, a.right) > std::tie(b.overlap, b.left, b.right);
  }
};

struct Matches {
  std::int64_t count = 0;
  double overlap_sum = 0;
  std::vector<bool> is_left_used;
  std::vector<Pair> pairs;
};

/// The one-to-one matches between the detections of `left` above `left_score` and those of `right`
/// above `right_score`, best first.
Matches match(std::span<const Detection> left, float left_score, std::span<const Detection> right,
              float right_score, double least_overlap) {
  std::vector<Pair> pairs;
  for (std::size_t i = 0; i < left.size(); ++i) {
    if (!(left[i].score > left_score)) continue;
    for (std::size_t j = 0; j < right.size(); ++j) {
      if (!(right[j].score > right_score) || right[j].class_id != left[i].class_id) continue;
      const double overlap = exact_iou(left[i].box, right[j].box);
      if (overlap >= least_overlap) pairs.push_back({overlap, i, j});
    }
  }
  std::ranges::sort(pairs, std::greater<>());
  Matches matches{.is_left_used = std::vector<bool>(left.size())};
  std::vector<bool>& is_left_used = matches.is_left_used;
  std::vector<bool> is_right_used(right.size());
  for (const Pair& pair : pairs) {
    if (is_left_used[pair.left] || is_right_used[pair.right]) continue;
    is_left_used[pair.left] = true;
    is_right_used[pair.right] = true;
    ++matches.count;
    matches.overlap_sum += pair.overlap;
    matches.pairs.push_back(pair);
  }
  return matches;
}

std::int64_t count_above(std::span<const Detection> detections, float score) {
  return std::ranges::count_if(detections,
                               [score](const Detection& each) { return each.score > score; });
}

}  // namespace

AgreementCounts& AgreementCounts::operator+=(const AgreementCounts& other) {
  found += other.found;
  wanted += other.wanted;
  right += other.right;
  given += other.given;
  sure_right += other.sure_right;
  sure_given += other.sure_given;
  overlap_sum += other.overlap_sum;
  return *this;
}

double AgreementCounts::recall() const {
  return ratio(static_cast<double>(found), static_cast<double>(wanted));
}
double AgreementCounts::precision() const {
  return ratio(static_cast<double>(right), static_cast<double>(given));
}
double AgreementCounts::sure_precision() const {
  return ratio(static_cast<double>(sure_right), static_cast<double>(sure_given));
}
double AgreementCounts::mean_iou() const { return ratio(overlap_sum, static_cast<double>(found)); }

AgreementCounts count_agreement(std::span<const Detection> reference,
                                std::span<const Detection> given,
                                const AgreementThresholds& thresholds) {
  CHECK(thresholds.iou > 0 && thresholds.iou <= 1);
  const auto [hi, lo, base, least] = thresholds;
  const Matches recalled = match(reference, hi, given, lo, least);
  return {.found = recalled.count,
          .wanted = count_above(reference, hi),
          .right = match(given, lo, reference, base, least).count,
          .given = count_above(given, lo),
          .sure_right = match(given, hi, reference, base, least).count,
          .sure_given = count_above(given, hi),
          .overlap_sum = recalled.overlap_sum};
}

namespace {

/// The detections above `score` that `matches` says nothing of, by place.
std::vector<std::size_t> unmatched(std::span<const Detection> detections, float score,
                                   const Matches& matches) {
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < detections.size(); ++i) {
    if (detections[i].score > score && !matches.is_left_used[i]) places.push_back(i);
  }
  return places;
}

}  // namespace

std::vector<std::size_t> find_missed(std::span<const Detection> reference,
                                     std::span<const Detection> given,
                                     const AgreementThresholds& thresholds) {
  CHECK(thresholds.iou > 0 && thresholds.iou <= 1);
  return unmatched(reference, thresholds.hi,
                   match(reference, thresholds.hi, given, thresholds.lo, thresholds.iou));
}

std::vector<DetectionMatch> find_matches(std::span<const Detection> reference,
                                         std::span<const Detection> given,
                                         const AgreementThresholds& thresholds) {
  CHECK(thresholds.iou > 0 && thresholds.iou <= 1);
  std::vector<DetectionMatch> found;
  for (const Pair& pair :
       match(reference, thresholds.hi, given, thresholds.lo, thresholds.iou).pairs)
    found.push_back({.reference = pair.left, .given = pair.right, .overlap = pair.overlap});
  std::ranges::sort(found, {}, &DetectionMatch::reference);
  return found;
}

std::vector<std::size_t> find_unconfirmed(std::span<const Detection> reference,
                                          std::span<const Detection> given,
                                          const AgreementThresholds& thresholds) {
  CHECK(thresholds.iou > 0 && thresholds.iou <= 1);
  return unmatched(given, thresholds.hi,
                   match(given, thresholds.hi, reference, thresholds.base, thresholds.iou));
}

}  // namespace framemill

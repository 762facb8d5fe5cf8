#include "framemill/engine/evaluation/worst_pictures.h"

#include <algorithm>
#include <utility>

#include "framemill/core/agreement.h"
#include "framemill/vision/annotate.h"

namespace framemill {
namespace {

/// Wide enough to see a small object, small enough to mail a page of them.
constexpr int kWidthMax = 960;

std::vector<Detection> from(std::span<const Detection> detections, double score) {
  std::vector<Detection> kept;
  for (const Detection& each : detections)
    if (static_cast<double>(each.score) >= score) kept.push_back(each);
  return kept;
}

void judge(WorstPicture& worst, const std::vector<std::size_t>& missed,
           const std::vector<std::size_t>& unconfirmed) {
  worst.is_left_bad.assign(worst.left.size(), false);
  worst.is_right_bad.assign(worst.right.size(), false);
  for (const std::size_t place : missed) {
    worst.is_left_bad[place] = true;
    worst.badness += static_cast<double>(worst.left[place].score);
  }
  for (const std::size_t place : unconfirmed) {
    worst.is_right_bad[place] = true;
    worst.badness += static_cast<double>(worst.right[place].score);
  }
  worst.missed = static_cast<std::int64_t>(missed.size());
  worst.unconfirmed = static_cast<std::int64_t>(unconfirmed.size());
}

}  // namespace

void WorstPictures::add_labelled(std::size_t picture, std::size_t condition, const Picture& pixels,
                                 std::span<const LabelledObject> objects,
                                 std::span<const Detection> found, double score) {
  if (most_ == 0) return;
  WorstPicture worst{.picture = picture, .right = from(found, score)};
  for (const LabelledObject& object : objects) {
    if (!object.is_ignored)
      worst.left.push_back({.class_id = object.class_id, .score = 1, .box = object.box});
  }
  // Everything that is left counts as sure here, on both sides.
  const AgreementThresholds all{.hi = -1, .lo = -1, .base = -1};
  judge(worst, find_missed(worst.left, worst.right, all),
        find_unconfirmed(worst.left, worst.right, all));
  keep(condition, std::move(worst), pixels);
}

void WorstPictures::add_compared(std::size_t picture, std::size_t condition, const Picture& pixels,
                                 std::span<const Detection> reference,
                                 std::span<const Detection> found) {
  if (most_ == 0) return;
  const AgreementThresholds thresholds;
  WorstPicture worst{.picture = picture,
                     .left = from(reference, static_cast<double>(thresholds.lo)),
                     .right = from(found, static_cast<double>(thresholds.lo))};
  // Confirmed by what stands below the shown ones, too: as the figures have it.
  judge(worst, find_missed(worst.left, worst.right, thresholds),
        find_unconfirmed(reference, worst.right, thresholds));
  keep(condition, std::move(worst), pixels);
}

void WorstPictures::keep(std::size_t condition, WorstPicture&& candidate, const Picture& pixels) {
  std::vector<WorstPicture>& kept = kept_[condition];
  if (!(candidate.badness > 0)) return;
  // Equal ones by picture, so that the order in which they pass by does not matter.
  const auto is_worse = [](const WorstPicture& a, const WorstPicture& b) {
    return a.badness != b.badness ? a.badness > b.badness : a.picture < b.picture;
  };
  if (kept.size() == most_ && !is_worse(candidate, kept.back())) return;
  if (Result<std::vector<std::uint8_t>> jpeg = draw_jpeg(pixels, {}, {}, "", kWidthMax))
    candidate.jpeg = *std::move(jpeg);
  candidate.condition = conditions_[condition];
  kept.insert(std::ranges::upper_bound(kept, candidate, is_worse), std::move(candidate));
  if (kept.size() > most_) kept.pop_back();
}

std::vector<WorstPicture> WorstPictures::take() {
  std::vector<WorstPicture> all;
  for (std::vector<WorstPicture>& of_condition : kept_) {
    std::ranges::move(of_condition, std::back_inserter(all));
    of_condition.clear();
  }
  return all;
}

}  // namespace framemill

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "framemill/core/answer.h"

namespace framemill {

/// From which score on a detection counts, and which overlap makes two of them the same. Two
/// thresholds on each side keep a score that wavers around one of them from counting as a mistake.
struct AgreementThresholds {
  float hi = .5F;    ///< above it a detection is sure
  float lo = .25F;   ///< above it a given detection counts
  float base = .2F;  ///< above it a detection of the reference confirms a given one
  double iou = .5;   ///< least overlap of a match; 0 < iou <= 1
};

/// How much of what a reference (full inference) reports another answer reports, and how much of
/// that answer the reference confirms; of one frame, or summed over many. Plain value.
struct AgreementCounts {
  std::int64_t found = 0;       ///< of `wanted`: matched by a given detection above lo
  std::int64_t wanted = 0;      ///< the reference's detections above hi
  std::int64_t right = 0;       ///< of `given`: matched by one of the reference above base
  std::int64_t given = 0;       ///< given detections above lo
  std::int64_t sure_right = 0;  ///< the same for those above hi
  std::int64_t sure_given = 0;
  double overlap_sum = 0;  ///< IoU of the found ones

  AgreementCounts& operator+=(const AgreementCounts& other);
  friend bool operator==(const AgreementCounts&, const AgreementCounts&) = default;

  /// Ratios of the counts, 0..1; 1 where there is nothing to count.
  [[nodiscard]] double recall() const;
  [[nodiscard]] double precision() const;
  [[nodiscard]] double sure_precision() const;
  [[nodiscard]] double mean_iou() const;
};

/// Compares the answer of one frame with the reference's. Detections of one class match one to one,
/// the best IoU first (of equal ones the pair that stands last), from `thresholds.iou` on; for
/// recall, precision and sure precision apart. A double counts as wrong. A frame without an answer
/// is one with nothing given. Values that are not numbers match nothing.
/// The figures of `agreement.py`, which takes scores and boxes as result lines print them.
/// Pure, any thread; O(n m) for n and m detections.
[[nodiscard]] AgreementCounts count_agreement(std::span<const Detection> reference,
                                              std::span<const Detection> given,
                                              const AgreementThresholds& thresholds = {});

/// Which detections of `reference` above hi are missed, that is counted in `wanted` but not in
/// `found` by count_agreement(): their places in `reference`, ascending. Pure, O(n m).
[[nodiscard]] std::vector<std::size_t> find_missed(std::span<const Detection> reference,
                                                   std::span<const Detection> given,
                                                   const AgreementThresholds& thresholds = {});

/// A detection of the reference and the given one that count_agreement() takes for the same.
struct DetectionMatch {
  std::size_t reference = 0;  ///< place in the reference's detections
  std::size_t given = 0;      ///< place in the given ones
  double overlap = 0;         ///< IoU
};

/// The pairs behind AgreementCounts::found, by ascending place in `reference`. Pure, O(n m).
[[nodiscard]] std::vector<DetectionMatch> find_matches(std::span<const Detection> reference,
                                                       std::span<const Detection> given,
                                                       const AgreementThresholds& thresholds = {});

/// Those of `given` above hi that the reference does not confirm, that is counted in `sure_given`
/// but not in `sure_right`: their places in `given`, ascending. Pure, O(n m).
[[nodiscard]] std::vector<std::size_t> find_unconfirmed(std::span<const Detection> reference,
                                                        std::span<const Detection> given,
                                                        const AgreementThresholds& thresholds = {});

}  // namespace framemill

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "framemill/core/answer.h"
#include "framemill/engine/evaluation/labelled_picture.h"

namespace framemill {

/// Objects by their area in pixels of the picture, as COCO divides them: small up to 32 x 32, large
/// from 96 x 96 on; one at a limit belongs to both sides.
enum class SizeRange : std::uint8_t { kAll, kSmall, kMedium, kLarge };
inline constexpr std::size_t kSizeRanges = 4;
inline constexpr std::array<std::string_view, kSizeRanges> kSizeRangeNames{"all", "small", "medium",
                                                                           "large"};
[[nodiscard]] bool is_in_range(double area, SizeRange range);

/// The overlaps that COCO averages over: .50, .55, ... .95.
inline constexpr std::size_t kIouCount = 10;
[[nodiscard]] const std::array<double, kIouCount>& iou_thresholds();

/// Most detections of one class in one picture that count, the best ones, as in COCO.
inline constexpr std::size_t kDetectionsMax = 100;

/// What became of one detection: for each size range, by IoU threshold (bit i: the i-th).
struct MatchedDetection {
  double score = 0;
  std::uint32_t picture = 0;
  std::array<std::uint16_t, kSizeRanges> is_right{};    ///< matched an object that counts
  std::array<std::uint16_t, kSizeRanges> is_ignored{};  ///< neither right nor wrong
};

/// One class over all pictures.
struct ClassMatches {
  std::vector<MatchedDetection> detections;  ///< best score first, equal ones by picture
  /// Objects that count, of each size range, by picture.
  std::array<std::vector<std::uint32_t>, kSizeRanges> objects;
  std::array<std::int64_t, kSizeRanges> object_counts{};  ///< their sums
  std::int64_t labelled = 0;                              ///< objects, ignored ones too
};

/// Which detections are right, at every overlap and for every size: all that average precision,
/// recall and precision at a score, and resamples of the pictures need.
struct MatchTable {
  std::size_t picture_count = 0;
  std::vector<ClassMatches> classes;  ///< by class id
};

/// A detection as COCO's result files have it.
struct ExactDetection {
  int class_id = 0;
  double score = 0;
  ExactBox box;
};

/// Matches detections to objects as COCO does (cocoeval.py of pycocotools, which it equals): class
/// by class and picture by picture, the best detection first, each to the free object that it
/// overlaps most, of equal ones the last; one that counts goes before one that is ignored. A crowd
/// may be matched often, and its overlap is the share of the detection inside it. Detections
/// without a match that are of another size than the range are ignored. One entry a picture on both
/// sides, class ids in 0..class_count-1 (others are left out), boxes in pixels. Pure;
/// O(detections x objects) a picture and class.
[[nodiscard]] MatchTable match_pictures(std::span<const std::vector<LabelledObject>> objects,
                                        std::span<const std::vector<ExactDetection>> detections,
                                        std::size_t class_count);
/// The same for detections of a model.
[[nodiscard]] MatchTable match_pictures(std::span<const std::vector<LabelledObject>> objects,
                                        std::span<const std::vector<Detection>> detections,
                                        std::size_t class_count);

}  // namespace framemill

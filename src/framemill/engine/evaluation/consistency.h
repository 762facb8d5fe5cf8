#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "framemill/core/agreement.h"
#include "framemill/engine/evaluation/average_precision.h"

namespace framemill {

/// What a model may differ by from the one it is held against.
struct ConsistencyLimits {
  double ap_loss = .01;          ///< AP of the other less AP of the model, at most
  double small_ap_loss = .02;    ///< the same over small objects
  double agreement = .97;        ///< at least
  double part_agreement = .85;   ///< the same within each class and each size, at least ...
  std::int64_t part_least = 20;  ///< ... where there are so many sure detections
  /// So many sure detections of either model, or labelled objects that the other one finds, are
  /// compared at least, on the pictures as they are: fewer do not show that two models agree. Nor
  /// do fewer detections or objects show that they differ, unless by more than chance would.
  std::int64_t sure_least = 20;
};

/// What holding a model against another one says.
enum class Verdict : std::uint8_t {
  kConsistent,
  kNotConsistent,  ///< a limit is not kept
  kNotShown,       ///< all are kept, by too few detections to say so
};
[[nodiscard]] std::string_view to_string(Verdict verdict);

/// Sure detections of the side that has more of them. Pure.
[[nodiscard]] std::int64_t sure_detections(const AgreementCounts& counts);

/// Agreement of one class or one size of objects.
struct PartAgreement {
  AgreementCounts counts;
  [[nodiscard]] double agreement() const;
};

/// How one model's detections agree with another's (the reference) over pictures. See
/// AgreementCounts for what is counted.
struct AgreementReport {
  AgreementCounts counts;
  std::array<PartAgreement, kSizeRanges> by_size;  ///< a pair goes by the reference's box
  std::vector<PartAgreement> by_class;             ///< by class id
  std::int64_t pairs = 0;                          ///< sure detections of the reference, found
  double score_shift = 0;      ///< mean of (model's score - reference's) over the pairs
  double score_shift_abs = 0;  ///< mean of its size
  double mean_iou = 1;         ///< of the pairs' boxes; 1 without pairs
  double low_iou = 1;          ///< 5 % of the pairs overlap less
  std::vector<AgreementCounts> by_picture;
  std::optional<Interval> interval;  ///< of agreement(); where somebody set it

  /// Harmonic mean of recall (of the reference's sure detections) and sure precision; 1 where there
  /// is nothing to count.
  [[nodiscard]] double agreement() const;
};

/// One entry a picture on both sides, the same class ids. Pure.
[[nodiscard]] AgreementReport compare_detections(std::span<const std::vector<Detection>> reference,
                                                 std::span<const std::vector<Detection>> given,
                                                 std::size_t class_count);

/// The middle 95 % of agreement() over `most` draws (fewer for large data) of as many of `pictures`
/// with repetition; none below ten pictures. The same inputs give the same. Pure.
[[nodiscard]] std::optional<Interval> resample_agreement(std::span<const AgreementCounts> pictures,
                                                         std::size_t most, std::uint64_t seed);

/// Whether at most `right` of `count` is less than chance explains (below 2.5 %) where each is
/// right with probability `least`. Pure.
[[nodiscard]] bool is_beyond_chance(std::int64_t right, std::int64_t count, double least);

/// A difference with its 95 % interval; no interval below ten pictures.
struct Loss {
  double value = 0;
  std::optional<Interval> interval;
};

/// AP of the reference less AP of the model; none where there is nothing to find.
struct ApLoss {
  std::array<std::optional<Loss>, kSizeRanges> by_size;  ///< interval for all and small only
  std::array<std::int64_t, kSizeRanges> objects{};       ///< that it was measured on
  std::vector<std::pair<int, double>> by_class;          ///< those with objects, by ascending id
  std::size_t resamples = 0;
};

/// AP of resampled pictures, see resample_ap(); empty below ten pictures.
struct ApResamples {
  std::vector<std::optional<double>> all;
  std::vector<std::optional<double>> small;
};
/// `most` draws at most, fewer for large data. Pure.
[[nodiscard]] ApResamples resample_quality(const MatchTable& table, std::size_t most,
                                           std::uint64_t seed);

/// Both of the same pictures, resampled from the same seed: intervals are paired. Pure.
[[nodiscard]] ApLoss compare_ap(const ApReport& reference, const ApResamples& reference_resamples,
                                const ApReport& given, const ApResamples& given_resamples);

/// One limit that is not kept, in words.
struct Violation {
  std::string condition;  ///< "clean", "low_light", ...
  std::string what;       ///< "ap_loss", "small_ap_loss", "agreement", "class_agreement", ...
  std::string part;       ///< class or size; empty: all
  double value = 0;
  double limit = 0;
  std::optional<Interval> interval;
  /// "AP loss 0.0143 [-0.0020, 0.0310] is above 0.0100": for a person, without the condition.
  [[nodiscard]] std::string words() const;
};

/// What of `agreement` and (where there are labels) `loss` breaks the limits. What was measured on
/// fewer than limits.sure_least detections or objects counts where it is beyond chance, or where
/// all of its interval is. Pure.
[[nodiscard]] std::vector<Violation> find_violations(const std::string& condition,
                                                     const AgreementReport& agreement,
                                                     const std::optional<ApLoss>& loss,
                                                     const std::vector<std::string>& labels,
                                                     const ConsistencyLimits& limits);

}  // namespace framemill

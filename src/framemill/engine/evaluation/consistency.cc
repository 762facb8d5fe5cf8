#include "framemill/engine/evaluation/consistency.h"

#include <algorithm>
#include <cmath>
#include <random>

#include <fmt/format.h>

#include "framemill/base/check.h"

namespace framemill {
namespace {

constexpr std::size_t kPicturesLeast = 10;  ///< for an interval
constexpr double kChance = .025;            ///< one side of a 95 % interval

double harmonic(double a, double b) { return a + b > 0 ? 2 * a * b / (a + b) : 0; }

double agreement_of(const AgreementCounts& counts) {
  return harmonic(counts.recall(), counts.sure_precision());
}

double box_area(const Box& box) {
  return (static_cast<double>(box.x2) - box.x1) * (static_cast<double>(box.y2) - box.y1);
}

/// Sums over pictures, with what only pairs can tell.
class AgreementSums {
 public:
  explicit AgreementSums(std::size_t class_count) { report_.by_class.resize(class_count); }

  void add(std::span<const Detection> reference, std::span<const Detection> given) {
    const AgreementThresholds thresholds;
    report_.by_picture.push_back(count_agreement(reference, given, thresholds));
    report_.counts += report_.by_picture.back();
    for (const DetectionMatch& match : find_matches(reference, given, thresholds)) {
      const double shift = static_cast<double>(given[match.given].score) -
                           static_cast<double>(reference[match.reference].score);
      shift_sum_ += shift;
      shift_abs_sum_ += std::abs(shift);
      overlaps_.push_back(match.overlap);
    }
    add_parts(reference, find_missed(reference, given, thresholds), thresholds.hi, &kReferenceSide);
    add_parts(with_boxes_of(reference, given, thresholds),
              find_unconfirmed(reference, given, thresholds), thresholds.hi, &kGivenSide);
  }

  AgreementReport finish() {
    const auto pairs = static_cast<double>(overlaps_.size());
    report_.pairs = static_cast<std::int64_t>(overlaps_.size());
    if (!overlaps_.empty()) {
      report_.score_shift = shift_sum_ / pairs;
      report_.score_shift_abs = shift_abs_sum_ / pairs;
      report_.mean_iou = report_.counts.mean_iou();
      const auto low = overlaps_.begin() + static_cast<std::ptrdiff_t>(overlaps_.size() / 20);
      std::ranges::nth_element(overlaps_, low);
      report_.low_iou = *low;
    }
    return std::move(report_);
  }

 private:
  struct Side {
    std::int64_t AgreementCounts::*good;
    std::int64_t AgreementCounts::*all;
  };
  static constexpr Side kReferenceSide{&AgreementCounts::found, &AgreementCounts::wanted};
  static constexpr Side kGivenSide{&AgreementCounts::sure_right, &AgreementCounts::sure_given};

  /// `given`, the sure ones with the box of the reference that confirms them: a pair is of one size
  /// on both sides, also where one box is a pixel larger.
  static std::vector<Detection> with_boxes_of(std::span<const Detection> reference,
                                              std::span<const Detection> given,
                                              const AgreementThresholds& thresholds) {
    std::vector<Detection> moved(given.begin(), given.end());
    AgreementThresholds confirmed = thresholds;
    confirmed.lo = thresholds.base;
    for (const DetectionMatch& match : find_matches(given, reference, confirmed))
      moved[match.reference].box = reference[match.given].box;
    return moved;
  }

  /// Counts the sure ones of `detections` under their class and size; `bad`: places of those
  /// without a partner, ascending.
  void add_parts(std::span<const Detection> detections, const std::vector<std::size_t>& bad,
                 float sure, const Side* side) {
    for (std::size_t i = 0; i < detections.size(); ++i) {
      const Detection& each = detections[i];
      if (!(each.score > sure)) continue;
      const bool is_good = !std::ranges::binary_search(bad, i);
      const auto count = [&](PartAgreement& part) {
        ++(part.counts.*side->all);
        if (is_good) ++(part.counts.*side->good);
      };
      const auto id = static_cast<std::size_t>(each.class_id);
      if (each.class_id >= 0 && id < report_.by_class.size()) count(report_.by_class[id]);
      for (std::size_t range = 0; range < kSizeRanges; ++range) {
        if (is_in_range(box_area(each.box), static_cast<SizeRange>(range)))
          count(report_.by_size[range]);
      }
    }
  }

  AgreementReport report_;
  double shift_sum_ = 0;
  double shift_abs_sum_ = 0;
  std::vector<double> overlaps_;
};

std::optional<Loss> loss_of(const ApReport& reference, const ApReport& given, std::size_t range) {
  const std::optional<double> a = reference.by_size[range].ap, b = given.by_size[range].ap;
  if (!a || !b) return std::nullopt;
  return Loss{.value = *a - *b};
}

std::string_view words_of(const std::string& what) {
  if (what == "ap_loss") return "AP loss";
  if (what == "small_ap_loss") return "AP loss of small objects";
  return "agreement";
}

}  // namespace

std::string_view to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::kConsistent:
      return "consistent";
    case Verdict::kNotConsistent:
      return "not consistent";
    case Verdict::kNotShown:
      break;
  }
  return "not shown";
}

std::int64_t sure_detections(const AgreementCounts& counts) {
  return std::max(counts.wanted, counts.sure_given);
}

double PartAgreement::agreement() const { return agreement_of(counts); }
double AgreementReport::agreement() const { return agreement_of(counts); }

AgreementReport compare_detections(std::span<const std::vector<Detection>> reference,
                                   std::span<const std::vector<Detection>> given,
                                   std::size_t class_count) {
  CHECK(reference.size() == given.size());
  AgreementSums sums(class_count);
  for (std::size_t i = 0; i < reference.size(); ++i) sums.add(reference[i], given[i]);
  return sums.finish();
}

std::optional<Interval> resample_agreement(std::span<const AgreementCounts> pictures,
                                           std::size_t most, std::uint64_t seed) {
  if (pictures.size() < kPicturesLeast) return std::nullopt;
  constexpr std::size_t kPicturesDrawn = 20'000'000;
  const std::size_t resamples =
      std::clamp(kPicturesDrawn / pictures.size(), std::min<std::size_t>(100, most), most);
  std::mt19937_64 random(seed);
  std::vector<double> values;
  for (std::size_t i = 0; i < resamples; ++i) {
    AgreementCounts sum;
    for (std::size_t draw = 0; draw < pictures.size(); ++draw)
      sum += pictures[random() % pictures.size()];
    if (sure_detections(sum) > 0) values.push_back(agreement_of(sum));
  }
  return middle_95(std::move(values));
}

bool is_beyond_chance(std::int64_t right, std::int64_t count, double least) {
  if (right >= count || least <= 0) return false;
  if (least >= 1) return true;
  // The sum of a binomial distribution up to `right`, in logarithms: factorials overflow.
  const auto all = static_cast<double>(count);
  double sum = 0;
  for (std::int64_t i = 0; i <= right; ++i) {
    const auto some = static_cast<double>(i);
    sum += std::exp(std::lgamma(all + 1) - std::lgamma(some + 1) - std::lgamma(all - some + 1) +
                    some * std::log(least) + (all - some) * std::log1p(-least));
  }
  return sum < kChance;
}

ApResamples resample_quality(const MatchTable& table, std::size_t most, std::uint64_t seed) {
  if (table.picture_count < kPicturesLeast) return {};
  const std::size_t resamples = affordable_resamples(table, most);
  return {.all = resample_ap(table, SizeRange::kAll, resamples, seed),
          .small = resample_ap(table, SizeRange::kSmall, resamples, seed)};
}

ApLoss compare_ap(const ApReport& reference, const ApResamples& reference_resamples,
                  const ApReport& given, const ApResamples& given_resamples) {
  ApLoss loss{.objects = reference.objects};
  for (std::size_t range = 0; range < kSizeRanges; ++range)
    loss.by_size[range] = loss_of(reference, given, range);
  for (std::size_t i = 0; i < reference.classes.size(); ++i)  // the same objects: the same classes
    loss.by_class.emplace_back(reference.classes[i].class_id,
                               *reference.classes[i].figures.ap - *given.classes[i].figures.ap);
  loss.resamples = std::min(reference_resamples.all.size(), given_resamples.all.size());
  const auto interval = [](const std::vector<std::optional<double>>& theirs,
                           const std::vector<std::optional<double>>& ours) {
    std::vector<double> differences;
    for (std::size_t i = 0; i < std::min(ours.size(), theirs.size()); ++i)
      if (ours[i] && theirs[i]) differences.push_back(*theirs[i] - *ours[i]);
    return middle_95(std::move(differences));
  };
  if (loss.by_size[0])
    loss.by_size[0]->interval = interval(reference_resamples.all, given_resamples.all);
  if (loss.by_size[1])
    loss.by_size[1]->interval = interval(reference_resamples.small, given_resamples.small);
  return loss;
}

std::string Violation::words() const {
  const bool is_loss = what.ends_with("loss");
  std::string text(words_of(what));
  if (!part.empty()) text += " on " + part;
  text += fmt::format(" {:.4f}", value);
  if (interval) text += fmt::format(" [{:.4f}, {:.4f}]", interval->low, interval->high);
  text += fmt::format(" is {} {:.4f}", is_loss ? "above" : "below", limit);
  if (interval && (is_loss ? interval->low <= limit : interval->high >= limit))
    text += fmt::format("; the interval reaches {} the limit, so more pictures may say otherwise",
                        is_loss ? "below" : "above");
  return text;
}

namespace {

/// Of what was measured on few: whether it tells nevertheless.
bool is_telling(const Loss& loss, double limit) {
  return loss.interval && loss.interval->low > limit;
}
bool is_telling(const AgreementReport& agreement, double limit) {
  const std::int64_t sure = sure_detections(agreement.counts);
  const double right = agreement.agreement() * static_cast<double>(sure);
  return is_beyond_chance(std::llround(right), sure, limit);
}

}  // namespace

std::vector<Violation> find_violations(const std::string& condition,
                                       const AgreementReport& agreement,
                                       const std::optional<ApLoss>& loss,
                                       const std::vector<std::string>& labels,
                                       const ConsistencyLimits& limits) {
  std::vector<Violation> violations;
  const auto check_loss = [&](SizeRange range, const char* what, double limit) {
    if (!loss) return;
    const auto place = static_cast<std::size_t>(range);
    const std::optional<Loss>& each = loss->by_size[place];
    const bool is_enough = loss->objects[place] >= limits.sure_least;
    if (each && each->value > limit && (is_enough || is_telling(*each, limit)))
      violations.push_back({.condition = condition,
                            .what = what,
                            .value = each->value,
                            .limit = limit,
                            .interval = each->interval});
  };
  check_loss(SizeRange::kAll, "ap_loss", limits.ap_loss);
  check_loss(SizeRange::kSmall, "small_ap_loss", limits.small_ap_loss);
  const bool is_enough = sure_detections(agreement.counts) >= limits.sure_least;
  if (agreement.agreement() < limits.agreement &&
      (is_enough || is_telling(agreement, limits.agreement)))
    violations.push_back({.condition = condition,
                          .what = "agreement",
                          .value = agreement.agreement(),
                          .limit = limits.agreement,
                          .interval = agreement.interval});
  const auto check_part = [&](const PartAgreement& part, const char* what, std::string name) {
    if (sure_detections(part.counts) < limits.part_least) return;
    if (!(part.agreement() < limits.part_agreement)) return;
    violations.push_back({.condition = condition,
                          .what = what,
                          .part = std::move(name),
                          .value = part.agreement(),
                          .limit = limits.part_agreement});
  };
  for (std::size_t range = 1; range < kSizeRanges; ++range)
    check_part(agreement.by_size[range], "size_agreement",
               fmt::format("{} objects", kSizeRangeNames[range]));
  for (std::size_t id = 0; id < agreement.by_class.size(); ++id)
    check_part(agreement.by_class[id], "class_agreement",
               fmt::format("class \"{}\"", id < labels.size() ? labels[id] : std::to_string(id)));
  return violations;
}

}  // namespace framemill

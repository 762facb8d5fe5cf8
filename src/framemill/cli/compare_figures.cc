#include "framemill/cli/compare_figures.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "framemill/base/check.h"

namespace framemill {
namespace {

constexpr double kGapTolerance = 1.05;
constexpr std::size_t kIntervalClipsLeast = 5;

double share_of(std::int64_t inferences, std::int64_t frames) {
  return frames > 0 ? static_cast<double>(inferences) / static_cast<double>(frames) : 0;
}

AgreementFigures figures_of(const AgreementCounts& counts, std::int64_t strict_found) {
  return {.recall = counts.recall(),
          .precision = counts.precision(),
          .sure_precision = counts.sure_precision(),
          .mean_iou = counts.mean_iou(),
          .strict_recall = counts.wanted > 0 ? static_cast<double>(strict_found) /
                                                   static_cast<double>(counts.wanted)
                                             : 1};
}

ClipFigures compare_clip(std::span<const ComparedAnswer> reference,
                         std::span<const ComparedAnswer> answers, const CompareOptions& options) {
  AgreementThresholds strict = options.thresholds;
  strict.iou = options.strict_iou;
  ClipFigures clip;
  auto answer = answers.begin();
  for (const ComparedAnswer& wanted : reference) {
    if (wanted.origin == Origin::kNone) continue;
    while (answer != answers.end() && answer->frame_index < wanted.frame_index) ++answer;
    const bool is_there = answer != answers.end() && answer->frame_index == wanted.frame_index &&
                          answer->origin != Origin::kNone;
    const std::span<const Detection> given =
        is_there ? std::span<const Detection>(answer->detections) : std::span<const Detection>();
    clip.counts += count_agreement(wanted.detections, given, options.thresholds);
    clip.strict_found += count_agreement(wanted.detections, given, strict).found;
    ++clip.frames;
    clip.missing += is_there ? 0 : 1;
  }
  clip.figures = figures_of(clip.counts, clip.strict_found);
  return clip;
}

RunFigures figures_of(std::span<const std::vector<ComparedAnswer>> reference,
                      const ComparedRun& run, const CompareOptions& options) {
  CHECK(run.answers.size() == reference.size() && run.inferences.size() == reference.size());
  RunFigures result{
      .policy = run.policy, .setting = run.setting, .motion_ms_per_frame = run.motion_ms_per_frame};
  std::int64_t inferences = 0;
  std::int64_t sampled = 0;
  std::int64_t strict_found = 0;
  AgreementFigures sum{0, 0, 0, 0, 0};
  for (std::size_t i = 0; i < reference.size(); ++i) {
    ClipFigures clip = compare_clip(reference[i], run.answers[i], options);
    const auto clip_sampled = static_cast<std::int64_t>(run.answers[i].size());
    clip.share_inferred = share_of(run.inferences[i], clip_sampled);
    inferences += run.inferences[i];
    sampled += clip_sampled;
    result.counts += clip.counts;
    strict_found += clip.strict_found;
    result.frames += clip.frames;
    result.missing += clip.missing;
    if (clip.counts.wanted >= options.macro_least) {
      ++result.macro_clips;
      sum.recall += clip.figures.recall;
      sum.precision += clip.figures.precision;
      sum.sure_precision += clip.figures.sure_precision;
      sum.mean_iou += clip.figures.mean_iou;
      sum.strict_recall += clip.figures.strict_recall;
    }
    result.clips.push_back(clip);
  }
  result.share_inferred = share_of(inferences, sampled);
  result.pooled = figures_of(result.counts, strict_found);
  if (result.macro_clips > 0) {
    const auto n = static_cast<double>(result.macro_clips);
    result.macro = AgreementFigures{sum.recall / n, sum.precision / n, sum.sure_precision / n,
                                    sum.mean_iou / n, sum.strict_recall / n};
  }
  return result;
}

/// A point between two runs of the baseline. Null stands for full inference, which makes no errors.
struct Blend {
  const RunFigures* often = nullptr;
  const RunFigures* seldom = nullptr;
  double seldom_weight = 1;  ///< 0..1

  [[nodiscard]] double mix(double at_often, double at_seldom) const {
    return (1 - seldom_weight) * at_often + seldom_weight * at_seldom;
  }
};

/// `baseline`: its runs by ascending gap.
std::optional<Blend> baseline_at(double share, std::span<const RunFigures* const> baseline) {
  if (!(share > 0) || baseline.empty()) return std::nullopt;
  const double gap = std::max(1.0, 1 / share);
  Blend blend;
  double gap_before = 1;
  for (const RunFigures* const run : baseline) {
    blend.seldom = run;
    const double gap_here = 1 / run->share_inferred;
    if (gap <= gap_here) {
      if (gap_here > gap_before) blend.seldom_weight = (gap - gap_before) / (gap_here - gap_before);
      return blend;
    }
    blend.often = run;
    gap_before = gap_here;
  }
  if (gap > gap_before * kGapTolerance) return std::nullopt;
  return blend;  // a little beyond the last run: that run alone, weight 1
}

/// Errors are `whole - part` of `whole`; doubles hold counts exactly.
struct Share {
  double part = 0;
  double whole = 0;
  Share& operator+=(const Share& other) {
    part += other.part;
    whole += other.whole;
    return *this;
  }
  [[nodiscard]] double error() const { return whole > 0 ? (whole - part) / whole : 0; }
};
using ShareOf = Share (*)(const AgreementCounts&);

Share as_share(std::int64_t part, std::int64_t whole) {
  return {static_cast<double>(part), static_cast<double>(whole)};
}
Share found_share(const AgreementCounts& c) { return as_share(c.found, c.wanted); }
Share right_share(const AgreementCounts& c) { return as_share(c.right, c.given); }
Share sure_share(const AgreementCounts& c) { return as_share(c.sure_right, c.sure_given); }

/// What a resample sums up, clip by clip.
struct ClipShares {
  Share run, often, seldom;
};

double quantile(std::span<const double> sorted, double q) {
  const double at = q * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(at);
  const auto above = std::min(below + 1, sorted.size() - 1);
  if (std::isinf(sorted[above]))
    return at > static_cast<double>(below) ? sorted[above] : sorted[below];
  return sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

std::optional<ErrorRatio> error_ratio(const RunFigures& run, const Blend& blend, ShareOf share,
                                      const CompareOptions& options) {
  std::vector<ClipShares> clips(run.clips.size());
  ClipShares total;
  const auto add = [](ClipShares& sum, const ClipShares& clip) {
    sum.run += clip.run;
    sum.often += clip.often;
    sum.seldom += clip.seldom;
  };
  const auto baseline_error = [&](const ClipShares& sum) {
    return blend.mix(sum.often.error(), sum.seldom.error());
  };
  for (std::size_t i = 0; i < clips.size(); ++i) {
    clips[i].run = share(run.clips[i].counts);
    if (blend.often != nullptr) clips[i].often = share(blend.often->clips[i].counts);
    clips[i].seldom = share(blend.seldom->clips[i].counts);
    add(total, clips[i]);
  }
  if (!(baseline_error(total) > 0)) return std::nullopt;
  ErrorRatio result{.ratio = total.run.error() / baseline_error(total)};
  if (clips.size() < kIntervalClipsLeast) return result;

  // Each call draws the same clips, so that runs are compared on the same resamples. The draw is
  // written out because std::uniform_int_distribution differs between standard libraries.
  std::mt19937_64 rng(options.seed);
  std::vector<double> ratios;
  ratios.reserve(options.resamples);
  for (std::size_t k = 0; k < options.resamples; ++k) {
    ClipShares sum;
    for (std::size_t i = 0; i < clips.size(); ++i) add(sum, clips[rng() % clips.size()]);
    const double errors = sum.run.error();
    const double wanted = baseline_error(sum);
    if (wanted > 0)
      ratios.push_back(errors / wanted);
    else if (errors > 0)
      ratios.push_back(std::numeric_limits<double>::infinity());
    // Neither errs: the resample says nothing about the ratio.
  }
  if (ratios.empty()) return result;
  std::ranges::sort(ratios);
  result.low = quantile(ratios, .025);
  result.high = quantile(ratios, .975);
  return result;
}

BaselineComparison compare_with_baseline(RunFigures& run, const Blend& blend,
                                         const CompareOptions& options) {
  const AgreementFigures pooled_often =
      blend.often == nullptr ? AgreementFigures{} : blend.often->pooled;
  const AgreementFigures& pooled_seldom = blend.seldom->pooled;
  BaselineComparison result{
      .recall = blend.mix(pooled_often.recall, pooled_seldom.recall),
      .precision = blend.mix(pooled_often.precision, pooled_seldom.precision),
      .sure_precision = blend.mix(pooled_often.sure_precision, pooled_seldom.sure_precision),
      .misses = error_ratio(run, blend, found_share, options),
      .errors = error_ratio(run, blend, right_share, options),
      .sure_errors = error_ratio(run, blend, sure_share, options)};
  constexpr double kRounding = 1e-9;
  for (std::size_t i = 0; i < run.clips.size(); ++i) {
    ClipFigures& clip = run.clips[i];
    const AgreementFigures often =
        blend.often == nullptr ? AgreementFigures{} : blend.often->clips[i].figures;
    const AgreementFigures& seldom = blend.seldom->clips[i].figures;
    ClipBaseline baseline{.recall = blend.mix(often.recall, seldom.recall),
                          .sure_precision = blend.mix(often.sure_precision, seldom.sure_precision)};
    baseline.is_ahead = clip.counts.wanted >= options.below_least &&
                        (clip.figures.recall < baseline.recall - kRounding ||
                         clip.figures.sure_precision < baseline.sure_precision - kRounding);
    if (baseline.is_ahead) result.clips_behind.push_back(static_cast<CameraIndex>(i));
    clip.baseline = baseline;
  }
  return result;
}

}  // namespace

std::vector<RunFigures> compare_runs(std::span<const std::vector<ComparedAnswer>> reference,
                                     std::span<const ComparedRun> runs,
                                     const CompareOptions& options) {
  std::vector<RunFigures> results;
  results.reserve(runs.size());  // the baseline's are pointed to
  for (const ComparedRun& run : runs) results.push_back(figures_of(reference, run, options));

  std::vector<const RunFigures*> baseline;
  for (const RunFigures& run : results) {
    if (run.policy == kBaselinePolicy && run.share_inferred > 0) baseline.push_back(&run);
  }
  std::ranges::stable_sort(baseline, std::greater<>(), &RunFigures::share_inferred);
  for (RunFigures& run : results) {
    if (run.policy == kBaselinePolicy) continue;
    if (const auto blend = baseline_at(run.share_inferred, baseline))
      run.against_baseline = compare_with_baseline(run, *blend, options);
  }
  return results;
}

std::optional<std::size_t> choose_headline(std::span<const RunFigures> runs, double fidelity) {
  const auto lesser = [&](std::size_t i) {
    return std::min(runs[i].pooled.recall, runs[i].pooled.sure_precision);
  };
  std::optional<std::size_t> cheapest;
  std::optional<std::size_t> truest;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    if (runs[i].policy == kBaselinePolicy || runs[i].share_inferred >= 1) continue;
    if (!truest || lesser(i) > lesser(*truest)) truest = i;
    const bool is_true = lesser(i) >= fidelity;
    if (is_true && (!cheapest || runs[i].share_inferred < runs[*cheapest].share_inferred))
      cheapest = i;
  }
  return cheapest ? cheapest : truest;
}

}  // namespace framemill

#include "framemill/engine/batch_times.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <utility>

#include "framemill/base/check.h"
#include "framemill/base/normal_score.h"
#include "framemill/engine/model_profiler.h"
#include "framemill/sched/service_times.h"

namespace framemill {
namespace {

constexpr std::size_t kLikenessSpansMin = 60;
constexpr double kDecayMax = .995;
constexpr double kShareMax = .95;

/// Bucket and batches in flight.
using Kind = std::pair<std::size_t, std::size_t>;

std::vector<BatchSpan> by_begin(std::span<const BatchSpan> spans) {
  std::vector<BatchSpan> sorted(spans.begin(), spans.end());
  std::ranges::sort(sorted, {},
                    [](const BatchSpan& span) { return std::pair(span.begin, span.end); });
  return sorted;
}

/// Of each of `sorted`. O(n x batches in flight).
std::vector<Kind> kinds_of(const std::vector<BatchSpan>& sorted) {
  std::vector<double> beside_s(sorted.size(), 0);
  std::vector<std::size_t> open;
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    std::erase_if(open, [&](std::size_t other) { return sorted[other].end <= sorted[i].begin; });
    for (const std::size_t other : open) {
      const double both = to_seconds(std::min(sorted[i].end, sorted[other].end) - sorted[i].begin);
      beside_s[i] += both;
      beside_s[other] += both;
    }
    open.push_back(i);
  }
  std::vector<Kind> kinds;
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    const double life_s = std::max(1e-9, to_seconds(sorted[i].end - sorted[i].begin));
    kinds.emplace_back(bucket_for(sorted[i].frames),
                       1 + static_cast<std::size_t>(std::lround(beside_s[i] / life_s)));
  }
  return kinds;
}

/// The normal score of each of `values` by its rank among them.
std::vector<double> normal_scores(const std::vector<Duration>& values) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, {}, [&](std::size_t i) { return values[i]; });
  std::vector<double> scores(values.size());
  for (std::size_t rank = 0; rank < order.size(); ++rank) {
    scores[order[rank]] =
        normal_quantile((static_cast<double>(rank) + .5) / static_cast<double>(values.size()));
  }
  return scores;
}

double correlation_at(const std::vector<double>& scores, std::size_t lag) {
  double product = 0, square = 0;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    square += scores[i] * scores[i];
    if (i >= lag) product += scores[i] * scores[i - lag];
  }
  return square > 0 ? product / square : 0;
}

}  // namespace

std::vector<RunBatches> sort_batches(std::span<const BatchSpan> spans) {
  const std::vector<BatchSpan> sorted = by_begin(spans);
  const std::vector<Kind> kinds = kinds_of(sorted);
  std::map<Kind, std::vector<Duration>> times;
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    times[kinds[i]].push_back(sorted[i].end - sorted[i].begin);
  }
  std::vector<RunBatches> batches;
  for (auto& [kind, of_kind] : times) {
    const auto count = static_cast<std::int64_t>(of_kind.size());
    batches.push_back({.batch = kind.first,
                       .in_flight = kind.second,
                       .count = count,
                       .service = make_distribution(std::move(of_kind))});
  }
  return batches;
}

Likeness find_likeness(std::span<const BatchSpan> spans) {
  if (spans.size() < kLikenessSpansMin) return {};
  const std::vector<BatchSpan> sorted = by_begin(spans);
  const std::vector<Kind> kinds = kinds_of(sorted);
  std::map<Kind, std::vector<std::size_t>> members;
  for (std::size_t i = 0; i < sorted.size(); ++i) members[kinds[i]].push_back(i);
  std::vector<double> scores(sorted.size());
  for (const auto& [kind, indices] : members) {
    std::vector<Duration> times;
    for (const std::size_t i : indices) times.push_back(sorted[i].end - sorted[i].begin);
    const std::vector<double> of_kind = normal_scores(times);
    for (std::size_t k = 0; k < indices.size(); ++k) scores[indices[k]] = of_kind[k];
  }
  double r[5] = {};
  for (std::size_t lag = 1; lag <= 4; ++lag) r[lag] = correlation_at(scores, lag);
  if (r[1] < 2 / std::sqrt(static_cast<double>(scores.size()))) return {};
  const double decay =
      std::clamp((r[2] + r[3] + r[4]) / std::max(1e-9, r[1] + r[2] + r[3]), r[1], kDecayMax);
  const double spacing_s = to_seconds(sorted.back().begin - sorted.front().begin) /
                           static_cast<double>(sorted.size() - 1);
  return {.share = std::min(kShareMax, r[1] / decay),
          .time = from_seconds(-spacing_s / std::log(decay))};
}

Duration mean_handover(std::span<const BatchSpan> spans, std::size_t slots) {
  CHECK(slots >= 1);
  if (spans.size() <= slots) return Duration::zero();
  TimePoint first = spans.front().begin, last = spans.front().end;
  Duration busy{0};
  for (const BatchSpan& span : spans) {
    first = std::min(first, span.begin);
    last = std::max(last, span.end);
    busy += span.end - span.begin;
  }
  const Duration empty = static_cast<Duration::rep>(slots) * (last - first) - busy;
  return std::max(Duration::zero(), empty / static_cast<Duration::rep>(spans.size()));
}

}  // namespace framemill

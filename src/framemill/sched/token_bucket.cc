#include "framemill/sched/token_bucket.h"

#include <algorithm>
#include <cmath>
#include <tuple>

#include "framemill/base/check.h"

namespace framemill {
namespace {

constexpr std::int64_t kToken = 1'000'000'000;
constexpr std::size_t kCamerasMax = 1'000'000;

/// Rounded down, but .29 (a little less than it, as a double) is a whole 290,000,000.
std::int64_t gain_of(double budget) {
  CHECK(budget > 0 && budget <= 1);
  const double parts = std::floor(budget * static_cast<double>(kToken) + 1e-3);
  return std::max<std::int64_t>(1, static_cast<std::int64_t>(parts));
}

std::int64_t capacity_of(std::size_t cameras) {
  CHECK(cameras >= 1);
  return std::max(kToken,
                  static_cast<std::int64_t>(std::min(cameras, kCamerasMax)) * (kToken / 10));
}

/// Half of the burst, as far as a whole token remains beside it.
std::int64_t reserve_of(std::int64_t capacity) { return std::min(capacity - kToken, capacity / 2); }

double in_tokens(std::int64_t parts) {
  return static_cast<double>(parts) / static_cast<double>(kToken);
}

}  // namespace

TokenBucket::TokenBucket(double budget, std::size_t cameras, int borrow_max)
    : capacity_(capacity_of(cameras)),
      reserve_(reserve_of(capacity_)),
      borrow_max_(borrow_max * kToken),
      debt_max_(static_cast<std::int64_t>(kCamerasMax) * kToken),
      gain_(gain_of(budget)),
      level_(capacity_) {
  CHECK(borrow_max >= 0 && borrow_max <= 1000);
}

void TokenBucket::set_budget(double budget) { gain_ = gain_of(budget); }

void TokenBucket::set_cameras(std::size_t cameras) {
  capacity_ = capacity_of(cameras);
  reserve_ = reserve_of(capacity_);
  level_ = std::min(level_, capacity_);
}

void TokenBucket::set_debt_max(std::size_t tokens) {
  debt_max_ = static_cast<std::int64_t>(std::min(tokens, kCamerasMax)) * kToken;
}

void TokenBucket::earn(std::int64_t sampled_frames) {
  CHECK(sampled_frames >= 0);
  if (sampled_frames == 0) return;
  const std::int64_t to_full = (capacity_ - std::min(level_, capacity_)) / gain_ + 1;
  level_ = level_after_frame(level_ + gain_ * std::min(sampled_frames - 1, to_full));
}

// The burst bounds what is left over before a frame, not what the frame itself adds: cutting that
// as well would lose the fractions of a small bucket, and with them up to half of the share.
std::int64_t TokenBucket::level_after_frame(std::int64_t level) const {
  return std::min(level, capacity_) + gain_;
}

bool TokenBucket::try_take(InferenceCause cause) {
  if (cause == InferenceCause::kStart) return true;
  if (cause == InferenceCause::kCritical) {
    const std::int64_t left = level_after_critical(level_);
    forgiven_ += left - (level_ - kToken);
    level_ = left;
    return true;
  }
  const std::optional<std::int64_t> floor = floor_of(cause);
  if (floor && level_ - kToken < *floor) return false;
  level_ -= kToken;
  return true;
}

std::int64_t TokenBucket::level_after_critical(std::int64_t level) const {
  return std::max(level - kToken, std::min(level, -debt_max_));
}

std::optional<std::int64_t> TokenBucket::floor_of(InferenceCause cause) const {
  switch (cause) {
    case InferenceCause::kStart:
    case InferenceCause::kCritical:
      return std::nullopt;
    case InferenceCause::kSceneCut:
    case InferenceCause::kDueAudit:
      return -borrow_max_;
    case InferenceCause::kNeed:
    case InferenceCause::kAudit:
      break;
  }
  return reserve_;
}

double TokenBucket::frames_to_full() const {
  return std::max(0.0, in_tokens(capacity_ - level_) / in_tokens(gain_));
}

double TokenBucket::level() const { return in_tokens(level_); }
double TokenBucket::burst() const { return in_tokens(capacity_); }
double TokenBucket::budget() const { return in_tokens(gain_); }
double TokenBucket::forgiven() const { return in_tokens(forgiven_); }

// A tick at once. Picking the worthiest first, as far as the bucket allows, loses a seventh of the
// share: picks that crowd at one place leave stretches elsewhere in which the bucket runs over. The
// best choice is that of a shortest path: along the frames, what matters of the choices so far is
// the level they left and the worth they gathered; a way that has no more of either than another
// one is dropped. The few that remain (at most kWaysMax) are kept for each frame, and the best at
// the end is traced back. Precedence is worth of another order of magnitude.
class TickChoice {
 public:
  TickChoice(std::span<const BudgetRequest> requests, const TokenBucket& bucket)
      : requests_(requests), bucket_(bucket) {
    double most = 0;
    for (const BudgetRequest& request : requests) most = std::max(most, worth_of(request));
    scale_ = most > 0 ? 1 / most : 0;
    token_worth_ = std::max(worth_of_saved_token(), kPatience * worth_out_of_reach());
    step_ = static_cast<double>(requests.size()) + 1;
  }

  /// Fills `chosen` and gives the level that the tick leaves behind.
  std::int64_t choose(std::vector<std::size_t>& chosen) {
    ways_ = {{.level = bucket_.level_}};
    for (const BudgetRequest& request : requests_) go_on(request);
    const auto best = std::ranges::max_element(
        ways_, {}, [this](const Way& way) { return way.value + worth_of_level(way.level); });
    for (std::size_t step = best->step, i = requests_.size(); i-- > 0; step = steps_[step].before)
      if (steps_[step].is_taken) chosen.push_back(i);
    std::ranges::reverse(chosen);
    return best->level;
  }

 private:
  static constexpr std::size_t kWaysMax = 64;
  static constexpr double kPatience = 1.1;  // a token that is used now has something for itself
  static constexpr double kReadyWorth = 2;  // of the highest need of the tick
  static constexpr double kFiller = 1e-6;   // a token is better used for nothing much than lost

  /// One way to choose among the frames so far.
  struct Way {
    std::int64_t level = 0;
    double value = 0;
    std::size_t step = 0;   // its last one, in steps_
    bool is_taken = false;  // in this step, while it has no place in steps_ yet
  };
  struct Step {
    std::size_t before = 0;
    bool is_taken = false;
  };

  static double worth_of(const BudgetRequest& request) {
    return request.worth > 0 ? std::min(request.worth, 1e12) : 0;  // NaN: 0
  }

  double value_of(const BudgetRequest& request) const {
    const double worth = kFiller + worth_of(request) * scale_;
    switch (request.cause) {
      case InferenceCause::kStart:
      case InferenceCause::kCritical:
        return 0;  // never a choice
      case InferenceCause::kSceneCut:
        return worth + step_ * step_;
      case InferenceCause::kDueAudit:
        return worth + step_;
      case InferenceCause::kNeed:
        return worth;
      case InferenceCause::kAudit:
        break;
    }
    return kFiller * worth;
  }

  /// What one more token would be used for in a tick like this one.
  double worth_of_saved_token() const {
    std::vector<double> worths;
    std::int64_t earned = 0;
    for (const BudgetRequest& request : requests_) {
      earned += request.is_new_sample ? bucket_.gain_ : 0;
      if (request.is_wanted && request.cause == InferenceCause::kNeed)
        worths.push_back(worth_of(request) * scale_);
    }
    const auto place = static_cast<std::size_t>(earned / kToken);
    if (place >= worths.size()) return 0;
    std::ranges::nth_element(worths, worths.begin() + static_cast<std::ptrdiff_t>(place),
                             std::ranges::greater());
    return worths[place];
  }

  /// The most that a frame is worth which stands too early in the tick for any choice to reach:
  /// with a token saved now it can be had when it comes again. Without that, cameras at the end of
  /// a small fleet would take each token before those at its beginning see one.
  double worth_out_of_reach() const {
    double most = 0;
    std::int64_t level = bucket_.level_;
    for (const BudgetRequest& request : requests_) {
      if (request.is_new_sample) level = bucket_.level_after_frame(level);
      if (request.is_wanted && request.cause == InferenceCause::kNeed && level < kToken) {
        most = std::max(most, worth_of(request) * scale_);
      }
    }
    return most;
  }

  /// All of a tick is known, so that a cut takes its token from what would be taken for need later
  /// in it; what is to be left at the end of the tick is in worth_of_level().
  std::optional<std::int64_t> floor_of(InferenceCause cause) const {
    if (cause == InferenceCause::kNeed || cause == InferenceCause::kAudit) return 0;
    return bucket_.floor_of(cause);
  }

  /// Of a level at the end of the tick. Where the burst allows it a token stays for a cut at the
  /// beginning of the next.
  double worth_of_level(std::int64_t level) const {
    double worth = token_worth_ * in_tokens(std::min(level, bucket_.capacity_));
    if (bucket_.capacity_ >= 2 * kToken) {
      const std::int64_t ready = kToken - bucket_.gain_;
      worth -= kReadyWorth * in_tokens(std::max<std::int64_t>(0, ready - level));
    }
    return worth;
  }

  void go_on(const BudgetRequest& request) {
    const bool is_free = request.cause == InferenceCause::kStart;
    const bool is_forced = is_free || request.cause == InferenceCause::kCritical;
    const std::optional<std::int64_t> floor = floor_of(request.cause);
    const double value = value_of(request);
    skipped_.clear();
    taken_.clear();
    for (const Way& way : ways_) {
      const std::int64_t level =
          request.is_new_sample ? bucket_.level_after_frame(way.level) : way.level;
      if (!request.is_wanted || !is_forced) skipped_.push_back({level, way.value, way.step, false});
      if (!request.is_wanted) continue;
      const std::int64_t paid = is_forced ? bucket_.level_after_critical(level) : level - kToken;
      const std::int64_t left = is_free ? level : paid;
      if (floor && left < *floor) continue;
      // Debt of critical frames is to come before need as well.
      const std::int64_t debt = is_forced && !is_free ? std::max<std::int64_t>(0, -left) : 0;
      taken_.push_back({left, way.value + value - step_ * in_tokens(debt), way.step, true});
    }
    merge();
    thin_out();
    for (Way& way : ways_) {
      steps_.push_back({way.step, way.is_taken});
      way.step = steps_.size() - 1;
    }
  }

  /// Of the two, falling in level, those that have more worth than all before them.
  void merge() {
    ways_.clear();
    for (std::size_t s = 0, t = 0; s < skipped_.size() || t < taken_.size();) {
      const auto is_before = [](const Way& a, const Way& b) {
        return a.level > b.level || (a.level == b.level && a.value > b.value);
      };
      const bool is_taken =
          s == skipped_.size() || (t < taken_.size() && is_before(taken_[t], skipped_[s]));
      const Way& way = is_taken ? taken_[t++] : skipped_[s++];
      if (ways_.empty() || way.value > ways_.back().value) ways_.push_back(way);
    }
  }

  /// Both ends stay, and the others evenly.
  void thin_out() {
    if (ways_.size() <= kWaysMax) return;
    for (std::size_t i = 0; i < kWaysMax; ++i)
      ways_[i] = ways_[i * (ways_.size() - 1) / (kWaysMax - 1)];
    ways_.resize(kWaysMax);
  }

  const std::span<const BudgetRequest> requests_;
  const TokenBucket& bucket_;
  double scale_ = 0;
  double token_worth_ = 0;
  double step_ = 0;
  std::vector<Way> ways_;
  std::vector<Way> skipped_, taken_;  // working memory of go_on()
  std::vector<Step> steps_;
};

void choose_within_budget(std::span<const BudgetRequest> requests, TokenBucket& bucket,
                          std::vector<std::size_t>& chosen) {
  chosen.clear();
  bucket.level_ = TickChoice(requests, bucket).choose(chosen);
}

}  // namespace framemill

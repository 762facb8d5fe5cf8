#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace framemill {

/// Why a frame is to be inferred; in order of precedence where tokens are scarce.
enum class InferenceCause : std::uint8_t {
  kStart,     ///< first frame of a camera (or after a reconnect): brings a token of its own
  kCritical,  ///< a frame of a critical camera: always inferred
  kSceneCut,  ///< what is known of the camera no longer holds (a cut, a loop)
  kDueAudit,  ///< a drawn audit that would be lost if it waited much longer
  kNeed,      ///< the policy expects that the propagated answer is wrong
  kAudit,     ///< a drawn audit with time to wait
};

/// What waits in one tick of media time, in the order of the frames.
struct BudgetRequest {
  InferenceCause cause = InferenceCause::kNeed;
  double worth = 0;           ///< need x priority; below 0 and NaN count as 0
  bool is_wanted = true;      ///< false: only earns
  bool is_new_sample = true;  ///< a sampled frame, which earns; false: an audit from before
};

/// Holds inferences to a share of the sampled frames: each sampled frame earns `budget` tokens, an
/// inference takes one, and at most burst = max(1, cameras / 10) tokens are kept from one frame to
/// the next.
///
/// Promise: in any window of n sampled frames (from one frame on until the next after the window)
///     inferences <= budget * n + burst + starts in the window + debt at its end
///                   + what was forgiven in the window,
/// where debt is how far the level lies below 0. Need and audits never make debt. A scene cut and a
/// due audit borrow at most `borrow_max` tokens (0: the bound holds as it stands, and a cut that
/// finds no token asks again before anything else). Critical frames borrow what they must, and what
/// is borrowed is missing to later need: nothing else is inferred until it is earned back. Where
/// is_budget_enough() holds of the frames that come, that comes within one period of the cameras,
/// and the debt stays below the number of critical cameras. Where it does not (others are down, or
/// deliver less than they should) the debt ends there: what is borrowed beyond set_debt_max() is
/// forgiven, or an outage of minutes would be paid back for hours.
/// To spare cuts that wait, try_take() leaves them a reserve of half of the burst, as far as need
/// still gets a whole token out of the other half. Of a whole tick there is no need for it.
///
/// Exact: tokens are integers (a billionth each; `budget` is rounded down to one), so equal calls
/// give equal answers everywhere. Starts full. Not thread-safe; O(1).
class TokenBucket {
 public:
  /// 0 < budget <= 1; cameras >= 1; 0 <= borrow_max <= 1000.
  TokenBucket(double budget, std::size_t cameras, int borrow_max = 0);

  /// Changes the share from now on; the tokens stay. 0 < budget <= 1.
  void set_budget(double budget);

  /// Changes the number of cameras, and with it the burst; tokens above it are lost. cameras >= 1.
  void set_cameras(std::size_t cameras);

  /// The most that critical frames owe: their cameras' number. To begin with there is no limit.
  void set_debt_max(std::size_t tokens);

  /// So many sampled frames came in; >= 0. Tokens left from before above the burst are lost.
  void earn(std::int64_t sampled_frames = 1);

  /// Takes the token of one inference; false: none for this cause, and nothing changed. kStart and
  /// kCritical are never refused. Where several wait, ask in order of precedence.
  [[nodiscard]] bool try_take(InferenceCause cause);

  /// So many sampled frames can still come in before tokens run over; 0: the next one's is lost.
  [[nodiscard]] double frames_to_full() const;

  /// Tokens there are; below 0: borrowed.
  [[nodiscard]] double level() const;
  [[nodiscard]] double burst() const;
  [[nodiscard]] double budget() const;
  /// Borrowed beyond the most and never paid back, so far; by try_take().
  [[nodiscard]] double forgiven() const;

 private:
  friend class TickChoice;
  friend void choose_within_budget(std::span<const BudgetRequest>, TokenBucket&,
                                   std::vector<std::size_t>&);
  [[nodiscard]] std::int64_t level_after_frame(std::int64_t level) const;
  /// The level that an inference leaves behind which is never refused.
  [[nodiscard]] std::int64_t level_after_critical(std::int64_t level) const;
  /// The level which an inference of this cause may leave behind at the least; none: any.
  [[nodiscard]] std::optional<std::int64_t> floor_of(InferenceCause cause) const;

  std::int64_t capacity_;
  std::int64_t reserve_;
  std::int64_t borrow_max_;
  std::int64_t debt_max_;
  std::int64_t gain_;
  std::int64_t level_;
  std::int64_t forgiven_ = 0;
};

/// Chooses at once among all frames of a tick, each earning and taking at its place in the order,
/// so that the promise of `bucket` holds for windows that begin or end inside the tick as well. The
/// choice has the most scene cuts, then the most due audits, then the highest sum of worth (audits
/// only where nothing else asks); tokens are saved for the next tick where that is worth more.
/// First and critical frames are always chosen.
/// With worth drawn at random it uses 97 to 99 % of the share of 24 cameras and all of it from 50
/// on; with five, whose burst is one token, 80 to 90 %: the price of the promise for every window.
/// Overwrites `chosen` with places in `requests`, ascending, and brings `bucket` to the end of the
/// tick. Deterministic; O(64 n) at most: 6 us for 50 cameras, 1.8 ms for 1000.
void choose_within_budget(std::span<const BudgetRequest> requests, TokenBucket& bucket,
                          std::vector<std::size_t>& chosen);

}  // namespace framemill

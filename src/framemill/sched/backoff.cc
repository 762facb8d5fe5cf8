#include "framemill/sched/backoff.h"

#include <algorithm>

namespace framemill {
namespace {

using std::chrono::milliseconds;

constexpr int kDoublingsMax = 10;  // 2^10 is above both limits; keeps the counts from growing
constexpr double kJitter = 0.2;    // never more than the table's wait, at most so much less

bool is_refusal(ErrorCode code) {
  switch (code) {
    case ErrorCode::kNotFound:
    case ErrorCode::kFailedPrecondition:
      return true;
    case ErrorCode::kInvalidArgument:  // what a camera says while it restarts
    case ErrorCode::kUnsupported:      // no video yet
    case ErrorCode::kUnavailable:
    case ErrorCode::kResourceExhausted:
    case ErrorCode::kCancelled:
    case ErrorCode::kInternal:
      return false;
  }
  return false;
}

// splitmix64 (Steele, Lea, Flood 2014): every seed is as good as another, 0 included. In 0..1.
double next_uniform(std::uint64_t& state) {
  state += 0x9e3779b97f4a7c15U;
  std::uint64_t z = state;
  z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9U;
  z = (z ^ (z >> 27U)) * 0x94d049bb133111ebU;
  z ^= z >> 31U;
  return static_cast<double>(z >> 11U) * 0x1.0p-53;
}

}  // namespace

Duration Backoff::next(ErrorCode code) {
  const bool is_refused = is_refusal(code);
  int& failures = is_refused ? refusals_ : network_failures_;
  const Duration first = is_refused ? milliseconds(1000) : milliseconds(250);
  const Duration longest = is_refused ? milliseconds(60'000) : milliseconds(1500);
  const Duration wait = std::min(first * (1 << failures), longest);
  failures = std::min(failures + 1, kDoublingsMax);
  const double jitter = 1 - kJitter * next_uniform(random_state_);
  return from_seconds(to_seconds(wait) * jitter);
}

void Backoff::reset() {
  network_failures_ = 0;
  refusals_ = 0;
}

}  // namespace framemill

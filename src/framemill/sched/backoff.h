#pragma once

#include <cstdint>

#include "framemill/base/clock.h"
#include "framemill/base/result.h"

namespace framemill {

/// When to try a failed camera again: network errors and rubbish from .25 s doubling to 1.5 s;
/// errors that only a person can clear (credentials, not found) from 1 s doubling to 60 s, because
/// cameras lock accounts; each up to 20 % sooner, so that cameras behind one switch do not come
/// back in step. Both counts run on until reset(), so a camera that alternates between the
/// two does not start over. Deterministic for a seed. Not thread-safe.
class Backoff {
 public:
  explicit Backoff(std::uint64_t seed) : random_state_(seed) {}
  /// The wait before the next attempt after one that failed with `code`.
  [[nodiscard]] Duration next(ErrorCode code);
  /// An attempt succeeded.
  void reset();

 private:
  std::uint64_t random_state_;
  int network_failures_ = 0;
  int refusals_ = 0;
};

}  // namespace framemill

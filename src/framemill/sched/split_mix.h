#pragma once

#include <cstddef>
#include <cstdint>

namespace framemill {

/// The finaliser of SplitMix64 (Steele, Lea and Flood, 2014): a bijection which spreads any change
/// of the input over all bits.
[[nodiscard]] constexpr std::uint64_t mix64(std::uint64_t z) {
  z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9U;
  z = (z ^ (z >> 27U)) * 0x94d049bb133111ebU;
  return z ^ (z >> 31U);
}

/// SplitMix64: random numbers which are the same on every machine, unlike what the distributions of
/// the standard library make of theirs. Not for secrets.
class SplitMix {
 public:
  explicit constexpr SplitMix(std::uint64_t seed) : state_(seed) {}
  constexpr std::uint64_t operator()() {
    state_ += 0x9e3779b97f4a7c15U;
    return mix64(state_);
  }
  /// 0 <= index < size; 1 <= size < 2^32. Uneven by at most size / 2^32.
  constexpr std::size_t index(std::size_t size) {
    return static_cast<std::size_t>(((*this)() >> 32U) * size >> 32U);
  }

 private:
  std::uint64_t state_;
};

}  // namespace framemill

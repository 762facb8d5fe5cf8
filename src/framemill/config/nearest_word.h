#pragma once

#include <span>
#include <string>
#include <string_view>

namespace framemill {

/// How many single characters must be added, removed, replaced or swapped with their neighbour to
/// make `b` of `a` (restricted Damerau-Levenshtein). O(|a| |b|).
[[nodiscard]] std::size_t edit_distance(std::string_view a, std::string_view b);

/// The candidate that `word` was probably meant to be; empty where none is near enough (about a
/// third of the characters, at least one, may differ).
[[nodiscard]] std::string_view nearest_word(std::string_view word,
                                            std::span<const std::string_view> candidates);

/// ` did you mean "slo"?` with a space in front, or empty.
[[nodiscard]] std::string did_you_mean(std::string_view word,
                                       std::span<const std::string_view> candidates);

}  // namespace framemill

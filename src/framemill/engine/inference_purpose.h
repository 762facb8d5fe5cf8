#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace framemill {

/// Why a model ran on a frame; the summary and metrics count by it.
enum class InferencePurpose : std::uint8_t {
  kPrimary,    ///< the policy chose the frame
  kAudit,      ///< to see how good an answer without inference was
  kForced,     ///< first frame, scene start, critical camera
  kDiscarded,  ///< the result came too late to be of use
};
inline constexpr std::array<std::string_view, 4> kInferencePurposeNames{"primary", "audit",
                                                                        "forced", "discarded"};

/// By purpose.
using InferenceCounts = std::array<std::int64_t, kInferencePurposeNames.size()>;

}  // namespace framemill

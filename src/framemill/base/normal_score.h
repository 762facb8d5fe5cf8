#pragma once

namespace framemill {

/// The standard normal distribution. Pure; any thread.
/// P(Z <= z), within 0..1.
[[nodiscard]] double normal_probability(double z);
/// The z that Z does not exceed with probability `p`, 0 < p < 1.
[[nodiscard]] double normal_quantile(double p);

}  // namespace framemill

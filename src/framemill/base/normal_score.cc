#include "framemill/base/normal_score.h"

#include <cmath>
#include <numbers>

#include <boost/math/special_functions/erf.hpp>

#include "framemill/base/check.h"

namespace framemill {

double normal_probability(double z) { return .5 * std::erfc(-z / std::numbers::sqrt2); }

double normal_quantile(double p) {
  CHECK(p > 0 && p < 1);
  return -std::numbers::sqrt2 * boost::math::erfc_inv(2 * p);
}

}  // namespace framemill

#include "framemill/vision/shift_scale.h"

#include <algorithm>
#include <cmath>

namespace framemill {
namespace {

constexpr int kRounds = 4;
constexpr float kScaleMin = 0.67F;  ///< in one step
constexpr float kScaleMax = 1.5F;

/// Tukey's weight: 1 on the spot, 0 from `tolerance` on.
float nearness(float dx, float dy, float tolerance) {
  const float rest = 1 - (dx * dx + dy * dy) / (tolerance * tolerance);
  return rest > 0 ? rest * rest : 0;
}

}  // namespace

ShiftScaleFit fit_shift_scale(std::span<const PlaceMotion> places, float tolerance,
                              float scale_prior) {
  ShiftScaleFit fit;
  float total = 0;
  float best = 0;
  for (const PlaceMotion& mode : places) {  // the place with which most agree
    total += mode.weight;
    float agreeing = 0;
    for (const PlaceMotion& place : places)
      agreeing += place.weight * nearness(place.dx - mode.dx, place.dy - mode.dy, tolerance);
    if (agreeing <= best) continue;
    best = agreeing;
    fit.motion.dx = mode.dx;
    fit.motion.dy = mode.dy;
  }
  if (best <= 0) return fit;

  ShiftScale& motion = fit.motion;
  float weight_sum = 0;
  float error_sum = 0;
  for (int round = 0; round < kRounds; ++round) {
    weight_sum = error_sum = 0;
    float x = 0, y = 0, dx = 0, dy = 0, xx = 0, xd = 0;
    for (const PlaceMotion& place : places) {
      const float rest_x = place.dx - motion.dx - (motion.scale - 1) * place.x;
      const float rest_y = place.dy - motion.dy - (motion.scale - 1) * place.y;
      const float weight = place.weight * nearness(rest_x, rest_y, tolerance);
      weight_sum += weight;
      error_sum += weight * (rest_x * rest_x + rest_y * rest_y);
      x += weight * place.x;
      y += weight * place.y;
      dx += weight * place.dx;
      dy += weight * place.dy;
      xx += weight * (place.x * place.x + place.y * place.y);
      xd += weight * (place.x * place.dx + place.y * place.dy);
    }
    if (weight_sum <= 0) break;
    const float spread = xx - (x * x + y * y) / weight_sum;
    const float growth = (xd - (x * dx + y * dy) / weight_sum) / (spread + scale_prior);
    motion.scale = std::clamp(1 + (spread + scale_prior > 0 ? growth : 0), kScaleMin, kScaleMax);
    motion.dx = (dx - (motion.scale - 1) * x) / weight_sum;
    motion.dy = (dy - (motion.scale - 1) * y) / weight_sum;
  }
  if (weight_sum > 0) {
    fit.support = std::min(1.0F, weight_sum / total);
    fit.scatter = std::sqrt(error_sum / weight_sum);
  }
  return fit;
}

}  // namespace framemill

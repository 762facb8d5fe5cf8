#include "framemill/vision/sparse_flow.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>

#include "framemill/base/check.h"

namespace framemill {
namespace {

constexpr int kWindow = kFlowWindow;
constexpr int kSupport = kWindow + 2;  ///< the window and a ring for its gradients
constexpr float kWindowArea = kWindow * kWindow;
constexpr int kIterationsMax = 6;
constexpr float kStepMin = 0.03F;  ///< pixels of the level; smaller steps end the search
/// Luma squared per pixel; below it noise is all that there is to hold on to.
constexpr float kCornerMin = 0.5F;

/// Bytes of a picture with a border of their own where they leave it.
struct Bytes {
  const std::uint8_t* data = nullptr;
  int stride = 0;
};

template <int kSide>
Bytes bytes_at(const Thumbnail& luma, int left, int top,
               std::array<std::uint8_t, std::size_t{kSide} * 16>& copy) {
  const auto [width, height] = luma.size;
  if (left >= 0 && top >= 0 && left + kSide <= width && top + kSide <= height)
    return {luma.luma.data() + static_cast<std::ptrdiff_t>(top) * width + left, width};
  for (int y = 0; y < kSide; ++y) {
    const std::uint8_t* const row =
        luma.luma.data() + static_cast<std::ptrdiff_t>(std::clamp(top + y, 0, height - 1)) * width;
    for (int x = 0; x < kSide; ++x)
      copy[static_cast<std::size_t>(16 * y + x)] = row[std::clamp(left + x, 0, width - 1)];
  }
  return {copy.data(), 16};
}

/// kWindow samples of a row, `part` of the way to the next column each.
inline void sample_row(const std::uint8_t* row, float part, float* out) {
  for (int x = 0; x < kWindow; ++x) {
    const float here = row[x];
    out[x] = here + part * (static_cast<float>(row[x + 1]) - here);
  }
}

inline float sum_of(const float* lanes) {
  return ((lanes[0] + lanes[4]) + (lanes[1] + lanes[5])) +
         ((lanes[2] + lanes[6]) + (lanes[3] + lanes[7]));
}

/// What is looked for: a window of `from` and its gradients.
struct Template {
  alignas(32) float value[kWindow][kWindow];
  alignas(32) float gx[kWindow][kWindow];
  alignas(32) float gy[kWindow][kWindow];
  float gx_mean = 0, gy_mean = 0;
  float xx = 0, xy = 0, yy = 0;  ///< structure matrix of the gradients less their mean, per pixel

  [[nodiscard]] float corner() const {
    const float half = 0.5F * (xx - yy);
    return 0.5F * (xx + yy) - std::sqrt(half * half + xy * xy);
  }
};

/// Where the first sample of a window round `centre` lies, in sample indices.
float window_start(float centre) { return centre - 0.5F - 0.5F * (kWindow - 1); }

void read_template(const Thumbnail& luma, float x, float y, Template& out) {
  const float left = window_start(x) - 1;
  const float top = window_start(y) - 1;
  const float column = std::floor(left);
  const float row = std::floor(top);
  const float part_x = left - column;
  const float part_y = top - row;
  std::array<std::uint8_t, std::size_t{kSupport + 1} * 16> copy;
  const Bytes bytes =
      bytes_at<kSupport + 1>(luma, static_cast<int>(column), static_cast<int>(row), copy);

  alignas(32) float rows[kSupport + 1][kSupport];
  for (int i = 0; i <= kSupport; ++i) {
    const std::uint8_t* const source = bytes.data + static_cast<std::ptrdiff_t>(i) * bytes.stride;
    sample_row(source, part_x, rows[i]);
    sample_row(source + 2, part_x, rows[i] + 2);
  }
  for (int i = 0; i < kSupport; ++i) {
    for (int j = 0; j < kSupport; ++j) rows[i][j] += part_y * (rows[i + 1][j] - rows[i][j]);
  }
  alignas(32) float sum[5][kWindow] = {};
  for (int i = 0; i < kWindow; ++i) {
    for (int j = 0; j < kWindow; ++j) {
      const float gx = 0.5F * (rows[i + 1][j + 2] - rows[i + 1][j]);
      const float gy = 0.5F * (rows[i + 2][j + 1] - rows[i][j + 1]);
      out.value[i][j] = rows[i + 1][j + 1];
      out.gx[i][j] = gx;
      out.gy[i][j] = gy;
      sum[0][j] += gx;
      sum[1][j] += gy;
      sum[2][j] += gx * gx;
      sum[3][j] += gx * gy;
      sum[4][j] += gy * gy;
    }
  }
  out.gx_mean = sum_of(sum[0]) / kWindowArea;
  out.gy_mean = sum_of(sum[1]) / kWindowArea;
  out.xx = sum_of(sum[2]) / kWindowArea - out.gx_mean * out.gx_mean;
  out.xy = sum_of(sum[3]) / kWindowArea - out.gx_mean * out.gy_mean;
  out.yy = sum_of(sum[4]) / kWindowArea - out.gy_mean * out.gy_mean;
}

/// The differences of the window round (x, y) to the template.
void read_difference(const Thumbnail& luma, float x, float y, const Template& wanted,
                     float (&difference)[kWindow][kWindow]) {
  const float left = window_start(x);
  const float top = window_start(y);
  const float column = std::floor(left);
  const float row = std::floor(top);
  const float part_x = left - column;
  const float part_y = top - row;
  std::array<std::uint8_t, std::size_t{kWindow + 1} * 16> copy;
  const Bytes bytes =
      bytes_at<kWindow + 1>(luma, static_cast<int>(column), static_cast<int>(row), copy);
  alignas(32) float rows[kWindow + 1][kWindow];
  for (int i = 0; i <= kWindow; ++i)
    sample_row(bytes.data + static_cast<std::ptrdiff_t>(i) * bytes.stride, part_x, rows[i]);
  for (int i = 0; i < kWindow; ++i) {
    for (int j = 0; j < kWindow; ++j)
      difference[i][j] = rows[i][j] + part_y * (rows[i + 1][j] - rows[i][j]) - wanted.value[i][j];
  }
}

/// Places far outside are continued border: nothing is to be found there.
bool is_near(const Thumbnail& luma, float x, float y) {
  constexpr float kMargin = 0.5F * kWindow;
  return x > -kMargin && y > -kMargin && x < static_cast<float>(luma.size.width) + kMargin &&
         y < static_cast<float>(luma.size.height) + kMargin;  // false for NaN
}

/// Newton's steps on one level; false where there is nothing to hold on to or the point runs away.
bool refine(const Thumbnail& to, float x, float y, const Template& wanted, float& dx, float& dy) {
  const float determinant = wanted.xx * wanted.yy - wanted.xy * wanted.xy;
  if (!(wanted.corner() >= kCornerMin) || !(determinant > 0)) return false;
  const float start_x = dx;
  const float start_y = dy;
  for (int n = 0; n < kIterationsMax; ++n) {
    if (!is_near(to, x + dx, y + dy)) return false;
    alignas(32) float difference[kWindow][kWindow];
    read_difference(to, x + dx, y + dy, wanted, difference);
    alignas(32) float sum[3][kWindow] = {};
    for (int i = 0; i < kWindow; ++i) {
      for (int j = 0; j < kWindow; ++j) {
        sum[0][j] += difference[i][j];
        sum[1][j] += difference[i][j] * wanted.gx[i][j];
        sum[2][j] += difference[i][j] * wanted.gy[i][j];
      }
    }
    const float mean = sum_of(sum[0]) / kWindowArea;
    const float bx = sum_of(sum[1]) / kWindowArea - mean * wanted.gx_mean;
    const float by = sum_of(sum[2]) / kWindowArea - mean * wanted.gy_mean;
    const float step_x = (wanted.xy * by - wanted.yy * bx) / determinant;
    const float step_y = (wanted.xy * bx - wanted.xx * by) / determinant;
    dx += step_x;
    dy += step_y;
    if (std::abs(dx - start_x) > kWindow || std::abs(dy - start_y) > kWindow) return false;
    if (step_x * step_x + step_y * step_y < kStepMin * kStepMin) break;
  }
  return is_near(to, x + dx, y + dy);
}

/// From the coarsest level to the finest. A level without structure hands on what came to it.
bool follow(std::span<const Thumbnail> from, std::span<const Thumbnail> to, int coarsest, float x,
            float y, float& dx, float& dy, Template& finest) {
  for (int level = coarsest; level >= 0; --level) {
    const auto at = static_cast<std::size_t>(level);
    const float scale = 1.0F / static_cast<float>(1 << level);
    float level_dx = dx * scale;
    float level_dy = dy * scale;
    read_template(from[at], x * scale, y * scale, finest);
    const bool is_found = refine(to[at], x * scale, y * scale, finest, level_dx, level_dy);
    if (is_found) {
      dx = level_dx / scale;
      dy = level_dy / scale;
    } else if (level == 0) {
      return false;
    }
  }
  return true;
}

float residual_of(const Thumbnail& to, float x, float y, const Template& wanted) {
  alignas(32) float difference[kWindow][kWindow];
  read_difference(to, x, y, wanted, difference);
  float mean = 0;
  for (const auto& row : difference) mean += sum_of(row);
  mean /= kWindowArea;
  float sum = 0;
  for (const auto& row : difference) {
    for (const float value : row) sum += std::abs(value - mean);
  }
  return sum / kWindowArea;
}

}  // namespace

float corner_strength(const Thumbnail& luma, float x, float y) {
  Template window;
  read_template(luma, x, y, window);
  return std::max(0.0F, window.corner());
}

void track_points(std::span<const Thumbnail> from, std::span<const Thumbnail> to, int coarsest,
                  std::span<FlowPoint> points) {
  CHECK(coarsest >= 0 && static_cast<std::size_t>(coarsest) < from.size() &&
        from.size() == to.size() && from[0].size == to[0].size);
  Template window;
  for (FlowPoint& point : points) {
    float dx = point.dx;
    float dy = point.dy;
    point.is_tracked = follow(from, to, coarsest, point.x, point.y, dx, dy, window);
    if (!point.is_tracked) continue;
    const float x = point.x + dx;
    const float y = point.y + dy;
    point.residual = residual_of(to[0], x, y, window);
    float back_dx = -point.dx;
    float back_dy = -point.dy;
    point.is_tracked = follow(to, from, coarsest, x, y, back_dx, back_dy, window);
    if (!point.is_tracked) continue;
    point.back_error = std::hypot(dx + back_dx, dy + back_dy);
    point.dx = dx;
    point.dy = dy;
  }
}

}  // namespace framemill

#include "framemill/infer/cuda/letterbox_self_check.h"

#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>
#include <span>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "framemill/infer/cuda/cuda_batch.h"
#include "framemill/infer/half.h"

namespace framemill {
namespace {

constexpr Size kInput{96, 64};
constexpr Size kSource{175, 93};  // odd, and scaled both ways by no whole number
constexpr std::array kFormats{PixelFormat::kNv12, PixelFormat::kI420, PixelFormat::kI422,
                              PixelFormat::kI444, PixelFormat::kGray};
// Of colours in 0..1: the last bits of sums of products, and in halves one step more.
constexpr float kFloatTolerance = 4e-6F, kHalfTolerance = 1e-3F;

/// A picture of noise with rows longer than needed. Full planes are enough for any format.
Picture noise_picture(PixelFormat format, std::vector<std::uint8_t>& bytes) {
  constexpr int kStride = 2 * kSource.width + 13;
  constexpr std::size_t kPlane = static_cast<std::size_t>(kStride) * kSource.height;
  std::minstd_rand noise(5);
  bytes.resize(3 * kPlane);
  for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(noise() >> 8);
  Picture picture;
  picture.format = format;
  picture.matrix = ColorMatrix::kBt709;
  picture.size = kSource;
  for (std::size_t i = 0; i < 3; ++i) picture.planes[i] = {bytes.data() + i * kPlane, kStride};
  return picture;
}

/// The place of a colour in a tensor whose channels come last.
std::size_t channels_last(std::size_t i) {
  constexpr std::size_t kPlane = static_cast<std::size_t>(kInput.width) * kInput.height;
  return 3 * (i % kPlane) + i / kPlane;
}

Result<void> compare(std::span<const float> host, std::span<const float> device,
                     bool is_channels_last, float tolerance, PixelFormat format) {
  for (std::size_t i = 0; i < host.size(); ++i) {
    const float there = device[is_channels_last ? channels_last(i) : i];
    if (std::abs(there - host[i]) <= tolerance) continue;
    return fail(ErrorCode::kInternal,
                fmt::format("the device's letterbox is not the host's: {} in place of {} at value "
                            "{} of picture format {}",
                            there, host[i], i, static_cast<int>(format)));
  }
  return {};
}

Result<void> check(const std::shared_ptr<const CudaLetterbox>& letterbox, bool is_half) {
  const CudaBatch::Shape shape{
      .batch = kFormats.size(), .size = kInput, .is_channels_last = is_half, .is_half = is_half};
  Result<std::unique_ptr<CudaBatch>> batch =
      CudaBatch::create(letterbox, shape, CudaBatch::Memory::kDevice);
  if (!batch) return fail(batch.error());
  const InputStyle style;
  const Result<Letterbox> plan = plan_letterbox(kSource, kInput, style.place);
  if (!plan) return fail(plan.error());
  std::vector<std::uint8_t> bytes;
  for (std::size_t i = 0; i < kFormats.size(); ++i)
    if (const Result<void> set =
            (*batch)->set_picture(i, noise_picture(kFormats[i], bytes), *plan, style);
        !set)
      return set;
  if (const Result<void> started = (*batch)->start(); !started) return started;
  if (const Result<void> done = (*batch)->wait(); !done) return done;
  const auto fetched = (*batch)->fetch((*batch)->tensor(), (*batch)->tensor_bytes());
  if (!fetched) return fail(fetched.error());

  const std::size_t count = 3 * static_cast<std::size_t>(kInput.width) * kInput.height;
  std::vector<float> host(count), device(count);
  for (std::size_t i = 0; i < kFormats.size(); ++i) {
    write_letterbox(noise_picture(kFormats[i], bytes), *plan, kInput, style, host);
    const std::uint8_t* const item = fetched->data() + i * (*batch)->item_bytes();
    if (is_half)
      to_float({reinterpret_cast<const std::uint16_t*>(item), count}, device);
    else
      std::memcpy(device.data(), item, count * sizeof(float));
    if (const Result<void> same =
            compare(host, device, is_half, is_half ? kHalfTolerance : kFloatTolerance, kFormats[i]);
        !same)
      return same;
  }
  return {};
}

}  // namespace

Result<void> check_letterbox(const std::shared_ptr<const CudaLetterbox>& letterbox) {
  for (const bool is_half : {false, true})
    if (const Result<void> right = check(letterbox, is_half); !right) return right;
  return {};
}

}  // namespace framemill

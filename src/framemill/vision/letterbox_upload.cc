#include "framemill/vision/letterbox_upload.h"

#include <cstring>

#include "framemill/base/check.h"
#include "framemill/vision/letterbox_places.h"

namespace framemill {
namespace {

constexpr std::size_t kAlignment = 16;

std::size_t aligned(std::size_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

LetterboxTap across_tap(int output, double step, int subsampling, int samples) {
  const SamplePlace place = place_of(output, step, subsampling, samples);
  const int weight = weight_across(place);
  return {place.index, weight == 0 ? place.index : place.index + 1, weight};
}

LetterboxTap down_tap(int output, double step, int subsampling, int rows) {
  const RowPair pair = row_pair_of(output, step, subsampling, rows);
  return {pair.first, pair.second, pair.weight};
}

void copy_rows(const Plane& plane, int row_bytes, int rows, std::uint8_t* to) {
  const auto bytes = static_cast<std::size_t>(row_bytes);
  for (int y = 0; y < rows; ++y)
    std::memcpy(to + static_cast<std::size_t>(y) * bytes,
                plane.data + static_cast<std::ptrdiff_t>(y) * plane.stride, bytes);
}

template <typename T>
const T* moved(const std::uint8_t* block, std::size_t offset) {
  return reinterpret_cast<const T*>(block + offset);
}

}  // namespace

bool LetterboxUpload::prepare(const Picture& picture, const Letterbox& plan,
                              const InputStyle& style) {
  CHECK(picture.size.width > 0 && picture.size.height > 0 && picture.planes[0].data != nullptr);
  CHECK(plan.resized.width > 0 && plan.resized.height > 0);
  const Layout layout{picture.format, picture.range, picture.matrix, picture.size, plan.resized,
                      plan.left,      plan.top,      style.channels, style.range,  style.border};
  if (layout == layout_) return false;
  layout_ = layout;
  const Size size = picture.size;
  const ChromaPlane chroma = chroma_plane_of(picture.format, size);
  const bool is_interleaved = picture.format == PixelFormat::kNv12;
  const bool is_gray = picture.format == PixelFormat::kGray;

  const ColorTransform colors = color_transform(picture, style.channels, style.range);
  constexpr float kScale = 1.0F / static_cast<float>(1 << (kRowBits + kWeightBits));
  item_ = {};
  item_.luma_stride = size.width;
  item_.chroma_step = is_gray ? 0 : is_interleaved ? 2 : 1;
  item_.chroma_stride = chroma.size.width * item_.chroma_step;
  item_.left = plan.left;
  item_.top = plan.top;
  item_.width = plan.resized.width;
  item_.height = plan.resized.height;
  item_.luma_factor = colors.luma * kScale;
  for (int c = 0; c < 3; ++c) {
    item_.u_factor[c] = colors.u[c] * kScale;
    item_.v_factor[c] = colors.v[c] * kScale;
    item_.offset[c] = colors.offset[c];
  }
  item_.most = colors.most;
  item_.border = border_value(style);
  item_.is_set = 1;

  const auto outputs = static_cast<std::size_t>(plan.resized.width + plan.resized.height);
  table_bytes_ = aligned(2 * outputs * sizeof(LetterboxTap));
  const auto luma_bytes =
      static_cast<std::size_t>(size.width) * static_cast<std::size_t>(size.height);
  const std::size_t chroma_bytes =
      static_cast<std::size_t>(item_.chroma_stride) * static_cast<std::size_t>(chroma.size.height);
  luma_at_ = table_bytes_;
  u_at_ = luma_at_ + aligned(luma_bytes);
  v_at_ = is_interleaved ? u_at_ + 1 : u_at_ + aligned(chroma_bytes);
  bytes_ = is_gray ? u_at_ : u_at_ + aligned(chroma_bytes) * (is_interleaved ? 1 : 2);
  return true;
}

void LetterboxUpload::write_tables(std::uint8_t* block) const {
  const Size source = layout_.source;
  const Size scaled = layout_.scaled;
  const ChromaPlane chroma = chroma_plane_of(layout_.format, source);
  const double step_across = static_cast<double>(source.width) / scaled.width;
  const double step_down = static_cast<double>(source.height) / scaled.height;
  auto* tap = reinterpret_cast<LetterboxTap*>(block);
  for (int x = 0; x < scaled.width; ++x) *tap++ = across_tap(x, step_across, 1, source.width);
  for (int y = 0; y < scaled.height; ++y) *tap++ = down_tap(y, step_down, 1, source.height);
  for (int x = 0; x < scaled.width; ++x)
    *tap++ = across_tap(x, step_across, chroma.across, chroma.size.width);
  for (int y = 0; y < scaled.height; ++y)
    *tap++ = down_tap(y, step_down, chroma.down, chroma.size.height);
}

void LetterboxUpload::write_samples(const Picture& picture, std::uint8_t* block) const {
  CHECK(picture.format == layout_.format && picture.size == layout_.source);
  copy_rows(picture.planes[0], layout_.source.width, layout_.source.height, block + luma_at_);
  if (item_.chroma_step == 0) return;
  const int rows = chroma_plane_of(layout_.format, layout_.source).size.height;
  copy_rows(picture.planes[1], item_.chroma_stride, rows, block + u_at_);
  if (item_.chroma_step == 1)
    copy_rows(picture.planes[2], item_.chroma_stride, rows, block + v_at_);
}

LetterboxItem LetterboxUpload::item(const std::uint8_t* block) const {
  const auto width = static_cast<std::size_t>(item_.width);
  const auto height = static_cast<std::size_t>(item_.height);
  LetterboxItem item = item_;
  item.luma = block + luma_at_;
  item.u = block + u_at_;
  item.v = block + v_at_;
  item.luma_across = moved<LetterboxTap>(block, 0);
  item.luma_down = item.luma_across + width;
  item.chroma_across = item.luma_down + height;
  item.chroma_down = item.chroma_across + width;
  return item;
}

}  // namespace framemill

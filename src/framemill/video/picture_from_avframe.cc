#include "framemill/video/picture_from_avframe.h"

extern "C" {
#include <libavutil/hwcontext.h>
#include <libavutil/pixdesc.h>
}

#include <optional>
#include <utility>

namespace framemill {
namespace {

struct Layout {
  PixelFormat format;
  bool is_full_range;  ///< by its very name
};

/// Formats that leave as they are.
std::optional<Layout> layout_of(int av_format) {
  switch (av_format) {
    case AV_PIX_FMT_YUV420P:
      return Layout{PixelFormat::kI420, false};
    case AV_PIX_FMT_YUVJ420P:
      return Layout{PixelFormat::kI420, true};
    case AV_PIX_FMT_YUV422P:
      return Layout{PixelFormat::kI422, false};
    case AV_PIX_FMT_YUVJ422P:
      return Layout{PixelFormat::kI422, true};
    case AV_PIX_FMT_YUV444P:
      return Layout{PixelFormat::kI444, false};
    case AV_PIX_FMT_YUVJ444P:
      return Layout{PixelFormat::kI444, true};
    case AV_PIX_FMT_NV12:
      return Layout{PixelFormat::kNv12, false};
    case AV_PIX_FMT_GRAY8:
      return Layout{PixelFormat::kGray, false};
    default:
      return std::nullopt;
  }
}

/// The 8-bit planar format that keeps what `av_format` holds; none for hardware surfaces.
AVPixelFormat planar_for(int av_format) {
  const AVPixFmtDescriptor* const d = av_pix_fmt_desc_get(static_cast<AVPixelFormat>(av_format));
  if (d == nullptr || (d->flags & AV_PIX_FMT_FLAG_HWACCEL) != 0) return AV_PIX_FMT_NONE;
  if ((d->flags & (AV_PIX_FMT_FLAG_RGB | AV_PIX_FMT_FLAG_PAL)) != 0) return AV_PIX_FMT_YUV444P;
  if (d->nb_components < 3) return AV_PIX_FMT_GRAY8;
  if (d->log2_chroma_w >= 1 && d->log2_chroma_h >= 1) return AV_PIX_FMT_YUV420P;
  return d->log2_chroma_w >= 1 ? AV_PIX_FMT_YUV422P : AV_PIX_FMT_YUV444P;
}

ColorMatrix matrix_of(AVColorSpace space) {
  switch (space) {
    case AVCOL_SPC_BT709:
      return ColorMatrix::kBt709;
    case AVCOL_SPC_BT2020_NCL:
    case AVCOL_SPC_BT2020_CL:
      return ColorMatrix::kBt2020;
    default:
      return ColorMatrix::kBt601;
  }
}

/// A surface of a device in the host's memory, with all that is told of it; null where that fails.
AvFramePtr bring_to_host(const AVFrame& surface) {
  AvFramePtr host(av_frame_alloc());
  if (host == nullptr || av_hwframe_transfer_data(host.get(), &surface, 0) < 0 ||
      av_frame_copy_props(host.get(), &surface) < 0)
    return nullptr;
  return host;
}

bool is_rgb(int av_format) {
  const AVPixFmtDescriptor* const d = av_pix_fmt_desc_get(static_cast<AVPixelFormat>(av_format));
  return (d->flags & (AV_PIX_FMT_FLAG_RGB | AV_PIX_FMT_FLAG_PAL)) != 0;
}

}  // namespace

AvFramePtr PictureMaker::convert(const AVFrame& frame, AVPixelFormat target) {
  const auto from = static_cast<AVPixelFormat>(frame.format);
  AvFramePtr out(av_frame_alloc());
  if (out == nullptr) return nullptr;
  out->format = target;
  out->width = frame.width;
  out->height = frame.height;
  if (av_frame_get_buffer(out.get(), 0) < 0) return nullptr;
  converter_.reset(sws_getCachedContext(
      converter_.release(), frame.width, frame.height, from, frame.width, frame.height, target,
      SWS_BILINEAR | SWS_ACCURATE_RND, nullptr, nullptr, nullptr));
  if (converter_ == nullptr) return nullptr;
  const bool from_rgb = is_rgb(frame.format);
  // YUV keeps its matrix and range; RGB becomes full-range BT.601, which loses least.
  out->colorspace = from_rgb ? AVCOL_SPC_SMPTE170M : frame.colorspace;
  out->color_range = from_rgb ? AVCOL_RANGE_JPEG : frame.color_range;
  const int is_full = out->color_range == AVCOL_RANGE_JPEG ? 1 : 0;
  const int* const weights = sws_getCoefficients(from_rgb ? SWS_CS_ITU601 : frame.colorspace);
  constexpr int kOne = 1 << 16;
  sws_setColorspaceDetails(converter_.get(), weights, from_rgb ? 1 : is_full, weights, is_full, 0,
                           kOne, kOne);
  if (sws_scale(converter_.get(), frame.data, frame.linesize, 0, frame.height, out->data,
                out->linesize) != frame.height)
    return nullptr;
  return out;
}

std::shared_ptr<const Picture> PictureMaker::make(AvFramePtr frame) {
  if (frame->width < 1 || frame->height < 1) return nullptr;
  if (frame->hw_frames_ctx != nullptr) {
    frame = bring_to_host(*frame);
    if (frame == nullptr) return nullptr;
  }
  // Decoders crop by themselves, but of surfaces only the right and the bottom.
  if (av_frame_apply_cropping(frame.get(), AV_FRAME_CROP_UNALIGNED) < 0) return nullptr;
  std::optional<Layout> layout = layout_of(frame->format);
  if (!layout) {
    const AVPixelFormat target = planar_for(frame->format);
    if (target == AV_PIX_FMT_NONE) return nullptr;
    frame = convert(*frame, target);
    if (frame == nullptr) return nullptr;
    layout = layout_of(target);
  }
  auto picture = std::make_shared<Picture>();
  picture->format = layout->format;
  const bool is_full = layout->is_full_range || frame->color_range == AVCOL_RANGE_JPEG;
  picture->range = is_full ? ColorRange::kFull : ColorRange::kLimited;
  picture->matrix = matrix_of(frame->colorspace);
  picture->size = {frame->width, frame->height};
  for (std::size_t i = 0; i < picture->planes.size(); ++i)
    picture->planes[i] = {frame->data[i], frame->data[i] != nullptr ? frame->linesize[i] : 0};
  if (layout->format == PixelFormat::kGray) picture->planes[1] = picture->planes[2] = {};
  if (layout->format == PixelFormat::kNv12) picture->planes[2] = {};
  picture->owner = std::shared_ptr<const void>(frame.release(), [](const void* owned) {
    AvDeleter()(static_cast<AVFrame*>(const_cast<void*>(owned)));
  });
  return picture;
}

}  // namespace framemill

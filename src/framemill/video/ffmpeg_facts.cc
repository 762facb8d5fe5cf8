#include "framemill/video/ffmpeg_facts.h"

#include <array>
#include <utility>

#include <fmt/format.h>

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/hwcontext.h>
}

namespace framemill {
namespace {

std::string text_of(unsigned version) {
  return fmt::format("{}.{}.{}", AV_VERSION_MAJOR(version), AV_VERSION_MINOR(version),
                     AV_VERSION_MICRO(version));
}

constexpr std::array<std::pair<AVCodecID, const char*>, 5> kCameraCodecs{
    {{AV_CODEC_ID_H264, "h264"},
     {AV_CODEC_ID_HEVC, "hevc"},
     {AV_CODEC_ID_MJPEG, "mjpeg"},
     {AV_CODEC_ID_MPEG4, "mpeg4"},
     {AV_CODEC_ID_AV1, "av1"}}};

}  // namespace

FfmpegFacts read_ffmpeg_facts() {
  FfmpegFacts facts;
  facts.version = fmt::format("libavcodec {}, libavformat {}", text_of(avcodec_version()),
                              text_of(avformat_version()));
  for (const auto& [id, name] : kCameraCodecs)
    (avcodec_find_decoder(id) != nullptr ? facts.decoders : facts.missing).emplace_back(name);
  for (AVHWDeviceType type = av_hwdevice_iterate_types(AV_HWDEVICE_TYPE_NONE);
       type != AV_HWDEVICE_TYPE_NONE; type = av_hwdevice_iterate_types(type))
    facts.hardware.emplace_back(av_hwdevice_get_type_name(type));
  return facts;
}

}  // namespace framemill

#pragma once

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libswscale/swscale.h>
}

#include <memory>

// Owning pointers for FFmpeg's objects. Only files of this folder include this header.
namespace framemill {

struct AvDeleter {
  void operator()(AVFrame* frame) const { av_frame_free(&frame); }
  void operator()(AVPacket* packet) const { av_packet_free(&packet); }
  void operator()(AVCodecContext* context) const { avcodec_free_context(&context); }
  void operator()(AVCodecParameters* parameters) const { avcodec_parameters_free(&parameters); }
  void operator()(AVFormatContext* context) const { avformat_close_input(&context); }
  void operator()(SwsContext* context) const { sws_freeContext(context); }
};
using AvFramePtr = std::unique_ptr<AVFrame, AvDeleter>;
using AvPacketPtr = std::unique_ptr<AVPacket, AvDeleter>;
using AvCodecContextPtr = std::unique_ptr<AVCodecContext, AvDeleter>;
using AvCodecParametersPtr = std::unique_ptr<AVCodecParameters, AvDeleter>;
using AvFormatContextPtr = std::unique_ptr<AVFormatContext, AvDeleter>;
using SwsContextPtr = std::unique_ptr<SwsContext, AvDeleter>;

}  // namespace framemill

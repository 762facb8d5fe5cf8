#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "framemill/base/clock.h"
#include "framemill/core/picture.h"

namespace framemill {

/// Where a frame stands in its camera's stream, and when it was captured.
struct FrameStamp {
  std::int64_t seq = 0;    ///< counts the sampled frames of the camera from 0, over reconnects
  std::int32_t epoch = 0;  ///< counts the reconnects of the camera from 0
  std::int64_t frame_index =
      0;  ///< counts delivered frames in display order from 0, over reconnects
  std::optional<std::int64_t> file_frame_index;  ///< place in the file, for looped files only
  double pts_s = 0;                              ///< seconds since the first frame of this epoch
  WallTime captured_at;       ///< when the demuxer delivered the first packet of the frame
  TimePoint captured_mono;    ///< the same moment on the monotonic clock; latency starts here
  Duration reorder_delay{0};  ///< part of the latency that the decoder's reordering cost
};

/// A sampled frame on its way to an answer.
struct Frame {
  FrameStamp stamp;
  std::shared_ptr<const Picture> picture;
  bool is_stream_start = false;  ///< first of the camera or of an epoch: nothing is known of it
  bool is_scene_start = false;   ///< first of the stream or of a loop, or a scene cut: tracks end
  std::optional<double> edge_density;  ///< 0..1, where the camera's model has a ladder
};

}  // namespace framemill

#pragma once

#include <cstdint>
#include <span>

#include "framemill/video/av_handles.h"

namespace framemill {

/// Tells from the coded bytes whether a later frame may need the frame of a packet. One that no
/// other refers to can be left out without changing any other frame by a bit: H.264 where
/// nal_ref_idc is 0, H.265 where the picture is a sub-layer non-reference one of the highest
/// sub-layer, MPEG-4 and MPEG-2 where it is a B picture, and every frame of codecs that know no
/// references (Motion JPEG). For others, and where in doubt, the answer is yes. Not thread-safe;
/// O(bytes of the packet).
class ReferenceUse {
 public:
  /// Reads how units are framed, and the number of sub-layers, from the parameters' extradata.
  explicit ReferenceUse(const AVCodecParameters& parameters);

  [[nodiscard]] bool may_be_referenced(std::span<const std::uint8_t> packet);

  /// Parameters changed in mid-stream.
  void update_extradata(std::span<const std::uint8_t> extradata);

 private:
  [[nodiscard]] bool is_free_h264(std::span<const std::uint8_t> packet) const;
  [[nodiscard]] bool is_free_h265(std::span<const std::uint8_t> packet);
  void note_h265_parameters(std::span<const std::uint8_t> unit);

  const AVCodecID codec_id_;
  bool is_intra_only_ = false;
  int length_bytes_ = 0;    ///< of a unit's length in front of it; 0: start codes instead
  int sub_layers_max_ = 0;  ///< H.265; 0: not known yet
};

}  // namespace framemill

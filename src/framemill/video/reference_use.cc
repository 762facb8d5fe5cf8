#include "framemill/video/reference_use.h"

#include <algorithm>
#include <optional>

namespace framemill {
namespace {

using Bytes = std::span<const std::uint8_t>;

/// Index behind the next 00 00 01 at or after `from`; none: the size.
std::size_t behind_start_code(Bytes data, std::size_t from) {
  for (std::size_t i = from; i + 3 <= data.size(); ++i) {
    if (data[i + 2] > 1) {
      i += 2;  // none of these three bytes begins a start code
    } else if (data[i] == 0 && data[i + 1] == 0 && data[i + 2] == 1) {
      return i + 3;
    }
  }
  return data.size();
}

/// Calls visit(unit) for each NAL unit until it returns false. False if the framing is broken.
template <typename Visit>
bool for_each_unit(Bytes data, int length_bytes, Visit visit) {
  if (length_bytes == 0) {
    std::size_t begin = behind_start_code(data, 0);
    while (begin < data.size()) {
      const std::size_t next = behind_start_code(data, begin);
      if (!visit(data.subspan(begin, next - begin))) return true;
      begin = next;
    }
    return true;
  }
  const auto prefix = static_cast<std::size_t>(length_bytes);
  while (data.size() > prefix) {
    std::size_t length = 0;
    for (std::size_t i = 0; i < prefix; ++i) length = length << 8 | data[i];
    data = data.subspan(prefix);
    if (length > data.size()) return false;
    if (length > 0 && !visit(data.first(length))) return true;
    data = data.subspan(length);
  }
  return true;
}

/// The coding type in the one picture header of the packet; none: no header, or several.
std::optional<int> only_picture_type(Bytes data, AVCodecID codec_id) {
  constexpr std::uint8_t kVop = 0xB6;      // MPEG-4: 2 bits of type follow
  constexpr std::uint8_t kPicture = 0x00;  // MPEG-2: 10 bits of order, then 3 of type
  const bool is_mpeg4 = codec_id == AV_CODEC_ID_MPEG4;
  std::optional<int> type;
  for (std::size_t at = behind_start_code(data, 0); at < data.size();
       at = behind_start_code(data, at)) {
    if (data[at] != (is_mpeg4 ? kVop : kPicture)) continue;
    if (type || at + 2 >= data.size()) return std::nullopt;
    type = is_mpeg4 ? data[at + 1] >> 6 : data[at + 2] >> 3 & 7;
  }
  return type;
}

}  // namespace

ReferenceUse::ReferenceUse(const AVCodecParameters& parameters) : codec_id_(parameters.codec_id) {
  const AVCodecDescriptor* const d = avcodec_descriptor_get(codec_id_);
  is_intra_only_ = d != nullptr && (d->props & AV_CODEC_PROP_INTRA_ONLY) != 0;
  if (parameters.extradata_size > 0)
    update_extradata({parameters.extradata, static_cast<std::size_t>(parameters.extradata_size)});
}

void ReferenceUse::update_extradata(Bytes extradata) {
  constexpr std::size_t kAvcLengthAt = 4, kHevcLengthAt = 21, kHevcLayersAt = 21, kHevcMin = 23;
  const bool is_record = extradata.size() > kAvcLengthAt && extradata[0] == 1;
  length_bytes_ = 0;
  if (codec_id_ == AV_CODEC_ID_H264 && is_record) {
    length_bytes_ = (extradata[kAvcLengthAt] & 3) + 1;
  } else if (codec_id_ == AV_CODEC_ID_HEVC) {
    if (extradata.size() >= kHevcMin && (extradata[0] != 0 || extradata[1] != 0)) {
      length_bytes_ = (extradata[kHevcLengthAt] & 3) + 1;
      sub_layers_max_ = extradata[kHevcLayersAt] >> 3 & 7;  // numTemporalLayers; 0: unknown
    } else {
      for_each_unit(extradata, 0, [this](Bytes unit) {
        note_h265_parameters(unit);
        return true;
      });
    }
  }
}

bool ReferenceUse::may_be_referenced(Bytes packet) {
  if (is_intra_only_) return false;
  switch (codec_id_) {
    case AV_CODEC_ID_H264:
      return !is_free_h264(packet);
    case AV_CODEC_ID_HEVC:
      return !is_free_h265(packet);
    case AV_CODEC_ID_MPEG4:
      return only_picture_type(packet, codec_id_) != 2;
    case AV_CODEC_ID_MPEG2VIDEO:
      return only_picture_type(packet, codec_id_) != 3;
    default:
      return true;
  }
}

bool ReferenceUse::is_free_h264(Bytes packet) const {
  constexpr int kSliceLast = 5, kSps = 7, kPps = 8, kSpsExtension = 13, kSubsetSps = 15;
  bool has_slice = false, is_free = true;
  const bool is_whole = for_each_unit(packet, length_bytes_, [&](Bytes unit) {
    const int type = unit[0] & 31;
    const int reference = unit[0] >> 5 & 3;
    const bool is_slice = type >= 1 && type <= kSliceLast;
    has_slice |= is_slice;
    if (is_slice && reference != 0) is_free = false;
    // Parameter sets stay in force for later frames.
    if (type == kSps || type == kPps || type == kSpsExtension || type == kSubsetSps)
      is_free = false;
    return is_free;
  });
  return is_whole && has_slice && is_free;
}

void ReferenceUse::note_h265_parameters(Bytes unit) {
  constexpr int kSps = 33;
  // Behind the header of 2 bytes: 4 bits of id, 3 bits of sub-layers minus 1.
  if (unit.size() > 2 && (unit[0] >> 1 & 63) == kSps)
    sub_layers_max_ = std::max(sub_layers_max_, (unit[2] >> 1 & 7) + 1);
}

bool ReferenceUse::is_free_h265(Bytes packet) {
  constexpr int kSliceEnd = 32, kNonReferenceEnd = 16, kVps = 32, kPps = 34;
  bool has_slice = false, is_free = true;
  const bool is_whole = for_each_unit(packet, length_bytes_, [&](Bytes unit) {
    if (unit.size() < 2) return true;
    const int type = unit[0] >> 1 & 63;
    if (type >= kVps && type <= kPps) {
      note_h265_parameters(unit);
      is_free = false;
      return true;  // a further parameter set may follow
    }
    if (type >= kSliceEnd) return true;
    has_slice = true;
    // Even types below 16 are sub-layer non-reference pictures: nothing of the same sub-layer needs
    // them. Higher sub-layers may, so only those of the highest are free.
    const int sub_layer = (unit[1] & 7) - 1;
    const bool is_non_reference = type < kNonReferenceEnd && type % 2 == 0;
    if (!is_non_reference || sub_layers_max_ == 0 || sub_layer != sub_layers_max_ - 1)
      is_free = false;
    return is_free;
  });
  return is_whole && has_slice && is_free;
}

}  // namespace framemill

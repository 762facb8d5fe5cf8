#pragma once

#include "framemill/core/picture.h"
#include "framemill/vision/letterbox.h"
#include "framemill/vision/letterbox_kernels.h"

namespace framemill {

// Where the letterbox reads and how it makes colours: shared by the way over rows on the host and
// the way over pixels on a graphics device, so that both compute the same. All pure, any thread.

/// Between which two samples a position lies.
struct SamplePlace {
  int index = 0;
  double weight = 0;  ///< of sample index + 1, 0 <= weight < 1; 0 at the last sample
};

/// `output` of a scale with `step` samples of full size per output, in a plane that has one sample
/// per `subsampling` samples of full size and `count` of them. Centres are aligned.
[[nodiscard]] SamplePlace place_of(int output, double step, int subsampling, int count);

/// The second sample's weight across, 0..2^kWeightBits.
[[nodiscard]] int weight_across(const SamplePlace& place);

/// Rows around a place, with the weight as kernels want it: 0 <= weight < 2^kBlendBits, of
/// `second`, which is `first` where the weight is 0.
struct RowPair {
  int first, second, weight;
};
[[nodiscard]] RowPair row_pair_of(int output, double step, int subsampling, int rows);

/// The chroma planes of a picture of `size`: how many luma samples one of theirs covers each way,
/// and their size. Grey pictures have none; theirs is told as if it were full.
struct ChromaPlane {
  int across, down;  ///< 1 or 2
  Size size;
};
[[nodiscard]] ChromaPlane chroma_plane_of(PixelFormat format, Size size);

/// ITU-R BT.601/709/2020, section 3: R = Y + 2 (1 - kr) V and so on, Y and chroma stretched first.
[[nodiscard]] ColorTransform color_transform(const Picture& picture, ChannelOrder channels,
                                             ValueRange range);

/// The border as the tensor holds it.
[[nodiscard]] float border_value(const InputStyle& style);

}  // namespace framemill

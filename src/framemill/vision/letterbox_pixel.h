#pragma once

// The letterbox of one pixel, for graphics devices: NVRTC compiles the text of this file while the
// program runs (infer/cuda), and the tests run the same functions on the host against
// write_letterbox(). Therefore it includes nothing, and takes no type that C++ itself does not
// have. Up to the colours it computes the same integers as letterbox_kernels.h, and from there on
// fuses the same products as its AVX2 kernels do, so that the floats are the same to the bit.

#ifdef __CUDACC__
#define FRAMEMILL_HOST_DEVICE __host__ __device__ inline
#else
#define FRAMEMILL_HOST_DEVICE inline
#endif

namespace framemill {

/// Two samples, or two rows, and the weight of the second. `second` is `first` where it counts
/// nothing.
struct LetterboxTap {
  int first;
  int second;
  int weight;  ///< across 0..2^14, down 0..2^15 - 1
};

/// One picture and where it goes. All pointers are the device's own; of plain data, so that it can
/// be copied there as it is.
struct LetterboxItem {
  const unsigned char* luma;
  const unsigned char* u;
  const unsigned char* v;
  const LetterboxTap* luma_across;  ///< `width` of them
  const LetterboxTap* luma_down;    ///< `height` of them
  const LetterboxTap* chroma_across;
  const LetterboxTap* chroma_down;
  int luma_stride;    ///< bytes from a row to the next
  int chroma_stride;  ///< likewise
  int chroma_step;    ///< bytes from a sample to the next: 1, 2 interleaved, 0 for grey pictures
  int left, top;      ///< border, in pixels of the model's input
  int width, height;  ///< of the scaled picture
  float luma_factor;  ///< colour = luma_factor * Y + u_factor * U + v_factor * V + offset, of
                      ///< samples times 2^21
  float u_factor[3], v_factor[3], offset[3];
  float most;    ///< colours end at 0 and here
  float border;  ///< colour of the border
  int is_set;    ///< 0: what the tensor holds for this picture stays
};

/// The model's input for a whole batch. Strides in elements.
struct LetterboxTensor {
  void* data;
  int width, height;
  long long item_stride, plane_stride;
  int row_stride, pixel_stride;
  int is_half;  ///< IEEE 754 half; else float
};

FRAMEMILL_HOST_DEVICE float letterbox_fma(float a, float b, float c) {
#ifdef __CUDACC__
  return __fmaf_rn(a, b, c);
#else
  return __builtin_fmaf(a, b, c);
#endif
}

FRAMEMILL_HOST_DEVICE unsigned letterbox_bits(float value) {
#ifdef __CUDACC__
  return __float_as_uint(value);
#else
  return __builtin_bit_cast(unsigned, value);
#endif
}

/// The nearest half of a finite value in 0..65504, ties to even: what to_half() of infer/half.h
/// gives.
FRAMEMILL_HOST_DEVICE unsigned short letterbox_half(float value) {
  const unsigned bits = letterbox_bits(value);
  // Below 2^-14 a half has no exponent: adding .5 puts the bits in place, rounded by the addition.
  if (bits < 0x38800000U)
    return static_cast<unsigned short>(letterbox_bits(value + 0.5F) - 0x3F000000U);
  const unsigned odd = (bits >> 13) & 1U;
  return static_cast<unsigned short>((bits - (112U << 23) + 0xFFFU + odd) >> 13);
}

/// Times 2^7, as letterbox_kernels.cc blends two rows.
FRAMEMILL_HOST_DEVICE int letterbox_blend(int a, int b, int weight) {
  return a * 128 + (((b - a) * 128 * weight + (1 << 14)) >> 15);
}

/// The sample between four of a plane, times 2^21.
FRAMEMILL_HOST_DEVICE float letterbox_sample(const unsigned char* plane, int stride, int step,
                                             const LetterboxTap& across, const LetterboxTap& down) {
  const unsigned char* const upper = plane + static_cast<long long>(down.first) * stride;
  const unsigned char* const lower = plane + static_cast<long long>(down.second) * stride;
  const long long first = static_cast<long long>(across.first) * step;
  const long long second = static_cast<long long>(across.second) * step;
  const int left = letterbox_blend(upper[first], lower[first], down.weight);
  const int right = letterbox_blend(upper[second], lower[second], down.weight);
  return static_cast<float>(left * ((1 << 14) - across.weight) + right * across.weight);
}

FRAMEMILL_HOST_DEVICE void letterbox_store(const LetterboxTensor& tensor, long long at,
                                           float value) {
  if (tensor.is_half != 0)
    static_cast<unsigned short*>(tensor.data)[at] = letterbox_half(value);
  else
    static_cast<float*>(tensor.data)[at] = value;
}

/// Writes the three colours of pixel (x, y), 0 <= x < tensor.width, 0 <= y < tensor.height, of
/// picture `index` of the batch, border included.
FRAMEMILL_HOST_DEVICE void write_letterbox_pixel(const LetterboxItem& item,
                                                 const LetterboxTensor& tensor, int index, int x,
                                                 int y) {
  if (item.is_set == 0) return;
  const long long at = index * tensor.item_stride + static_cast<long long>(y) * tensor.row_stride +
                       static_cast<long long>(x) * tensor.pixel_stride;
  const int across = x - item.left;
  const int down = y - item.top;
  if (across < 0 || down < 0 || across >= item.width || down >= item.height) {
    for (int c = 0; c < 3; ++c) letterbox_store(tensor, at + c * tensor.plane_stride, item.border);
    return;
  }
  const float luma = letterbox_sample(item.luma, item.luma_stride, 1, item.luma_across[across],
                                      item.luma_down[down]);
  float u = 0;
  float v = 0;
  if (item.chroma_step != 0) {
    const LetterboxTap chroma_across = item.chroma_across[across];
    const LetterboxTap chroma_down = item.chroma_down[down];
    u = letterbox_sample(item.u, item.chroma_stride, item.chroma_step, chroma_across, chroma_down);
    v = letterbox_sample(item.v, item.chroma_stride, item.chroma_step, chroma_across, chroma_down);
  }
  for (int c = 0; c < 3; ++c) {
    float color = letterbox_fma(luma, item.luma_factor, item.offset[c]);
    if (item.chroma_step != 0)
      color = letterbox_fma(v, item.v_factor[c], letterbox_fma(u, item.u_factor[c], color));
    const float lifted = color > 0.0F ? color : 0.0F;
    letterbox_store(tensor, at + c * tensor.plane_stride, lifted < item.most ? lifted : item.most);
  }
}

}  // namespace framemill

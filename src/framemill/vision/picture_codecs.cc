#include "framemill/vision/picture_codecs.h"

#include <type_traits>

#include <fmt/format.h>
#include <opencv2/imgcodecs.hpp>

#include "framemill/base/shared_library.h"

namespace framemill {
namespace {

// The functions' names as GCC's C++ ABI writes them; their types are the header's.
using Encode = bool(const cv::String&, cv::InputArray, std::vector<uchar>&,
                    const std::vector<int>&);
constexpr const char* kEncodeName =
    "_ZN2cv8imencodeERKNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEERKNS_11_InputArrayE"
    "RSt6vectorIhSaIhEERKSB_IiSaIiEE";
using Decode = cv::Mat(cv::InputArray, int);
constexpr const char* kDecodeName = "_ZN2cv8imdecodeERKNS_11_InputArrayEi";

// A declaration of OpenCV's header that changes stops the compiler here.
static_assert(std::is_same_v<Encode*, decltype(static_cast<Encode*>(&cv::imencode))>);
static_assert(std::is_same_v<Decode*, decltype(static_cast<Decode*>(&cv::imdecode))>);

struct Codecs {
  Encode* encode = nullptr;
  Decode* decode = nullptr;
};

Result<Codecs> load_codecs() {
  const Result<void*> library = load_shared_library(FRAMEMILL_OPENCV_IMGCODECS);
  if (!library) return fail(library.error());
  const Codecs codecs{reinterpret_cast<Encode*>(find_symbol(*library, kEncodeName)),
                      reinterpret_cast<Decode*>(find_symbol(*library, kDecodeName))};
  if (codecs.encode == nullptr || codecs.decode == nullptr)
    return fail(ErrorCode::kFailedPrecondition,
                fmt::format("{}: is not the OpenCV {} that framemill was built with",
                            FRAMEMILL_OPENCV_IMGCODECS, CV_VERSION));
  return codecs;
}

const Result<Codecs>& codecs() {
  static const Result<Codecs> loaded = load_codecs();
  return loaded;
}

}  // namespace

Result<std::vector<std::uint8_t>> encode_jpeg(const cv::Mat& image, int quality) {
  const Result<Codecs>& loaded = codecs();
  if (!loaded) return fail(loaded.error());
  std::vector<std::uint8_t> jpeg;
  if (!loaded->encode(".jpg", image, jpeg, {cv::IMWRITE_JPEG_QUALITY, quality}))
    return fail(ErrorCode::kInternal, "OpenCV did not encode the picture as JPEG");
  return jpeg;
}

Result<cv::Mat> decode_picture(const std::vector<std::uint8_t>& bytes) {
  const Result<Codecs>& loaded = codecs();
  if (!loaded) return fail(loaded.error());
  return loaded->decode(bytes, cv::IMREAD_COLOR);
}

}  // namespace framemill

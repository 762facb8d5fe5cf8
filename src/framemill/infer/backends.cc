#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "framemill/base/check.h"
#include "framemill/base/text_case.h"
#include "framemill/infer/backend.h"
#ifdef FRAMEMILL_ONNXRUNTIME
#include "framemill/infer/onnxruntime/onnxruntime_backend.h"
#endif
#ifdef FRAMEMILL_OPENVINO
#include "framemill/infer/openvino/openvino_backend.h"
#endif

namespace framemill {
namespace {

#ifdef FRAMEMILL_OPENVINO
constexpr bool kHasOpenVino = true;
#else
constexpr bool kHasOpenVino = false;
#endif
#ifdef FRAMEMILL_ONNXRUNTIME
constexpr bool kHasOnnxRuntime = true;
#else
constexpr bool kHasOnnxRuntime = false;
#endif

namespace fs = std::filesystem;

/// What people hand over instead of a deployable model, and what to do about it.
struct OtherFormat {
  std::string_view extension, remedy;
};
constexpr OtherFormat kOtherFormats[] = {
    {".pt", "is a training checkpoint; export it first: yolo export model=M.pt format=onnx"},
    {".pth", "is a training checkpoint; export it to ONNX first"},
    {".engine",
     "is a TensorRT engine, which fits one GPU type only; give the ONNX file it came from"},
    {".plan",
     "is a TensorRT engine, which fits one GPU type only; give the ONNX file it came from"},
    {".tflite", "is a TensorFlow Lite model; export the network to ONNX"},
    {".bin", "holds the weights of an OpenVINO model; give the .xml beside it"},
    {".torchscript", "is a TorchScript model; export the network to ONNX"},
};

std::string extension_of(const fs::path& path) { return to_lower(path.extension().string()); }

/// ONNX is a protobuf message whose fields are numbers below 32 of two wire types. Runtimes try
/// every format they know on what is not, with a page of messages.
bool looks_like_onnx(std::string_view start) {
  const auto tag = static_cast<unsigned char>(start.front());
  return tag >> 3 >= 1 && ((tag & 7) == 0 || (tag & 7) == 2);
}

bool looks_like_xml(std::string_view start) {
  return start.find("<?xml") != std::string_view::npos ||
         start.find("<net") != std::string_view::npos;
}

/// Refuses what cannot be a readable file of one model, by name and first bytes.
Result<void> check_file(const fs::path& path) {
  const std::string text = path.string();
  if (text.empty())
    return fail(ErrorCode::kInvalidArgument, "no model is given; name an .onnx or .xml file");
  std::error_code problem;
  const fs::file_status status = fs::status(path, problem);
  if (status.type() == fs::file_type::not_found) {
    const std::string start =
        path.is_absolute() ? std::string()
                           : fmt::format(" (it starts at {})", fs::current_path(problem).string());
    return fail(ErrorCode::kNotFound,
                fmt::format("{}: there is no such file; check the path{}", text, start));
  }
  if (status.type() == fs::file_type::directory)
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{}: is a directory; name the .onnx or .xml file in it", text));
  if (status.type() != fs::file_type::regular)
    return fail(ErrorCode::kFailedPrecondition,
                fmt::format("{}: cannot be read{}", text,
                            problem ? ": " + problem.message() : " (not a regular file)"));
  const std::string extension = extension_of(path);
  for (const auto& [other, what] : kOtherFormats)
    if (extension == other)
      return fail(ErrorCode::kInvalidArgument, fmt::format("{}: {}", text, what));
  if (extension != ".onnx" && extension != ".xml")
    return fail(
        ErrorCode::kInvalidArgument,
        fmt::format("{}: is not a model by its name; give an .onnx file or an OpenVINO .xml",
                    text));
  std::ifstream file(path, std::ios::binary);
  if (!file)
    return fail(ErrorCode::kFailedPrecondition,
                fmt::format("{}: may not be read; check the file's rights", text));
  std::array<char, 64> head{};
  file.read(head.data(), head.size());
  const std::string_view start(head.data(), static_cast<std::size_t>(file.gcount()));
  if (start.empty())
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{}: is empty; the export or download broke off, repeat it", text));
  if (start.starts_with("version https://git-lfs"))
    return fail(
        ErrorCode::kInvalidArgument,
        fmt::format("{}: is a Git LFS pointer, not the model; fetch it with `git lfs pull`", text));
  if (!(extension == ".xml" ? looks_like_xml(start) : looks_like_onnx(start)))
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{}: is not {} by its first bytes; export or download it again", text,
                            extension == ".xml" ? "an OpenVINO model" : "ONNX"));
  if (extension == ".xml") {
    const fs::path weights = fs::path(path).replace_extension(".bin");
    if (!fs::is_regular_file(weights, problem))
      return fail(ErrorCode::kNotFound,
                  fmt::format("{}: its weights {} are missing; copy both files", text,
                              weights.filename().string()));
  }
  return {};
}

}  // namespace

Result<void> InferRequest::set_picture(std::size_t, const Picture&, const Letterbox&,
                                       const InputStyle&) {
  return fail(ErrorCode::kUnsupported, "this backend takes no pictures");
}

Result<std::unique_ptr<Backend>> load_backend(const BackendOptions& options) {
  if (const Result<void> file = check_file(options.path); !file) return fail(file.error());
  const Result<RuntimeKind> runtime =
      choose_runtime(options.runtime, options.path, options.device, kHasOpenVino, kHasOnnxRuntime);
  if (!runtime) return fail(runtime.error());
#ifdef FRAMEMILL_ONNXRUNTIME
  if (*runtime == RuntimeKind::kOnnxRuntime) return load_onnxruntime_backend(options);
#endif
#ifdef FRAMEMILL_OPENVINO
  return load_openvino_backend(options);
#else
  CHECK(*runtime != RuntimeKind::kOpenVino);  // choose_runtime() names what is there only
  return fail(ErrorCode::kInternal, options.path);
#endif
}

}  // namespace framemill

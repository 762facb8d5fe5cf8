#include "framemill/video/source_url.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <utility>

#include <fmt/format.h>

#include "framemill/base/url.h"
#include "framemill/video/source.h"

namespace framemill {
Result<UrlKind> classify_url(std::string_view url) {
  if (url.empty())
    return fail(ErrorCode::kInvalidArgument,
                R"(the URL is empty; write one like "rtsp://host/path", or a file's path)");
  if (std::ranges::any_of(url, [](char c) { return static_cast<unsigned char>(c) < 0x20; }))
    return fail(ErrorCode::kInvalidArgument, "the URL holds a control character; remove it");
  const std::string scheme = url_scheme(url);
  if (scheme.empty()) return is_camera_device(url) ? UrlKind::kDevice : UrlKind::kFile;
  constexpr std::array<std::pair<std::string_view, UrlKind>, 7> kSchemes{{
      {"rtsp", UrlKind::kRtsp},
      {"rtsps", UrlKind::kRtsp},
      {"http", UrlKind::kHttp},
      {"https", UrlKind::kHttp},
      {"udp", UrlKind::kUdp},
      {"file", UrlKind::kFile},
      {"synthetic", UrlKind::kSynthetic},
  }};
  for (const auto& [name, kind] : kSchemes)
    if (scheme == name) return kind;
  const std::string_view hint =
      scheme == "rtp" ? "; plain RTP needs a description of the stream: serve it by RTSP" : "";
  return fail(
      ErrorCode::kInvalidArgument,
      fmt::format("{}: the scheme \"{}\" is not supported; use rtsp, rtsps, http, https, udp "
                  "(MPEG-TS), synthetic, /dev/videoN or a file's path{}",
                  redact(url), scheme, hint));
}

std::string path_of_url(std::string_view url) {
  constexpr std::string_view kFileScheme = "file://";
  if (url_scheme(url) == "file") url.remove_prefix(kFileScheme.size());
  return std::string(url);
}

Result<void> check_source_file(const std::string& url) {
  std::error_code error;
  namespace fs = std::filesystem;
  const std::string name = redact(url);
  const fs::path path = path_of_url(url);
  const fs::file_status status = fs::status(path, error);
  if (!fs::exists(status)) {
    if (error && error != std::errc::no_such_file_or_directory)
      return fail(ErrorCode::kFailedPrecondition, fmt::format("{}: {}", name, error.message()));
    const std::string start = path.is_absolute() ? ""
                                                 : fmt::format("; relative paths start at {}",
                                                               fs::current_path(error).string());
    return fail(ErrorCode::kNotFound, fmt::format("{}: no such file{}", name, start));
  }
  if (fs::is_directory(status))
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{} is a directory; name one of the files in it", name));
  if (!fs::is_regular_file(status))
    return fail(
        ErrorCode::kInvalidArgument,
        fmt::format("{} is no regular file; cameras are /dev/videoN, pipes are not read", name));
  if (fs::file_size(path, error) == 0 && !error)
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{} is empty; was its recording or copy broken off?", name));
  return {};
}

std::string with_credentials(std::string_view url, std::string_view username,
                             std::string_view password) {
  const std::string scheme = url_scheme(url);
  if (username.empty() || scheme.empty()) return std::string(url);
  std::string credentials = percent_encode(username);
  if (!password.empty()) credentials += ":" + percent_encode(password);
  std::string result = strip_credentials(url);
  result.insert(scheme.size() + 3, credentials + "@");
  return result;
}

bool is_live_url(const std::string& url) {
  const Result<UrlKind> kind = classify_url(url);
  return kind && *kind != UrlKind::kFile && *kind != UrlKind::kSynthetic;
}

}  // namespace framemill

#include "framemill/server/static_files.h"

#include <algorithm>
#include <memory>
#include <string>

#include <fmt/format.h>

namespace framemill {
namespace {

/// Scripts, styles and pictures of our own only, and nobody else's frame around a control room's
/// page. Styles may stand in elements: charts set sizes.
constexpr std::string_view kContentPolicy =
    "default-src 'self'; img-src 'self' blob: data:; style-src 'self' 'unsafe-inline'; "
    "connect-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'self'; "
    "form-action 'self'";

bool is_page(std::string_view path) {
  return !path.starts_with("/api/") &&
         path.substr(path.rfind('/')).find('.') == std::string_view::npos;
}

}  // namespace

HttpResponse find_static_file(std::span<const StaticFile> files, const HttpRequest& request) {
  auto file = std::ranges::find(files, std::string_view(request.path), &StaticFile::path);
  if (file == files.end() && is_page(request.path)) {
    file = std::ranges::find(files, std::string_view("/"), &StaticFile::path);
  }
  if (file == files.end()) return {.status = 404};
  HttpResponse response;
  const std::string tag = fmt::format("\"{}\"", file->hash);
  response.headers.emplace_back("ETag", tag);
  response.headers.emplace_back(
      "Cache-Control", file->is_hash_in_path ? "public, max-age=31536000, immutable" : "no-cache");
  if (request.if_none_match == tag) {
    response.status = 304;
    return response;
  }
  response.content_type = file->content_type;
  if (file->content_type.starts_with("text/html"))
    response.headers.emplace_back("Content-Security-Policy", kContentPolicy);
  response.body = std::make_shared<const std::string>(file->bytes);
  return response;
}

}  // namespace framemill

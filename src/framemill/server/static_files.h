#pragma once

#include <span>
#include <string_view>

#include "framemill/server/http_message.h"

namespace framemill {

/// One file that is part of the binary, such as of the dashboard.
struct StaticFile {
  std::string_view path;          ///< "/", "/assets/app-4f2a91.js"
  std::string_view content_type;  ///< "text/html; charset=utf-8"
  std::string_view bytes;
  std::string_view hash;         ///< of the bytes; names the version to caches
  bool is_hash_in_path = false;  ///< another version has another path: caches need not ask again
};

/// The file at `request.path`, or nothing (status 404 and no body). Pages of the dashboard have
/// paths of their own, "/cameras/gate-1", which are no files: any path below "/" without a dot in
/// its last part that is not below "/api/" gives the file "/". Paths are only compared, so there is
/// no way out of the table.
[[nodiscard]] HttpResponse find_static_file(std::span<const StaticFile> files,
                                            const HttpRequest& request);

}  // namespace framemill

#pragma once

#include <string>
#include <string_view>

#include "framemill/base/result.h"

namespace framemill {

/// What stands behind a source's URL.
enum class UrlKind { kFile, kRtsp, kHttp, kUdp, kDevice, kSynthetic };

/// A file is whatever has no scheme, or the scheme file:.
/// Errors: kInvalidArgument for an empty URL, one with a control character, or a scheme not
/// allowed.
[[nodiscard]] Result<UrlKind> classify_url(std::string_view url);

/// The path behind a URL of kind kFile or kDevice.
[[nodiscard]] std::string path_of_url(std::string_view url);

/// Whether something can be read behind a URL of kind kFile: a regular file that is not empty.
/// Errors: kNotFound, kInvalidArgument, kFailedPrecondition, with what to do about it.
[[nodiscard]] Result<void> check_source_file(const std::string& url);

/// `url` with user name and password put in, percent-encoded; they replace what it has.
/// Unchanged where `username` is empty.
[[nodiscard]] std::string with_credentials(std::string_view url, std::string_view username,
                                           std::string_view password);

}  // namespace framemill

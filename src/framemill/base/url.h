#pragma once

#include <string>
#include <string_view>

namespace framemill {

/// The part of `url` before "://" in lower case; empty where there is none (a path).
[[nodiscard]] std::string url_scheme(std::string_view url);

/// Whether `path` names a Video4Linux device: /dev/videoN, or a stable name below /dev/v4l.
[[nodiscard]] bool is_camera_device(std::string_view path);

/// `url` without user name, password and the values of parameters that look like secrets, for logs
/// and messages. Rather hides too much: where credentials were not percent-encoded, everything
/// up to the last '@' goes. A text that is no URL comes back unchanged. Pure, any thread,
/// O(length).
[[nodiscard]] std::string redact(std::string_view url);

/// `url` without user name and password. A text that is no URL comes back unchanged.
[[nodiscard]] std::string strip_credentials(std::string_view url);

/// True where `url` carries a user name or password itself ("rtsp://viewer@10.0.0.5/1").
[[nodiscard]] bool has_credentials(std::string_view url);

/// `text` with everything but unreserved characters (RFC 3986) as %XX, so that it can stand in any
/// part of a URL.
[[nodiscard]] std::string percent_encode(std::string_view text);

}  // namespace framemill

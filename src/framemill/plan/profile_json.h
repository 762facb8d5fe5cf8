#pragma once

#include <filesystem>
#include <string>

#include "framemill/base/result.h"
#include "framemill/sched/device_profile.h"

namespace framemill {

/// Schema of the document, its first field.
inline constexpr const char* kProfileSchema = "framemill.profile/2";

/// The profile as a JSON document with a check sum over its content; the same profile gives the
/// same bytes. It reads back as it was, but for `measured_at`, which is written to the millisecond,
/// and bytes that are no UTF-8. Pure, any thread.
[[nodiscard]] std::string profile_to_json(const DeviceProfile& profile);

/// Reads a profile back. An error says what is wrong where and what to do: not readable, not JSON,
/// cut off, of another schema, values out of range or out of order, edited since it was measured
/// (the check sum differs). Layout, such as after a formatter, is not content. Codes: kNotFound,
/// kFailedPrecondition where the file cannot be read, kUnsupported for a profile of another
/// framemill's schema, else kInvalidArgument.
[[nodiscard]] Result<DeviceProfile> read_profile(const std::filesystem::path& path);

}  // namespace framemill

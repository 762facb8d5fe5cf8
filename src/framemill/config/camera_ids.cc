#include "framemill/config/camera_ids.h"

#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>

#include "framemill/base/url.h"
#include "framemill/config/setting_value.h"

namespace framemill {
namespace {
constexpr std::size_t kStemMax = 56;  // leaves room for "-" and a number within 64
}

bool is_file_path(std::string_view url) {
  return url_scheme(url).empty() && !is_camera_device(url);
}

std::string suggest_camera_id(std::string_view url) {
  std::string name;
  if (const std::string scheme = url_scheme(url); !scheme.empty()) {
    const std::string safe = redact(url);
    const std::string_view address = std::string_view(safe).substr(scheme.size() + 3);
    name = address.substr(0, address.find_first_of("?#"));
    while (name.ends_with('/')) name.pop_back();
    if (name.empty()) name = scheme;
  } else {
    name = url.substr(url.rfind('/') + 1);  // npos + 1 is 0
    const std::size_t dot = name.rfind('.');
    if (dot != std::string::npos && dot > 0) name.resize(dot);
  }
  for (char& c : name)
    if (!is_valid_name(std::string_view(&c, 1))) c = '-';
  name.resize(std::min(name.size(), kStemMax));
  return name.empty() ? "camera" : name;
}

void assign_camera_ids(std::vector<CameraSettings>& cameras) {
  std::set<std::string> taken;
  for (const CameraSettings& camera : cameras) taken.insert(camera.id);
  std::map<std::string, int> last_number;  // keeps many cameras of one file from being O(n^2)
  for (CameraSettings& camera : cameras) {
    if (!camera.id.empty()) continue;
    const std::string stem = suggest_camera_id(camera.url);
    int& number = last_number[stem];
    do {
      ++number;
      camera.id = number == 1 ? stem : fmt::format("{}-{}", stem, number);
    } while (!taken.insert(camera.id).second);
  }
}

}  // namespace framemill

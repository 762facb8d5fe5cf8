#include "framemill/infer/openvino/openvino_facts.h"

#include <exception>

#include <openvino/openvino.hpp>

namespace framemill {

std::string openvino_version() {
  const std::string version = ov::get_openvino_version().buildNumber;
  return version.substr(0, version.find('-'));
}

RuntimeFacts read_openvino_facts() {
  RuntimeFacts facts;
  try {
    facts.name = "OpenVINO " + openvino_version();
    ov::Core core;
    for (const std::string& device : core.get_available_devices())
      facts.devices.push_back(device + ": " + core.get_property(device, ov::device::full_name));
  } catch (const std::exception&) {
    if (facts.name.empty()) facts.name = "OpenVINO";  // the list as far as it got
  }
  return facts;
}

}  // namespace framemill

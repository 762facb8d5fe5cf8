#pragma once

#include <string>
#include <vector>

namespace framemill {

/// An inference runtime of this build, and the devices that it finds on this machine.
struct RuntimeFacts {
  std::string name;                  ///< "OpenVINO 2026.4.1"
  std::vector<std::string> devices;  ///< "CPU: AMD EPYC ...", as the runtime names them
  std::vector<std::string>
      providers;                     ///< ONNX Runtime's, whose libraries are there: CPU, cuda, ...
  std::vector<std::string> missing;  ///< what keeps it or its devices from working, with the remedy
};

/// One that this build was made without.
struct AbsentRuntime {
  std::string name;    ///< "ONNX Runtime"
  std::string option;  ///< of CMake, that brings it
  friend bool operator==(const AbsentRuntime&, const AbsentRuntime&) = default;
};
[[nodiscard]] std::vector<AbsentRuntime> list_absent_runtimes();

/// Those of this build; asks drivers, so it may take a second. Any thread.
[[nodiscard]] std::vector<RuntimeFacts> list_runtimes();

}  // namespace framemill

#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "framemill/base/result.h"

namespace framemill {

/// The files that make up a model, the given one first: an OpenVINO model's weights, and those that
/// an ONNX graph keeps beside it (external data). Which of them change, changes the model. Files
/// that are not there, or not below the model's folder, are left out: the runtime refuses them.
/// Reads an ONNX file once; never fails.
[[nodiscard]] std::vector<std::string> model_files(const std::string& path);

/// What tells a model from every other one, 64 hex digits: hash_files() of its model_files().
/// Profiles, caches and `verify` know models by it. Errors: those of hash_files().
[[nodiscard]] Result<std::string> hash_model(const std::string& path);

/// Whether a file that is read again, by its hash_model(), is the model that runs. Errors:
/// kFailedPrecondition: answers of both would be mixed.
[[nodiscard]] Result<void> check_same_model(const std::string& hash_now,
                                            const std::string& hash_then);

/// Where an ONNX file says that tensors of its graphs lie, as written there; sorted, each once.
/// Pure; what is no protobuf message names nothing.
[[nodiscard]] std::vector<std::string> external_data_of(std::span<const std::uint8_t> onnx_file);

}  // namespace framemill

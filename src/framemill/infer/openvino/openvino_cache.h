#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <openvino/openvino.hpp>

#include "framemill/infer/compiled_models.h"
#include "framemill/infer/openvino/openvino_model.h"

namespace framemill {

/// What is kept on disk of one model, so that a later start need not read it: its facts, and its
/// graph as compiled for a device, settings and shape. OpenVINO's own cache reads, adapts and
/// hashes the model before it looks. The files are bounded, see compiled_models.h. They carry a
/// check sum: a damaged one, or a disk that is full or may not be written, costs time only. Any
/// thread where the object is const, any number of processes.
class OpenVinoCache {
 public:
  /// Empty `folder`: keeps and finds nothing. `model_hash`: as ModelFacts has it.
  OpenVinoCache(std::string folder, const std::string& model_hash);

  [[nodiscard]] std::optional<OpenVinoModelFacts> find_facts() const;
  void keep_facts(const OpenVinoModelFacts& facts) const;

  /// The graph that keep_graph() got with the same `key`; none where that does not import. `key`
  /// says all that it depends on beside the model and OpenVINO's version.
  [[nodiscard]] std::optional<ov::CompiledModel> find_graph(ov::Core& core, const std::string& key,
                                                            const std::string& device,
                                                            const ov::AnyMap& settings) const;
  void keep_graph(const std::string& key, ov::CompiledModel& graph);

  /// For devices of which OpenVINO alone knows what a graph depends on: it is to keep them itself,
  /// in the folder that this returns; empty: nothing is kept. From then on find_graph() finds none,
  /// and keep_graph() is for the bound alone.
  [[nodiscard]] std::string leave_graphs_to_openvino();

 private:
  void keep(const std::string& key, std::string_view content) const;
  [[nodiscard]] std::string path_of(const std::string& key) const;

  std::string folder_;
  std::string prefix_;                         ///< of all keys
  std::optional<CompiledFolder> by_openvino_;  ///< where the graphs are left to it
};

}  // namespace framemill

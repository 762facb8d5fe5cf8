#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "framemill/engine/evaluation/evaluation.h"

namespace framemill {

/// Keeps the pictures that differ most while they pass by. One thread.
class WorstPictures {
 public:
  /// Of each of `conditions`, `most`.
  WorstPictures(std::vector<std::string> conditions, std::size_t most)
      : conditions_(std::move(conditions)), most_(most), kept_(conditions_.size()) {}

  /// The model's detections against labels: missed objects and false detections from `score` on.
  void add_labelled(std::size_t picture, std::size_t condition, const Picture& pixels,
                    std::span<const LabelledObject> objects, std::span<const Detection> found,
                    double score);
  /// ... against another model's.
  void add_compared(std::size_t picture, std::size_t condition, const Picture& pixels,
                    std::span<const Detection> reference, std::span<const Detection> found);

  /// By condition, the worst first; pictures without a difference are not among them.
  [[nodiscard]] std::vector<WorstPicture> take();

 private:
  void keep(std::size_t condition, WorstPicture&& candidate, const Picture& pixels);

  const std::vector<std::string> conditions_;
  const std::size_t most_;
  std::vector<std::vector<WorstPicture>> kept_;  ///< by condition, the worst first
};

}  // namespace framemill

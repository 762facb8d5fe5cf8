#include "framemill/engine/sinks/mqtt/retained_topics.h"

#include <filesystem>
#include <fstream>

#include <spdlog/spdlog.h>

#include "framemill/base/replace_file.h"

namespace framemill {

RetainedTopics RetainedTopics::load(std::string path) {
  RetainedTopics topics(std::move(path));
  std::ifstream file(topics.path_);
  for (std::string line; std::getline(file, line);)
    if (!line.empty()) topics.topics_.emplace(line, std::nullopt);
  return topics;
}

void RetainedTopics::add(const std::string& topic) {
  if (topics_.emplace(topic, std::nullopt).second) save();
}

std::vector<std::string> RetainedTopics::find_unwanted(const std::set<std::string>& wanted,
                                                       TimePoint now, Duration grace) {
  std::vector<std::string> unwanted;
  for (auto& [topic, since] : topics_) {
    if (wanted.contains(topic)) {
      since.reset();
    } else if (!since) {
      since = now;
    } else if (now - *since >= grace) {
      unwanted.push_back(topic);
    }
  }
  return unwanted;
}

void RetainedTopics::remove(const std::vector<std::string>& topics) {
  for (const std::string& topic : topics) topics_.erase(topic);
  if (!topics.empty()) save();
}

void RetainedTopics::save() {
  std::string text;
  for (const auto& [topic, since] : topics_) text += topic + '\n';
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(path_).parent_path(), error);
  if (const Result<void> saved = replace_file(path_, text); !saved)
    spdlog::warn("{}", saved.error().message());
}

}  // namespace framemill

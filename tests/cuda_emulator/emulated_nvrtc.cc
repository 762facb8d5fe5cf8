// The part of NVRTC that framemill uses. It compiles nothing: the emulated driver has the kernel.
// It does check that each header which a text includes was handed over.

#include <cstddef>
#include <cstring>
#include <string>
#include <vector>

namespace {

struct Program {
  std::string source, log, code;
  std::vector<std::string> header_names;
};

}  // namespace

extern "C" {

int nvrtcCreateProgram(void** program, const char* source, const char*, int count,
                       const char* const*, const char* const* names) {
  auto* const made = new Program;
  made->source = source;
  for (int i = 0; i < count; ++i) made->header_names.emplace_back(names[i]);
  *program = made;
  return 0;
}
int nvrtcDestroyProgram(void** program) {
  delete static_cast<Program*>(*program);
  *program = nullptr;
  return 0;
}
int nvrtcCompileProgram(void* program, int count, const char* const* options) {
  auto& p = *static_cast<Program*>(program);
  std::string arch;
  for (int i = 0; i < count; ++i)
    if (std::strncmp(options[i], "--gpu-architecture=", 19) == 0) arch = options[i] + 19;
  if (arch.empty()) return 5;  // NVRTC_ERROR_INVALID_OPTION
  for (std::size_t at = p.source.find("#include \""); at != std::string::npos;
       at = p.source.find("#include \"", at + 1)) {
    const std::size_t begin = at + 10;
    const std::string name = p.source.substr(begin, p.source.find('"', begin) - begin);
    bool is_there = false;
    for (const std::string& given : p.header_names) is_there = is_there || given == name;
    if (!is_there) {
      p.log = "cannot open source file \"" + name + "\"";
      return 6;  // NVRTC_ERROR_COMPILATION
    }
  }
  p.code = "EMULATED " + arch;
  p.code.push_back('\0');
  return 0;
}
int nvrtcGetProgramLogSize(void* program, std::size_t* bytes) {
  *bytes = static_cast<Program*>(program)->log.size() + 1;
  return 0;
}
int nvrtcGetProgramLog(void* program, char* log) {
  std::strcpy(log, static_cast<Program*>(program)->log.c_str());
  return 0;
}
int nvrtcGetCUBINSize(void* program, std::size_t* bytes) {
  *bytes = static_cast<Program*>(program)->code.size();
  return 0;
}
int nvrtcGetCUBIN(void* program, char* code) {
  const std::string& made = static_cast<Program*>(program)->code;
  std::memcpy(code, made.data(), made.size());
  return 0;
}

}  // extern "C"

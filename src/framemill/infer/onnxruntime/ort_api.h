#pragma once

// ONNX Runtime's C++ interface over a library that is loaded while the program runs: the interface
// is started by load_onnxruntime(), not by the linker.
#define ORT_API_MANUAL_INIT
#include <onnxruntime_cxx_api.h>
#undef ORT_API_MANUAL_INIT

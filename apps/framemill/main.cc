#include "framemill/cli/main.h"

int main(int argc, char** argv) { return framemill::run_command_line(argc, argv); }

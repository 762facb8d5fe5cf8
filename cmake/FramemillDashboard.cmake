# framemill_dashboard(OUTPUT variable): makes the C++ file that holds the dashboard's files, and names it in `variable`. With
# FRAMEMILL_DASHBOARD=OFF, or built where there is no node, that is one plain page.
#
# node and the modules of web/package-lock.json (in FRAMEMILL_DEPS_DIR/web) come from scripts/setup.sh; nothing of either gets into the
# source tree or is needed where the binary runs.
function(framemill_dashboard)
  cmake_parse_arguments(DASHBOARD "" "OUTPUT" "" ${ARGN})
  set(web "${PROJECT_SOURCE_DIR}/web")
  set(out "${PROJECT_BINARY_DIR}/web/dashboard_files.cc")
  file(MAKE_DIRECTORY "${PROJECT_BINARY_DIR}/web")
  find_program(PYTHON_FOR_BUILD python3 REQUIRED)
  set(${DASHBOARD_OUTPUT} "${out}" PARENT_SCOPE)
  # A target of its own, so that it waits for no library.
  add_custom_target(framemill_dashboard_files DEPENDS "${out}")
  if(NOT FRAMEMILL_DASHBOARD)
    add_custom_command(OUTPUT "${out}" COMMAND "${PYTHON_FOR_BUILD}" "${web}/embed_files.py" "${web}/plain" "${out}"
                       DEPENDS "${web}/embed_files.py" "${web}/plain/index.html" VERBATIM)
    return()
  endif()

  set(modules "${FRAMEMILL_DEPS_DIR}/web/node_modules")
  find_program(NODE NAMES node nodejs)
  if(NOT NODE OR NOT EXISTS "${modules}/esbuild/package.json")
    message(FATAL_ERROR "The dashboard needs node and the modules in ${modules}: run scripts/setup.sh, or build without it: "
                        "-DFRAMEMILL_DASHBOARD=OFF")
  endif()
  file(GLOB sources CONFIGURE_DEPENDS "${web}/src/*" "${web}/test/*")
  set(dist "${PROJECT_BINARY_DIR}/web/dist")
  set(tests "${PROJECT_BINARY_DIR}/web/tests")
  add_custom_command(
    OUTPUT "${out}"
    COMMAND "${CMAKE_COMMAND}" -E env "NODE_PATH=${modules}" "${NODE}" "${web}/build.mjs" "${dist}" "${tests}"
    COMMAND "${PYTHON_FOR_BUILD}" "${web}/embed_files.py" "${dist}" "${out}"
    DEPENDS ${sources} "${web}/build.mjs" "${web}/embed_files.py" "${modules}/.package-lock.json"
    COMMENT "Bundling the dashboard" VERBATIM)

  if(FRAMEMILL_TESTS)
    # The compiler finds the modules, which lie elsewhere, through a file of settings of this build.
    file(WRITE "${PROJECT_BINARY_DIR}/web/tsconfig.json"
         "{\"extends\": \"${web}/tsconfig.json\", \"include\": [\"${web}/src\", \"${web}/test\"],\n"
         " \"compilerOptions\": {\"paths\": {\"*\": [\"${modules}/*\"]}}}\n")
    add_test(NAME web.types COMMAND "${NODE}" "${modules}/typescript/bin/tsc" -p "${PROJECT_BINARY_DIR}/web/tsconfig.json")
    add_test(NAME web.unit COMMAND "${NODE}" "${web}/run_tests.mjs" "${tests}")
  endif()
endfunction()

# framemill_layer(NAME layer [LINK public libraries...] [PRIVATE libraries...] [SOURCES more files...])
#
# One folder = one layer = one static library `framemill_<layer>` of all its *.cc files. Beside them lie
# the tests (*_test.cc, one binary `<layer>_test` which links the layer alone) and the benchmarks
# (*_bench.cc, one binary each).
add_library(framemill_flags INTERFACE)
target_include_directories(framemill_flags INTERFACE "${PROJECT_SOURCE_DIR}/src")
target_compile_options(framemill_flags INTERFACE -Wall -Wextra -Wshadow -Wnon-virtual-dtor
                       -Woverloaded-virtual -Wno-missing-field-initializers)
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  target_compile_options(framemill_flags INTERFACE -Wthread-safety)
endif()
if(FRAMEMILL_WERROR)
  target_compile_options(framemill_flags INTERFACE -Werror)
endif()
if(FRAMEMILL_SANITIZE)
  target_compile_options(framemill_flags INTERFACE -fsanitize=${FRAMEMILL_SANITIZE}
                         -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(framemill_flags INTERFACE -fsanitize=${FRAMEMILL_SANITIZE})
endif()

function(framemill_layer)
  cmake_parse_arguments(LAYER "" "NAME" "LINK;PRIVATE;SOURCES" ${ARGN})
  set(target "framemill_${LAYER_NAME}")
  file(GLOB all CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/*.cc")
  set(tests ${all})
  set(benches ${all})
  set(sources ${all})
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  list(FILTER benches INCLUDE REGEX "_bench\\.cc$")
  list(FILTER sources EXCLUDE REGEX "_(test|bench)\\.cc$")
  if(sources OR LAYER_SOURCES)
    add_library(${target} STATIC ${sources} ${LAYER_SOURCES})
    target_link_libraries(${target} PUBLIC framemill_flags fmt::fmt Threads::Threads ${LAYER_LINK}
                          PRIVATE ${LAYER_PRIVATE})
    if(FRAMEMILL_TIDY)
      set_target_properties(${target} PROPERTIES CXX_CLANG_TIDY "clang-tidy-14;--quiet")
    endif()
  else()
    add_library(${target} INTERFACE)
    target_link_libraries(${target} INTERFACE framemill_flags fmt::fmt Threads::Threads ${LAYER_LINK})
  endif()

  if(FRAMEMILL_TESTS AND tests)
    add_executable(${LAYER_NAME}_test ${tests})
    target_link_libraries(${LAYER_NAME}_test PRIVATE ${target} GTest::gmock GTest::gtest_main)
    target_compile_definitions(${LAYER_NAME}_test PRIVATE
                               FRAMEMILL_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
    # A list within a list of properties needs its separators escaped, once for each time it is handed on.
    string(REPLACE ";" "\\;" env "${FRAMEMILL_TEST_ENV}")
    gtest_discover_tests(${LAYER_NAME}_test TEST_PREFIX "${LAYER_NAME}." DISCOVERY_MODE PRE_TEST
                         PROPERTIES TIMEOUT 300 ENVIRONMENT "${env}")
  endif()
  if(FRAMEMILL_BENCHMARKS)
    foreach(bench ${benches})
      get_filename_component(name ${bench} NAME_WE)
      add_executable(${name} ${bench})
      target_link_libraries(${name} PRIVATE ${target} benchmark::benchmark_main)
    endforeach()
  endif()
endfunction()

# Sanitizers see only our own code; these files name what is known of the libraries beside it.
set(FRAMEMILL_TEST_ENV
    "TSAN_OPTIONS=suppressions=${PROJECT_SOURCE_DIR}/cmake/tsan.supp halt_on_error=1"
    "LSAN_OPTIONS=suppressions=${PROJECT_SOURCE_DIR}/cmake/lsan.supp"
    "TBB_ENABLE_SANITIZERS=1"  # else TBB loads its parts in a way that the sanitizers refuse
    "FRAMEMILL_TESTDATA=${PROJECT_SOURCE_DIR}/../shared/testdata")
if(NOT FRAMEMILL_SANITIZE)
  list(APPEND FRAMEMILL_TEST_ENV "FRAMEMILL_ALL_MODELS=1")
endif()

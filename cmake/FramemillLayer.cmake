# framemill_layer(NAME layer [LINK public libraries...] [PRIVATE libraries...] [SOURCES more files...]
#                 [FOLDERS folders below...])
#
# One folder = one layer = one static library `framemill_<layer>` of all its *.cc files, and of those in the
# FOLDERS below it that are named. Beside them lie
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
                         -O1 -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(framemill_flags INTERFACE -fsanitize=${FRAMEMILL_SANITIZE})
endif()
if(FRAMEMILL_SANITIZE MATCHES "thread")
  add_library(framemill_c11_threads STATIC "${PROJECT_SOURCE_DIR}/cmake/c11_threads.cc")
  target_link_libraries(framemill_flags INTERFACE framemill_c11_threads)
  target_link_options(framemill_flags INTERFACE -Wl,--undefined=thrd_create,--undefined=thrd_join)
endif()

function(framemill_layer)
  cmake_parse_arguments(LAYER "" "NAME" "LINK;PRIVATE;SOURCES;FOLDERS" ${ARGN})
  set(target "framemill_${LAYER_NAME}")
  set(patterns "${CMAKE_CURRENT_SOURCE_DIR}/*.cc")
  foreach(folder ${LAYER_FOLDERS})
    list(APPEND patterns "${CMAKE_CURRENT_SOURCE_DIR}/${folder}/*.cc")
  endforeach()
  file(GLOB all CONFIGURE_DEPENDS ${patterns})
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
    gtest_discover_tests(${LAYER_NAME}_test TEST_PREFIX "${LAYER_NAME}." DISCOVERY_MODE PRE_TEST
                         PROPERTIES TIMEOUT 300)
  endif()
  if(FRAMEMILL_BENCHMARKS)
    foreach(bench ${benches})
      get_filename_component(name ${bench} NAME_WE)
      add_executable(${name} ${bench})
      target_link_libraries(${name} PRIVATE ${target} benchmark::benchmark_main)
    endforeach()
  endif()
endfunction()

# The environment of all tests. CTest reads this file first and hands its environment on, which spares lists
# within lists of test properties.
set(test_environment
  # Sanitizers see only our own code; these files name what is known of the libraries beside it.
  "set(ENV{TSAN_OPTIONS} \"suppressions=${PROJECT_SOURCE_DIR}/cmake/tsan.supp halt_on_error=1\")"
  "set(ENV{LSAN_OPTIONS} \"suppressions=${PROJECT_SOURCE_DIR}/cmake/lsan.supp\")"
  "set(ENV{TBB_ENABLE_SANITIZERS} 1) # else TBB loads its parts in a way that the sanitizers refuse"
  "set(ENV{FRAMEMILL_BIN} \"${PROJECT_BINARY_DIR}/framemill\")"
  "set(ENV{FRAMEMILL_TESTDATA} \"${PROJECT_SOURCE_DIR}/../shared/testdata\")")
if(FRAMEMILL_SANITIZE)
  list(APPEND test_environment "set(ENV{FRAMEMILL_SLOW_BUILD} 1)")
else()
  list(APPEND test_environment "set(ENV{FRAMEMILL_ALL_MODELS} 1)")
endif()
list(JOIN test_environment "\n" test_environment)
file(WRITE "${PROJECT_BINARY_DIR}/test_environment.cmake" "${test_environment}\n")
set_property(DIRECTORY "${PROJECT_SOURCE_DIR}" APPEND PROPERTY TEST_INCLUDE_FILES
             "${PROJECT_BINARY_DIR}/test_environment.cmake")

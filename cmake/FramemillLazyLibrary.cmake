# framemill_lazy_library(LIBRARY path SOURCE file DEFINITION macro): the code in `file` loads the shared library at run time, when it
# first needs it, and nothing is linked: some of Debian's libraries pull in a hundred others, which the loader would bring in at every
# start. `macro` is the name to load; the Debian package depends on what holds it all the same.
function(framemill_lazy_library)
  cmake_parse_arguments(LAZY "" "LIBRARY;SOURCE;DEFINITION" "" ${ARGN})
  execute_process(COMMAND "${CMAKE_READELF}" -d "${LAZY_LIBRARY}" OUTPUT_VARIABLE dynamic COMMAND_ERROR_IS_FATAL ANY)
  if(NOT dynamic MATCHES "SONAME[^[]*\\[(lib([^]]*)\\.so\\.([0-9]+))\\]")
    message(FATAL_ERROR "${LAZY_LIBRARY} says no name to load it by")
  endif()
  set(soname "${CMAKE_MATCH_1}")
  # Debian names a library's package after its soname.
  string(REPLACE "_" "-" package "lib${CMAKE_MATCH_2}${CMAKE_MATCH_3}")
  set_property(SOURCE "${LAZY_SOURCE}" APPEND PROPERTY COMPILE_DEFINITIONS "${LAZY_DEFINITION}=\"${soname}\"")
  set_property(GLOBAL APPEND PROPERTY FRAMEMILL_LAZY_PACKAGES "${package}")
endfunction()

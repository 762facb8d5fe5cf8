# What `cmake --install` puts where, and the Debian package that scripts/package.sh makes of it.
#
# Component `program`: the binary and the runtime's libraries, below any prefix; the binary finds them relative to itself.
# Component `service`: what makes it a service of Debian (unit, configuration, demo, documents), at absolute places; only in the package.
include(GNUInstallDirs)
set(CMAKE_SKIP_INSTALL_ALL_DEPENDENCY ON)  # to package needs no tests
set(deploy "${PROJECT_SOURCE_DIR}/deploy")
set(package_files "${PROJECT_BINARY_DIR}/package")

install(TARGETS framemill RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}" COMPONENT program)
if(FRAMEMILL_OPENVINO)
  # Of the readers of models only those of ONNX and OpenVINO IR; no C interface.
  install(DIRECTORY "${FRAMEMILL_DEPS_DIR}/openvino/libs/" DESTINATION lib/framemill COMPONENT program
          FILES_MATCHING PATTERN "lib*.so*"
          PATTERN "*pytorch*" EXCLUDE PATTERN "*tensorflow*" EXCLUDE PATTERN "*paddle*" EXCLUDE
          PATTERN "*jax*" EXCLUDE PATTERN "*gguf*" EXCLUDE PATTERN "*openvino_c.so*" EXCLUDE)
endif()
if(FRAMEMILL_ONNXRUNTIME)
  # Loaded while the program runs; framemill looks beside itself first.
  install(DIRECTORY "${FRAMEMILL_DEPS_DIR}/onnxruntime/lib/" DESTINATION lib/framemill COMPONENT program
          FILES_MATCHING PATTERN "libonnxruntime*.so*")
  install(FILES "${FRAMEMILL_DEPS_DIR}/onnxruntime/lib/LICENSE" "${FRAMEMILL_DEPS_DIR}/onnxruntime/lib/ThirdPartyNotices.txt"
          DESTINATION /usr/share/doc/framemill/onnxruntime COMPONENT service EXCLUDE_FROM_ALL)
endif()

# The Python worker of `framemill prepare`; its packages are fetched into a venv on first use.
install(DIRECTORY "${PROJECT_SOURCE_DIR}/prepare/framemill_prepare" DESTINATION share/framemill/prepare COMPONENT program
        FILES_MATCHING PATTERN "*.py" PATTERN "__pycache__" EXCLUDE)
install(FILES "${PROJECT_SOURCE_DIR}/prepare/requirements.txt" DESTINATION share/framemill/prepare COMPONENT program)

# Made from the binary's own --help and from the change log; not part of `all`.
find_program(PYTHON_FOR_BUILD python3 REQUIRED)
add_custom_target(framemill_package_files
  COMMAND "${PYTHON_FOR_BUILD}" "${deploy}/debian/make_documents.py" --binary "$<TARGET_FILE:framemill>" --version "${PROJECT_VERSION}"
          --changelog "${PROJECT_SOURCE_DIR}/CHANGELOG.md" "${package_files}"
  DEPENDS framemill COMMENT "Manual page, completion and change log of the package" VERBATIM)

set(documents /usr/share/doc/framemill)
macro(install_for_service)
  install(${ARGN} COMPONENT service EXCLUDE_FROM_ALL)
endmacro()
install_for_service(FILES "${deploy}/systemd/framemill.service" DESTINATION /lib/systemd/system)
install_for_service(FILES "${deploy}/debian/site.yaml" DESTINATION /etc/framemill)
install_for_service(FILES "${PROJECT_SOURCE_DIR}/demo/clips/line.mp4" "${PROJECT_SOURCE_DIR}/demo/models/line_int8.onnx"
                    DESTINATION /usr/share/framemill/demo)
install_for_service(FILES "${package_files}/framemill.1.gz" DESTINATION /usr/share/man/man1)
install_for_service(FILES "${package_files}/framemill" DESTINATION /usr/share/bash-completion/completions)
install_for_service(FILES "${deploy}/debian/framemill.lintian-overrides" DESTINATION /usr/share/lintian/overrides RENAME framemill)
install_for_service(FILES "${deploy}/debian/copyright" "${package_files}/changelog.gz" "${package_files}/changelog.Debian.gz" DESTINATION ${documents})
install_for_service(FILES "${FRAMEMILL_DEPS_DIR}/openvino/licenses/licensing/onednn_third-party-programs.txt"
                    "${FRAMEMILL_DEPS_DIR}/openvino/licenses/licensing/onetbb_third-party-programs.txt"
                    "${FRAMEMILL_DEPS_DIR}/openvino/licenses/licensing/runtime-third-party-programs.txt"
                    DESTINATION ${documents}/openvino)
install(DIRECTORY "${deploy}/prometheus" "${deploy}/grafana" DESTINATION ${documents}/examples COMPONENT service
        EXCLUDE_FROM_ALL PATTERN "*_test.yaml" EXCLUDE)

set(CPACK_GENERATOR DEB)
set(CPACK_SET_DESTDIR ON)  # for the absolute places
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_INSTALL_CMAKE_PROJECTS "${PROJECT_BINARY_DIR};framemill;program;/;${PROJECT_BINARY_DIR};framemill;service;/")
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_STRIP_FILES ON)
set(CPACK_PACKAGE_NAME framemill)
set(CPACK_PACKAGE_VERSION "${PROJECT_VERSION}")
set(CPACK_PACKAGE_CONTACT "The framemill authors <maintainers@framemill.example>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "many-camera YOLO detection, every frame answered")
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_SECTION video)
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION  # CPack puts the summary before it, and a space before each line
"Runs YOLO detectors on many RTSP cameras at once. Each sampled frame gets
exactly one answer by its deadline, or the reason why there is none; scarce
inference goes to the frames that need it most.
.
With a dashboard, an HTTP API, alarms, and sinks for SQLite, MQTT, webhooks,
Modbus/TCP, PostgreSQL and Kafka. The OpenVINO runtime is included.")
get_property(lazy_packages GLOBAL PROPERTY FRAMEMILL_LAZY_PACKAGES)
list(JOIN lazy_packages ", " lazy_packages)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "adduser, ${lazy_packages}")
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS ca-certificates)
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "intel-opencl-icd, mosquitto, prometheus, python3-venv")
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS "${FRAMEMILL_DEPS_DIR}/openvino/libs")
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA "${deploy}/debian/conffiles;${deploy}/debian/postinst;${deploy}/debian/prerm;${deploy}/debian/postrm")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
include(CPack)

# What is installed, and how other projects find it.
include(CMakePackageConfigHelpers)

install(TARGETS tidepool EXPORT tidepool)
install(DIRECTORY include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT tidepool NAMESPACE tidepool:: FILE tidepool-targets.cmake
    DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/tidepool)
foreach(component IN LISTS tidepool_components)
    install(EXPORT tidepool-${component} NAMESPACE tidepool:: FILE tidepool-${component}-targets.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/tidepool)
endforeach()
# find_package(tidepool COMPONENTS mimalloc jemalloc): each only where it is asked for, and only then what it needs.
file(CONFIGURE OUTPUT tidepool-config.cmake @ONLY CONTENT [[
include(CMakeFindDependencyMacro)
find_dependency(Threads)
include(${CMAKE_CURRENT_LIST_DIR}/tidepool-targets.cmake)
foreach(component IN LISTS tidepool_FIND_COMPONENTS)
    if(EXISTS ${CMAKE_CURRENT_LIST_DIR}/tidepool-${component}-targets.cmake)
        if(component STREQUAL "mimalloc")
            find_dependency(mimalloc)
        endif()
        include(${CMAKE_CURRENT_LIST_DIR}/tidepool-${component}-targets.cmake)
        set(tidepool_${component}_FOUND TRUE)
    elseif(tidepool_FIND_REQUIRED_${component})
        set(tidepool_FOUND FALSE)
        set(tidepool_NOT_FOUND_MESSAGE "this tidepool was built without ${component}")
    endif()
endforeach()
]])
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/tidepool-config-version.cmake
    COMPATIBILITY SameMinorVersion)
install(FILES
    ${CMAKE_CURRENT_BINARY_DIR}/tidepool-config.cmake
    ${CMAKE_CURRENT_BINARY_DIR}/tidepool-config-version.cmake
    DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/tidepool)
